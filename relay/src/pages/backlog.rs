//! Events that were read and are not handed over yet, for each partition by itself.

use std::collections::{BTreeMap, VecDeque};

use millrace_schemas::RecordedEvent;

use crate::delivery::record::size_of;

/// A partition's events, in order of position.
#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<RecordedEvent>,
    bytes: usize,
    /// The log had no more of it when it was last read.
    at_the_end: bool,
}

/// The queues of the partitions that are being published.
#[derive(Debug, Default)]
pub(crate) struct Backlog(BTreeMap<i32, Queue>);

impl Backlog {
    /// Adds events of a partition that follow those that are there.
    pub(crate) fn add(&mut self, partition: i32, events: Vec<RecordedEvent>, at_the_end: bool) {
        let queue = self.0.entry(partition).or_default();
        queue.bytes += events.iter().map(size_of).sum::<usize>();
        queue.events.extend(events);
        queue.at_the_end = at_the_end;
    }

    /// Throws away what is there of a partition.
    pub(crate) fn forget(&mut self, partition: i32) {
        self.0.remove(&partition);
    }

    /// The partitions that have events here.
    pub(crate) fn waiting(&self) -> Vec<i32> {
        let waiting = self.0.iter().filter(|(_, queue)| !queue.events.is_empty());
        waiting.map(|(partition, _)| *partition).collect()
    }

    /// A partition's events.
    pub(crate) fn events(&self, partition: i32) -> impl Iterator<Item = &RecordedEvent> + Clone {
        self.0.get(&partition).into_iter().flat_map(|queue| queue.events.iter())
    }

    /// The first events of a partition were handed over.
    pub(crate) fn sent(&mut self, partition: i32, events: usize) {
        let Some(queue) = self.0.get_mut(&partition) else { return };
        let sent = queue.events.drain(..events.min(queue.events.len()));
        queue.bytes -= sent.map(|event| size_of(&event)).sum::<usize>();
    }

    /// How many events of a partition are here.
    pub(crate) fn len(&self, partition: i32) -> usize {
        self.0.get(&partition).map_or(0, |queue| queue.events.len())
    }

    /// About how many bytes a partition's events here take.
    pub(crate) fn bytes(&self, partition: i32) -> usize {
        self.0.get(&partition).map_or(0, |queue| queue.bytes)
    }

    /// About how many bytes all events here take.
    pub(crate) fn all_bytes(&self) -> usize {
        self.0.values().map(|queue| queue.bytes).sum()
    }

    /// Whether the log had no more of a partition when it was last read.
    pub(crate) fn is_at_the_end(&self, partition: i32) -> bool {
        self.0.get(&partition).is_some_and(|queue| queue.at_the_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::record::tests::event_at;

    #[test]
    fn each_partition_has_its_own_queue() {
        let mut backlog = Backlog::default();
        let events = |partition, positions: std::ops::RangeInclusive<i64>| {
            positions.map(|position| event_at(partition, position)).collect::<Vec<_>>()
        };
        backlog.add(0, events(0, 1..=3), false);
        backlog.add(1, events(1, 7..=8), true);
        backlog.add(2, Vec::new(), true);
        assert_eq!(backlog.waiting(), [0, 1]);
        backlog.sent(0, 2);
        let left: Vec<i64> = backlog.events(0).map(|event| event.position).collect();
        assert_eq!((left, backlog.len(1), backlog.len(2)), (vec![3], 2, 0));
        assert_eq!(backlog.bytes(0), size_of(&event_at(0, 3)));
        assert_eq!(backlog.all_bytes(), 3 * backlog.bytes(0));
        assert!(!backlog.is_at_the_end(0) && backlog.is_at_the_end(1));
        backlog.forget(1);
        assert_eq!((backlog.waiting(), backlog.is_at_the_end(1)), (vec![0], false));
    }
}
