//! Where the reading of one partition stands, and what a record that arrives is to it. Pure.

use std::time::{Duration, Instant};

/// A seek whose records have not come by then is made again.
const SEEK_PATIENCE: Duration = Duration::from_secs(10);

/// The reading of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The position applied last.
    pub(crate) applied: i64,
    /// Whether a record that was applied before is known to be the one that was applied.
    pub(crate) is_known: bool,
    /// Offset of the last record that arrived.
    last_offset: Option<i64>,
    /// Why records beyond the next position do not matter.
    hold: Option<Hold>,
    /// How often the topic was read again and the gap was still there.
    tries: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hold {
    /// Records are missing; nothing is done about it yet.
    Gap(Gap),
    /// The topic is to be read again from before the gap.
    Seeking { gap: Gap, until: Instant },
    /// The schema of the next event is being looked up; the topic is to be read again from there.
    Waiting(Wait),
    /// It stands still until the partition is assigned anew.
    Stopped,
}

/// A record arrived beyond the next position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The position that should have come.
    pub(crate) expected: i64,
    /// The position that came.
    pub(crate) position: i64,
    /// Its offset.
    pub(crate) offset: i64,
}

/// The next record can't be read before the registry has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// The id of its schema.
    pub(crate) schema_id: u32,
    /// Its offset.
    pub(crate) offset: i64,
    /// Reading again from there is of no use before.
    pub(crate) until: Instant,
}

/// What a record is to the reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The one to apply.
    Next,
    /// Applied before.
    Duplicate,
    /// Beyond the next one.
    TooFar,
}

impl Reading {
    /// A reading that goes on after `applied`.
    pub(crate) fn after(applied: i64) -> Self {
        Self { applied, is_known: false, last_offset: None, hold: None, tries: 0 }
    }

    /// Takes note of a record. Where its offset is no further than the one before, the topic is being read again: after
    /// a seek, or by a new assignment.
    pub(crate) fn arrive(&mut self, offset: i64, position: i64) -> Arrival {
        let again = self.last_offset.is_some_and(|last| offset <= last);
        self.last_offset = Some(offset);
        if again && let Some(hold) = self.hold.take() {
            self.tries = if matches!(hold, Hold::Gap(_) | Hold::Seeking { .. }) { self.tries + 1 } else { 0 };
        }
        let expected = self.applied + 1;
        if position < expected {
            return Arrival::Duplicate;
        }
        if position == expected {
            self.applied = position;
            self.release();
            return Arrival::Next;
        }
        self.hold.get_or_insert(Hold::Gap(Gap { expected, position, offset }));
        Arrival::TooFar
    }

    /// Takes note of a record that is no event of the log.
    pub(crate) fn pass_over(&mut self, offset: i64) {
        self.last_offset = Some(self.last_offset.map_or(offset, |last| last.max(offset)));
    }

    /// The read model's own word on what is applied. True when that is news.
    pub(crate) fn correct(&mut self, applied: i64) -> bool {
        let news = self.applied != applied;
        if news {
            self.applied = applied;
            self.release();
        }
        news
    }

    /// The gap that something must be done about now, and how often that was tried.
    pub(crate) fn due_gap(&self, now: Instant) -> Option<(Gap, u32)> {
        match &self.hold {
            Some(Hold::Gap(gap)) => Some((*gap, self.tries)),
            Some(Hold::Seeking { gap, until }) if *until <= now => Some((*gap, self.tries)),
            _ => None,
        }
    }

    /// The topic is to be read again from before the gap; also when that could not be asked for: then it is tried again.
    pub(crate) fn seek(&mut self, gap: Gap, now: Instant) {
        self.hold = Some(Hold::Seeking { gap, until: now + SEEK_PATIENCE });
    }

    /// The record after `applied` can't be read yet.
    pub(crate) fn wait(&mut self, applied: i64, schema_id: u32, offset: i64, now: Instant) {
        self.applied = applied;
        self.hold = Some(Hold::Waiting(Wait { schema_id, offset, until: now }));
    }

    /// What it waits for, unless the topic is being read again already.
    pub(crate) fn due_wait(&self, now: Instant) -> Option<Wait> {
        match &self.hold {
            Some(Hold::Waiting(wait)) if wait.until <= now => Some(*wait),
            _ => None,
        }
    }

    /// The topic is to be read again from the record that was waited for.
    pub(crate) fn seek_again(&mut self, wait: Wait, now: Instant) {
        self.hold = Some(Hold::Waiting(Wait { until: now + SEEK_PATIENCE, ..wait }));
    }

    /// Nothing more is applied until the partition is assigned anew. `applied` is the last that was.
    pub(crate) fn stop(&mut self, applied: i64) {
        self.applied = applied;
        self.hold = Some(Hold::Stopped);
    }

    /// Whether what has been done is all that can be.
    pub(crate) fn is_stopped(&self) -> bool {
        self.hold == Some(Hold::Stopped)
    }

