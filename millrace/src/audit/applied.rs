//! What the read models say they have applied, held against the events in Postgres.

use std::collections::{BTreeMap, HashMap};

use millrace_projector_runner::{Tally, event_hash};
use millrace_schemas::RecordedEvent;

use super::Audit;

/// What each read model has applied, by its name and by partition; absent before the first event.
pub(super) type Tallies = BTreeMap<&'static str, HashMap<i32, Tally>>;

/// What every read model has applied by now.
///
/// # Errors
/// When Postgres does not answer, or lacks a read model.
pub(super) async fn tallies(audit: &Audit) -> anyhow::Result<Tallies> {
    let client = audit.pool.get().await?;
    let mut found = Tallies::new();
    for name in &audit.read_models {
        found.insert(name, millrace_projector_runner::tallies(&**client, name, audit.log.name()).await?);
    }
    Ok(found)
}

/// Adds up one partition's events as read models do, and compares at the position of each read model.
pub(super) struct Applied {
    read_models: Vec<(&'static str, Tally)>,
    events: i64,
    ids_hash: u64,
    parted: Option<Parted>,
}

/// A read model whose tally is not the one of the events in Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parted {
    pub(super) read_model: &'static str,
    pub(super) tally: Tally,
}

impl Applied {
    /// Nothing is added up yet.
    pub(super) fn new(partition: i32, tallies: &Tallies) -> Self {
        let tally = |of: &HashMap<i32, Tally>| of.get(&partition).copied().unwrap_or_default();
        let read_models = tallies.iter().map(|(name, of)| (*name, tally(of))).collect();
        let mut applied = Self { read_models, events: 0, ids_hash: 0, parted: None };
        applied.compare_at(0);
        applied
    }

    /// Adds the partition's next event.
    pub(super) fn take_in(&mut self, event: &RecordedEvent) {
        self.add(event.position, event_hash(event.position, event.event_id));
    }

    /// The first read model whose tally differs from Postgres' at its position.
    pub(super) fn parted(&self) -> Option<Parted> {
        self.parted
    }

    fn add(&mut self, position: i64, hash: u64) {
        self.events += 1;
        self.ids_hash ^= hash;
        self.compare_at(position);
    }

    fn compare_at(&mut self, position: i64) {
        let expected = Tally { position, events: self.events, ids_hash: self.ids_hash };
        let here = self.read_models.iter().filter(|(_, tally)| tally.position == position);
        for (read_model, tally) in here.filter(|(_, tally)| *tally != expected) {
            self.parted.get_or_insert(Parted { read_model, tally: *tally });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_read_model_is_compared_at_its_own_position_while_events_go_on() {
        let sums = |events: &[u64]| Tally {
            position: events.len() as i64,
            events: events.len() as i64,
            ids_hash: events.iter().fold(0, |sum, hash| sum ^ hash),
        };
        let log = [5, 9, 12, 4];
        let good = sums(&log[..2]);
        let miscounted = Tally { events: 1, ..sums(&log[..2]) };
        let nothing = Tally { ids_hash: 1, ..Tally::default() };
        for (tally, is_parted) in [
            (good, false),
            (sums(&log), false),
            (sums(&[]), false),
            (sums(&[5, 8]), true),
            (miscounted, true),
            (nothing, true),
        ] {
            let tallies = Tallies::from([("a", HashMap::from([(0, good)])), ("b", HashMap::from([(0, tally)]))]);
            let mut applied = Applied::new(0, &tallies);
            (1..).zip(log).for_each(|(position, hash)| applied.add(position, hash));
            let expected = is_parted.then_some(Parted { read_model: "b", tally });
            assert_eq!(applied.parted(), expected);
        }
    }
}
