//! The partitions that this relay holds: what is granted, what is being let go, and how each one is.
//!
//! This is the only place that changes a partition's state. It does no I/O but the membership's.

mod held;
mod look;

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_runtime::Health;
use millrace_schemas::RecordedEvent;
use rdkafka::error::KafkaError;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::delivery::Batch;
use crate::group::{Grants, Membership};
use crate::metrics;
use crate::pages::Want;
use crate::takeover::{Beginning, Look, Start};
use held::Held;

pub(crate) use held::{Admission, Obstacle};

/// How long a hand-over waits for what is in flight. With the time for throwing a producer away, less than the
/// membership's patience.
const DRAIN: Duration = Duration::from_millis(2500);
/// Tails that are to be read within this time are read together: each reading makes a client of its own.
const TOGETHER: Duration = Duration::from_secs(1);

/// The partitions, by number.
pub(crate) struct Partitions {
    membership: Membership,
    grants: watch::Receiver<Grants>,
    /// Losses of the assignment that have been dealt with.
    losses: u64,
    held: BTreeMap<i32, Held>,
    health: Health,
}

impl Partitions {
    /// None is held yet.
    pub(crate) fn new(membership: Membership, health: Health) -> Self {
        Self { grants: membership.grants(), membership, losses: 0, held: BTreeMap::new(), health }
    }

    /// Waits until the group grants or revokes something. False when there will be no grants any more.
    pub(crate) async fn changed(&mut self) -> bool {
        self.grants.changed().await.is_ok()
    }

    /// Why there will be no grants any more.
    pub(crate) fn end(&self) -> KafkaError {
        self.grants.borrow().ended.clone().unwrap_or(KafkaError::Canceled)
    }

    /// Whether the assignment was lost since the last call: another relay may own the partitions already.
    pub(crate) fn take_loss(&mut self) -> bool {
        let losses = self.grants.borrow().losses;
        std::mem::replace(&mut self.losses, losses) != losses
    }

    /// Takes what is granted, and begins to leave what is not granted any more. Returns the partitions that are leaving
    /// since now. A partition that is revoked and granted again is let go before it is taken.
    pub(crate) fn adopt_grants(&mut self) -> Vec<i32> {
        let until = Instant::now() + DRAIN;
        // the lock is not held longer: taking a partition asks for the grants too
        let (new, gone) = {
            let grants = &self.grants.borrow_and_update().partitions;
            let is_new = |(partition, _): &(&i32, &u64)| !self.held.contains_key(partition);
            let new: Vec<(i32, u64)> = grants.iter().filter(is_new).map(|(p, grant)| (*p, *grant)).collect();
            let is_gone =
                |(partition, held): &(&i32, &Held)| !held.is_leaving() && grants.get(partition) != Some(&held.grant);
            (new, self.held.iter().filter(is_gone).map(|(partition, _)| *partition).collect::<Vec<_>>())
        };
        for partition in &gone {
            self.held.entry(*partition).and_modify(|held| held.leave(until));
        }
        for (partition, grant) in new {
            if self.membership.take(partition, grant) {
                self.held.insert(partition, Held::new(grant));
            }
        }
        self.count();
        gone
    }

    /// Begins to leave all partitions.
    pub(crate) fn leave_all(&mut self) {
        let until = Instant::now() + DRAIN;
        self.held.values_mut().filter(|held| !held.is_leaving()).for_each(|held| held.leave(until));
    }

    /// The partitions that are leaving, each with the time until which it is waited for.
    pub(crate) fn leaving(&self) -> impl Iterator<Item = (i32, Instant)> {
        self.held.iter().filter_map(|(partition, held)| Some((*partition, held.patience()?)))
    }

    /// Lets a partition go, of which nothing is in flight any more. Returns the last position that was published, 0 for
    /// none.
    pub(crate) fn release(&mut self, partition: i32) -> i64 {
        let published = self.held.remove(&partition).map_or(0, |held| held.published());
        self.membership.release(partition);
        self.count();
        published
    }

    /// How many are held.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// The partitions that are being published, each with where to read on.
    pub(crate) fn wants(&self) -> impl Iterator<Item = Want> {
        self.held.values().filter_map(|held| Some(Want { cursor: held.cursor()?, epoch: held.epoch }))
    }

