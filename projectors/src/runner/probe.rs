//! Finding checkpoints that are behind while the topic is silent.
//!
//! The group's offset may stand at the topic's end although the read model is behind: it was emptied, or restored from a
//! backup. The next event would show that, by its position; until one comes, the last record of each partition is read
//! again, once, after the start.

use std::collections::BTreeSet;

use millrace_runtime::Health;
use millrace_runtime::kafka::Inbox;

use super::plan::Readings;

/// Partitions that are not assigned here by then have been looked at by whom they are assigned to.
const ROUNDS: u32 = 10;

/// What is still to be looked at.
pub(super) struct Probe {
    partitions: BTreeSet<i32>,
    rounds: u32,
}

impl Probe {
    /// All partitions are.
    pub(super) fn of(partitions: u32) -> Self {
        Self { partitions: (0..i32::try_from(partitions).unwrap_or(i32::MAX)).collect(), rounds: ROUNDS }
    }

    /// Looks at the partitions that nothing has come from.
    pub(super) fn look(&mut self, inbox: &Inbox, readings: &Readings, health: &Health) {
        if self.rounds == 0 {
            return;
        }
        self.rounds -= 1;
        self.partitions.retain(|partition| !readings.contains_key(partition));
        for partition in self.partitions.clone() {
            health.beat();
            match inbox.watermarks(partition) {
                Ok((low, high)) if low < high => {
                    if inbox.seek(partition, high - 1).is_ok() {
                        self.partitions.remove(&partition);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(partition, %error, "the last record is not looked at yet");
                    return;
                }
            }
        }
    }
}
