//! Committing a batch: decide, append, and once more for what rested on an old version.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use deadpool_postgres::{GenericClient, Pool};
use millrace_runtime::{Health, Shutdown, retry};
use millrace_schemas::{Codec, Outcome, StreamId};
use millrace_store::{Append, Log, StoreError, Verdict};
use tokio::sync::mpsc;

use crate::Domain;
use crate::acknowledge::Committed;
use crate::command::Command;
use crate::decide::{Addressed, decide};
use crate::error::{Ended, ended};
use crate::ingest::ReadBatch;
use crate::metrics::{self, APPEND_SECONDS, BATCH_COMMANDS, CACHED, COMMANDS, DUPLICATES, EVENTS, STALE};
use crate::spans::{self, Times};
use crate::stages::{hand_on, take};
use crate::states::{States, Versioned};

/// Most streams that one append touches, but for a single command that touches more: what an append holds in memory,
/// here and in Postgres, is bounded by it.
const MAX_STREAMS: usize = 10_000;

/// Decides and commits batches of commands.
pub struct Committer<'a, D: Domain> {
    pub log: &'a Log,
    pub pool: &'a Pool,
    pub codec: &'a Codec,
    pub health: Health,
    pub shutdown: &'a Shutdown,
    pub states: States<D>,
}

/// A command that has no outcome yet.
struct Pending<'c, D: Domain> {
    command: &'c Command<D::Command>,
    addressed: Addressed,
}

/// One try at a batch: what was decided, what became of it, and the states it left.
struct Attempt<S> {
    appends: Vec<Append>,
    verdicts: Vec<Verdict>,
    states: HashMap<StreamId, Versioned<S>>,
    times: Times,
}

impl<D: Domain> Committer<'_, D> {
    /// The second stage: runs until the first has ended, or nobody takes what is committed any more.
    ///
    /// # Errors
    /// As [`Committer::commit`].
    pub async fn run(
        &mut self,
        mut batches: mpsc::Receiver<ReadBatch<D::Command>>,
        committed: mpsc::Sender<Committed>,
    ) -> Result<(), Ended> {
        while let Some(ReadBatch { records, commands, unreadable }) = take(&self.health, &mut batches).await {
            let outcomes = self.commit(&commands).await?;
            metrics::committed(&records, &unreadable);
            let told = commands.into_iter().filter_map(|command| {
                // a command that came twice in the batch is told twice
                Some((outcomes.get(&command.id)?.clone(), command.metadata))
            });
            let outcomes = told.collect();
            if !hand_on(&self.health, &committed, Committed { records, unreadable, outcomes }).await {
                return Ok(()); // the next stage has ended: its result says why
            }
        }
        Ok(())
    }

    /// The outcome of every command, durable on return; keyed by command id. A batch that conflicts with another
    /// writer is decided again under the partitions' locks, where nobody can get in between.
    ///
    /// # Errors
    /// When the process is to stop, or Postgres gives an error that does not pass. What was committed by then is
    /// found again as duplicates.
    async fn commit(&mut self, commands: &[Command<D::Command>]) -> Result<HashMap<String, Outcome>, Ended> {
        BATCH_COMMANDS.observe(commands.len() as f64);
        let mut seen = HashSet::new();
        let unique = commands.iter().filter(|command| seen.insert(command.id.as_str()));
        let mut outcomes = HashMap::with_capacity(commands.len());
        for part in parts(unique.map(|command| Pending { command, addressed: D::streams(&command.body) })) {
            self.commit_part(part, &mut outcomes).await?;
        }
        Ok(outcomes)
    }

    async fn commit_part(
        &mut self,
        mut pending: Vec<Pending<'_, D>>,
        outcomes: &mut HashMap<String, Outcome>,
    ) -> Result<(), Ended> {
        let mut locked = false;
        while !pending.is_empty() {
            let (health, shutdown) = (self.health.clone(), self.shutdown);
            let attempt = async || self.attempt(&pending, locked).await;
            let attempt = retry(&health, shutdown, "append", StoreError::is_transient, attempt).await.map_err(ended)?;
            pending = self.settle(pending, attempt, outcomes);
            locked = true;
        }
        Ok(())
    }

    async fn attempt(&mut self, pending: &[Pending<'_, D>], locked: bool) -> Result<Attempt<D::State>, StoreError> {
        let began = Instant::now();
        let mut client = self.pool.get().await?;
        let streams = distinct_streams(pending);
        let attempt = if locked {
            let transaction = client.transaction().await?;
            self.log.lock(&transaction, &streams).await?;
            let attempt = self.decide_and_append(&transaction, pending, &streams, true).await?;
            transaction.commit().await?;
            attempt
        } else {
            self.decide_and_append(&client, pending, &streams, false).await?
        };
        APPEND_SECONDS.observe(began.elapsed().as_secs_f64());
        spans::record(self.log, attempt.times, &attempt.appends, &attempt.verdicts);
        Ok(attempt)
    }

    async fn decide_and_append(
        &mut self,
        client: &impl GenericClient,
        pending: &[Pending<'_, D>],
        streams: &[StreamId],
        refresh: bool,
    ) -> Result<Attempt<D::State>, StoreError> {
        let began = Instant::now();
        let mut states = self.states.get(client, streams, refresh).await?;
        let decided = pending.iter().map(|p| decide::<D>(self.codec, p.command, &p.addressed, &mut states));
        let appends: Vec<Append> = decided.collect();
        let times = Times { decide: began, append: Instant::now() };
        let verdicts = self.log.append(client, &appends).await?;
        Ok(Attempt { appends, verdicts, states, times })
    }

    /// Notes what is committed, and gives back what is to be decided again.
    fn settle<'c>(
        &mut self,
        pending: Vec<Pending<'c, D>>,
        attempt: Attempt<D::State>,
        outcomes: &mut HashMap<String, Outcome>,
    ) -> Vec<Pending<'c, D>> {
        let mut again = Vec::new();
        // streams whose state in memory rests on something that was not committed
        let mut doubtful: HashSet<StreamId> = HashSet::new();
        let decided = pending.into_iter().zip(attempt.appends).zip(attempt.verdicts);
        for ((pending, append), verdict) in decided {
            match verdict {
                Verdict::Committed(outcome) => {
                    COMMANDS.with_label_values(&[outcome.outcome.as_str()]).inc();
                    EVENTS.inc_by(append.checks.iter().map(|check| check.events.len() as u64).sum());
                    outcomes.insert(append.command_id, outcome);
                    continue;
                }
                Verdict::Duplicate(outcome) => {
                    DUPLICATES.inc();
                    outcomes.insert(append.command_id, outcome);
                }
                Verdict::Stale { stream, actual } => {
                    STALE.inc();
                    self.states.forget_if_ahead(&stream, actual);
                    again.push(pending);
                }
            }
            doubtful.extend(append.checks.into_iter().map(|check| check.stream));
        }
        for (stream, state) in attempt.states {
            if !doubtful.contains(&stream) {
                self.states.put(stream, state);
            }
        }
        CACHED.set(self.states.count());
        again
    }
}

/// Splits a batch where it touches too many streams for one append.
fn parts<'c, D: Domain>(batch: impl Iterator<Item = Pending<'c, D>>) -> Vec<Vec<Pending<'c, D>>> {
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

fn distinct_streams<D: Domain>(pending: &[Pending<'_, D>]) -> Vec<StreamId> {
    let mut seen = HashSet::new();
    let streams = pending.iter().flat_map(|pending| pending.addressed.iter().flatten());
    streams.filter(|stream| seen.insert(*stream)).cloned().collect()
}
