//! When a partition's tail is to be read.

use std::time::Duration;

use millrace_runtime::{Backoff, backoff};
use tokio::time::Instant;

/// Longest wait of a backoff.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// When the partition's tail is to be read.
#[derive(Debug)]
pub(super) struct NextLook {
    not_before: Instant,
    under_way: bool,
    /// Looks that failed in a row.
    failures: u32,
    /// The last one failed for a reason of this partition's own.
    apart: bool,
    delays: Backoff,
}

impl NextLook {
    /// At once.
    pub(super) fn now() -> Self {
        Self { not_before: Instant::now(), under_way: false, failures: 0, apart: false, delays: backoff() }
    }

    /// When; `None` while one is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.under_way).then_some(self.not_before)
    }

    /// It is under way. True when it is to be made apart from those at other partitions.
    pub(super) fn begin(&mut self) -> bool {
        self.under_way = true;
        self.apart
    }

    /// Its result is there, or does not count any more.
    pub(super) fn end(&mut self) {
        self.under_way = false;
    }

    /// It succeeded.
    pub(super) fn succeeded(&mut self) {
        (self.under_way, self.failures, self.apart) = (false, 0, false);
    }

    /// It failed, for a reason of the partition's `own` or one that all have. True the first time in a row.
    pub(super) fn failed(&mut self, own: bool) -> bool {
        (self.under_way, self.apart) = (false, own);
        self.failures += 1;
        self.wait();
        self.failures == 1
    }

    /// The next one comes after this time.
    pub(super) fn wait_for(&mut self, delay: Duration) {
        (self.under_way, self.failures) = (false, 0);
        self.not_before = Instant::now() + delay;
    }

    /// The next one comes later than the last one did.
    pub(super) fn wait(&mut self) {
        self.not_before = Instant::now() + self.delays.next().unwrap_or(LONGEST_WAIT);
    }

    /// What is published arrives: the next waits are short again.
    pub(super) fn hurry(&mut self) {
        self.delays = backoff();
    }
}
