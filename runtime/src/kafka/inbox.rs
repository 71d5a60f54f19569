//! Consuming: a thread of its own polls librdkafka and hands the records on, never more of them than fit.
//!
//! `StreamConsumer` has lost wake-ups (rust-rdkafka #665), so this polls. When what is handed on is not taken, the
//! partitions are paused and polling goes on, so that the group does not take the member for dead.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message, OwnedMessage};
use rdkafka::{ClientConfig, Offset, Statistics, TopicPartitionList};

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::aside::aside;
use super::fields::Fields;
use super::meter::Meter;
use super::trouble::Trouble;

/// Most bytes of records handed on and not yet dropped by the receiver.
const ROOM: usize = 16 * 1024 * 1024;
/// What a record costs beside its key, value and headers.
const RECORD_COST: usize = 512;
/// Longest wait inside one poll; bounds how late a stop is noticed.
const POLL: Duration = Duration::from_millis(100);
/// How long to wait for room before the partitions are paused. Far below the group's limit between polls.
const PATIENCE: Duration = Duration::from_secs(1);
/// A request to the brokers that takes longer has failed.
const ANSWER: Duration = Duration::from_secs(5);
/// How long leaving the group may take before the thread is left behind.
const CLOSE: Duration = Duration::from_secs(5);

/// A record, and the room that it takes up until it is dropped.
#[derive(Debug)]
pub struct Record {
    /// The record.
    pub message: OwnedMessage,
    _room: OwnedSemaphorePermit,
}

