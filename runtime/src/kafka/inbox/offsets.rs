//! Where a member stands in its partitions, and what it asks the brokers about them.

use std::sync::{Arc, Weak};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};

use super::member::{ANSWER, Member, committed_offset};
use crate::kafka::aside::aside;
use crate::kafka::members;

/// The handle by which the stages after an inbox move it on. Clones serve the same member. Once the inbox has left its
/// group, every call fails with [`KafkaError::Canceled`].
#[derive(Clone)]
pub struct Offsets {
    topic: String,
    // the polling thread owns the consumer, so that leaving the group, which can block, happens there
    consumer: Weak<BaseConsumer<Member>>,
}

impl Offsets {
    pub(super) fn new(topic: &str, consumer: &Arc<BaseConsumer<Member>>) -> Self {
        Self { topic: topic.to_owned(), consumer: Arc::downgrade(consumer) }
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// Notes that every record up to and including `offset` has had its effect for good. Committed to Kafka within a
    /// second.
    pub fn done(&self, partition: i32, offset: i64) {
        if let Err(error) = self.consumer().and_then(|c| c.store_offset(&self.topic, partition, offset)) {
            tracing::debug!(partition, offset, %error, "offset not stored: the partition has moved on");
        }
    }

    /// Reads a partition again from `offset`. Records that were handed on before may still arrive first.
    ///
    /// # Errors
    /// When the partition is not assigned.
    pub async fn seek(&self, partition: i32, offset: i64) -> Result<(), KafkaError> {
        self.ask(move |consumer, topic| consumer.seek(topic, partition, Offset::Offset(offset), ANSWER)).await
    }

    /// Stops the flow of a partition until it is resumed or assigned anew.
    ///
    /// # Errors
    /// When the partition is not assigned.
    pub fn pause(&self, partition: i32) -> Result<(), KafkaError> {
        self.consumer()?.pause(&self.only(partition))
    }

    /// Fetches a partition again that was paused.
    ///
    /// # Errors
    /// When the partition is not assigned any more.
    pub fn resume(&self, partition: i32) -> Result<(), KafkaError> {
        self.consumer()?.resume(&self.only(partition))
    }

    /// The partitions that this member holds now.
    ///
    /// # Errors
    /// When librdkafka does not tell.
    pub async fn assigned(&self) -> Result<Vec<i32>, KafkaError> {
        let assigned = self.ask(|consumer, _| consumer.assignment()).await?;
        Ok(assigned.elements().iter().map(|element| element.partition()).collect())
    }

    /// The client ids of the group's members.
    ///
    /// # Errors
    /// When Kafka does not answer within 5 s.
    pub async fn member_client_ids(&self) -> Result<Vec<String>, KafkaError> {
        self.ask(|consumer, _| members::client_ids(consumer, &consumer.context().group)).await
    }

    /// The first offset that a partition still has, and the one that its next record gets.
    ///
    /// # Errors
    /// When Kafka does not answer within 5 s.
    pub async fn watermarks(&self, partition: i32) -> Result<(i64, i64), KafkaError> {
        self.ask(move |consumer, topic| consumer.fetch_watermarks(topic, partition, ANSWER)).await
    }

    /// How many partitions the topic has; 0 when it does not exist.
    ///
    /// # Errors
    /// When Kafka does not answer within 5 s.
    pub async fn partitions(&self) -> Result<usize, KafkaError> {
        let metadata = self.ask(|consumer, topic| consumer.fetch_metadata(Some(topic), ANSWER)).await?;
        Ok(metadata.topics().first().map_or(0, |topic| topic.partitions().len()))
    }

    /// The offset from which the group goes on in a partition; `None` when it has never committed one.
    ///
    /// # Errors
    /// When Kafka does not answer within 5 s.
    pub async fn committed(&self, partition: i32) -> Result<Option<i64>, KafkaError> {
        let list = self.only(partition);
        let committed = self.ask(move |consumer, _| consumer.committed_offsets(list, ANSWER)).await?;
        Ok(committed.elements().first().and_then(committed_offset))
    }

    fn only(&self, partition: i32) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        list
    }

    /// Asks the brokers on another thread, because librdkafka blocks until they answer.
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