    /// The epoch under which records of a partition may be sent now; `None` when they may not.
    pub(crate) fn sending(&self, partition: i32) -> Option<u64> {
        let held = self.held.get(&partition).filter(|held| held.cursor().is_some())?;
        let is_ours = self.membership.is_fresh() && self.membership.is_granted(partition, held.grant);
        is_ours.then_some(held.epoch)
    }

    /// Takes in a partition's events that were read.
    pub(crate) fn admit(&mut self, partition: i32, epoch: u64, events: &[RecordedEvent]) -> Admission {
        let admission = self.held.get_mut(&partition).map_or(Admission::Late, |held| held.admit(epoch, events));
        if admission == Admission::Cleared {
            self.count();
        }
        admission
    }

    /// Whether this is a partition's present epoch.
    pub(crate) fn is_current(&self, partition: i32, epoch: u64) -> bool {
        self.held.get(&partition).is_some_and(|held| held.epoch == epoch)
    }

    /// The last position of a partition that was published.
    pub(crate) fn published(&self, partition: i32) -> i64 {
        self.held.get(&partition).map_or(0, Held::published)
    }

    /// A batch was acknowledged. False when somebody else wrote to its partition.
    pub(crate) fn acknowledge(&mut self, batch: &Batch, last_offset: i64) -> bool {
        self.held.get_mut(&batch.partition).is_none_or(|held| held.acknowledge(batch, last_offset))
    }

    /// Begins to look at the tails that are due, of partitions that are `idle`: with something in flight, a tail moves.
    pub(crate) fn begin_looks(&mut self, idle: impl Fn(i32) -> bool) -> Vec<Look> {
        let now = Instant::now();
        let next = self.held.iter().filter(|(p, _)| idle(**p)).filter_map(|(_, held)| held.next_look()).min();
        if next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let due = self
            .held
            .iter_mut()
            .filter(|(partition, held)| held.next_look().is_some_and(|at| at <= now + TOGETHER) && idle(**partition));
        due.map(|(partition, held)| held.begin_look(*partition)).collect()
    }

    /// When time itself makes something to do next; `None`: nothing does.
    pub(crate) fn next_due(&self, idle: impl Fn(i32) -> bool) -> Option<Instant> {
        let look = |(partition, held): (&i32, &Held)| held.next_look().filter(|_| idle(*partition));
        let looks = self.held.iter().filter_map(look);
        looks.chain(self.leaving().map(|(_, until)| until)).min()
    }

    /// A partition's tail was read; it is published from there. True when that is news.
    pub(crate) fn begin(&mut self, partition: i32, start: Start, beginning: Beginning) -> bool {
        self.update(partition, |held, _| held.begin(start, beginning)).unwrap_or(false)
    }

    /// A partition's tail could not be read, for a reason of its `own` or one that all have. True the first time in a row.
    pub(crate) fn look_failed(&mut self, partition: i32, own: bool) -> bool {
        self.update(partition, |held, health| held.look_failed(own, health)).unwrap_or(false)
    }

    /// A partition starts anew from its tail; if `refused`, not at once.
    pub(crate) fn restart(&mut self, partition: i32, after_purge: bool, refused: bool) {
        self.update(partition, |held, _| held.restart(after_purge, refused));
    }

    /// A partition is halted. True when that is news.
    pub(crate) fn halt(&mut self, partition: i32, obstacle: Obstacle) -> bool {
        self.update(partition, |held, health| held.halt(obstacle, health)).unwrap_or(false)
    }

    /// Leaves the group. All partitions that are still held are let go.
    pub(crate) async fn close(self) {
        metrics::ASSIGNED.set(0);
        metrics::HALTED.set(0);
        self.membership.leave().await;
    }

    fn update<T>(&mut self, partition: i32, change: impl FnOnce(&mut Held, &Health) -> T) -> Option<T> {
        let changed = self.held.get_mut(&partition).map(|held| change(held, &self.health));
        self.count();
        changed
    }

    /// Shows how many partitions are held, and how many of them are halted.
    fn count(&self) {
        metrics::ASSIGNED.set(self.held.len() as i64);
        metrics::HALTED.set(self.held.values().filter(|held| held.is_halted()).count() as i64);
    }
}