/// A member of a consumer group on one topic.
pub struct Inbox {
    offsets: Offsets,
    records: mpsc::UnboundedReceiver<Result<Record, KafkaError>>,
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

/// Where a member stands in its partitions, and goes on. Clones serve the same member.
#[derive(Clone)]
pub struct Offsets {
    topic: String,
    // the thread owns it, so that leaving the group, which can block, happens there
    consumer: Weak<BaseConsumer<Member>>,
}

struct Member {
    group: String,
    trouble: Trouble,
    meter: Meter,
    assigned: Assigned,
}

/// How many partitions a member has; its part of a gauge that the members of a process share.
struct Assigned {
    gauge: IntGauge,
    partitions: AtomicI64,
}

impl Assigned {
    fn set(&self, partitions: usize) {
        let now = i64::try_from(partitions).unwrap_or(i64::MAX);
        self.gauge.add(now - self.partitions.swap(now, Ordering::Relaxed));
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl ClientContext for Member {
    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.tell(&self.group, &error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.meter.read(&statistics);
    }
}

impl ConsumerContext for Member {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.meter.rebalanced();
        self.assigned.set(consumer.assignment().map_or(0, |assigned| assigned.count()));
        match rebalance {
            Rebalance::Assign(list) => tracing::info!(group = self.group, partitions = ?partitions(list), "assigned"),
            Rebalance::Revoke(list) => tracing::info!(group = self.group, partitions = ?partitions(list), "revoked"),
            Rebalance::Error(error) => tracing::warn!(group = self.group, %error, "rebalance failed"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(group = self.group, %error, "offsets not committed; they are a hint");
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(rdkafka::topic_partition_list::TopicPartitionListElem::partition).collect()
}

impl Offsets {
    /// Notes that everything up to and with `offset` is dealt with for good. Committed to Kafka within a second.
    pub fn done(&self, partition: i32, offset: i64) {
        if let Err(error) = self.consumer().and_then(|c| c.store_offset(&self.topic, partition, offset)) {
            tracing::debug!(partition, offset, %error, "offset not stored: the partition has moved on");
        }
    }

    /// Reads a partition again from `offset`. Records handed on before may still arrive first.
    ///
    /// # Errors
    /// When the partition is not assigned.
    pub async fn seek(&self, partition: i32, offset: i64) -> Result<(), KafkaError> {
        self.ask(move |consumer, topic| consumer.seek(topic, partition, Offset::Offset(offset), ANSWER)).await
    }

    /// Stops the flow of a partition until it is assigned anew.
    ///
    /// # Errors
    /// When the partition is not assigned.
    pub fn pause(&self, partition: i32) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        self.consumer()?.pause(&list)
    }

    /// First and next offset of a partition.
    ///
    /// # Errors
    /// When Kafka does not answer within 5 s.
    pub async fn watermarks(&self, partition: i32) -> Result<(i64, i64), KafkaError> {
        self.ask(move |consumer, topic| consumer.fetch_watermarks(topic, partition, ANSWER)).await
    }

    /// Number of partitions of the topic.
    ///
    /// # Errors
    /// When Kafka does not answer within 5 s.
    pub async fn partitions(&self) -> Result<usize, KafkaError> {
        let metadata = self.ask(|consumer, topic| consumer.fetch_metadata(Some(topic), ANSWER)).await?;
        Ok(metadata.topics().first().map_or(0, |topic| topic.partitions().len()))
    }

    /// The offset that the group goes on from in a partition; none when it has never been there.
    ///
    /// # Errors
    /// When Kafka does not answer within 5 s.
    pub async fn committed(&self, partition: i32) -> Result<Option<i64>, KafkaError> {
        let committed = self.ask(move |consumer, topic| {
            let mut list = TopicPartitionList::new();
            list.add_partition(topic, partition);
            consumer.committed_offsets(list, ANSWER)
        });
        let committed = committed.await?;
        Ok(committed.elements().first().and_then(|found| found.offset().to_raw()).filter(|offset| *offset >= 0))
    }

    /// Asks the brokers: on a thread beside, since the answer is waited for there.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&BaseConsumer<Member>, &str) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, KafkaError> {
        let offsets = self.clone();
        aside(move || question(&*offsets.consumer()?, &offsets.topic)).await?
    }

    fn consumer(&self) -> Result<Arc<BaseConsumer<Member>>, KafkaError> {
        self.consumer.upgrade().ok_or(KafkaError::Canceled)
    }
}

impl Inbox {
    /// Joins the group of `config` on `topic`; `assigned` shows how many partitions it has. Call inside a tokio runtime.
    ///
    /// # Errors
    /// When librdkafka refuses a setting, or no thread can be had.
    pub fn join(config: &ClientConfig, topic: &str, assigned: IntGauge) -> Result<Self, KafkaError> {
        let group = config.get("group.id").unwrap_or_default().to_owned();
        let member = Member {
            group,
            trouble: Trouble::default(),
            meter: Meter::of_consumer(),
            assigned: Assigned { gauge: assigned, partitions: AtomicI64::new(0) },
        };
        let consumer: BaseConsumer<Member> = Meter::switch_on(config).create_with_context(member)?;
        consumer.subscribe(&[topic])?;
        let consumer = Arc::new(consumer);
        let weak = Arc::downgrade(&consumer);
        let stop = CancellationToken::new();
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
        let offsets = Offsets { topic: topic.to_owned(), consumer: weak };
        Ok(Self { offsets, records, stop, thread: Some(thread) })
    }

    /// Waits for the next record. Cancel-safe.
    ///
    /// # Errors
    /// When librdkafka can't go on: join anew.
    pub async fn next(&mut self) -> Result<Record, KafkaError> {
        self.records.recv().await.ok_or(KafkaError::Canceled)?
    }

    /// Waits for a record and then, unless there are `limit` already, for `linger`; takes what has come in by then, at
    /// most `limit`. Nothing wakes it meanwhile: to be woken for each record costs more than the record. Cancelled, it
    /// leaves in `into` what it has taken: keep it.
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

    /// The handle by which others see to what is dealt with.
    pub fn offsets(&self) -> Offsets {
        self.offsets.clone()
    }

    /// Commits the offsets of what is done and leaves the group.
    pub async fn close(mut self) {
        self.stop.cancel();
        let Some(thread) = self.thread.take() else { return };
        let joined = tokio::task::spawn_blocking(move || thread.join());
        if tokio::time::timeout(CLOSE, joined).await.is_err() {
            tracing::warn!(topic = self.offsets.topic, "leaving the group takes too long; going without");
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The polling thread.
struct Poller {
    consumer: Arc<BaseConsumer<Member>>,
    sender: mpsc::UnboundedSender<Result<Record, KafkaError>>,
    room: Arc<Semaphore>,
    stop: CancellationToken,
    runtime: tokio::runtime::Handle,
}

impl Poller {
    fn run(self) {
        while !self.stop.is_cancelled() {
            match self.consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => self.hand_on(&message),
                Some(Err(error)) if is_final(&error) => {
                    let _ = self.sender.send(Err(error));
                    break;
                }
                Some(Err(error)) => self.trouble(&error),
            }
        }
        if let Err(error) = self.consumer.commit_consumer_state(rdkafka::consumer::CommitMode::Sync) {
            tracing::debug!(%error, "no offsets to commit on leaving");
        }
        self.consumer.unsubscribe();
    }

    /// Hands a record on as soon as there is room. What comes in while it waits is kept and follows in order: a record
    /// that was polled is never dropped, since the group counts it as read.
    fn hand_on(&self, message: &BorrowedMessage<'_>) {
        let mut held = VecDeque::from([message.detach()]);
        while let Some(message) = held.pop_front() {
            let cost = cost(&message);
            let room = self.wait_for_room(cost, PATIENCE).or_else(|| self.wait_paused(cost, &mut held));
            let Some(room) = room else { return }; // stopping: what is not handed on is not done with either
            // the receiver is gone only when the inbox is being dropped
            let _ = self.sender.send(Ok(Record { message, _room: room }));
        }
    }

    fn wait_for_room(&self, cost: u32, patience: Duration) -> Option<OwnedSemaphorePermit> {
        if let Ok(room) = self.room.clone().try_acquire_many_owned(cost) {
            return Some(room);
        }
        let acquire = self.room.clone().acquire_many_owned(cost);
        // the timeout is made inside: its timer needs the runtime
        self.runtime.block_on(async { tokio::time::timeout(patience, acquire).await.ok()?.ok() })
    }

    /// Pauses everything and goes on polling, so that the group does not take this member for dead, until there is
    /// room; `None` when stopping. Where pausing fails, it waits without polling.
    fn wait_paused(&self, cost: u32, held: &mut VecDeque<OwnedMessage>) -> Option<OwnedSemaphorePermit> {
        let room = loop {
            if self.stop.is_cancelled() {
                break None;
            }
            // each time anew: partitions may have been assigned meanwhile
            if self.pause_all().is_ok() {
                match self.consumer.poll(Duration::ZERO) {
                    Some(Ok(message)) => held.push_back(message.detach()),
                    Some(Err(error)) => self.trouble(&error),
                    None => {}
                }
            }
            if let Some(room) = self.wait_for_room(cost, POLL) {
                break Some(room);
            }
        };
        let resumed = self.consumer.assignment().and_then(|assigned| self.consumer.resume(&assigned));
        if let Err(error) = resumed {
            tracing::warn!(%error, "partitions stay paused until the next rebalance");
        }
        room
    }

    fn pause_all(&self) -> KafkaResult<()> {
        self.consumer.assignment().and_then(|assigned| self.consumer.pause(&assigned))
    }

    fn trouble(&self, error: &KafkaError) {
        let member = self.consumer.context();
        member.trouble.tell(&member.group, error, "polling");
    }
}

/// The room that a record takes up.
fn cost(message: &OwnedMessage) -> u32 {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let bytes = RECORD_COST + length(message.payload()) + length(message.key()) + Fields::bytes(message);
    u32::try_from(bytes.min(ROOM)).unwrap_or(u32::MAX)
}

fn is_final(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
}
