//! Each command of a batch by itself: what is stale, or a duplicate, is told apart.

use std::collections::HashMap;

use deadpool_postgres::GenericClient;
use millrace_schemas::ExpectedVersion;
use tokio_postgres::Row;

use super::{Append, Check, Commands, Verdict};
use crate::outcome::outcome_from_row;
use crate::{Log, StoreError};

impl Log {
    pub(super) async fn append_each(
        &self,
        client: &impl GenericClient,
        batch: &[Append],
    ) -> Result<Vec<Verdict>, StoreError> {
        let columns = Columns::of(self, batch)?;
        let statement = client.prepare_cached(include_str!("../sql/append.sql")).await?;
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 17] = [
            &columns.commands.ids,
            &columns.commands.types,
            &columns.commands.outcomes,
            &columns.commands.codes,
            &columns.commands.messages,
            &columns.commands.metadata,
            &columns.stream_ids,
            &columns.stream_partitions,
            &columns.check_commands,
            &columns.check_streams,
            &columns.check_expected,
            &columns.check_events,
            &columns.before_events,
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
struct Columns<'a> {
    commands: Commands<'a>,
    stream_ids: Vec<&'a str>,
    stream_partitions: Vec<i32>,
    check_commands: Vec<i32>,
    check_streams: Vec<i32>,
    check_expected: Vec<i64>,
    check_events: Vec<i32>,
    before_events: Vec<i64>,
    event_checks: Vec<i32>,
    event_ids: Vec<uuid::Uuid>,
    event_types: Vec<&'a str>,
    event_data: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(log: &Log, batch: &'a [Append]) -> Result<Self, StoreError> {
        let mut columns = Self {
            commands: Commands::of(batch)?,
            stream_ids: Vec::new(),
            stream_partitions: Vec::new(),
            check_commands: Vec::new(),
            check_streams: Vec::new(),
            check_expected: Vec::new(),
            check_events: Vec::new(),
            before_events: Vec::new(),
            event_checks: Vec::new(),
            event_ids: Vec::new(),
            event_types: Vec::new(),
            event_data: Vec::new(),
        };
        let mut streams = HashMap::new();
        for (append, command) in batch.iter().zip(1..) {
            for check in &append.checks {
                let stream = *streams.entry(&check.stream).or_insert_with(|| {
                    columns.stream_ids.push(check.stream.as_str());
                    columns.stream_partitions.push(log.partition_of(&check.stream));
                    columns.stream_ids.len() as i32
                });
                columns.push_check(command, stream, check);
            }
        }
        Ok(columns)
    }

    /// Adds a check of a command on a stream, both counted from 1.
    fn push_check(&mut self, command: i32, stream: i32, check: &'a Check) {
        self.check_commands.push(command);
        self.check_streams.push(stream);
        self.check_expected.push(match check.expected {
            ExpectedVersion::Any => -1,
            ExpectedVersion::StreamExists => -2,
            ExpectedVersion::NoStream => 0,
            ExpectedVersion::Exact(version) => version,
        });
        self.check_events.push(check.events.len() as i32);
        self.before_events.push(self.event_ids.len() as i64);
        for event in &check.events {
            self.event_checks.push(self.check_commands.len() as i32);
            self.event_ids.push(event.event_id);
            self.event_types.push(event.event_type);
            self.event_data.push(&event.data);
        }
    }
}
