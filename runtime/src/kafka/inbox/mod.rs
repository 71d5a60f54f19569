//! Consuming: a thread of its own polls librdkafka and hands the records on, never more of them than fit.
//!
//! `StreamConsumer` has lost wake-ups (rust-rdkafka #665), so this polls. Promises: records of a partition arrive in
//! order; at most 16 MiB of them are on their way. Not promised: that a record comes only once; the receiver tells by its
//! own position.

mod member;
mod offsets;
mod poller;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use prometheus::IntGauge;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::meter::Meter;
use super::trouble::Trouble;
use member::{Assigned, Member};
pub use member::{Standing, StartOffsets};
pub use offsets::Offsets;
use poller::{Poller, ROOM};

/// How long leaving the group may take before the thread is left behind.
const CLOSE: Duration = Duration::from_secs(5);

/// A record, with the room that it takes up until it is dropped.
#[derive(Debug)]
pub struct Record {
    /// As Kafka delivered it.
    pub message: OwnedMessage,
    _room: OwnedSemaphorePermit,
}

/// A member of a consumer group on one topic. Dropped, it leaves the group in the background; [`Inbox::close`] waits
/// for that.
///
/// ```no_run
/// use millrace_runtime::Settings;
/// use millrace_runtime::kafka::{Inbox, consumer_config};
/// use rdkafka::Message;
///
/// # async fn example(settings: &Settings, gauge: prometheus::IntGauge) -> Result<(), Box<dyn std::error::Error>> {
/// let config = consumer_config(settings, "orders.audit.g1")?;
/// let mut inbox = Inbox::join(&config, "orders.events", gauge)?;
/// let record = inbox.next().await?;
/// // … make the record's effect durable, and only then:
/// inbox.offsets().done(record.message.partition(), record.message.offset());
/// inbox.close().await;
/// # Ok(())
/// # }
/// ```
pub struct Inbox {
    offsets: Offsets,
    records: mpsc::UnboundedReceiver<Result<Record, KafkaError>>,
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

impl Inbox {
    /// Joins the group of `config` on `topic`; the gauge `assigned` shows how many partitions the process holds. Call
    /// inside a tokio runtime.
    ///
    /// # Errors
    /// When librdkafka refuses a setting, or the system refuses a thread.
    pub fn join(config: &ClientConfig, topic: &str, assigned: IntGauge) -> Result<Self, KafkaError> {
        Self::join_from(config, topic, assigned, None)
    }

    /// The same; `starts` chooses where to begin reading the partitions that are assigned.
    ///
    /// # Errors
    /// As [`Inbox::join`].
    pub fn join_from(
        config: &ClientConfig,
        topic: &str,
        assigned: IntGauge,
        starts: Option<StartOffsets>,
    ) -> Result<Self, KafkaError> {
        let stop = CancellationToken::new();
        let member = Member {
            topic: topic.to_owned(),
            group: config.get("group.id").unwrap_or_default().to_owned(),
            starts,
            stop: stop.clone(),
            trouble: Trouble::default(),
            meter: Meter::of_consumer(),
            assigned: Assigned::none_of(assigned),
        };
        let consumer: BaseConsumer<Member> = Meter::switch_on(config).create_with_context(member)?;
        consumer.subscribe(&[topic])?;
        let consumer = Arc::new(consumer);
        let offsets = Offsets::new(topic, &consumer);
        let (sender, records) = mpsc::unbounded_channel();
        let poller = Poller {
            consumer,
            sender,
            room: Arc::new(Semaphore::new(ROOM)),
            stop: stop.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        let thread = thread::Builder::new().name(format!("poll {topic}")).spawn(move || poller.run());
        let thread = thread.map_err(|error| KafkaError::ClientCreation(format!("no thread for polling: {error}")))?;
        Ok(Self { offsets, records, stop, thread: Some(thread) })
    }

    /// Waits for the next record. Cancel-safe.
    ///
    /// # Errors
    /// When librdkafka can't go on: join anew.
    pub async fn next(&mut self) -> Result<Record, KafkaError> {
        self.records.recv().await.ok_or(KafkaError::Canceled)?
    }

    /// Waits for a record and then, unless there are `limit` already, for `linger`; takes the records that have come in
    /// by then, at most `limit`. Nothing wakes it meanwhile: to be woken for each record costs more than the record.
    /// Cancelled, it leaves in `into` the records that it has taken: keep them.
    ///
    /// # Errors
    /// When librdkafka can't go on: join anew.
    pub async fn next_batch(
        &mut self,
        into: &mut Vec<Record>,
        limit: usize,
        linger: Duration,
    ) -> Result<(), KafkaError> {
        if into.is_empty() {
            into.push(self.next().await?);
        }
        self.take_ready(into, limit)?;
        if into.len() < limit && !linger.is_zero() {
            tokio::time::sleep(linger).await;
            self.take_ready(into, limit)?;
        }
        Ok(())
    }

    fn take_ready(&mut self, into: &mut Vec<Record>, limit: usize) -> Result<(), KafkaError> {
        while into.len() < limit {
            match self.records.try_recv() {
                Ok(record) => into.push(record?),
                Err(_) => break, // when the sender is gone, the next wait tells
            }
        }
        Ok(())
    }

    /// A handle for the stages that finish the records.
    pub fn offsets(&self) -> Offsets {
        self.offsets.clone()
    }

    /// Commits the offsets of the records that are done and leaves the group, within 5 s or without waiting for it.
    pub async fn close(mut self) {
        self.stop.cancel();
        let Some(thread) = self.thread.take() else { return };
        let joined = tokio::task::spawn_blocking(move || thread.join());
        if tokio::time::timeout(CLOSE, joined).await.is_err() {
            tracing::warn!(topic = self.offsets.topic(), "leaving the group takes too long; going without");
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
