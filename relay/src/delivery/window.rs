//! What is handed to the producer and not yet acknowledged: for each partition a bounded queue of batches, settled in
//! order. A partition whose records Kafka does not acknowledge fills its own share, and holds up no other.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use millrace_runtime::kafka::{Delivered, DeliveryError};
use millrace_store::Identity;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::oneshot;

use super::spans::Traced;

/// Most records in flight, over all partitions. It also bounds what a process that wakes up too late can still send.
pub(crate) const MAX_RECORDS: usize = 10_000;
/// Most bytes in flight, over all partitions, but for the last batch of each.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Most records in a batch.
const BATCH_RECORDS: usize = 500;
/// Most bytes in a batch, but for its last record.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// A partition has moved while its oldest batch is younger than this.
const STUCK: Duration = Duration::from_secs(1);

/// Tells when a batch is delivered.
pub(crate) type Receipt = oneshot::Receiver<Result<Delivered, DeliveryError>>;

/// Records of one partition that were handed to the producer together.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) partition: i32,
    /// The partition's epoch when they were sent.
    pub(crate) epoch: u64,
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    /// The last one.
    pub(crate) last_position: i64,
    pub(crate) last_event: Identity,
    pub(crate) traced: Vec<Traced>,
    pub(crate) sent: Instant,
}

/// A batch that has ended.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) batch: Batch,
    /// The offset of its last record, or what became of one of its records.
    pub(crate) result: Result<i64, DeliveryError>,
}

/// How much fits into the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) records: usize,
    /// The last record may go over this.
    pub(crate) bytes: usize,
}

/// A partition's batches in flight, oldest first.
#[derive(Debug, Default)]
struct Lane {
    batches: VecDeque<(Batch, Receipt)>,
    records: usize,
    bytes: usize,
}

/// The batches in flight.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// Only partitions that have something in flight.
    lanes: BTreeMap<i32, Lane>,
    records: usize,
    bytes: usize,
}

impl Window {
    /// Whether nothing is in flight.
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Whether nothing of a partition is in flight.
    pub(crate) fn is_idle(&self, partition: i32) -> bool {
        !self.lanes.contains_key(&partition)
    }

    /// The partitions that have something in flight.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = i32> {
        self.lanes.keys().copied()
    }

    /// Whether Kafka has not acknowledged a partition's oldest batch for a second.
    pub(crate) fn is_stuck(&self, partition: i32) -> bool {
        self.lanes.get(&partition).is_some_and(|lane| lane.age() > STUCK)
    }

    /// The partition whose oldest batch is the oldest of all, and for how long it has been in flight.
    pub(crate) fn oldest(&self) -> Option<(i32, Duration)> {
        let ages = self.lanes.iter().map(|(partition, lane)| (*partition, lane.age()));
        ages.max_by_key(|(_, age)| *age)
    }

    /// How much a partition may send now, where `partitions` share the window; `None` for nothing. The shares of all
    /// make up the whole, so that no partition can use up what is another's.
    pub(crate) fn room(&self, partition: i32, partitions: usize) -> Option<Room> {
        let share = |whole: usize| (whole / partitions.max(1)).max(1);
        let (records, bytes) = self.lanes.get(&partition).map_or((0, 0), |lane| (lane.records, lane.bytes));
        let room = Room {
            records: share(MAX_RECORDS).saturating_sub(records).min(BATCH_RECORDS),
            bytes: share(MAX_BYTES).saturating_sub(bytes).min(BATCH_BYTES),
        };
        // The last records of the lanes may go over their shares; together they must not fill librdkafka's own queue.
        let is_open = self.records < MAX_RECORDS && self.bytes < MAX_BYTES;
        (is_open && room.records > 0 && room.bytes > 0).then_some(room)
    }

    /// Adds a batch.
    pub(crate) fn push(&mut self, batch: Batch, receipt: Receipt) {
        let lane = self.lanes.entry(batch.partition).or_default();
        lane.records += batch.records;
        lane.bytes += batch.bytes;
        self.records += batch.records;
        self.bytes += batch.bytes;
        lane.batches.push_back((batch, receipt));
    }

    /// Waits until batches have ended, and returns all that have, each partition's in order; for ever when nothing is in
    /// flight. Cancel-safe.
    pub(crate) async fn settled(&mut self) -> Vec<Settled> {
        poll_fn(|context| self.poll_settled(context)).await
    }

    fn poll_settled(&mut self, context: &mut Context<'_>) -> Poll<Vec<Settled>> {
        let mut settled = Vec::new();
        for lane in self.lanes.values_mut() {
            while let Some((_, receipt)) = lane.batches.front_mut()
                && let Poll::Ready(received) = Pin::new(receipt).poll(context)
            {
                let (batch, _) = lane.batches.pop_front().expect("it was there above");
                lane.records -= batch.records;
                lane.bytes -= batch.bytes;
                self.records -= batch.records;
                self.bytes -= batch.bytes;
                let result = received.unwrap_or_else(|_| Err(purged()));
                let result = result.map(|delivered| last_offset(&delivered, batch.partition));
                settled.push(Settled { batch, result });
            }
        }
        if settled.is_empty() {
            return Poll::Pending;
        }
        self.lanes.retain(|_, lane| !lane.batches.is_empty());
        Poll::Ready(settled)
    }

    /// Forgets everything in flight and returns it.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (Batch, Receipt)> + use<> {
        std::mem::take(self).lanes.into_values().flat_map(|lane| lane.batches)
    }
}

