//! The second stage: brings every command of a batch to its end. A command that Postgres refuses is isolated.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use deadpool_postgres::Pool;
use millrace_runtime::kafka::{Offsets, Record};
use millrace_runtime::{Health, Shutdown, Stopped, retry};
use millrace_store::Log;
use rdkafka::Message;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::acknowledge::Committed;
use crate::attempt::again;
use crate::cache::Cache;
use crate::command::{Addressed, Command, Sender, Settled, Unreadable};
use crate::encoder::Encoder;
use crate::error::{Ended, WriterError};
use crate::metrics::{self, BATCH_COMMANDS, CACHED};
use crate::progress::Progress;
use crate::read::ReadBatch;
use crate::stages::{Pace, hand_on, take};
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
    pub cache: &'a mut Cache<D>,
    /// Whether another writer had appended to the partitions of the last batch. Then the next batch takes the locks at
    /// once, because its first attempt would probably fail.
    pub contended: bool,
    pub offsets: Offsets,
    pub progress: &'a mut Progress,
}

/// A command without its end yet.
pub struct Pending<'c, D: Domain> {
    /// The command's index in the batch.
    pub index: usize,
    pub command: &'c Command<D::Command>,
    pub addressed: Addressed,
}

/// The ends that the commands of a batch have come to so far, by their index in it.
pub type Board = Vec<Option<Settled>>;

impl<D: Domain> Committer<'_, D> {
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
            let servers = (self.pool, self.log, &self.offsets);
            self.progress.count_gaps(&records, servers, &self.health, self.shutdown).await?;
            let asked: Vec<&Command<D::Command>> = commands.iter().map(|(_, command)| command).collect();
            let settled = self.commit(&asked, &next_offsets).await?;
            self.progress.commit(&next_offsets);
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
        let mut pace = Pace::new(&self.health);
        for (index, command) in commands.iter().enumerate() {
            if first_of.contains_key(&command.key) {
                continue; // the id came earlier in this batch: the loop below settles the later one
            }
            first_of.insert(command.key, index);
            pending.push(Pending { index, command, addressed: addressed(&*self.domain, command) });
            pace.breathe().await;
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
        let refused = loop {
            let round = async || self.round(&mut pending, next_offsets, board).await;
            match retry(&health, shutdown, "append", passes, round).await {
                Ok(()) if pending.is_empty() => return Ok(()),
                Ok(()) => {}
                Err(Stopped::Failed(error)) if error.is_refusal() && !pending.is_empty() => break error,
                Err(stopped) => return Err(stopped),
            }
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
}

/// The streams that a command needs, up to a limit: its outcome names them all, in one record of Kafka.
fn addressed<D: Domain>(domain: &D, command: &Command<D::Command>) -> Addressed {
    let streams = command.streams(domain)?;
    if streams.len() > MAX_STREAMS_OF_A_COMMAND {
        let message = format!("The command touches {} streams, more than {MAX_STREAMS_OF_A_COMMAND}.", streams.len());
        return Err(Rejection::new("too_many_streams", message));
    }
    Ok(streams)
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
