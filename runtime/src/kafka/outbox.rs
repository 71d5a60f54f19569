//! Producing: whole batches, each with one answer when all its records are delivered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Statistics};
use tokio::sync::oneshot;

use super::meter::Meter;
use super::trouble::Trouble;

/// Time between two tries while librdkafka's queue is full.
const FULL_QUEUE_WAIT: Duration = Duration::from_millis(2);

/// A record to produce.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Where it goes.
    pub topic: &'a str,
    /// The partition's number; `None`: the one that the key has by Kafka's default partitioner.
    pub partition: Option<i32>,
    /// Absent where order among records does not matter.
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// In the order in which readers see them.
    pub headers: OwnedHeaders,
    /// Milliseconds since 1970; `None`: now.
    pub timestamp: Option<i64>,
}

/// Where a batch's records are: the last offset by topic and partition.
pub type Delivered = BTreeMap<(String, i32), i64>;

/// A record was not delivered. Some records of the batch may have been.
#[derive(Debug, Clone, thiserror::Error)]
#[error("Kafka did not take a record for {topic}: {error}")]
pub struct DeliveryError {
    /// The topic that the record was for.
    pub topic: String,
    /// librdkafka's reason, or the brokers'.
    pub error: KafkaError,
}

impl DeliveryError {
    /// Whether this record can never be delivered, whatever the state of the brokers.
    pub fn is_too_large(&self) -> bool {
        self.error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
    }
}

/// An idempotent producer. Records of one partition arrive in the order in which they were sent, each once, for as long
/// as this producer lives.
///
/// ```no_run
/// use millrace_runtime::Settings;
/// use millrace_runtime::kafka::{Outbox, Outgoing, producer_config};
/// use rdkafka::message::OwnedHeaders;
///
/// # async fn example(settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
/// let outbox = Outbox::new(&producer_config(settings)?)?;
/// let record = Outgoing {
///     topic: "orders.outcomes",
///     partition: None,
///     key: Some(b"command-1"),
///     value: Some(b"..."),
///     headers: OwnedHeaders::new(),
///     timestamp: None,
/// };
/// let offsets = outbox.deliver([record]).await?;
/// # Ok(())
/// # }
/// ```
pub struct Outbox {
    producer: ThreadedProducer<Reports>,
}

/// Counts the deliveries of one batch; the last one reports.
struct Batch {
    state: Mutex<BatchState>,
}

struct BatchState {
    pending: usize,
    delivered: Delivered,
    error: Option<DeliveryError>,
    report: Option<oneshot::Sender<Result<Delivered, DeliveryError>>>,
}

struct Reports {
    trouble: Trouble,
    meter: Meter,
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.tell("producer", &error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.meter.read(&statistics);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Batch>;

    fn delivery(&self, result: &DeliveryResult<'_>, batch: Arc<Batch>) {
        match result {
            Ok(message) => batch.settle(Ok((message.topic(), message.partition(), message.offset()))),
            Err((error, message)) => {
                batch.settle(Err(DeliveryError { topic: message.topic().to_owned(), error: error.clone() }));
            }
        }
    }
}

impl Batch {
    /// Notes how one record ended: delivered at a place, or failed.
    fn settle(&self, outcome: Result<(&str, i32, i64), DeliveryError>) {
        let mut state = self.state();
        match outcome {
            Ok((topic, partition, offset)) => state.delivered_at(topic, partition, offset),
            Err(error) => {
                state.error.get_or_insert(error);
            }
        }
        state.one_less();
    }

    fn state(&self) -> MutexGuard<'_, BatchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BatchState {
    fn delivered_at(&mut self, topic: &str, partition: i32, offset: i64) {
        match self.delivered.iter_mut().find(|((t, p), _)| t == topic && *p == partition) {
            Some((_, last)) => *last = (*last).max(offset),
            None => {
                self.delivered.insert((topic.to_owned(), partition), offset);
            }
        }
    }

