//! The partitions that this instance reads: how far each is, and which of them stand still.

use std::collections::HashMap;
use std::time::Instant;

use millrace_runtime::Health;
use millrace_runtime::kafka::Offsets;

use crate::batch::Unread;
use crate::flaw::Flaw;
use crate::metrics;
use crate::plan::{Place, Plan, Readings};
use crate::reading::{Gap, Reading, Wait};
use crate::schemas::Schemas;
use crate::status::Stop;

/// The partitions that records have come from.
pub(crate) struct Partitions {
    projector: &'static str,
    topic: String,
    offsets: Offsets,
    readings: Readings,
    /// Not yet kept in the read model.
    stops: Vec<Stop>,
}

impl Partitions {
    /// None yet.
    pub(crate) fn new(projector: &'static str, topic: String, offsets: Offsets) -> Self {
        Self { projector, topic, offsets, readings: Readings::new(), stops: Vec::new() }
    }

    /// Another membership of the group: all of them begin anew.
    pub(crate) fn replace(&mut self, offsets: Offsets) {
        self.offsets = offsets;
        self.readings.clear();
    }

    /// Where the group stands in the topic.
    pub(crate) fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// How far each is.
    pub(crate) fn readings(&self) -> &Readings {
        &self.readings
    }

    /// Their numbers.
    pub(crate) fn numbers(&self) -> Vec<i32> {
        self.readings.keys().copied().collect()
    }

    /// The partitions of `places` that nothing has come from before.
    pub(crate) fn new_among(&self, places: &[Place]) -> Vec<i32> {
        let mut new: Vec<i32> = places.iter().map(|place| place.partition).collect();
        new.retain(|partition| !self.readings.contains_key(partition));
        new.sort_unstable();
        new.dedup();
        new
    }

    /// Begins to read partitions after their checkpoints.
    pub(crate) fn begin(&mut self, new: &[i32], checkpoints: &HashMap<i32, i64>) {
        for partition in new {
            let applied = checkpoints.get(partition).copied().unwrap_or_default();
            self.readings.insert(*partition, Reading::after(applied));
            metrics::declare_partition(self.projector, *partition);
            self.show_checkpoint(*partition, applied);
        }
    }

    /// Forgets a partition: it begins anew with the next record.
    pub(crate) fn forget(&mut self, partition: i32) {
        self.readings.remove(&partition);
    }

    /// Takes the read model's word on where it is; true when it is elsewhere than thought.
    pub(crate) fn correct(&mut self, checkpoints: &HashMap<i32, i64>) -> bool {
        let mut news = false;
        for (partition, reading) in &mut self.readings {
            let applied = checkpoints.get(partition).copied().unwrap_or_default();
            let was_held = reading.is_held();
            news |= reading.correct(applied);
            if was_held && !reading.is_held() {
                flow(*partition, self.offsets.resume(*partition));
            }
        }
        for (partition, reading) in &self.readings {
            self.show_checkpoint(*partition, reading.applied);
        }
        self.show_held();
        news
    }

    /// What is durable is done with: Kafka learns of it, and what could not be applied holds its partition.
    pub(crate) fn settle(&mut self, mut plan: Plan, flaws: Vec<Flaw>, unread: Vec<Unread>) {
        self.readings = std::mem::take(&mut plan.readings);
        for Unread { partition, position, offset, schema_id } in unread {
            plan.done.insert(partition, offset - 1);
            tracing::warn!(partition, position, schema_id, "the registry does not tell a schema; this partition waits");
            if let Some(reading) = self.readings.get_mut(&partition) {
                reading.wait(position - 1, schema_id, offset, Instant::now());
            }
            self.pause(partition);
        }
        for flaw in flaws {
            plan.done.insert(flaw.partition, flaw.offset - 1);
            self.stop_at_flaw(&flaw);
        }
        for (partition, offset) in plan.done.iter().filter(|(_, offset)| **offset >= 0) {
            self.offsets.done(*partition, *offset);
        }
        for partition in plan.too_far.keys() {
            // a pause does not outlive a full inbox
            if self.readings.get(partition).is_some_and(|reading| reading.is_stopped() || reading.is_waiting()) {
                self.pause(*partition);
            }
        }
        self.show_held();
        for (counter, counts) in [(&metrics::DUPLICATES, &plan.duplicates), (&metrics::FOREIGN, &plan.foreign)] {
            for (partition, count) in counts {
                counter.with_label_values(&[self.projector, &partition.to_string()]).inc_by(*count);
            }
        }
        if !plan.foreign.is_empty() {
            tracing::warn!(topic = self.topic, by_partition = ?plan.foreign, "records without log-position passed over");
        }
    }

    /// The gaps that something must be done about now, by partition, and how often that was tried.
    pub(crate) fn due_gaps(&self, now: Instant) -> Vec<(i32, Gap, u32)> {
        let due =
            |(partition, reading): (&i32, &Reading)| reading.due_gap(now).map(|(gap, tries)| (*partition, gap, tries));
        self.readings.iter().filter_map(due).collect()
    }