    /// Whether it waits for the registry.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.hold, Some(Hold::Waiting(_)))
    }

    /// Whether it waits for the schema of this id.
    pub(crate) fn waits_for(&self, schema_id: u32) -> bool {
        matches!(&self.hold, Some(Hold::Waiting(wait)) if wait.schema_id == schema_id)
    }

    /// Whether records beyond the next position are being passed by.
    pub(crate) fn is_held(&self) -> bool {
        self.hold.is_some()
    }

    fn release(&mut self) {
        self.hold = None;
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(applied: i64) -> Reading {
        Reading::after(applied)
    }

    #[test]
    fn positions_are_applied_in_order_and_once() {
        let mut reading = at(0);
        let arrivals: Vec<_> = [(0, 1), (1, 2), (1, 2), (2, 3)].map(|(o, p)| reading.arrive(o, p)).into();
        assert_eq!(arrivals, [Arrival::Next, Arrival::Next, Arrival::Duplicate, Arrival::Next]);
        assert_eq!(reading.applied, 3);
    }

    #[test]
    fn a_gap_is_due_until_it_is_sought_and_again_when_the_seek_gives_nothing() {
        let now = Instant::now();
        let mut reading = at(5);
        assert_eq!(reading.arrive(10, 8), Arrival::TooFar);
        let gap = Gap { expected: 6, position: 8, offset: 10 };
        assert_eq!(reading.due_gap(now), Some((gap, 0)));
        reading.seek(gap, now);
        assert_eq!(reading.arrive(11, 9), Arrival::TooFar, "handed on before the seek");
        assert_eq!(reading.due_gap(now), None);
        assert_eq!(reading.due_gap(now + SEEK_PATIENCE), Some((gap, 0)));
        assert_eq!(reading.arrive(8, 6), Arrival::Next);
        assert!(!reading.is_held());
    }

    #[test]
    fn each_reading_again_that_leaves_the_gap_counts() {
        let now = Instant::now();
        let mut reading = at(5);
        for tries in 0..3 {
            assert_eq!(reading.arrive(10, 8), Arrival::TooFar);
            let (gap, counted) = reading.due_gap(now).unwrap();
            assert_eq!(counted, tries);
            reading.seek(gap, now);
        }
    }

    #[test]
    fn a_stopped_partition_is_tried_again_when_the_topic_is_read_again() {
        let mut reading = at(5);
        assert_eq!(reading.arrive(10, 6), Arrival::Next);
        reading.stop(5);
        assert_eq!(reading.arrive(11, 7), Arrival::TooFar);
        assert!(reading.is_stopped());
        assert_eq!(reading.arrive(10, 6), Arrival::Next, "a new assignment begins at the offset that was not done");
        assert!(!reading.is_stopped());
    }

    #[test]
    fn a_stopped_partition_goes_on_when_another_instance_got_further() {
        let mut reading = at(5);
        reading.stop(5);
        assert!(!reading.correct(5));
        assert!(reading.is_stopped());
        assert!(reading.correct(9));
        assert_eq!(reading.arrive(14, 10), Arrival::Next);
    }

    #[test]
    fn a_partition_whose_next_schema_is_not_known_waits_until_it_is_read_again() {
        let now = Instant::now();
        let mut reading = at(5);
        assert_eq!(reading.arrive(10, 6), Arrival::Next);
        reading.wait(5, 7, 10, now);
        assert!(reading.is_held() && reading.is_waiting() && reading.waits_for(7) && !reading.waits_for(8));
        assert_eq!(reading.arrive(11, 7), Arrival::TooFar, "handed on before the pause");
        assert_eq!(reading.due_gap(now), None);
        let wait = reading.due_wait(now).unwrap();
        assert_eq!((wait.schema_id, wait.offset), (7, 10));
        reading.seek_again(wait, now);
        assert_eq!(reading.due_wait(now), None);
        assert_eq!(reading.due_wait(now + SEEK_PATIENCE).unwrap().offset, 10, "the seek gave nothing");
        assert_eq!(reading.arrive(10, 6), Arrival::Next);
        assert!(!reading.is_held());
        assert_eq!(reading.arrive(11, 7), Arrival::Next);
    }

    #[test]
    fn a_read_model_that_was_emptied_begins_anew() {
        let mut reading = at(5);
        assert!(reading.correct(0));
        assert_eq!(reading.arrive(5, 6), Arrival::TooFar);
        assert_eq!(reading.arrive(0, 1), Arrival::Next);
    }

    proptest! {
        /// Whatever arrives, in whatever order and however often.
        #[test]
        fn what_is_applied_is_one_to_n(arrivals in prop::collection::vec((0..40i64, 1..20i64), 0..200)) {
            let mut reading = at(0);
            let mut applied = Vec::new();
            for (offset, position) in arrivals {
                if reading.arrive(offset, position) == Arrival::Next {
                    applied.push(position);
                }
            }
            let dense: Vec<i64> = (1..=applied.len() as i64).collect();
            prop_assert_eq!(applied, dense);
        }
    }
}
