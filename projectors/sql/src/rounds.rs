//! The order in which the events of a batch are applied. Pure.
//!
//! A statement applies events of one type only. So a batch is applied in rounds, each of events of one type: the events
//! at the front of the partitions, as many as follow each other. Inside a partition every event comes after all events
//! before it. Between partitions there is no order, so that one round may take from all of them.

use std::collections::BTreeMap;
use std::collections::VecDeque;

/// Events of one type, as indexes that ascend.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Round {
    /// Which type.
    pub(crate) statement: usize,
    pub(crate) events: Vec<usize>,
}

/// The rounds of a batch: of each event its partition and its type; types that nobody reads are `None`. Events of one
/// partition stand in their order.
pub(crate) fn rounds(events: impl Iterator<Item = (i32, Option<usize>)>) -> Vec<Round> {
    let mut partitions: BTreeMap<i32, VecDeque<(usize, usize)>> = BTreeMap::new();
    for (index, (partition, statement)) in events.enumerate() {
        if let Some(statement) = statement {
            partitions.entry(partition).or_default().push_back((index, statement));
        }
    }
    let mut rounds = Vec::new();
    while let Some(statement) = most_frequent(partitions.values().filter_map(|left| left.front())) {
        let mut events = Vec::new();
        for left in partitions.values_mut() {
            while left.front().is_some_and(|(_, first)| *first == statement) {
                events.extend(left.pop_front().map(|(index, _)| index));
            }
        }
        events.sort_unstable();
        rounds.push(Round { statement, events });
    }
    rounds
}

/// The type that most partitions have at their front.
fn most_frequent<'f>(fronts: impl Iterator<Item = &'f (usize, usize)>) -> Option<usize> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for (_, statement) in fronts {
        *counts.entry(*statement).or_default() += 1;
    }
    // of equal ones the first, so that all instances do the same
    counts.into_iter().max_by_key(|(statement, count)| (*count, usize::MAX - statement)).map(|(statement, _)| statement)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_round_takes_from_all_partitions_what_is_next_there() {
        // partition 0: placed, placed, paid; partition 1: placed, (unread), placed; partition 2: paid
        let events = [(0, Some(0)), (0, Some(0)), (0, Some(1)), (1, Some(0)), (1, None), (1, Some(0)), (2, Some(1))];
        let expected = [Round { statement: 0, events: vec![0, 1, 3, 5] }, Round { statement: 1, events: vec![2, 6] }];
        assert_eq!(rounds(events.into_iter()), expected);
    }

    proptest! {
        #[test]
        fn every_event_is_applied_once_and_after_those_before_it_in_its_partition(
            events in prop::collection::vec((0..4_i32, prop::option::of(0..3_usize)), 0..60),
        ) {
            let rounds = rounds(events.iter().copied());
            let applied: Vec<usize> = rounds.iter().flat_map(|round| round.events.iter().copied()).collect();
            for partition in 0..4 {
                let of_partition = |index: &usize| events[*index].0 == partition;
                let expected: Vec<usize> =
                    (0..events.len()).filter(of_partition).filter(|index| events[*index].1.is_some()).collect();
                let found: Vec<usize> = applied.iter().copied().filter(of_partition).collect();
                prop_assert_eq!(found, expected);
            }
            for round in &rounds {
                prop_assert!(round.events.iter().all(|index| events[*index].1 == Some(round.statement)));
            }
        }
    }
}