    fn one_less(&mut self) {
        self.pending -= 1;
        if self.pending == 0 {
            let result = self.error.take().map_or_else(|| Ok(std::mem::take(&mut self.delivered)), Err);
            if let Some(report) = self.report.take() {
                // nobody listens when the sender was cancelled
                let _ = report.send(result);
            }
        }
    }
}

impl Outbox {
    /// Makes the producer. It connects by itself, now and whenever the connection is lost.
    ///
    /// # Errors
    /// When librdkafka refuses a setting.
    pub fn new(config: &ClientConfig) -> Result<Self, KafkaError> {
        let reports = Reports { trouble: Trouble::default(), meter: Meter::of_producer() };
        Ok(Self { producer: Meter::switch_on(config).create_with_context(reports)? })
    }

    /// Hands a batch to librdkafka, waiting for room in its queue. The receiver gets the answer when all records are
    /// delivered or have failed. Cancelled, it has sent some of the records.
    ///
    /// # Errors
    /// When librdkafka refuses a record outright; those before it may be delivered.
    pub async fn send<'a>(
        &self,
        records: impl IntoIterator<Item = Outgoing<'a>>,
    ) -> Result<oneshot::Receiver<Result<Delivered, DeliveryError>>, DeliveryError> {
        let (report, receiver) = oneshot::channel();
        // one more than the records, so that the batch can't end before all of it is handed over
        let state = BatchState { pending: 1, delivered: Delivered::new(), error: None, report: Some(report) };
        let batch = Arc::new(Batch { state: Mutex::new(state) });
        let mut refused = Ok(());
        for record in records {
            batch.state().pending += 1;
            if let Err(error) = self.enqueue(record, &batch).await {
                batch.settle(Err(error.clone()));
                refused = Err(error);
                break;
            }
        }
        batch.state().one_less();
        refused.map(|()| receiver)
    }

    /// Sends a batch and waits until every record of it is delivered.
    ///
    /// # Errors
    /// When a record was not delivered; the others may have been.
    pub async fn deliver<'a>(
        &self,
        records: impl IntoIterator<Item = Outgoing<'a>>,
    ) -> Result<Delivered, DeliveryError> {
        let receiver = self.send(records).await?;
        let purged = || DeliveryError {
            topic: String::new(),
            error: KafkaError::MessageProduction(RDKafkaErrorCode::PurgeQueue),
        };
        receiver.await.unwrap_or_else(|_| Err(purged()))
    }

    async fn enqueue(&self, record: Outgoing<'_>, batch: &Arc<Batch>) -> Result<(), DeliveryError> {
        let mut message = BaseRecord::with_opaque_to(record.topic, batch.clone()).headers(record.headers);
        message.key = record.key;
        message.payload = record.value;
        message.partition = record.partition;
        message.timestamp = record.timestamp;
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), returned)) => {
                    message = returned;
                    tokio::time::sleep(FULL_QUEUE_WAIT).await;
                }
                Err((error, _)) => {
                    return Err(DeliveryError { topic: record.topic.to_owned(), error });
                }
            }
        }
    }

    /// Why the producer will deliver nothing any more, if that is so: an idempotent producer stops for good when it can't
    /// keep its promise.
    pub fn fatal_error(&self) -> Option<String> {
        self.producer.client().fatal_error().map(|(code, reason)| format!("{code}: {reason}"))
    }

    /// Drops the producer with the records that it still holds, on a thread of its own: that can block while a broker is
    /// away.
    pub fn discard(self) {
        let discarding = thread::Builder::new().name("discard a producer".into()).spawn(move || self.purge());
        if let Err(error) = discarding {
            // the closure was dropped, and the producer with it
            tracing::warn!(%error, "no thread; a producer that failed was ended where it was used");
        }
    }

    /// Drops the records that are queued or in flight; their batches end with an error. Call it before dropping a producer
    /// that failed.
    pub fn purge(&self) {
        self.producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
    }
}
