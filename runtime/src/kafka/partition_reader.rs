//! Reading one partition up to its present end, outside of any group.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// A request to the brokers that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Reads a partition from an offset up to the end that it had when the reader was made. Blocks: use it on a thread of its
/// own, or with [`aside`](super::aside).
///
/// ```no_run
/// use millrace_runtime::kafka::PartitionReader;
/// use rdkafka::{ClientConfig, Message};
///
/// # fn example(config: &ClientConfig) -> Result<(), rdkafka::error::KafkaError> {
/// let mut reader = PartitionReader::open(config, "orders.events", 0, None)?;
/// while let Some(offset) = reader.next(|record| record.offset())? {
///     println!("{offset}");
/// }
/// # Ok(())
/// # }
/// ```
pub struct PartitionReader {
    consumer: BaseConsumer,
    first: i64,
    end: i64,
    next: i64,
}

impl PartitionReader {
    /// Begins at offset `from`, or at the partition's first record where that is later or `from` is `None`.
    ///
    /// # Errors
    /// When Kafka does not answer, or has no such partition.
    pub fn open(config: &ClientConfig, topic: &str, partition: i32, from: Option<i64>) -> Result<Self, KafkaError> {
        let mut config = config.clone();
        // The last offsets may hold no records (transaction markers, compaction). Told of the end, the reader does not
        // wait for them.
        config
            .set("group.id", "millrace.reader")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create()?;
        let (first, end) = consumer.fetch_watermarks(topic, partition, TIMEOUT)?;
        let next = from.unwrap_or(first).max(first);
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, partition, Offset::Offset(next))?;
        if next < end {
            consumer.assign(&assignment)?;
        }
        Ok(Self { consumer, first, end, next })
    }

    /// The first offset that the partition still has.
    pub fn first_offset(&self) -> i64 {
        self.first
    }

    /// The offset that the next record written would have had when the reader was made.
    pub fn end_offset(&self) -> i64 {
        self.end
    }

    /// Hands the next record to `look`; `None` at the end.
    ///
    /// # Errors
    /// When Kafka does not answer within 15 s.
    pub fn next<T>(&mut self, look: impl FnOnce(&BorrowedMessage<'_>) -> T) -> Result<Option<T>, KafkaError> {
        if self.next >= self.end {
            return Ok(None);
        }
        match self.consumer.poll(TIMEOUT) {
            Some(Ok(message)) if message.offset() >= self.end => Ok(None),
            Some(Ok(message)) => {
                self.next = message.offset() + 1;
                Ok(Some(look(&message)))
            }
            Some(Err(KafkaError::PartitionEOF(_))) => Ok(None),
            Some(Err(error)) => Err(error),
            None => Err(KafkaError::MessageConsumption(rdkafka::error::RDKafkaErrorCode::OperationTimedOut)),
        }
    }
}
