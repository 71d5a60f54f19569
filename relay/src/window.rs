//! What is handed to the producer and not yet acknowledged: a bounded queue of batches, settled in order.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use millrace_runtime::kafka::{Delivered, DeliveryError};
use tokio::sync::oneshot;

use crate::record::{Encoded, size_of};
use crate::spans::Traced;

/// Most records in flight. It also bounds what a process that wakes up too late can still send.
pub(crate) const MAX_RECORDS: usize = 10_000;
/// Most bytes in flight, but for the last batch.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Most records in a batch.
const BATCH_RECORDS: usize = 500;
/// Most bytes in a batch, but for its last record.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Tells when a batch is delivered.
pub(crate) type Receipt = oneshot::Receiver<Result<Delivered, DeliveryError>>;

/// What a batch has of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) partition: i32,
    /// The partition's epoch at the time.
    pub(crate) epoch: u64,
    pub(crate) records: i64,
    pub(crate) last_position: i64,
}

/// What a batch is made of.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) parts: Vec<Part>,
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    largest: (usize, i32),
    pub(crate) traced: Vec<Traced>,
}

/// A batch in flight.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) contents: Contents,
    pub(crate) sent: Instant,
    pub(crate) receipt: Receipt,
}

impl Contents {
    /// Whether another record would be too many.
    pub(crate) fn is_full(&self) -> bool {
        self.records >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
    }

    /// Counts a record in.
    pub(crate) fn add(&mut self, event: &Encoded, epoch: u64) {
        let (partition, bytes) = (event.partition, size_of(event));
        self.records += 1;
        self.bytes += bytes;
        self.largest = self.largest.max((bytes, partition));
        self.traced.extend(Traced::of(event));
        match self.parts.iter_mut().find(|part| part.partition == partition) {
            Some(part) => {
                part.records += 1;
                part.last_position = event.position;
            }
            None => self.parts.push(Part { partition, epoch, records: 1, last_position: event.position }),
        }
    }

    /// The partition of the largest record: where a record was too large, this is one that was.
    pub(crate) fn partition_of_largest(&self) -> i32 {
        self.largest.1
    }
}

/// The batches in flight, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Window {
    batches: VecDeque<Batch>,
    records: usize,
    bytes: usize,
}

impl Window {
    /// Whether there is nothing in flight.
    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether there is room for another batch.
    pub(crate) fn has_room(&self) -> bool {
        self.records + BATCH_RECORDS <= MAX_RECORDS && self.bytes < MAX_BYTES
    }

    /// Whether anything of these partitions is in flight.
    pub(crate) fn touches(&self, partitions: &BTreeSet<i32>) -> bool {
        let mut parts = self.batches.iter().flat_map(|batch| &batch.contents.parts);
        parts.any(|part| partitions.contains(&part.partition))
    }

    /// How long the oldest batch has been in flight.
    pub(crate) fn age(&self) -> Duration {
        self.batches.front().map_or(Duration::ZERO, |batch| batch.sent.elapsed())
    }

    /// Adds a batch.
    pub(crate) fn push(&mut self, batch: Batch) {
        self.records += batch.contents.records;
        self.bytes += batch.contents.bytes;
        self.batches.push_back(batch);
    }

    /// Waits for the oldest batch's end; for ever when there is none. Cancel-safe.
    pub(crate) async fn next(&mut self) -> (Batch, Result<Delivered, DeliveryError>) {
        let Some(oldest) = self.batches.front_mut() else { return std::future::pending().await };
        let result = (&mut oldest.receipt).await.unwrap_or_else(|_| Err(purged()));
        let batch = self.batches.pop_front().expect("it was there above, and nothing else takes");
        self.records -= batch.contents.records;
        self.bytes -= batch.contents.bytes;
        (batch, result)
    }

    /// Forgets everything in flight and returns it.
    pub(crate) fn take(&mut self) -> VecDeque<Batch> {
        std::mem::take(self).batches
    }
}

/// The producer is gone and has not said how its batch ended.
fn purged() -> DeliveryError {
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};
    let error = KafkaError::MessageProduction(RDKafkaErrorCode::PurgeQueue);
    DeliveryError { topic: String::new(), error }
}
