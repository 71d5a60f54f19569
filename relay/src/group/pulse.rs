//! Whether the group membership is alive enough to publish on.
//!
//! A process that was stopped (SIGSTOP, a frozen machine, a starved container) may wake up after others have taken over
//! its partitions. Its own clock shows that before Kafka can say so.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// When the member last polled, and whether it ever was silent for too long since it joined.
#[derive(Debug)]
pub(crate) struct Pulse {
    started: Instant,
    limit: Duration,
    last_ms: AtomicU64,
    suspect: AtomicBool,
}

impl Pulse {
    /// A pulse that must never pause for longer than `limit`.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { started: Instant::now(), limit, last_ms: AtomicU64::new(0), suspect: AtomicBool::new(false) }
    }

    /// Notes that the member polls. A pause that was too long is remembered until it has joined anew.
    pub(crate) fn beat(&self) {
        if self.silence() > self.limit {
            self.suspect.store(true, SeqCst);
        }
        self.last_ms.store(self.started.elapsed().as_millis() as u64, SeqCst);
    }

    /// Notes that the member joins anew, and forgets earlier pauses.
    pub(crate) fn restart(&self) {
        self.last_ms.store(self.started.elapsed().as_millis() as u64, SeqCst);
        self.suspect.store(false, SeqCst);
    }

    /// Whether it was silent for too long at any time since it joined.
    pub(crate) fn is_suspect(&self) -> bool {
        self.suspect.load(SeqCst)
    }

    /// Whether the member's partitions are certainly still its own.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.is_suspect() && self.silence() <= self.limit
    }

    fn silence(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(SeqCst)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_remembered_until_the_member_joins_anew() {
        let pulse = Pulse::new(Duration::from_millis(20));
        pulse.beat();
        assert!(pulse.is_fresh());
        std::thread::sleep(Duration::from_millis(60));
        assert!(!pulse.is_fresh(), "silent too long");
        pulse.beat();
        assert!(!pulse.is_fresh(), "polling again does not mend it");
        assert!(pulse.is_suspect());
        pulse.restart();
        assert!(pulse.is_fresh());
    }
}
