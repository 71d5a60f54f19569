//! What was read of a partition, of its tail in the topic or of the log, is taken in, or halts the partition.
//!
//! A good tail alone ends no halt: an event that can't be read shows only when the log is read on. Until then the relay
//! looks again quietly.

use millrace_runtime::count_retry;

use super::Relay;
use crate::error::{RelayError, Step};
use crate::pages::Run;
use crate::partitions::{Admission, Obstacle};
use crate::takeover::{Divergence, Found, Looked};

impl Relay {
    /// A partition's tail was looked at.
    pub(super) fn take_over(&mut self, looked: Looked) -> Step<()> {
        let Looked { partition, epoch, found } = looked;
        if !self.partitions.is_current(partition, epoch) {
            return Ok(()); // it started anew meanwhile, or was let go
        }
        match found {
            Found::Good(start, beginning) => {
                if self.partitions.begin(partition, start, beginning) {
                    start.report(partition);
                } else {
                    tracing::debug!(partition, ?start, "the topic's tail is good; reading the log on");
                }
                self.bookkeeping.note([(partition, beginning.cursor.position)]);
            }
            Found::Diverged(divergence, position) => self.halt(partition, divergence, position),
            Found::Failed(error) => self.look_failed(partition, Some(error), true)?,
            Found::Postponed(error) => self.look_failed(partition, error, false)?,
        }
        Ok(())
    }

    /// A partition's tail could not be read, for a reason of its `own` or one that all have.
    fn look_failed(&mut self, partition: i32, error: Option<RelayError>, own: bool) -> Step<()> {
        let is_first = self.partitions.look_failed(partition, own);
        let Some(error) = error else { return Ok(()) };
        if !error.is_transient() {
            return Err(error.into());
        }
        count_retry("read the topic's tail");
        if is_first {
            tracing::warn!(partition, %error, "the topic's tail can't be read; trying again until it succeeds");
        } else {
            tracing::debug!(partition, %error, "the topic's tail can't be read");
        }
        Ok(())
    }

    /// Takes in what was read of a partition, unless it has started anew since.
    pub(super) fn take_in(&mut self, run: Run) {
        let Run { partition, epoch, events, at_the_end } = run;
        let admission = match &events {
            Ok(events) => self.partitions.admit(partition, epoch, events),
            Err(_) if !self.partitions.is_current(partition, epoch) => Admission::Late,
            Err(divergence) => Admission::Refused(divergence.clone()),
        };
        if admission == Admission::Cleared {
            self.halts.end(partition);
        }
        match (admission, events) {
            (Admission::Admitted | Admission::Cleared, Ok(events)) => {
                self.pages.backlog.add(partition, events, at_the_end);
            }
            (Admission::Refused(divergence), _) => {
                self.halt(partition, divergence, self.partitions.published(partition));
            }
            _ => {}
        }
    }

    /// Topic and log contradict each other: publishing on would make it worse. The partition is looked at again later,
    /// and goes on by itself once it is mended.
    fn halt(&mut self, partition: i32, divergence: Divergence, position: i64) {
        self.pages.backlog.forget(partition);
        let reason = divergence.to_string();
        if self.partitions.halt(partition, Obstacle::Diverged(divergence)) {
            tracing::error!(
                partition,
                position,
                reason,
                "the partition is halted, the others go on. Compare with `millrace audit`; what to do is in the runbook \
                 MillraceRelayPartitionHalted. Once it is mended, the partition goes on by itself"
            );
        } else {
            tracing::debug!(partition, position, reason, "looked again: nothing has changed");
        }
        self.halts.begin(partition, position, reason);
    }
}
