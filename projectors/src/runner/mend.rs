//! Gaps, and partitions that stop.

use std::time::Instant;

use millrace_runtime::{Stopped, retry};
use rdkafka::error::KafkaError;

use super::Runner;
use super::batch::Flaw;
use super::gap::{Remedy, remedy};
use super::reading::Gap;
use crate::{ProjectorError, metrics};

impl Runner {
    /// Reads the topic again where events are missing, or stops the partition when the topic does not have them.
    pub(super) async fn mend_gaps(&mut self) -> Result<(), Stopped<ProjectorError>> {
        let now = Instant::now();
        let due = self
            .readings
            .iter()
            .filter_map(|(partition, r)| r.due_gap(now).map(|(gap, tries)| (*partition, gap, tries)));
        for (partition, gap, tries) in due.collect::<Vec<_>>() {
            let labels = [self.read_model.projector.name(), &partition.to_string()];
            metrics::GAPS.with_label_values(&labels).inc();
            let Some(low) = self.first_offset(partition).await? else { continue };
            match remedy(gap, low, tries) {
                Remedy::SeekTo(offset) => self.seek(partition, gap, offset).await,
                Remedy::Stop => self.stop_at_gap(partition, gap),
            }
        }
        self.show_stopped();
        Ok(())
    }

    /// The first offset that the topic still has; none when the inbox is gone, which the next read from it shows.
    async fn first_offset(&self, partition: i32) -> Result<Option<i64>, Stopped<ProjectorError>> {
        let answers = |error: &KafkaError| !matches!(error, KafkaError::Canceled);
        let model = &self.read_model;
        let watermarks = retry(&model.health, &model.shutdown, "ask for the first offset", answers, async || {
            self.offsets.watermarks(partition).await
        });
        match watermarks.await {
            Ok((low, _)) => Ok(Some(low)),
            Err(Stopped::Failed(_)) => Ok(None),
            Err(Stopped::Shutdown) => Err(Stopped::Shutdown),
        }
    }

    async fn seek(&mut self, partition: i32, gap: Gap, offset: i64) {
        let Gap { expected, position, .. } = gap;
        tracing::info!(partition, expected, position, offset, "events are missing; reading the topic again");
        if let Err(error) = self.offsets.seek(partition, offset).await {
            // not ours any more, or tried again soon
            tracing::debug!(partition, %error, "no seek");
        }
        if let Some(reading) = self.readings.get_mut(&partition) {
            reading.seek(gap, Instant::now());
        }
    }

    fn stop_at_gap(&mut self, partition: i32, gap: Gap) {
        tracing::error!(
            projector = self.read_model.projector.name(),
            topic = self.topic,
            partition,
            missing_from = gap.expected,
            missing_to = gap.position - 1,
            before_offset = gap.offset,
            "events are missing in the topic: this partition stands still, the others go on. The log in Postgres has \
             them: once the topic has them too, or the read model is rebuilt, restart this projector"
        );
        self.stop(partition, gap.expected - 1);
    }

    /// An event can't be read or applied.
    pub(super) fn stop_at_flaw(&mut self, flaw: &Flaw) {
        tracing::error!(
            projector = self.read_model.projector.name(),
            topic = self.topic,
            partition = flaw.partition,
            position = flaw.position,
            offset = flaw.offset,
            correlation_id = flaw.correlation_id,
            reason = flaw.reason,
            "an event can't be applied: this partition stands still before it, the others go on. Mend the projector \
             or its tables, then restart it: it goes on with this event"
        );
        self.stop(flaw.partition, flaw.position - 1);
    }

    fn stop(&mut self, partition: i32, applied: i64) {
        if let Some(reading) = self.readings.get_mut(&partition) {
            reading.stop(applied);
        }
        self.pause(partition);
    }

    pub(super) fn pause(&self, partition: i32) {
        if let Err(error) = self.offsets.pause(partition) {
            tracing::debug!(partition, %error, "not paused; its records are passed by");
        }
    }

    pub(super) fn show_stopped(&self) {
        let stopped = self.readings.values().filter(|reading| reading.is_stopped()).count();
        let gauge = metrics::STOPPED.with_label_values(&[self.read_model.projector.name()]);
        gauge.set(i64::try_from(stopped).unwrap_or(i64::MAX));
    }
}
