//! The second stage: decides a batch in memory and appends it at once. If another writer was faster, it decides the
//! batch again under the partitions' locks.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use deadpool_postgres::{GenericClient, Pool};
use jiff::Timestamp;
use millrace_runtime::kafka::{Offsets, Record};
use millrace_runtime::{Health, Shutdown, Stopped, retry};
use millrace_schemas::{Outcome, OutcomeKind, StreamId};
use millrace_store::{Appended, Log, StoreError, StoredCommand};
use rdkafka::Message;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::acknowledge::Committed;
use crate::cache::{Cache, Versioned};
use crate::command::{Command, Sender, Settled, Unreadable};
use crate::decide::{Addressed, Decided, Draft};
use crate::encoder::Encoder;
use crate::error::{Ended, WriterError};
use crate::ingest::ReadBatch;
use crate::metrics::{self, APPEND_SECONDS, BATCH_COMMANDS, CACHED, COMMANDS, DUPLICATES, EVENTS, STALE, STREAMS};
use crate::spans::{self, Times};
use crate::stages::{hand_on, take};
use crate::starts::count_missing;
use crate::{Domain, Rejection};

/// Most streams that one append touches, unless a single command touches more. It bounds the memory of an append, here
/// and in Postgres.
const MAX_STREAMS: usize = 10_000;

/// Most streams of one command: their ids, of up to 512 bytes, must fit into an outcome, whose record may have 1 MiB.
const MAX_STREAMS_OF_A_COMMAND: usize = 1_500;

/// Decides and commits batches of commands.
pub struct Committer<'a, D: Domain> {
    pub domain: Arc<D>,
    pub log: &'a Log,
    pub pool: &'a Pool,
    pub encoder: &'a Encoder,
    pub health: Health,
    pub shutdown: &'a Shutdown,
    pub cache: Cache<D>,
    /// Whether another writer had appended to the partitions of the last batch. Then the next batch takes the locks at
    /// once, because its first attempt would probably fail.
    pub contended: bool,
    pub offsets: Offsets,
    /// The offset that should come next, by partition of the command topic.
    pub expected: HashMap<i32, i64>,
}

/// A command without its end yet.
struct Pending<'c, D: Domain> {
    /// The command's index in the batch.
    index: usize,
    command: &'c Command<D::Command>,
    addressed: Addressed,
}