impl Lane {
    fn age(&self) -> Duration {
        self.batches.front().map_or(Duration::ZERO, |(batch, _)| batch.sent.elapsed())
    }
}

/// The last offset in a batch that was delivered to one partition.
fn last_offset(delivered: &Delivered, partition: i32) -> i64 {
    let mut places = delivered.iter();
    places.find(|((_, p), _)| *p == partition).map_or(-1, |(_, offset)| *offset)
}

/// The producer was dropped before it could tell how the batch ended.
fn purged() -> DeliveryError {
    let error = KafkaError::MessageProduction(RDKafkaErrorCode::PurgeQueue);
    DeliveryError { topic: String::new(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::record::tests::event_at;

    type Report = oneshot::Sender<Result<Delivered, DeliveryError>>;

    fn send(window: &mut Window, partition: i32, records: usize, last_position: i64) -> Report {
        let (report, receipt) = oneshot::channel();
        let (epoch, sent, last_event) = (1, Instant::now(), Identity::from(&event_at(partition, last_position)));
        let (bytes, traced) = (records * 1000, Vec::new());
        let batch = Batch { partition, epoch, records, bytes, last_position, last_event, traced, sent };
        window.push(batch, receipt);
        report
    }

    fn delivered(partition: i32, offset: i64) -> Result<Delivered, DeliveryError> {
        Ok(Delivered::from([(("orders.events".into(), partition), offset)]))
    }

    fn fill(window: &mut Window, partition: i32, partitions: usize) -> Vec<Report> {
        std::iter::from_fn(|| {
            let room = window.room(partition, partitions)?;
            Some(send(window, partition, room.records, 0))
        })
        .collect()
    }

    #[test]
    fn a_partition_that_is_never_acknowledged_fills_its_own_share_only() {
        let mut window = Window::default();
        let _stuck: Vec<_> = (0..11).map(|partition| fill(&mut window, partition, 12)).collect();
        assert_eq!(window.room(0, 12), None);
        assert_eq!(window.room(11, 12), Some(Room { records: BATCH_RECORDS, bytes: MAX_BYTES / 12 }));
        let _last = fill(&mut window, 11, 12);
        assert!(window.records <= MAX_RECORDS);
    }

    #[test]
    fn a_single_partition_has_the_whole_window() {
        let mut window = Window::default();
        let _in_flight = fill(&mut window, 3, 1);
        assert_eq!(window.records, MAX_RECORDS);
    }

    #[test]
    fn a_large_record_goes_alone_where_shares_are_small() {
        let mut window = Window::default();
        let room = window.room(0, 1000).unwrap();
        assert_eq!(room, Room { records: 10, bytes: MAX_BYTES / 1000 });
        let _in_flight = send(&mut window, 0, 1000, 1); // a megabyte
        assert_eq!(window.room(0, 1000), None);
        assert!(window.room(1, 1000).is_some());
    }

    #[tokio::test]
    async fn batches_settle_in_the_order_of_their_partition_past_those_of_another() {
        let mut window = Window::default();
        let _stuck = send(&mut window, 0, 5, 5);
        let (first, second) = (send(&mut window, 1, 5, 5), send(&mut window, 1, 5, 10));
        second.send(delivered(1, 9)).unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(5), window.settled()).await;
        assert!(waiting.is_err(), "the first of partition 1 has not ended");
        first.send(delivered(1, 4)).unwrap();
        let settled = window.settled().await;
        let ends: Vec<_> = settled.iter().map(|s| (s.batch.partition, s.batch.last_position)).collect();
        assert_eq!(ends, [(1, 5), (1, 10)]);
        assert_eq!(settled[1].result.as_ref().ok(), Some(&9));
        assert!(window.is_idle(1) && !window.is_idle(0) && !window.is_empty());
        assert_eq!((window.records, window.bytes), (5, 5000));
    }

    #[tokio::test]
    async fn a_batch_whose_producer_is_gone_has_failed() {
        let mut window = Window::default();
        drop(send(&mut window, 0, 1, 1));
        assert!(window.settled().await[0].result.is_err());
        assert!(window.is_empty());
    }
}
