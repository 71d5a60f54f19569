//! The rules for what counts as a difference in one partition. Pure functions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use millrace_schemas::{RecordedEvent, framing};
use millrace_store::{Fork, Identity};
use uuid::Uuid;

use super::topic::TopicRecord;

/// Why a record may stand where it does not belong; the end of such messages.
const MEANING: &str = "somebody else wrote to the topic, or Postgres was set back";

/// A difference, as a sentence. The audit ends at the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference(pub String);

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Difference {}

/// How far Postgres and the read models are in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) partition: i32,
    /// The last position in Postgres when the audit began.
    pub(super) head: i64,
    /// The checkpoint of each read model, read after the head.
    pub(super) read_models: BTreeMap<String, i64>,
}

impl Stand {
    /// The last position that Postgres and the topic must have.
    pub(super) fn end(&self) -> i64 {
        self.read_models.values().copied().fold(self.head, i64::max)
    }

    /// The difference that Postgres ends with position `last`, before [`Stand::end`].
    pub(super) fn missing_after(&self, last: i64) -> Difference {
        let Self { partition, head, .. } = self;
        let ahead = self.read_models.iter().find(|(_, checkpoint)| **checkpoint > last);
        Difference(match ahead {
            Some((name, checkpoint)) if *head <= last => format!(
                "{name} is at position {checkpoint} of partition {partition}, and Postgres ends at position {last}: \
                 Postgres was set back, or the read model belongs to another log"
            ),
            _ => format!(
                "Postgres has no event at position {} of partition {partition}, and its head says that it has {head}",
                last + 1
            ),
        })
    }

    /// Checks that every read model has applied all events up to the head.
    pub(super) fn none_behind(&self) -> Result<(), Difference> {
        let Self { partition, head, .. } = self;
        match self.read_models.iter().find(|(_, checkpoint)| *checkpoint < head) {
            Some((name, checkpoint)) => Err(Difference(format!(
                "{name} is at position {checkpoint} of partition {partition}, {} behind Postgres; is its projector \
                 running?",
                head - checkpoint
            ))),
            None => Ok(()),
        }
    }

    /// The first position to compare in the topic: 1, unless retention has deleted the first records.
    pub(super) fn first_compared(&self, first_offset: i64, record: Option<&TopicRecord>) -> Result<i64, Difference> {
        let (partition, end) = (self.partition, self.end());
        match record {
            // a record without a position will differ from position 1
            Some(record) if first_offset > 0 => Ok(record.position.unwrap_or(1)),
            Some(_) => Ok(1),
            None if first_offset > 0 || end == 0 => Ok(end + 1),
            None => Err(Difference(format!(
                "the topic has no record in partition {partition}, Postgres has {end} events; is a relay running?"
            ))),
        }
    }
}

/// Checks that the next event in Postgres has the next position, and was not recorded before the last one.
pub(super) fn in_sequence(
    partition: i32,
    (last, since): (i64, Timestamp),
    (next, recorded_at): (i64, Timestamp),
) -> Result<(), Difference> {
    if next != last + 1 {
        return Err(Difference(format!("Postgres goes from position {last} to {next} in partition {partition}")));
    }
    if recorded_at < since {
        return Err(Difference(format!(
            "recorded_at goes backwards at position {next} of partition {partition} in Postgres"
        )));
    }
    Ok(())
}

/// The difference that Postgres has another event, or none, where the audit has read one.
pub(super) fn set_back(fork: &Fork) -> Difference {
    let (partition, position) = (fork.cursor.partition, fork.cursor.position);
    let named = |event: Option<Identity>| match event {
        Some(Identity { event_id, recorded_at }) => format!("event {event_id}, recorded at {recorded_at}"),
        None => "no event".to_owned(),
    };
    let (read, found) = (named(fork.cursor.identity()), named(fork.found));
    Difference(format!(
        "Postgres had {read}, at position {position} of partition {partition} when the audit read it, and has {found} \
         there now: Postgres was set back"
    ))
}