/// The ends that the commands of a batch have come to so far, by their index in it.
type Board = Vec<Option<Settled>>;

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
    /// Counts commands that retention has deleted ahead of the reading: Kafka then goes on with the first record that
    /// it still has, and reports nothing.
    async fn count_gaps(&mut self, records: &[Record]) {
        for record in records {
            let (partition, offset) = (record.message.partition(), record.message.offset());
            // The first record of a partition may come late too: commands were deleted between assignment and fetch.
            let expected = self.expected.insert(partition, offset + 1).unwrap_or(0);
            if offset > expected
                && let Err(error) = count_missing(self.pool, self.log, &self.offsets, partition).await
            {
                tracing::warn!(partition, %error, "offsets are missing, and nobody answers whether commands are");
            }
        }
    }

    /// Runs the second stage until the first or the third has ended.
    ///
    /// # Errors
    /// As [`Committer::commit`].
    pub async fn run(
        &mut self,
        mut batches: mpsc::Receiver<ReadBatch<D::Command>>,
        committed: mpsc::Sender<Committed>,
    ) -> Result<(), Ended> {
        while let Some(batch) = take(&self.health, &mut batches).await {
            let ReadBatch { records, commands, mut unreadable } = batch;
            let next_offsets = next_offsets(&records);
            self.count_gaps(&records).await;
            let asked: Vec<&Command<D::Command>> = commands.iter().map(|(_, command)| command).collect();
            let settled = self.commit(&asked, &next_offsets).await?;
            metrics::committed(&records, &unreadable);
            let mut outcomes = Vec::with_capacity(commands.len());
            for ((index, command), settled) in commands.into_iter().zip(settled) {
                match settled {
                    Settled::Outcome(outcome) => outcomes.push((outcome, command.metadata)),
                    Settled::Refused(mut reason) => {
                        reason.sender = Some(Box::new(Sender { command_id: command.id, metadata: command.metadata }));
                        unreadable.push((index, reason));
                    }
                }
            }
            if !hand_on(&self.health, &committed, Committed { records, unreadable, outcomes }).await {
                return Ok(()); // the next stage has ended; its own result says why
            }
        }
        Ok(())
    }

    /// Brings every command to its end, which is durable on return. With the last append it also commits the next
    /// offsets of the command topic.
    ///
    /// # Errors
    /// When the process shuts down, or Postgres gives an error that does not pass. If some commands were committed
    /// before, they are duplicates when they come again.
    async fn commit(
        &mut self,
        commands: &[&Command<D::Command>],
        next_offsets: &[(i32, i64)],
    ) -> Result<Vec<Settled>, Ended> {
        BATCH_COMMANDS.observe(commands.len() as f64);
        let mut board: Board = vec![None; commands.len()];
        let mut first_of: HashMap<Uuid, usize> = HashMap::with_capacity(commands.len());
        let mut pending = Vec::with_capacity(commands.len());
        for (index, command) in commands.iter().enumerate() {
            if first_of.contains_key(&command.key) {
                continue; // the id came earlier in this batch: the loop below settles the later one
            }
            first_of.insert(command.key, index);
            pending.push(Pending { index, command, addressed: addressed(&*self.domain, command) });
        }
        let mut parts = parts(pending);
        let last = parts.pop().unwrap_or_default();
        // Only the last part commits the offsets: a crash in between must not skip the commands of later parts.
        for part in parts {
            self.commit_part(part, &[], &mut board).await?;
        }
        self.commit_part(last, next_offsets, &mut board).await?;
        for (index, command) in commands.iter().enumerate() {
            let first = first_of.get(&command.key).copied().unwrap_or(index);
            if first == index {
                continue;
            }
            if commands[first].hash == command.hash {
                board[index] = match &board[first] {
                    Some(Settled::Outcome(outcome)) => Some(again(&*self.domain, command, outcome, true)),
                    refused => refused.clone(),
                };
            } else {
                // Compare it with the command that has the id in Postgres, which may be older than this batch.
                let addressed = addressed(&*self.domain, command);
                self.commit_part(vec![Pending { index, command, addressed }], &[], &mut board).await?;
            }
        }
        CACHED.set(self.cache.count());
        Ok(board.into_iter().map(|settled| settled.expect("every command of every part is settled")).collect())
    }

    async fn commit_part(
        &mut self,
        mut pending: Vec<Pending<'_, D>>,
        next_offsets: &[(i32, i64)],
        board: &mut Board,
    ) -> Result<(), Ended> {
        let (health, shutdown) = (self.health.clone(), self.shutdown);
        let passes = |error: &WriterError| error.is_transient();
        let round = async || self.round(&mut pending, next_offsets, board).await;
        let refused = match retry(&health, shutdown, "append", passes, round).await {
            Ok(()) => return Ok(()),
            Err(Stopped::Failed(error)) if error.is_refusal() && !pending.is_empty() => error,
            Err(stopped) => return Err(stopped),
        };
        // One of the commands is at fault: halve the batch until it is alone.
        if let [command] = &pending[..] {
            tracing::warn!(command_id = command.command.id, %refused, "Postgres refuses a command; dead-lettering it");
            let reason = format!("Postgres refuses the command's events or outcome: {refused}");
            board[command.index] = Some(Settled::Refused(Unreadable::new("refused_by_postgres", reason)));
            return Box::pin(self.commit_part(Vec::new(), next_offsets, board)).await;
        }
        let rest = pending.split_off(pending.len() / 2);
        Box::pin(self.commit_part(pending, &[], board)).await?;
        Box::pin(self.commit_part(rest, next_offsets, board)).await
    }

    /// Commits all pending commands. The first attempt takes no lock and succeeds if the log still has the heads that
    /// this writer knows. The second holds the partitions' locks, so that nobody can append in between.
    async fn round(
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
                    if !self.cache.load(client, self.log, &missing, &self.health).await? {
                        return Ok(Attempt::Moved);
                    }
                    self.states(pending).0
                }
            };
            let heads: BTreeMap<i32, _> = partitions.iter().map(|p| (*p, self.cache.head(*p))).collect();
            let mut draft: Draft<'_, D> = Draft::new(&self.domain, self.log, self.encoder, states, heads);
            for Pending { command, addressed, .. } in &*pending {
                draft.decide(command, addressed)?;
            }
            let decided = draft.finish(next_offsets);
            let append = Instant::now();
            match self.log.append(client, &decided.batch).await? {
                Appended::Committed(recorded_at) => {
                    let times = Times { decide, append };
                    return Ok(Attempt::Appended(Box::new(Appending { decided, recorded_at, times })));
                }
                Appended::Moved(_) => return Ok(Attempt::Moved),
                Appended::Known(keys) => {
                    if !self.take_out_known(client, pending, &keys, board).await? {
                        let reason = "Postgres says that commands are known, and does not have them";
                        return Err(StoreError::Damaged(reason.into()).into());
                    }
                }
            }
        }
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

    /// Settles all pending commands with their outcomes, once their batch is committed.
    fn settle(&mut self, pending: &mut Vec<Pending<'_, D>>, appending: Appending<D::State>, board: &mut Board) {
        let Appending { decided, recorded_at, times } = appending;
        let Decided { batch, outcomes, states, heads } = decided;
        EVENTS.inc_by(batch.events.len() as u64);
        self.cache.commit(states, heads.into_values());
        for (Pending { index, command, .. }, mut outcome) in pending.drain(..).zip(outcomes) {
            outcome.recorded_at = recorded_at.as_microsecond();
            COMMANDS.with_label_values(&[outcome.outcome.as_str()]).inc();
            spans::record(self.log, times, command.id.as_str(), &command.metadata, &outcome);
            board[index] = Some(Settled::Outcome(outcome));
        }
    }
}

