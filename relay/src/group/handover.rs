//! Which partitions the publishing loop works on, so that the membership can wait until it has let go of them.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest sleep between two signs of life while waiting.
const SLICE: Duration = Duration::from_millis(100);

/// The partitions in use.
#[derive(Debug, Default)]
pub(crate) struct Handover {
    in_use: Mutex<BTreeSet<i32>>,
    released: Condvar,
}

impl Handover {
    /// Marks a partition as in use, if `is_granted` still says so. It is asked under the lock, so a later revocation finds
    /// the partition in use and waits.
    pub(crate) fn take(&self, partition: i32, is_granted: impl FnOnce() -> bool) -> bool {
        let mut in_use = self.in_use();
        is_granted() && {
            in_use.insert(partition);
            true
        }
    }

    /// The loop has let go of a partition: none of its records is in flight any more.
    pub(crate) fn release(&self, partition: i32) {
        self.in_use().remove(&partition);
        self.released.notify_all();
    }

    /// The loop has let go of everything.
    pub(crate) fn release_all(&self) {
        self.in_use().clear();
        self.released.notify_all();
    }

    /// Blocks until none of the partitions is in use, at most for `patience`; calls `alive` all the while. False when
    /// patience ran out.
    pub(crate) fn wait(&self, partitions: &BTreeSet<i32>, patience: Duration, alive: impl Fn()) -> bool {
        let deadline = Instant::now() + patience;
        let mut in_use = self.in_use();
        while !in_use.is_disjoint(partitions) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let woken = self.released.wait_timeout(in_use, left.min(SLICE));
            in_use = woken.unwrap_or_else(PoisonError::into_inner).0;
            alive();
        }
        true
    }

    fn in_use(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_revocation_waits_until_the_loop_has_let_go() {
        let handover = Arc::new(Handover::default());
        assert!(handover.take(1, || true) && handover.take(2, || true));
        assert!(!handover.take(3, || false), "revoked meanwhile");
        let (one, two) = (BTreeSet::from([1]), BTreeSet::from([2, 3]));
        assert!(!handover.wait(&one, Duration::from_millis(5), || ()));
        let other = handover.clone();
        let waiter = std::thread::spawn(move || other.wait(&BTreeSet::from([1]), Duration::from_secs(10), || ()));
        handover.release(1);
        assert!(waiter.join().unwrap());
        assert!(!handover.wait(&two, Duration::ZERO, || ()));
        handover.release_all();
        assert!(handover.wait(&two, Duration::ZERO, || ()));
    }
}
