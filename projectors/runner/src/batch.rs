//! A batch of events that is to be applied, and what in it can't be.

use std::ops::Range;

use crate::Event;
use crate::checkpoints::Move;
use crate::flaw::Flaw;
use crate::incoming::{Incoming, ReadError};
use crate::plan::Plan;
use crate::schemas::Schemas;

/// Events in a row of partitions, inside each in their order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) events: Vec<Event>,
    /// Which record each event came by, as an index into what has come in.
    records: Vec<usize>,
    /// Each partition's events.
    pub(crate) runs: Vec<Range<usize>>,
    /// What could not even be read; what follows it in its partition is left out.
    pub(crate) flaws: Vec<Flaw>,
    /// What can't be read yet; what follows it in its partition is left out.
    pub(crate) unread: Vec<Unread>,
}

/// A record whose schema is not known, while the registry is away or does not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) partition: i32,
    pub(crate) position: i64,
    pub(crate) offset: i64,
    pub(crate) schema_id: u32,
}

impl Batch {
    /// Reads what the plan says comes next.
    pub(crate) async fn read(plan: &Plan, incoming: &mut [Incoming], schemas: &Schemas) -> Self {
        let mut batch = Self::default();
        for indexes in plan.next.values() {
            let start = batch.events.len();
            for index in indexes {
                let Some(record) = incoming.get_mut(*index) else { continue };
                match record.take(schemas).await {
                    Ok(event) => {
                        batch.events.push(event);
                        batch.records.push(*index);
                        continue;
                    }
                    Err(ReadError::Unreadable(reason)) => batch.flaws.push(record.flaw(reason)),
                    Err(ReadError::Away(schema_id)) => batch.unread.extend(Unread::of(record, schema_id)),
                }
                break;
            }
            if start < batch.events.len() {
                batch.runs.push(start..batch.events.len());
            }
        }
        batch
    }

    /// The events, to where they came from: they were not applied.
    pub(crate) fn give_back(self, incoming: &mut [Incoming]) {
        for (event, index) in self.events.into_iter().zip(self.records) {
            if let Some(record) = incoming.get_mut(index) {
                record.give_back(event);
            }
        }
    }

    /// The steps of the checkpoints over all of it.
    pub(crate) fn steps(&self) -> Vec<Move> {
        self.runs.iter().filter_map(|run| Move::over(self.events.get(run.clone())?)).collect()
    }

    /// The flaw that the event at `index` is.
    pub(crate) fn flaw(&self, index: usize, reason: String, incoming: &[Incoming]) -> Option<Flaw> {
        let (event, record) = (self.events.get(index)?, incoming.get(*self.records.get(index)?)?);
        let (partition, position) = (event.partition, event.position);
        let correlation_id = event.metadata.correlation_id.clone();
        Some(Flaw { partition, position, offset: record.place.offset, correlation_id, reason })
    }
}

impl Unread {
    fn of(record: &Incoming, schema_id: u32) -> Option<Self> {
        let place = record.place;
        Some(Self { partition: place.partition, position: place.position?, offset: place.offset, schema_id })
    }
}
