//! Reads single records of a topic at given offsets.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use millrace_runtime::kafka::Fields;
use millrace_schemas::headers::LOG_POSITION;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};

/// Longest wait inside one poll.
const POLL: Duration = Duration::from_millis(100);

/// The parts of a record that the lag needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The header `log-position`; `None` when it is missing or unreadable.
    pub position: Option<i64>,
    /// When the record's sender produced it.
    pub timestamp: Option<Timestamp>,
}

/// The last wanted record of each partition of a topic. A record never changes, so it is read only once.
#[derive(Debug)]
pub struct Places {
    topic: String,
    /// The records of the last call, by partition and offset.
    known: HashMap<(i32, i64), Mark>,
}

impl Places {
    /// Has no record of the topic yet.
    pub fn of(topic: String) -> Self {
        Self { topic, known: HashMap::new() }
    }

    /// The first record at or after each of these offsets, by partition; absent where there is no such record. Blocks.
    ///
    /// # Errors
    /// When Kafka does not answer in time.
    pub fn read(
        &mut self,
        consumer: &BaseConsumer,
        places: &BTreeMap<i32, i64>,
        timeout: Duration,
    ) -> Result<BTreeMap<i32, Mark>, KafkaError> {
        let place = |(partition, offset): (&i32, &i64)| (*partition, *offset);
        let mut unknown: HashMap<i32, i64> = places.iter().map(place).collect();
        unknown.retain(|partition, offset| !self.known.contains_key(&(*partition, *offset)));
        if !unknown.is_empty() {
            let fetched = self.fetch(consumer, unknown, timeout);
            consumer.unassign()?;
            self.known.extend(fetched?);
        }
        self.known.retain(|(partition, offset), _| places.get(partition) == Some(offset));
        Ok(self.known.iter().map(|((partition, _), mark)| (*partition, *mark)).collect())
    }

    fn fetch(
        &self,
        consumer: &BaseConsumer,
        mut wanted: HashMap<i32, i64>,
        timeout: Duration,
    ) -> Result<HashMap<(i32, i64), Mark>, KafkaError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in &wanted {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))?;
        }
        consumer.assign(&list)?;
        let deadline = Instant::now() + timeout;
        let mut read = HashMap::new();
        let mut error = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
        while !wanted.is_empty() {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    if let Some(offset) = wanted.remove(&message.partition()) {
                        read.insert((message.partition(), offset), Mark::from(&message));
                    }
                }
                // offsets without records: transaction markers, compaction
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(wanted.remove(&partition)),
                Some(Err(other)) => error = other,
                None => {}
            }
            if Instant::now() > deadline {
                return Err(error);
            }
        }
        Ok(read)
    }
}

impl From<&BorrowedMessage<'_>> for Mark {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let position = Fields::of(message).text(LOG_POSITION).and_then(|position| position.parse().ok());
        let timestamp = message.timestamp().to_millis().and_then(|millis| Timestamp::from_millisecond(millis).ok());
        Self { position, timestamp }
    }
}