/// The streams that a command needs, up to a limit: its outcome names them all, in one record of Kafka.
fn addressed<D: Domain>(domain: &D, command: &Command<D::Command>) -> Addressed {
    let streams = domain.streams(&command.body)?;
    if streams.len() > MAX_STREAMS_OF_A_COMMAND {
        let message = format!("The command touches {} streams, more than {MAX_STREAMS_OF_A_COMMAND}.", streams.len());
        return Err(Rejection::new("too_many_streams", message));
    }
    Ok(streams)
}

/// Settles a command whose id has an outcome already: with that outcome if the content is the same, else with a
/// rejection.
fn again<D: Domain>(domain: &D, command: &Command<D::Command>, outcome: &Outcome, says_the_same: bool) -> Settled {
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
        command_type: domain.command_name(&command.body).to_owned(),
        outcome: OutcomeKind::Rejected,
        code: Some(code.into_owned()),
        message: Some(message),
        token: None,
        streams: Vec::new(),
        recorded_at: Timestamp::now().as_microsecond(),
    })
}

/// The offset after the last record of each partition, which the append commits.
fn next_offsets(records: &[Record]) -> Vec<(i32, i64)> {
    let mut next = BTreeMap::new();
    for record in records {
        next.insert(record.message.partition(), record.message.offset() + 1);
    }
    next.into_iter().collect()
}

/// Splits a batch that touches too many streams for one append.
fn parts<D: Domain>(batch: Vec<Pending<'_, D>>) -> Vec<Vec<Pending<'_, D>>> {
    let mut parts = vec![Vec::new()];
    let mut room = MAX_STREAMS;
    for pending in batch {
        let streams = pending.addressed.iter().flatten().count();
        if streams > room {
            parts.push(Vec::new());
            room = MAX_STREAMS;
        }
        room = room.saturating_sub(streams);
        parts.last_mut().expect("there is one from the start").push(pending);
    }
    parts
}
