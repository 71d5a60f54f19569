//! The end of the topic's partitions, read from Kafka.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_runtime::kafka::{Fields, aside};
use millrace_schemas::headers::{CE_ID, LOG_POSITION};
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use uuid::Uuid;

/// How long reading the last records may take.
const LAST_RECORDS: Duration = Duration::from_secs(5);
/// How long a reading further back may take.
const FURTHER_BACK: Duration = Duration::from_secs(60);
/// Longest wait inside one poll.
const POLL: Duration = Duration::from_millis(100);

/// Which event a record of the topic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) position: i64,
    pub(crate) event_id: Uuid,
}

/// How a partition of the topic ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing was ever written.
    NeverWritten,
    /// It had records, and none is there.
    Emptied,
    /// The highest position among the records looked at; the last one, unless two relays wrote at once.
    At(Stamp),
    /// The records looked at are none of a relay's.
    Foreign,
}

/// A partition's end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartitionTail {
    pub(crate) partition: i32,
    pub(crate) tail: Tail,
    /// The offset that the next record gets.
    pub(crate) next_offset: i64,
}

/// Reads the ends of a topic's partitions.
pub(crate) struct TailReader {
    config: ClientConfig,
    topic: String,
}

impl TailReader {
    /// For `topic`; `config` is a consumer's.
    pub(crate) fn new(mut config: ClientConfig, topic: &str) -> Self {
        config
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_uncommitted")
            .set("fetch.wait.max.ms", "10")
            // the default, a second, is how long a full queue stops fetching; reading further back fills it
            .set("fetch.queue.backoff.ms", "10");
        Self { config, topic: topic.to_owned() }
    }

    /// Looks at the last `depth` offsets of each partition.
    ///
    /// # Errors
    /// When Kafka does not answer in time.
    pub(crate) async fn read(&self, partitions: Vec<i32>, depth: i64) -> Result<Vec<PartitionTail>, KafkaError> {
        let (config, topic) = (self.config.clone(), self.topic.clone());
        aside(move || read_tails(&config, &topic, &partitions, depth)).await?
    }
}

/// The end of a partition is what is looked for here, and errors are retried by the caller: neither is worth a line.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "while reading the topic's tail");
    }
}

impl ConsumerContext for Quiet {}

/// What was seen of a partition.
struct Scan {
    low: i64,
    next_offset: i64,
    records: u64,
    highest: Option<Stamp>,
    done: bool,
}

fn read_tails(
    config: &ClientConfig,
    topic: &str,
    partitions: &[i32],
    depth: i64,
) -> Result<Vec<PartitionTail>, KafkaError> {
    let deadline = Instant::now() + if depth > 1 { FURTHER_BACK } else { LAST_RECORDS };
    let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet)?;
    let mut scans = BTreeMap::new();
    let mut wanted = TopicPartitionList::new();
    for &partition in partitions {
        let left = deadline.saturating_duration_since(Instant::now());
        let (low, high) = consumer.fetch_watermarks(topic, partition, left)?;
        if high > low {
            wanted.add_partition_offset(topic, partition, Offset::Offset(low.max(high - depth)))?;
        }
        scans.insert(partition, Scan { low, next_offset: high, records: 0, highest: None, done: high == low });
    }
    consumer.assign(&wanted)?;
    scan(&consumer, &mut scans, deadline)?;
    let ends = scans.into_iter();
    Ok(ends.map(|(partition, s)| PartitionTail { partition, tail: s.tail(), next_offset: s.next_offset }).collect())
}

fn scan(consumer: &BaseConsumer<Quiet>, scans: &mut BTreeMap<i32, Scan>, deadline: Instant) -> Result<(), KafkaError> {
    let mut error = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
    while scans.values().any(|scan| !scan.done) {
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(record)) => {
                if let Some(scan) = scans.get_mut(&record.partition()) {
                    scan.see(record.offset(), stamp_of(&record));
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if let Some(scan) = scans.get_mut(&partition) {
                    scan.done = true;
                }
            }
            Some(Err(other)) => error = other,
        }
        if Instant::now() > deadline {
            return Err(error);
        }
    }
    Ok(())
}

impl Scan {
    fn see(&mut self, offset: i64, stamp: Option<Stamp>) {
        self.records += 1;
        self.next_offset = self.next_offset.max(offset + 1);
        if stamp.map(|s| s.position) > self.highest.map(|s| s.position) {
            self.highest = stamp;
        }
    }

    fn tail(&self) -> Tail {
        match self.highest {
            Some(stamp) => Tail::At(stamp),
            None if self.records > 0 => Tail::Foreign,
            None if self.low == 0 && self.next_offset == 0 => Tail::NeverWritten,
            None => Tail::Emptied,
        }
    }
}

fn stamp_of(record: &impl Message) -> Option<Stamp> {
    let fields = Fields::of(record);
    let position = fields.text(LOG_POSITION)?.parse().ok().filter(|position| *position > 0)?;
    Some(Stamp { position, event_id: fields.text(CE_ID)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(low: i64, high: i64) -> Scan {
        Scan { low, next_offset: high, records: 0, highest: None, done: false }
    }

    fn stamp(position: i64) -> Option<Stamp> {
        Some(Stamp { position, event_id: Uuid::from_u128(position as u128) })
    }

    #[test]
    fn the_highest_position_counts_where_two_relays_wrote_at_once() {
        let mut scan = scan(0, 40);
        for (offset, position) in [(36, 17), (37, 18), (38, 11), (39, 12)] {
            scan.see(offset, stamp(position));
        }
        assert_eq!(scan.tail(), Tail::At(stamp(18).unwrap()));
        scan.see(40, None);
        assert_eq!(scan.next_offset, 41, "a record that came meanwhile");
    }

    #[test]
    fn an_end_without_records_of_a_relay() {
        assert_eq!(scan(0, 0).tail(), Tail::NeverWritten);
        assert_eq!(scan(5, 5).tail(), Tail::Emptied);
        assert_eq!(scan(0, 5).tail(), Tail::Emptied, "compacted away");
        let mut foreign = scan(0, 5);
        foreign.see(4, None);
        assert_eq!(foreign.tail(), Tail::Foreign);
    }
}
