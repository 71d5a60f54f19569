//! A whole batch at once, where each command commits: nearly always.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use millrace_schemas::{ExpectedVersion, NewEvent, Outcome, StreamId, StreamVersion};

use super::{Append, Commands};
use crate::outcome::token;
use crate::{Log, StoreError};

impl Log {
    /// The outcomes, or `None` when a stream is at another version or a command is known: then nothing happened.
    pub(super) async fn append_sound(
        &self,
        client: &impl GenericClient,
        batch: &[Append],
        sound: &Sound<'_>,
    ) -> Result<Option<Vec<Outcome>>, StoreError> {
        let statement = client.prepare_cached(include_str!("../sql/append_sound.sql")).await?;
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 22] = [
            &sound.commands.ids,
            &sound.commands.types,
            &sound.commands.outcomes,
            &sound.commands.codes,
            &sound.commands.messages,
            &sound.commands.metadata,
            &sound.stream_ids,
            &sound.stream_partitions,
            &sound.stream_versions,
            &sound.stream_events,
            &sound.stream_ends,
            &sound.check_commands,
            &sound.check_streams,
            &sound.check_versions,
            &sound.check_ends,
            &sound.event_commands,
            &sound.event_streams,
            &sound.event_versions,
            &sound.event_ends,
            &sound.event_ids,
            &sound.event_types,
            &sound.event_data,
        ];
        let Some(row) = client.query_opt(&statement, &parameters).await? else { return Ok(None) };
        let heads: Vec<i64> = row.try_get(0)?;
        let recorded_at: Timestamp = row.try_get(1)?;
        Ok(Some(sound.outcomes(self, batch, &heads, recorded_at)))
    }
}

/// A stream at which nothing was decided yet.
const UNKNOWN: i64 = -1;

/// An event, its version, and how much the batch appends to its partition up to it.
struct Placed<'a> {
    command: i32,
    slot: usize,
    version: i64,
    end: i64,
    event: &'a NewEvent,
}

/// The batch as the parameters of `append_sound.sql`, one vector per parameter: every version, and every place in its
/// partition, as it comes after what is there. Streams ascend by id, so that their rows are found near each other.
pub(super) struct Sound<'a> {
    commands: Commands<'a>,
    stream_ids: Vec<&'a str>,
    stream_partitions: Vec<i32>,
    stream_versions: Vec<i64>,
    stream_events: Vec<i64>,
    stream_ends: Vec<i64>,
    check_commands: Vec<i32>,
    check_streams: Vec<i32>,
    check_versions: Vec<i64>,
    check_ends: Vec<i64>,
    event_commands: Vec<i32>,
    event_streams: Vec<i32>,
    event_versions: Vec<i64>,
    event_ends: Vec<i64>,
    event_ids: Vec<uuid::Uuid>,
    event_types: Vec<&'a str>,
    event_data: Vec<&'a str>,
}

impl<'a> Sound<'a> {
    /// The batch, where the decisions say at which version each stream is, and agree.
    pub(super) fn of(log: &Log, batch: &'a [Append]) -> Result<Option<Self>, StoreError> {
        let mut sound = Self {
            commands: Commands::of(batch)?,
            stream_ids: Vec::new(),
            stream_partitions: Vec::new(),
            stream_versions: Vec::new(),
            stream_events: Vec::new(),
            stream_ends: Vec::new(),
            check_commands: Vec::new(),
            check_streams: Vec::new(),
            check_versions: Vec::new(),
            check_ends: Vec::new(),
            event_commands: Vec::new(),
            event_streams: Vec::new(),
            event_versions: Vec::new(),
            event_ends: Vec::new(),
            event_ids: Vec::new(),
            event_types: Vec::new(),
            event_data: Vec::new(),
        };
        let mut slots: BTreeMap<&StreamId, usize> =
            batch.iter().flat_map(|append| &append.checks).map(|check| (&check.stream, 0)).collect();
        for (stream, slot) in &mut slots {
            *slot = sound.push_stream(log, stream);
        }
        let mut events = Vec::new();
        let mut ends = vec![0; log.partitions() as usize];
        for (append, command) in batch.iter().zip(1..) {
            for check in &append.checks {
                let (Some(expected), Some(slot)) = (version(check.expected), slots.get(&check.stream)) else {
                    return Ok(None);
                };
                let end = &mut ends[sound.stream_partitions[*slot].unsigned_abs() as usize];
                if !sound.push_check(command, *slot, expected, check.events.len() as i64, end) {
                    return Ok(None);
                }
                let last = (sound.stream_versions[*slot] + sound.stream_events[*slot], *end);
                let placed = check.events.iter().rev().zip(0..).map(|(event, back)| Placed {
                    command,
                    slot: *slot,
                    version: last.0 - back,
                    end: last.1 - back,
                    event,
                });
                events.extend(placed);
            }
        }
        sound.push_events(events);
        Ok(Some(sound))
    }

