//! What counts as a difference in one partition, as a few rules. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::topic::TopicRecord;

/// What a record that does not belong where it stands may mean.
const MEANING: &str = "somebody else wrote to the topic, or Postgres was set back";

/// Something that is not as it must be. An audit ends with the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference(pub String);

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Difference {}

/// How far a partition must reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) partition: i32,
    /// What Postgres held when the audit began.
    pub(super) head: i64,
    /// The checkpoint of each read model, looked at later.
    pub(super) read_models: BTreeMap<String, i64>,
}

impl Stand {
    /// The last position that Postgres and the topic must have.
    pub(super) fn end(&self) -> i64 {
        self.read_models.values().copied().fold(self.head, i64::max)
    }

    /// Postgres ends with `last`, before `end`.
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

    /// Every read model has applied what Postgres held.
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

    /// The position from which on the topic is compared: 1, unless retention has deleted the first records.
    pub(super) fn first_compared(&self, first_offset: i64, record: Option<&TopicRecord>) -> Result<i64, Difference> {
        let (partition, end) = (self.partition, self.end());
        match record {
            // without a position, it is found to differ from position 1
            Some(record) if first_offset > 0 => Ok(record.position.unwrap_or(1)),
            Some(_) => Ok(1),
            None if first_offset > 0 || end == 0 => Ok(end + 1),
            None => Err(Difference(format!(
                "the topic has no record in partition {partition}, Postgres has {end} events; is a relay running?"
            ))),
        }
    }
}

/// Where Postgres is being read: after `last`, recorded at `since`, comes `next`.
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

/// What the topic has where `position` belongs, against the id of the event that Postgres has there; none: Postgres
/// ends before.
pub(super) fn same(
    partition: i32,
    position: i64,
    in_log: Option<Uuid>,
    record: Option<&TopicRecord>,
) -> Result<(), Difference> {
    let Some(TopicRecord { offset, position: found, event_id }) = record else {
        return Err(Difference(format!(
            "the topic ends before position {position} of partition {partition}, which Postgres has; is a relay running?"
        )));
    };
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
    if *event_id != Some(in_log) {
        let found = event_id.map_or_else(|| "no readable event id".to_owned(), |id| format!("event {id}"));
        return Err(Difference(format!("{place} with {found}, and Postgres has event {in_log} there: {MEANING}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
