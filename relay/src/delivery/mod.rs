//! Handing events to Kafka: one producer, and a window of what it has not acknowledged yet.
//!
//! Promises: a partition's records are handed over in order, and its batches end in order. A producer that has failed for
//! good is thrown away with everything in flight; the caller then reads the tails of those partitions.

pub(crate) mod record;
mod spans;
mod window;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_runtime::kafka::{DeliveryError, Outbox, aside};
use millrace_runtime::{Health, Trouble};
use millrace_schemas::{LogName, RecordedEvent};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::timeout_at;

use crate::metrics;
use record::{Envelope, Scratch, size_of};
use spans::Traced;
use window::{Room, Window};

pub(crate) use window::{Batch, MAX_RECORDS, Settled};

/// How long throwing a producer away may take.
const CLOSE: Duration = Duration::from_secs(2);
/// A batch that is not acknowledged for this long means that its partition, or all of Kafka, is away.
const UNANSWERED: Duration = Duration::from_secs(10);

/// The producer and what it is working on.
pub(crate) struct Delivery {
    outbox: Outbox,
    config: ClientConfig,
    envelope: Envelope,
    log: String,
    window: Window,
    unanswered: Option<Trouble>,
}

/// What became of the batches in flight when their producer was thrown away: per partition, its worst error if any.
pub(crate) type ThrownAway = BTreeMap<i32, Option<DeliveryError>>;

impl Delivery {
    /// To a log's event topic, with producers of `config`.
    ///
    /// # Errors
    /// When librdkafka refuses a setting.
    pub(crate) fn new(config: ClientConfig, log: &LogName) -> Result<Self, KafkaError> {
        Ok(Self {
            outbox: Outbox::new(&config)?,
            config,
            envelope: Envelope::new(log),
            log: log.to_string(),
            window: Window::default(),
            unanswered: None,
        })
    }

    /// Whether nothing of a partition is in flight.
    pub(crate) fn is_idle(&self, partition: i32) -> bool {
        self.window.is_idle(partition)
    }

    /// Whether nothing is in flight.
    pub(crate) fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// Whether Kafka has not acknowledged anything of a partition for a while, although something is in flight.
    pub(crate) fn is_stuck(&self, partition: i32) -> bool {
        self.window.is_stuck(partition)
    }

    /// How much a partition may send now, where `partitions` share the window.
    pub(crate) fn room(&self, partition: i32, partitions: usize) -> Option<Room> {
        self.window.room(partition, partitions)
    }

    /// Hands over the first of a partition's events, as many as there is `room` for, and says how many those were.
    ///
    /// # Errors
    /// When librdkafka refuses an event. Those before it may be delivered, and are not in the window: only
    /// [`Delivery::replace_producer`] makes sure of their end.
    pub(crate) async fn send<'e>(
        &mut self,
        epoch: u64,
        room: Room,
        events: impl Iterator<Item = &'e RecordedEvent> + Clone,
    ) -> Result<usize, DeliveryError> {
        let Some(batch) = batch_of(epoch, room, events.clone()) else { return Ok(0) };
        let mut scratch = Scratch::default();
        let records = events.take(batch.records).map(|event| self.envelope.record(event, &mut scratch));
        let receipt = self.outbox.send(records).await?;
        let sent = batch.records;
        self.window.push(batch, receipt);
        Ok(sent)
    }

    /// Waits until batches have ended; for ever when nothing is in flight. Cancel-safe.
    pub(crate) async fn settled(&mut self) -> Vec<Settled> {
        self.window.settled().await
    }

    /// Counts a batch that Kafka has acknowledged.
    pub(crate) fn count(&self, batch: &Batch) {
        metrics::PUBLISHED.inc_by(batch.records as u64);
        metrics::PUBLISH_DURATION.observe(batch.sent.elapsed().as_secs_f64());
        batch.traced.iter().for_each(|event| event.published(&self.log, batch.sent));
    }

    /// Whether the producer will deliver nothing any more. An idempotent producer that may not leave a record out stops
    /// for good when Kafka refuses one.
    pub(crate) fn is_broken(&self) -> bool {
        self.outbox.fatal_error().is_some()
    }

    /// Throws the producer away with all that is in flight, and makes a new one. What the old one had on the wire may
    /// still arrive.
    ///
    /// # Errors
    /// When librdkafka refuses to make a producer.
    pub(crate) async fn replace_producer(&mut self) -> Result<ThrownAway, KafkaError> {
        metrics::PRODUCER_RESTARTS.inc();
        let old = std::mem::replace(&mut self.outbox, Outbox::new(&self.config)?);
        let deadline = tokio::time::Instant::now() + CLOSE;
        let mut thrown_away = ThrownAway::from_iter(self.window.partitions().map(|partition| (partition, None)));
        let batches = self.window.take();
        let purging = aside(move || {
            old.purge();
            old
        });
        let purged = timeout_at(deadline, purging).await;
        for (batch, receipt) in batches {
            if let Ok(Ok(Err(error))) = timeout_at(deadline, receipt).await {
                note(&mut thrown_away, batch.partition, error);
            }
        }
        match purged {
            // its connections close with it; past the deadline they do so later
            Ok(Ok(old)) => drop(timeout_at(deadline, aside(move || drop(old))).await),
            _ => tracing::warn!("the old producer does not end in time; what it still has may arrive late"),
        }
        Ok(thrown_away)
    }

    /// Says when Kafka does not answer, and counts as not ready until it does.
    pub(crate) fn watch(&mut self, health: &Health) {
        match self.window.oldest() {
            Some((partition, age)) if age > UNANSWERED => {
                if self.unanswered.is_none() {
                    tracing::warn!(
                        partition,
                        "Kafka has not acknowledged a batch for {UNANSWERED:?}: the partition waits, the others go on"
                    );
                    self.unanswered = Some(health.trouble());
                }
            }
            _ => self.unanswered = None,
        }
    }

    /// Ends the producer. Nothing may be in flight any more.
    pub(crate) async fn close(self) {
        // closing can hang while a broker is away
        let closing = aside(move || drop(self.outbox));
        drop(tokio::time::timeout(CLOSE, closing).await);
    }
}

