//! A batch of events that is to be applied, and what in it can't be.

use std::ops::Range;

use millrace_schemas::Codec;

use super::incoming::{Incoming, ReadError};
use super::plan::Plan;
use crate::Event;
use crate::checkpoints::Move;

/// Events in a row of partitions, inside each in their order.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    /// Where each event's record stands in the topic.
    pub(super) offsets: Vec<i64>,
    /// Each partition's events.
    pub(super) runs: Vec<Range<usize>>,
    /// What could not even be read; what follows it in its partition is left out.
    pub(super) flaws: Vec<Flaw>,
}

/// An event that can't be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) partition: i32,
    pub(super) position: i64,
    pub(super) offset: i64,
    pub(super) correlation_id: Option<String>,
    pub(super) reason: String,
}

impl Batch {
    /// Reads what the plan says comes next. An error is the registry's.
    pub(super) async fn read(plan: &Plan, incoming: &mut [Incoming], codec: &Codec) -> Result<Self, ReadError> {
        let mut batch = Self::default();
        for indexes in plan.next.values() {
            let start = batch.events.len();
            for index in indexes {
                let Some(record) = incoming.get_mut(*index) else { continue };
                match record.event(codec).await {
                    Ok(event) => batch.push(event, record.place.offset),
                    Err(ReadError::Unreadable(reason)) => {
                        batch.flaws.push(record.flaw(reason));
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            if start < batch.events.len() {
                batch.runs.push(start..batch.events.len());
            }
        }
        Ok(batch)
    }

    fn push(&mut self, event: Event, offset: i64) {
        self.events.push(event);
        self.offsets.push(offset);
    }

    /// The step of the checkpoint over some events of one partition.
    pub(super) fn step(&self, run: &Range<usize>) -> Option<Move> {
        let events = self.events.get(run.clone())?;
        let (first, last) = (events.first()?, events.last()?);
        Some(Move { partition: first.partition, from: first.position - 1, to: last.position })
    }

    /// The steps over all of it.
    pub(super) fn steps(&self) -> Vec<Move> {
        self.runs.iter().filter_map(|run| self.step(run)).collect()
    }

    /// The flaw that the event at `index` is.
    pub(super) fn flaw(&self, index: usize, reason: String) -> Option<Flaw> {
        let (event, offset) = (self.events.get(index)?, self.offsets.get(index)?);
        let correlation_id = event.metadata.correlation_id.clone();
        Some(Flaw { partition: event.partition, position: event.position, offset: *offset, correlation_id, reason })
    }
}
