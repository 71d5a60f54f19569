//! Finding checkpoints that are behind while the topic is silent.
//!
//! The group's offset may stand at the topic's end although the read model is behind: it was emptied, or restored from a
//! backup. The next event would show that, by its position; until one comes, the last record of each partition where the
//! group stands at the end is read again, once, after the start.

use std::collections::BTreeSet;

use millrace_runtime::Health;
use millrace_runtime::kafka::Offsets;
use rdkafka::error::KafkaError;

use crate::plan::Readings;

/// Partitions that are not assigned here by then have been looked at by whom they are assigned to.
const ROUNDS: u32 = 10;

/// What is still to be looked at.
pub(crate) struct Probe {
    /// None before the topic was asked.
    partitions: Option<BTreeSet<i32>>,
    rounds: u32,
}

impl Default for Probe {
    fn default() -> Self {
        Self { partitions: None, rounds: ROUNDS }
    }
}

impl Probe {
    /// Looks at the partitions that nothing has come from.
    pub(crate) async fn look(&mut self, offsets: &Offsets, readings: &Readings, health: &Health) {
        if self.rounds == 0 {
            return;
        }
        self.rounds -= 1;
        if let Err(error) = self.look_once(offsets, readings, health).await {
            tracing::debug!(%error, "not all last records are looked at yet");
        }
    }

    async fn look_once(&mut self, offsets: &Offsets, readings: &Readings, health: &Health) -> Result<(), KafkaError> {
        let mut partitions = match self.partitions.take() {
            Some(partitions) => partitions,
            None => (0..i32::try_from(offsets.partitions().await?).unwrap_or(i32::MAX)).collect(),
        };
        partitions.retain(|partition| !readings.contains_key(partition));
        let unseen: Vec<i32> = partitions.iter().copied().collect();
        let remaining = self.partitions.insert(partitions);
        for partition in unseen {
            health.beat();
            let (low, high) = offsets.watermarks(partition).await?;
            // anywhere else, records will come by themselves
            let at_the_end = low < high && offsets.committed(partition).await? == Some(high);
            if at_the_end && offsets.seek(partition, high - 1).await.is_ok() {
                remaining.remove(&partition);
            }
        }
        Ok(())
    }
}