/// The batch of the first events, as far as there is room.
fn batch_of<'e>(epoch: u64, room: Room, events: impl Iterator<Item = &'e RecordedEvent>) -> Option<Batch> {
    let mut events = events.take(room.records);
    let first = events.next()?;
    let mut batch = Batch {
        partition: first.partition,
        epoch,
        records: 1,
        bytes: size_of(first),
        last_position: first.position,
        last_event: first.into(),
        traced: Vec::from_iter(Traced::from_event(first)),
        sent: Instant::now(),
    };
    for event in events {
        if batch.bytes >= room.bytes {
            break;
        }
        batch.records += 1;
        batch.bytes += size_of(event);
        batch.last_position = event.position;
        batch.last_event = event.into();
        batch.traced.extend(Traced::from_event(event));
    }
    Some(batch)
}

/// Keeps the error that says most: a record that is too large, then one that Kafka refused, then the rest.
pub(crate) fn note(thrown_away: &mut ThrownAway, partition: i32, error: DeliveryError) {
    let weight = |error: &DeliveryError| (error.is_too_large(), is_refusal(error));
    let noted = thrown_away.entry(partition).or_default();
    if noted.as_ref().is_none_or(|noted| weight(noted) < weight(&error)) {
        *noted = Some(error);
    }
}

/// Whether the partition itself is the reason of a failure, not a producer that failed because of another one.
pub(crate) fn is_refusal(error: &DeliveryError) -> bool {
    use RDKafkaErrorCode::{Fatal, GaplessGuarantee, PurgeInflight, PurgeQueue};
    !matches!(error.error.rdkafka_error_code(), Some(Fatal | GaplessGuarantee | PurgeInflight | PurgeQueue))
}

#[cfg(test)]
mod tests {
    use millrace_store::Identity;
    use rdkafka::ClientContext;
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::record::tests::event_at;
    use super::*;

    #[test]
    fn a_batch_takes_what_there_is_room_for_and_at_least_one_event() {
        let events: Vec<_> = (1..=5).map(|position| event_at(2, position)).collect();
        let ends = |records, bytes| {
            let batch = batch_of(7, Room { records, bytes }, events.iter()).unwrap();
            assert_eq!((batch.partition, batch.epoch, batch.last_position), (2, 7, batch.records as i64));
            assert_eq!(batch.last_event, Identity::from(&events[batch.records - 1]));
            batch.records
        };
        let one = size_of(&events[0]);
        assert_eq!((ends(3, 100 * one), ends(100, 100 * one)), (3, 5));
        assert_eq!((ends(100, 1), ends(100, one), ends(100, one + 1)), (1, 1, 2));
        assert!(batch_of(7, Room { records: 9, bytes: 9 }, [].iter()).is_none());
    }

