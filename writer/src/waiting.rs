//! Partitions of the command topic that wait for the registry, or for the log's next definition, while the others go
//! on.
//!
//! Of a waiting partition only an offset is kept. Its records from there on are dropped as they arrive, so that they take
//! no room in the inbox; once
//! what it waits for is there, the topic is read again from that offset.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_runtime::kafka::{Offsets, Record};
use millrace_runtime::{Health, Trouble};
use rdkafka::Message;

use crate::metrics::WAITING;

/// A seek whose records have not come by then is made again.
const SEEK_PATIENCE: Duration = Duration::from_secs(10);
/// How often to ask which partitions are still this writer's, and longest wait for the answer.
const LOOK: Duration = Duration::from_secs(1);

/// The waiting partitions.
pub struct Waiting {
    offsets: Offsets,
    health: Health,
    partitions: BTreeMap<i32, Wait>,
    next_look: Instant,
}

/// What the next record of a partition waits for.
#[derive(Debug, Clone, Copy)]
pub enum Reason {
    /// The registry's answer for a schema id.
    Schema(u32),
    /// Since this time: that the definition in use is known to be the newest, perhaps after another was taken up.
    Definition(Instant),
}

struct Wait {
    reason: Reason,
    place: Place,
    /// `None` while the partition is another writer's.
    trouble: Option<Trouble>,
}

/// Where the reading of a waiting partition stands. Pure.
#[derive(Debug)]
struct Place {
    /// Offset of the record that can't be read yet.
    offset: i64,
    /// The furthest offset that has arrived.
    furthest: i64,
    stage: Stage,
    /// Whether records have arrived that should not: a full inbox and a rebalance end a pause.
    flows: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// What it waits for is not there.
    Asking,
    /// It is; the topic is to be read again from the record's offset.
    Seeking { until: Instant },
    /// The partition is another writer's. What had arrived before that may still come, and must not be taken for the
    /// records after a new assignment.
    Gone,
}

impl Place {
    fn at(offset: i64) -> Self {
        Self { offset, furthest: offset, stage: Stage::Asking, flows: false }
    }

    /// Takes note of a record; true when the topic is being read again and the wait is over. Kafka gives a partition's
    /// records in order, so an offset that is no further than an earlier one comes after a seek or a new assignment. Both
    /// begin at or before the first record that is not dealt with.
    fn is_read_again(&mut self, offset: i64) -> bool {
        if offset <= self.furthest {
            return true;
        }
        self.furthest = offset;
        self.flows = true;
        false
    }

    /// Whether a seek should be made now.
    fn is_due(&self, is_answered: bool, now: Instant) -> bool {
        match self.stage {
            Stage::Asking => is_answered,
            Stage::Seeking { until } => until <= now,
            Stage::Gone => false,
        }
    }

    /// Whether to pause the partition again.
    fn is_to_pause(&self) -> bool {
        self.flows && self.stage == Stage::Asking
    }

    /// Whether it matters if the partition is this writer's.
    fn is_to_look_at(&self) -> bool {
        self.stage != Stage::Gone || self.flows
    }
}

impl Waiting {
    /// No partition waits yet.
    pub fn new(offsets: Offsets, health: Health) -> Self {
        WAITING.set(0);
        Self { offsets, health, partitions: BTreeMap::new(), next_look: Instant::now() }
    }

    /// Whether the record is to be read now. If not, drop it: it comes again.
    pub fn lets_through(&mut self, record: &Record) -> bool {
        let number = record.message.partition();
        let Some(wait) = self.partitions.get_mut(&number) else { return true };
        let offset = record.message.offset();
        if !wait.place.is_read_again(offset) {
            return false;
        }
        if wait.place.offset < offset {
            tracing::warn!(
                partition = number,
                waited = wait.place.offset,
                offset,
                "reading goes on after the record that waited: another writer has dealt with it, or the topic has lost it"
            );
        }
        self.partitions.remove(&number);
        self.show();
        true
    }

    /// Makes the record's partition wait. Drop the record: it comes again.
    pub fn begin(&mut self, record: &Record, reason: Reason) {
        let (number, offset) = (record.message.partition(), record.message.offset());
        match reason {
            Reason::Schema(schema_id) => tracing::warn!(
                partition = number,
                offset,
                schema_id,
                "a partition of the command topic waits for the registry"
            ),
            Reason::Definition(_) => tracing::warn!(
                partition = number,
                offset,
                "a partition of the command topic waits for the log's next definition, which may read its next command"
            ),
        }
        let wait = Wait { reason, place: Place::at(offset), trouble: Some(self.health.trouble()) };
        self.partitions.insert(number, wait);
        self.pause(number);
        self.show();
    }

    /// Pauses the partitions again of which records arrive nevertheless.
    pub fn hold_back(&mut self) {
        let mut flowing = Vec::new();
        for (number, wait) in self.partitions.iter_mut().filter(|(_, wait)| wait.place.is_to_pause()) {
            wait.place.flows = false;
            flowing.push(*number);
        }
        flowing.into_iter().for_each(|number| self.pause(number));
    }

    /// Has the topic read again where what a partition waits for is there.
    pub fn go_on(&mut self, is_there: impl Fn(Reason) -> bool) {
        let now = Instant::now();
        for (number, wait) in &mut self.partitions {
            if wait.place.is_due(is_there(wait.reason), now) {
                tracing::info!(
                    partition = number,
                    offset = wait.place.offset,
                    "what the partition has waited for is there: reading again"
                );
                wait.place.stage = Stage::Seeking { until: now + SEEK_PATIENCE };
                read_again(self.offsets.clone(), *number, wait.place.offset);
            }
        }
    }

    /// Looks, at most once a second, which waiting partitions have become another writer's, and which are back.
    pub async fn look_at_assignment(&mut self) {
        let now = Instant::now();
        if now < self.next_look || !self.partitions.values().any(|wait| wait.place.is_to_look_at()) {
            return;
        }
        self.next_look = now + LOOK;
        let Ok(Ok(assigned)) = tokio::time::timeout(LOOK, self.offsets.assigned()).await else { return };
        for (number, wait) in &mut self.partitions {
            match (wait.place.stage, assigned.contains(number)) {
                (Stage::Gone, true) => {
                    wait.place.stage = Stage::Asking;
                    wait.trouble = Some(self.health.trouble());
                }
                (Stage::Gone, false) => wait.place.flows = false,
                (_, true) => {}
                (_, false) => {
                    tracing::info!(partition = number, "another writer has the partition that waited");
                    wait.place.stage = Stage::Gone;
                    wait.trouble = None;
                }
            }
        }
        self.show();
    }

    fn pause(&self, number: i32) {
        if let Err(error) = self.offsets.pause(number) {
            tracing::debug!(partition = number, %error, "could not pause the partition; its records are dropped");
        }
    }

    fn show(&self) {
        WAITING.set(self.partitions.values().filter(|wait| wait.trouble.is_some()).count() as i64);
    }
}

/// Reads a paused partition again from `offset`. In a task, because librdkafka may take seconds; if it fails, the seek is
/// made again after [`SEEK_PATIENCE`].
fn read_again(offsets: Offsets, partition: i32, offset: i64) {
    tokio::spawn(async move {
        // in this order, so that little comes from where the partition was paused
        let done = offsets.seek(partition, offset).await.and_then(|()| offsets.resume(partition));
        if let Err(error) = done {
            tracing::debug!(partition, offset, %error, "could not read the partition again");
        }
    });
}

#[cfg(test)]
mod tests;
