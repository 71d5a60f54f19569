//! What to do with a batch of records: which to apply, which to drop. Pure.

use std::collections::{BTreeMap, HashMap};

use crate::reading::{Arrival, Reading};

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// `None`: it is no event of the log.
    pub(crate) position: Option<i64>,
}

/// The readings of all partitions that records came from.
pub(crate) type Readings = HashMap<i32, Reading>;

/// What to do with a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The records to apply, by partition, as indexes into the batch.
    pub(crate) next: BTreeMap<i32, Vec<usize>>,
    /// The offset up to which each partition is dealt with, once these are applied.
    pub(crate) done: BTreeMap<i32, i64>,
    /// Records dropped since they were applied before, by partition.
    pub(crate) duplicates: BTreeMap<i32, u64>,
    /// The first of them, by partition, as an index into the batch.
    pub(crate) first_duplicates: BTreeMap<i32, usize>,
    /// Records that are no events, by partition.
    pub(crate) foreign: BTreeMap<i32, u64>,
    /// The partitions with records beyond the next position.
    pub(crate) too_far: BTreeMap<i32, u64>,
    /// The readings afterwards.
    pub(crate) readings: Readings,
}

impl Plan {
    /// Plans for `places`; every partition of theirs has its reading.
    pub(crate) fn of(places: &[Place], readings: &Readings) -> Self {
        let mut plan = Self { readings: readings.clone(), ..Self::default() };
        for (index, place) in places.iter().enumerate() {
            let Some(reading) = plan.readings.get_mut(&place.partition) else { continue };
            let count = match place.position.map(|position| reading.arrive(place.offset, position)) {
                Some(Arrival::Next) => {
                    plan.next.entry(place.partition).or_default().push(index);
                    None
                }
                Some(Arrival::Duplicate) => {
                    plan.first_duplicates.entry(place.partition).or_insert(index);
                    Some(&mut plan.duplicates)
                }
                Some(Arrival::TooFar) => Some(&mut plan.too_far),
                None => {
                    reading.pass_over(place.offset);
                    Some(&mut plan.foreign)
                }
            };
            if let Some(count) = count {
                *count.entry(place.partition).or_default() += 1;
            }
            if !reading.is_held() {
                plan.done.insert(place.partition, place.offset);
            }
        }
        plan
    }

    /// Applies nothing of a partition, whose record at `offset` is not dealt with.
    pub(crate) fn pass_over(&mut self, partition: i32, offset: i64) {
        self.next.remove(&partition);
        self.done.insert(partition, offset - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(partition: i32, offset: i64, position: i64) -> Place {
        Place { partition, offset, position: Some(position) }
    }

    fn readings(applied: &[(i32, i64)]) -> Readings {
        applied.iter().map(|(partition, applied)| (*partition, Reading::after(*applied))).collect()
    }

    #[test]
    fn a_gap_holds_its_own_partition_only() {
        let places = [place(0, 0, 1), place(1, 5, 7), place(0, 1, 2), place(1, 6, 8)];
        let plan = Plan::of(&places, &readings(&[(0, 0), (1, 5)]));
        assert_eq!(plan.next, BTreeMap::from([(0, vec![0, 2])]));
        assert_eq!(plan.done, BTreeMap::from([(0, 1)]));
        assert_eq!(plan.too_far, BTreeMap::from([(1, 2)]));
        assert!(plan.readings[&1].is_held());
    }

    #[test]
    fn a_foreign_record_is_passed_over_since_positions_prove_that_nothing_is_missing() {
        let foreign = Place { partition: 0, offset: 1, position: None };
        let plan = Plan::of(&[place(0, 0, 1), foreign, place(0, 2, 2)], &readings(&[(0, 0)]));
        assert_eq!(plan.next, BTreeMap::from([(0, vec![0, 2])]));
        assert_eq!(plan.foreign, BTreeMap::from([(0, 1)]));
        assert_eq!(plan.done, BTreeMap::from([(0, 2)]));
    }

    #[test]
    fn planned_again_after_a_lost_race_what_is_applied_is_dropped() {
        let places = [place(0, 0, 1), place(0, 1, 2), place(0, 2, 3)];
        let plan = Plan::of(&places, &readings(&[(0, 2)]));
        assert_eq!(plan.next, BTreeMap::from([(0, vec![2])]));
        assert_eq!((plan.duplicates, plan.first_duplicates), (BTreeMap::from([(0, 2)]), BTreeMap::from([(0, 0)])));
    }
}