    #[test]
    fn of_a_partitions_errors_the_one_that_says_most_is_kept() {
        let error = |code| DeliveryError { topic: String::new(), error: KafkaError::MessageProduction(code) };
        let mut thrown_away = ThrownAway::from([(0, None), (1, None)]);
        for code in [
            RDKafkaErrorCode::PurgeQueue,
            RDKafkaErrorCode::InvalidTimestamp,
            RDKafkaErrorCode::MessageSizeTooLarge,
            RDKafkaErrorCode::PurgeInflight,
        ] {
            note(&mut thrown_away, 0, error(code));
        }
        assert!(thrown_away[&0].as_ref().is_some_and(DeliveryError::is_too_large));
        assert!(thrown_away[&1].is_none());
        assert!(!is_refusal(&error(RDKafkaErrorCode::Fatal)) && is_refusal(&error(RDKafkaErrorCode::InvalidTimestamp)));
    }

    fn producer(cluster: &MockCluster<'_, impl ClientContext>) -> Delivery {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("message.timeout.ms", "0")
            .set("topic.metadata.refresh.interval.ms", "200");
        Delivery::new(config, &"orders".parse().unwrap()).unwrap()
    }

    async fn send(delivery: &mut Delivery, partition: i32, positions: std::ops::RangeInclusive<i64>) {
        let events: Vec<_> = positions.map(|position| event_at(partition, position)).collect();
        let room = delivery.room(partition, 3).unwrap();
        assert_eq!(delivery.send(1, room, events.iter()).await.unwrap(), events.len());
    }

    /// Partition and last offset of the batches that end next.
    async fn ends(delivery: &mut Delivery, batches: usize) -> Vec<(i32, i64)> {
        let mut ends = Vec::new();
        while ends.len() < batches {
            let settled = tokio::time::timeout(Duration::from_secs(20), delivery.settled()).await.expect("delivered");
            ends.extend(settled.iter().map(|s| (s.batch.partition, s.result.clone().unwrap())));
        }
        ends.sort_unstable();
        ends
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_partition_without_a_leader_waits_and_the_others_go_on() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders.events", 3, 1).unwrap();
        cluster.partition_leader("orders.events", 1, None).unwrap();
        let mut delivery = producer(&cluster);
        send(&mut delivery, 1, 1..=3).await;
        send(&mut delivery, 0, 1..=2).await;
        send(&mut delivery, 2, 1..=5).await;
        assert_eq!(ends(&mut delivery, 2).await, [(0, 1), (2, 4)]);
        send(&mut delivery, 0, 3..=3).await;
        assert_eq!(ends(&mut delivery, 1).await, [(0, 2)]);
        assert!(!delivery.is_idle(1) && !delivery.is_broken());
        cluster.partition_leader("orders.events", 1, Some(1)).unwrap();
        assert_eq!(ends(&mut delivery, 1).await, [(1, 2)]);
        delivery.close().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_producer_that_kafka_refused_a_record_is_broken_and_its_successor_delivers() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders.events", 3, 1).unwrap();
        let mut delivery = producer(&cluster);
        send(&mut delivery, 0, 1..=2).await;
        assert_eq!(ends(&mut delivery, 1).await, [(0, 1)]);
        let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP;
        cluster.request_errors(RDKafkaApiKey::Produce, &[refused]);
        send(&mut delivery, 1, 1..=1).await;
        let settled = tokio::time::timeout(Duration::from_secs(20), delivery.settled()).await.expect("refused");
        assert!(settled[0].result.as_ref().is_err_and(is_refusal), "{settled:?}");
        assert!(delivery.is_broken());
        send_what_may_fail(&mut delivery, 2).await;
        let thrown_away = delivery.replace_producer().await.unwrap();
        assert!(thrown_away.values().flatten().all(|error| !is_refusal(error)), "{thrown_away:?}");
        assert!(delivery.is_empty() && !delivery.is_broken());
        send(&mut delivery, 1, 1..=1).await;
        assert_eq!(ends(&mut delivery, 1).await, [(1, 0)]);
        delivery.close().await;
    }

    /// To a producer that may have refused everything already.
    async fn send_what_may_fail(delivery: &mut Delivery, partition: i32) {
        let (room, events) = (delivery.room(partition, 3).unwrap(), [event_at(partition, 1)]);
        if let Err(error) = delivery.send(1, room, events.iter()).await {
            assert!(!is_refusal(&error), "{error}");
        }
    }
}