    fn push_stream(&mut self, log: &Log, stream: &'a StreamId) -> usize {
        self.stream_ids.push(stream.as_str());
        self.stream_partitions.push(log.partition_of(stream));
        self.stream_versions.push(UNKNOWN);
        self.stream_events.push(0);
        self.stream_ends.push(0);
        self.stream_ids.len() - 1
    }

    /// Adds that a command, counted from 1, was decided on a stream and appends `events` to it; `end` counts what the
    /// batch appends to its partition. False when that contradicts what was decided before it.
    fn push_check(&mut self, command: i32, slot: usize, expected: i64, events: i64, end: &mut i64) -> bool {
        if self.stream_versions[slot] == UNKNOWN {
            self.stream_versions[slot] = expected;
        }
        let before = self.stream_versions[slot] + self.stream_events[slot];
        *end += events;
        self.stream_events[slot] += events;
        if events > 0 {
            self.stream_ends[slot] = *end;
        }
        self.check_commands.push(command);
        self.check_streams.push(number(slot));
        self.check_versions.push(before + events);
        self.check_ends.push(if events > 0 { *end } else { 0 });
        before == expected
    }

    /// Adds the events, each partition's in a row: so they are read from few pages later.
    fn push_events(&mut self, mut events: Vec<Placed<'a>>) {
        events.sort_unstable_by_key(|placed| (self.stream_partitions[placed.slot], placed.end));
        for Placed { command, slot, version, end, event } in events {
            self.event_commands.push(command);
            self.event_streams.push(number(slot));
            self.event_versions.push(version);
            self.event_ends.push(end);
            self.event_ids.push(event.event_id);
            self.event_types.push(event.event_type);
            self.event_data.push(&event.data);
        }
    }

    /// What was stored of the commands. `heads` are the last positions before the batch, by partition.
    fn outcomes(&self, log: &Log, batch: &[Append], heads: &[i64], recorded_at: Timestamp) -> Vec<Outcome> {
        let mut checks = self.check_streams.iter().zip(&self.check_versions).zip(&self.check_ends);
        let outcome = |append: &Append| {
            let mut streams = Vec::with_capacity(append.checks.len());
            let mut places = Vec::with_capacity(append.checks.len());
            for ((stream, version), end) in checks.by_ref().take(append.checks.len()) {
                let slot = stream.unsigned_abs() as usize - 1;
                let partition = self.stream_partitions[slot];
                let head = heads.get(partition.unsigned_abs() as usize).copied().unwrap_or_default();
                places.push((partition, if *end > 0 { head + end } else { 0 }));
                streams.push(StreamVersion { stream_id: self.stream_ids[slot].to_owned(), version: *version });
            }
            Outcome {
                command_id: append.command_id.clone(),
                command_type: append.command_type.to_owned(),
                outcome: append.outcome,
                code: append.code.clone(),
                message: append.message.clone(),
                token: token(log.name(), places),
                streams,
                recorded_at: recorded_at.as_microsecond(),
            }
        };
        batch.iter().map(outcome).collect()
    }
}

/// SQL counts from 1.
fn number(slot: usize) -> i32 {
    slot as i32 + 1
}

/// The version that a stream must have; `None` where that is not one.
fn version(expected: ExpectedVersion) -> Option<i64> {
    match expected {
        ExpectedVersion::NoStream => Some(0),
        ExpectedVersion::Exact(version) => Some(version),
        ExpectedVersion::Any | ExpectedVersion::StreamExists => None,
    }
}
