//! One attempt at a batch: decides it in memory and appends it at once. If another writer was faster, the second attempt
//! decides it again under the partitions' locks.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use millrace_schemas::{Outcome, OutcomeKind, StreamId};
use millrace_store::{Appended, StoreError, StoredCommand};
use uuid::Uuid;

use crate::cache::Versioned;
use crate::command::{Command, Settled};
use crate::commit::{Board, Committer, Pending};
use crate::decide::{Decided, Draft};
use crate::metrics::{APPEND_SECONDS, COMMANDS, DUPLICATES, EVENTS, LOST_COMMITS, STALE, STREAMS};
use crate::spans::{self, Times};
use crate::stages::Pace;
use crate::{Domain, Rejection, WriterError};

/// How long the decisions of one append may take.
const DECIDING: Duration = Duration::from_secs(1);

/// A batch that Postgres has taken. Under locks, its transaction is still to be committed.
struct Appending<S> {
    decided: Decided<S>,
    recorded_at: Timestamp,
    times: Times,
}

/// The result of one attempt at a batch.
enum Attempt<S> {
    Appended(Box<Appending<S>>),
    /// Another writer was faster; Postgres has appended nothing.
    Moved,
}

impl<D: Domain> Committer<'_, D> {
    /// Commits pending commands: all, unless deciding takes too long. The first attempt takes no lock and succeeds if the
    /// log still has the heads that this writer knows. The second holds the partitions' locks, so that nobody can append
    /// in between.
    pub async fn round(
        &mut self,
        pending: &mut Vec<Pending<'_, D>>,
        next_offsets: &[(i32, i64)],
        board: &mut Board,
    ) -> Result<(), WriterError> {
        let began = Instant::now();
        let mut client = self.pool.get().await.map_err(StoreError::from)?;
        if !self.contended {
            if let Attempt::Appended(appending) = self.attempt(&client, pending, next_offsets, board).await? {
                self.settle(pending, *appending, board);
                APPEND_SECONDS.observe(began.elapsed().as_secs_f64());
                return Ok(());
            }
            STALE.inc_by(pending.len() as u64);
        }
        let transaction = client.transaction().await.map_err(StoreError::from)?;
        let partitions = self.partitions(pending);
        self.log.lock(&transaction, &partitions.iter().copied().collect::<Vec<_>>()).await?;
        self.contended = self.cache.catch_up(&transaction, self.log, &partitions).await?;
        match self.attempt(&transaction, pending, next_offsets, board).await? {
            Attempt::Appended(appending) => {
                transaction.commit().await.map_err(StoreError::from)?;
                self.settle(pending, *appending, board);
                APPEND_SECONDS.observe(began.elapsed().as_secs_f64());
                Ok(())
            }
            Attempt::Moved => {
                let reason = "a partition moved while its lock was held: a program that is not Millrace writes to it";
                Err(StoreError::Damaged(reason.into()).into())
            }
        }
    }

    /// Decides the pending commands and appends them. Settles the duplicates among them first, and takes them out of
    /// `pending`.
    async fn attempt(
        &mut self,
        client: &impl GenericClient,
        pending: &mut Vec<Pending<'_, D>>,
        next_offsets: &[(i32, i64)],
        board: &mut Board,
    ) -> Result<Attempt<D::State>, WriterError> {
        let mut looked_up = false;
        loop {
            let partitions = self.partitions(pending);
            self.cache.learn_heads(client, self.log, &partitions).await?;
            let (states, missing) = self.states(pending);
            if !missing.is_empty() && !looked_up {
                // A duplicate needs no state: find it before loading streams, which may take minutes.
                looked_up = true;
                let keys: Vec<Uuid> = pending
                    .iter()
                    .filter(|p| p.addressed.iter().flatten().any(|stream| missing.contains(stream)))
                    .map(|p| p.command.key)
                    .collect();
                if self.take_out_known(client, pending, &keys, board).await? {
                    continue;
                }
            }
            STREAMS.with_label_values(&["cache"]).inc_by(states.len() as u64);
            let decide = Instant::now();
            let states = match missing.is_empty() {
                true => states,
                false => {
                    let missing: Vec<StreamId> = missing.into_iter().collect();
                    if !self.cache.load(client, self.log, &missing).await? {
                        return Ok(Attempt::Moved);
                    }
                    self.states(pending).0
                }
            };
            let heads: BTreeMap<i32, _> = partitions.iter().map(|p| (*p, self.cache.head(*p))).collect();
            let mut draft: Draft<'_, D> = Draft::new(&self.domain, self.log, self.encoder, states, heads);
            let is_whole = self.decide_some(&mut draft, pending).await?;
            let decided = draft.finish(if is_whole { next_offsets } else { &[] }, self.progress.known());
            let append = Instant::now();
            match self.log.append(client, &decided.batch).await? {
                Appended::Committed(recorded_at) => {
                    let times = Times { decide, append };
                    return Ok(Attempt::Appended(Box::new(Appending { decided, recorded_at, times })));
                }
                Appended::Moved(_) => return Ok(Attempt::Moved),
                Appended::Lost => {
                    tracing::error!(
                        "Postgres has lost commits that this writer knew of (a restored backup, a failover to a \
                         replica that lagged?)"
                    );
                    LOST_COMMITS.inc();
                    return Err(WriterError::LostCommits);
                }
                Appended::Known(keys) => {
                    if !self.take_out_known(client, pending, &keys, board).await? {
                        let reason = "Postgres says that commands are known, and does not have them";
                        return Err(StoreError::Damaged(reason.into()).into());
                    }
                }
            }
        }
    }

    /// Decides pending commands, in their order, as many as a second is enough for: rules may be slow, and locks are held
    /// meanwhile. True when that was all of them.
    async fn decide_some(&self, draft: &mut Draft<'_, D>, pending: &[Pending<'_, D>]) -> Result<bool, WriterError> {
        let mut pace = Pace::new(&self.health);
        for (index, Pending { command, addressed, .. }) in pending.iter().enumerate() {
            draft.decide(command, addressed)?;
            pace.breathe().await;
            if pace.elapsed() > DECIDING && index + 1 < pending.len() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The states in memory that the commands need, and the streams that are not in memory.
    fn states(&mut self, pending: &[Pending<'_, D>]) -> (HashMap<StreamId, Versioned<D::State>>, HashSet<StreamId>) {
        let (mut states, mut missing) = (HashMap::new(), HashSet::new());
        for stream in pending.iter().flat_map(|pending| pending.addressed.iter().flatten()) {
            if states.contains_key(stream) || missing.contains(stream) {
                continue;
            }
            match self.cache.get(stream) {
                Some(state) => {
                    states.insert(stream.clone(), state.clone());
                }
                None => {
                    missing.insert(stream.clone());
                }
            }
        }
        (states, missing)
    }

    fn partitions(&self, pending: &[Pending<'_, D>]) -> BTreeSet<i32> {
        let streams = pending.iter().flat_map(|pending| pending.addressed.iter().flatten());
        streams.map(|stream| self.log.partition_of(stream)).collect()
    }

    /// Settles the pending commands with these keys that are already committed. False when there are none.
    async fn take_out_known(
        &self,
        client: &impl GenericClient,
        pending: &mut Vec<Pending<'_, D>>,
        keys: &[Uuid],
        board: &mut Board,
    ) -> Result<bool, StoreError> {
        let known = self.log.commands(client, keys).await?;
        pending.retain(|Pending { index, command, .. }| match known.get(&command.key) {
            Some(StoredCommand { hash, outcome }) => {
                board[*index] = Some(again(&*self.domain, command, outcome, hash[..] == command.hash));
                false
            }
            None => true,
        });
        Ok(!known.is_empty())
    }

    /// Settles the pending commands that were decided, once their batch is committed. The others stay.
    fn settle(&mut self, pending: &mut Vec<Pending<'_, D>>, appending: Appending<D::State>, board: &mut Board) {
        let Appending { decided, recorded_at, times } = appending;
        let Decided { batch, outcomes, states, heads } = decided;
        EVENTS.inc_by(batch.events.len() as u64);
        self.cache.commit(states, heads.into_values());
        for (Pending { index, command, .. }, mut outcome) in pending.drain(..outcomes.len()).zip(outcomes) {
            outcome.recorded_at = recorded_at.as_microsecond();
            COMMANDS.with_label_values(&[outcome.outcome.as_str()]).inc();
            spans::record(self.log, times, command.id.as_str(), &command.metadata, &outcome);
            board[index] = Some(Settled::Outcome(outcome));
        }
    }
}

/// Settles a command whose id has an outcome already: with that outcome if the content is the same, else with a
/// rejection.
pub fn again<D: Domain>(domain: &D, command: &Command<D::Command>, outcome: &Outcome, says_the_same: bool) -> Settled {
    if says_the_same {
        DUPLICATES.inc();
        // the same UUID may be written in several ways: the sender gets its own back
        return Settled::Outcome(Outcome { command_id: command.id.clone(), ..outcome.clone() });
    }
    COMMANDS.with_label_values(&[OutcomeKind::Rejected.as_str()]).inc();
    let id: String = command.id.chars().take(100).collect();
    let message = format!("Another command with the id {id} was sent before; give each command its own id.");
    let Rejection { code, message } = Rejection::new("command_id_reused", message);
    Settled::Outcome(Outcome {
        command_id: command.id.clone(),
        command_type: command.name(domain).to_owned(),
        outcome: OutcomeKind::Rejected,
        code: Some(code.into_owned()),
        message: Some(message),
        token: None,
        streams: Vec::new(),
        recorded_at: Timestamp::now().as_microsecond(),
    })
}
