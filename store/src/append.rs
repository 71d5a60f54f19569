//! Committing a batch of decided commands.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;
use millrace_schemas::{ExpectedVersion, Metadata, NewEvent, Outcome, OutcomeKind, StreamId};
use tokio_postgres::Row;

use crate::outcome::outcome_from_row;
use crate::{Log, StoreError};

/// A decided command.
#[derive(Debug, Clone)]
pub struct Append {
    /// Unique per log; the second append of an id is a duplicate.
    pub command_id: String,
    /// The command's record name.
    pub command_type: &'static str,
    /// Accepted, rejected or conflict.
    pub outcome: OutcomeKind,
    /// Stable code, unless accepted.
    pub code: Option<String>,
    /// A sentence, unless accepted.
    pub message: Option<String>,
    /// Goes with each of its events.
    pub metadata: Metadata,
    /// Every stream that the decision rests on, each once.
    pub checks: Vec<Check>,
}

/// A stream that a decision rests on.
#[derive(Debug, Clone)]
pub struct Check {
    /// The stream.
    pub stream: StreamId,
    /// What the decision took it to be.
    pub expected: ExpectedVersion,
    /// What is appended to it; may be empty.
    pub events: Vec<NewEvent>,
}

/// What became of one command of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Committed now.
    Committed(Outcome),
    /// The id had been committed before, with this outcome. Nothing happened.
    Duplicate(Outcome),
    /// A stream was not as expected. Nothing happened.
    Stale {
        /// The stream.
        stream: StreamId,
        /// Its version, 0 when it does not exist.
        actual: i64,
    },
}

impl Log {
    /// Commits a batch in order, one verdict per command. Each command happens whole or not at all; one that is stale
    /// or a duplicate leaves the rest of the batch alone. Without a transaction around it, all is durable on return.
    ///
    /// Cancelled, it may still have been committed: append again, and see duplicates.
    ///
    /// # Errors
    /// When Postgres refuses or does not answer: then nothing was committed, or the answer was lost.
    pub async fn append(&self, client: &impl GenericClient, batch: &[Append]) -> Result<Vec<Verdict>, StoreError> {
        let columns = Columns::of(self, batch)?;
        let statement = client.prepare_cached(include_str!("sql/append.sql")).await?;
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 21] = [
            &columns.command_ids,
            &columns.command_types,
            &columns.outcomes,
            &columns.codes,
            &columns.messages,
            &columns.metadata,
            &columns.stream_ids,
            &columns.stream_partitions,
            &columns.stream_events,
            &columns.stream_ends,
            &columns.check_commands,
            &columns.check_streams,
            &columns.check_expected,
            &columns.check_events,
            &columns.before_events,
            &columns.before_in_stream,
            &columns.before_in_partition,
            &columns.event_checks,
            &columns.event_ids,
            &columns.event_types,
            &columns.event_data,
        ];
        let rows = client.query(&statement, &parameters).await?;
        if rows.len() != batch.len() {
            return Err(StoreError::Damaged(format!("append answered {} of {} commands", rows.len(), batch.len())));
        }
        batch.iter().zip(&rows).map(|(append, row)| self.verdict(append, row)).collect()
    }

    fn verdict(&self, append: &Append, row: &Row) -> Result<Verdict, StoreError> {
        let verdict: &str = row.try_get("verdict")?;
        Ok(match verdict {
            "committed" => Verdict::Committed(outcome_from_row(self.name(), &append.command_id, row)?),
            "duplicate" => Verdict::Duplicate(outcome_from_row(self.name(), &append.command_id, row)?),
            _ => {
                let stream: &str = row.try_get("stale_stream")?;
                let stream = stream.parse().map_err(|e| StoreError::Damaged(format!("streams: {e}")))?;
                Verdict::Stale { stream, actual: row.try_get("actual_version")? }
            }
        })
    }
}

/// The batch as the parameters of `append.sql`, one vector per parameter.
#[derive(Default)]
struct Columns<'a> {
    command_ids: Vec<&'a str>,
    command_types: Vec<&'a str>,
    outcomes: Vec<&'static str>,
    codes: Vec<Option<&'a str>>,
    messages: Vec<Option<&'a str>>,
    metadata: Vec<String>,
    stream_ids: Vec<&'a str>,
    stream_partitions: Vec<i32>,
    stream_events: Vec<i64>,
    stream_ends: Vec<i64>,
    check_commands: Vec<i32>,
    check_streams: Vec<i32>,
    check_expected: Vec<i64>,
    check_events: Vec<i32>,
    before_events: Vec<i64>,
    before_in_stream: Vec<i64>,
    before_in_partition: Vec<i64>,
    event_checks: Vec<i32>,
    event_ids: Vec<uuid::Uuid>,
    event_types: Vec<&'a str>,
    event_data: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(log: &Log, batch: &'a [Append]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        let mut streams = HashMap::new();
        let mut in_partition = vec![0; log.partitions() as usize];
        for append in batch {
            columns.command_ids.push(&append.command_id);
            columns.command_types.push(append.command_type);
            columns.outcomes.push(append.outcome.as_str());
            columns.codes.push(append.code.as_deref());
            columns.messages.push(append.message.as_deref());
            let metadata = serde_json::to_string(&append.metadata);
            columns.metadata.push(metadata.map_err(|e| StoreError::Damaged(format!("metadata: {e}")))?);
            for check in &append.checks {
                let stream = *streams.entry(&check.stream).or_insert_with(|| {
                    columns.stream_ids.push(check.stream.as_str());
                    columns.stream_partitions.push(log.partition_of(&check.stream));
                    columns.stream_events.push(0);
                    columns.stream_ends.push(0);
                    columns.stream_ids.len()
                });
                columns.push_check(stream, check, &mut in_partition);
            }
        }
        Ok(columns)
    }

    /// Adds a check on the stream with this number, counted from 1. `in_partition` has the events so far of each partition.
    fn push_check(&mut self, stream: usize, check: &'a Check, in_partition: &mut [i64]) {
        self.check_commands.push(self.command_ids.len() as i32);
        self.check_streams.push(stream as i32);
        let (slot, events) = (stream - 1, check.events.len() as i64);
        let in_partition = &mut in_partition[self.stream_partitions[slot].unsigned_abs() as usize];
        self.before_events.push(self.event_ids.len() as i64);
        self.before_in_stream.push(self.stream_events[slot]);
        self.before_in_partition.push(*in_partition);
        *in_partition += events;
        self.stream_events[slot] += events;
        if events > 0 {
            self.stream_ends[slot] = *in_partition;
        }
        self.check_expected.push(match check.expected {
            ExpectedVersion::Any => -1,
            ExpectedVersion::StreamExists => -2,
            ExpectedVersion::NoStream => 0,
            ExpectedVersion::Exact(version) => version,
        });
        self.check_events.push(check.events.len() as i32);
        for event in &check.events {
            self.event_checks.push(self.check_commands.len() as i32);
            self.event_ids.push(event.event_id);
            self.event_types.push(event.event_type);
            self.event_data.push(&event.data);
        }
    }
}