/// The part of an event in Postgres that its record in the topic must repeat.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogEvent<'e> {
    pub(super) event_id: Uuid,
    pub(super) stream_id: &'e str,
    pub(super) version: i64,
    pub(super) recorded_at: Timestamp,
    /// The datum in its frame.
    pub(super) value: &'e [u8],
}

impl<'e> From<&'e RecordedEvent> for LogEvent<'e> {
    fn from(event: &'e RecordedEvent) -> Self {
        let RecordedEvent { event_id, stream_id, version, recorded_at, value, .. } = event;
        Self { event_id: *event_id, stream_id: stream_id.as_str(), version: *version, recorded_at: *recorded_at, value }
    }
}

/// Checks that the topic's next record is the event that Postgres has at `position`. `event` is `None` when Postgres
/// ends before that, and `record` is `None` when the topic does.
pub(super) fn same(
    partition: i32,
    position: i64,
    in_log: Option<LogEvent<'_>>,
    record: Option<&TopicRecord>,
) -> Result<(), Difference> {
    let Some(record) = record else {
        return Err(Difference(format!(
            "the topic ends before position {position} of partition {partition}, which Postgres has; is a relay running?"
        )));
    };
    let TopicRecord { offset, position: found, event_id, .. } = record;
    let place = match found {
        Some(found) => format!("the topic has position {found} at offset {offset} of partition {partition}"),
        None => format!("the topic has no readable position at offset {offset} of partition {partition}"),
    };
    let Some(in_log) = in_log else {
        let last = position - 1;
        return Err(Difference(format!(
            "{place}, and Postgres ends at position {last}, so that {position} would be next: {MEANING}"
        )));
    };
    if *found != Some(position) {
        return Err(Difference(format!("{place}, where position {position} belongs: {MEANING}")));
    }
    if *event_id != Some(in_log.event_id) {
        let found = event_id.map_or_else(|| "no readable event id".to_owned(), |id| format!("event {id}"));
        let expected = in_log.event_id;
        return Err(Difference(format!("{place} with {found}, and Postgres has event {expected} there: {MEANING}")));
    }
    match what_differs(in_log, record) {
        None => Ok(()),
        Some(what) => Err(Difference(format!("{place} with the event that Postgres has there, but {what}"))),
    }
}

/// In what a record differs from the event with the same id.
fn what_differs(event: LogEvent<'_>, record: &TopicRecord) -> Option<String> {
    let LogEvent { stream_id, version, recorded_at, value, .. } = event;
    if record.key.as_deref() != Some(stream_id.as_bytes()) {
        let key = record.key.as_ref().map(|key| String::from_utf8_lossy(key));
        let key = key.map_or_else(|| "without a key".to_owned(), |key| format!("with the key {key:?}"));
        return Some(format!("{key}, and its stream is {stream_id}"));
    }
    if record.version != Some(version) {
        let found = record.version.map_or_else(|| "no readable version".to_owned(), |found| format!("version {found}"));
        return Some(format!("with {found} of {stream_id}, and Postgres says version {version}"));
    }
    if record.recorded_at != Some(recorded_at) {
        let found =
            record.recorded_at.map_or_else(|| "no readable time".to_owned(), |found| format!("the time {found}"));
        return Some(format!(
            "with {found}, and Postgres says {recorded_at}: it came again after Postgres was set back"
        ));
    }
    let found = record.value.as_deref().unwrap_or_default();
    (found != value).then(|| bytes_that_differ(value, found))
}

/// Where the values in topic and Postgres begin to differ.
fn bytes_that_differ(expected: &[u8], found: &[u8]) -> String {
    let (Ok((schema, datum)), Ok((found_schema, found_datum))) = (framing::unframe(expected), framing::unframe(found))
    else {
        return format!("its value of {} bytes has no frame", found.len());
    };
    if schema != found_schema {
        return format!("its value has the schema id {found_schema}, and Postgres says {schema}");
    }
    let same = datum.iter().zip(found_datum).take_while(|(expected, found)| expected == found).count();
    let (length, found_length) = (datum.len(), found_datum.len());
    format!(
        "its datum of {found_length} bytes is not the one of {length} bytes in Postgres: they differ from byte {same} on"
    )
}

#[cfg(test)]
mod tests;
