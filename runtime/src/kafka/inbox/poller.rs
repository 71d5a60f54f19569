//! The polling thread. It hands records on while there is room for them, and otherwise pauses the partitions and goes
//! on polling, so that the group does not take the member for dead.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message, OwnedMessage};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::Record;
use super::member::Member;
use crate::kafka::fields::Fields;

/// Most bytes of records that are handed on and not yet dropped by the receiver.
pub(super) const ROOM: usize = 16 * 1024 * 1024;
/// Bytes that a record costs beside its key, value and headers.
const RECORD_COST: usize = 512;
/// Longest wait inside one poll; bounds how late a stop is noticed.
const POLL: Duration = Duration::from_millis(100);
/// How long to wait for room before the partitions are paused. Far below the group's limit between polls.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the polling thread owns.
pub(super) struct Poller {
    pub(super) consumer: Arc<BaseConsumer<Member>>,
    pub(super) sender: mpsc::UnboundedSender<Result<Record, KafkaError>>,
    /// A permit is a byte.
    pub(super) room: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
    pub(super) runtime: tokio::runtime::Handle,
}

impl Poller {
    /// Polls until the inbox stops or librdkafka can't go on; then commits what is done and leaves the group.
    pub(super) fn run(self) {
        while !self.stop.is_cancelled() {
            match self.consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => self.hand_on(&message),
                Some(Err(error)) if is_final(&error) => {
                    // nobody listens when the inbox is being dropped
                    let _ = self.sender.send(Err(error));
                    break;
                }
                Some(Err(error)) => self.trouble(&error),
            }
        }
        if let Err(error) = self.consumer.commit_consumer_state(CommitMode::Sync) {
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
            // stopping: a record that is not handed on is not done either, and comes again
            let Some(room) = room else { return };
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

    /// Pauses every partition and goes on polling until there is room; `None` when stopping. Where pausing fails, it
    /// waits without polling.
    fn wait_paused(&self, cost: u32, held: &mut VecDeque<OwnedMessage>) -> Option<OwnedSemaphorePermit> {
        let room = loop {
            if self.stop.is_cancelled() {
                break None;
            }
            // each time anew: partitions may have been assigned meanwhile
            if self.pause_all().is_ok() {
                match self.consumer.poll(Duration::ZERO) {
                    // fetched before the pause
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

/// The room that a record takes up, in bytes. One that is larger than all the room takes all of it.
fn cost(message: &OwnedMessage) -> u32 {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let bytes = RECORD_COST + length(message.payload()) + length(message.key()) + Fields::bytes(message);
    u32::try_from(bytes.min(ROOM)).unwrap_or(u32::MAX)
}

fn is_final(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
}