    /// Reads the topic again from `offset`, before a gap. Without an offset, it is left for later.
    pub(crate) async fn seek(&mut self, partition: i32, gap: Gap, offset: Option<i64>) {
        if let Some(offset) = offset
            && let Err(error) = self.offsets.seek(partition, offset).await
        {
            // not ours any more, or tried again soon
            tracing::debug!(partition, %error, "no seek");
        }
        if let Some(reading) = self.readings.get_mut(&partition) {
            reading.seek(gap, Instant::now());
        }
    }

    /// Goes on with the partitions whose schemas the registry has told.
    pub(crate) async fn end_waits(&mut self, schemas: &Schemas, health: &Health) {
        let now = Instant::now();
        let due = self.readings.iter().filter_map(|(partition, reading)| Some((*partition, reading.due_wait(now)?)));
        let told = |(_, wait): &(i32, Wait)| schemas.is_found(wait.schema_id);
        for (partition, wait) in due.filter(told).collect::<Vec<_>>() {
            health.beat(); // Kafka may take its time for each
            flow(partition, self.offsets.resume(partition));
            if let Err(error) = self.offsets.seek(partition, wait.offset).await {
                tracing::debug!(partition, %error, "no seek");
            }
            if let Some(reading) = self.readings.get_mut(&partition) {
                reading.seek_again(wait, now);
            }
        }
    }

    /// The topic does not have what is missing.
    pub(crate) fn stop_at_gap(&mut self, partition: i32, gap: Gap) {
        tracing::error!(
            projector = self.projector,
            topic = self.topic,
            partition,
            missing_from = gap.expected,
            missing_to = gap.position - 1,
            before_offset = gap.offset,
            "events are missing in the topic: this partition stands still, the others go on. The log in Postgres has \
             them: once the topic has them too, or the read model is rebuilt, restart this projector"
        );
        let (from, to) = (gap.expected, gap.position - 1);
        let reason = format!("the topic lacks positions {from} to {to}; before offset {} they are missing", gap.offset);
        self.stop(Stop { partition, position: from, reason });
    }

    /// A record that should have been applied before is another one than was applied.
    pub(crate) fn stop_at_unknown(&mut self, place: Place) {
        let Place { partition, offset, position } = place;
        let Some(checkpoint) = self.checkpoint(partition) else { return };
        let position = position.unwrap_or_default();
        let reason = format!(
            "the topic's event at position {position} (offset {offset}) is not the one that the read model has applied \
             there: another log of this name was made, or Postgres lost commits. `millrace audit` says more; \
             `millrace rebuild {}` makes the read model follow the log again",
            self.projector
        );
        tracing::error!(projector = self.projector, topic = self.topic, partition, position, offset, reason, "stopped");
        self.stop(Stop { partition, position: checkpoint + 1, reason });
    }

    /// An event can't be read or applied.
    fn stop_at_flaw(&mut self, flaw: &Flaw) {
        tracing::error!(
            projector = self.projector,
            topic = self.topic,
            partition = flaw.partition,
            position = flaw.position,
            offset = flaw.offset,
            correlation_id = flaw.correlation_id,
            reason = flaw.reason,
            "an event can't be applied: this partition stands still before it, the others go on. Mend the projector \
             or its tables, then restart it: it goes on with this event"
        );
        self.stop(Stop { partition: flaw.partition, position: flaw.position, reason: flaw.reason.clone() });
    }

    fn stop(&mut self, stop: Stop) {
        if let Some(reading) = self.readings.get_mut(&stop.partition) {
            reading.stop(stop.position - 1);
        }
        self.pause(stop.partition);
        self.stops.push(stop);
    }

    /// The stops since the last call, for the read model to keep.
    pub(crate) fn take_stops(&mut self) -> Vec<Stop> {
        std::mem::take(&mut self.stops)
    }

    /// What is not paused is passed by.
    fn pause(&self, partition: i32) {
        flow(partition, self.offsets.pause(partition));
    }

    /// Shows how many partitions stand still, and why.
    pub(crate) fn show_held(&self) {
        let count = |holds: fn(&Reading) -> bool| {
            let held = self.readings.values().filter(|reading| holds(reading)).count();
            i64::try_from(held).unwrap_or(i64::MAX)
        };
        metrics::STOPPED.with_label_values(&[self.projector]).set(count(Reading::is_stopped));
        metrics::WAITING.with_label_values(&[self.projector]).set(count(Reading::is_waiting));
    }

    fn checkpoint(&self, partition: i32) -> Option<i64> {
        Some(self.readings.get(&partition)?.applied)
    }

    fn show_checkpoint(&self, partition: i32, applied: i64) {
        metrics::CHECKPOINT.with_label_values(&[self.projector, &partition.to_string()]).set(applied);
    }
}

/// A partition that is not ours any more can be neither paused nor resumed, and need not be.
fn flow(partition: i32, changed: Result<(), rdkafka::error::KafkaError>) {
    if let Err(error) = changed {
        tracing::debug!(partition, %error, "the partition's flow is unchanged");
    }
}
