//! The end of the topic's partitions, read from Kafka.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use millrace_runtime::kafka::{Fields, aside};
use millrace_schemas::headers::{CE_ID, CE_TIME, LOG_POSITION};
use millrace_store::Identity;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::metadata::MetadataTopic;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use uuid::Uuid;

/// How long reading the last records may take.
const LAST_RECORDS: Duration = Duration::from_secs(5);
/// How long a reading further back may take.
const FURTHER_BACK: Duration = Duration::from_secs(60);
/// How long asking for one partition's offsets may take.
const OFFSETS: Duration = Duration::from_secs(2);
/// Longest wait inside one poll.
const POLL: Duration = Duration::from_millis(100);

/// Which event a record of the topic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) position: i64,
    pub(crate) event_id: Uuid,
    /// The header `ce_time`, to the microsecond; `None` when it is missing or unreadable.
    pub(crate) recorded_at: Option<Timestamp>,
}

impl Stamp {
    /// Whether the record is of this event, as far as it says.
    pub(crate) fn is_of(self, event: Identity) -> bool {
        self.event_id == event.event_id && self.recorded_at.is_none_or(|at| at == event.recorded_at)
    }
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
    /// No relay wrote the records looked at.
    Foreign,
}

/// A partition's end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartitionTail {
    pub(crate) tail: Tail,
    /// The offset that the next record gets.
    pub(crate) next_offset: i64,
}

/// A partition's end, or why it could not be read.
pub(crate) type ReadTail = Result<PartitionTail, KafkaError>;

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

    /// The broker that leads each partition of the topic; partitions without a leader are left out.
    ///
    /// # Errors
    /// When no broker answers in time.
    pub(crate) async fn leaders(&self) -> Result<BTreeMap<i32, i32>, KafkaError> {
        let (config, topic) = (self.config.clone(), self.topic.clone());
        aside(move || {
            let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet)?;
            let metadata = consumer.fetch_metadata(Some(&topic), LAST_RECORDS)?;
            let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            Ok(partitions.filter(|p| p.leader() >= 0).map(|p| (p.id(), p.leader())).collect())
        })
        .await?
    }

    /// Looks at the last `depth` offsets of each partition. One that does not answer in time fails alone.
    pub(crate) async fn read(&self, partitions: Vec<i32>, depth: i64) -> Vec<(i32, ReadTail)> {
        let (config, topic, asked) = (self.config.clone(), self.topic.clone(), partitions.clone());
        let read = aside(move || read_tails(&config, &topic, &asked, depth)).await;
        let failed = |error: KafkaError| partitions.iter().map(|p| (*p, Err(error.clone()))).collect();
        read.flatten().unwrap_or_else(failed)
    }
}

/// Reaching the end of a partition is what the reader wants, and the caller tries again after errors: neither belongs in
/// the log.
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
) -> Result<Vec<(i32, ReadTail)>, KafkaError> {
    let deadline = Instant::now() + if depth > 1 { FURTHER_BACK } else { LAST_RECORDS };
    let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet)?;
    let (mut ends, mut scans) = (Vec::with_capacity(partitions.len()), BTreeMap::new());
    let mut wanted = TopicPartitionList::new();
    for &partition in partitions {
        let left = deadline.saturating_duration_since(Instant::now());
        match consumer.fetch_watermarks(topic, partition, left.min(OFFSETS)) {
            Ok((low, high)) => {
                if high > low {
                    wanted.add_partition_offset(topic, partition, Offset::Offset(low.max(high - depth)))?;
                }
                let done = high == low;
                scans.insert(partition, Scan { low, next_offset: high, records: 0, highest: None, done });
            }
            Err(error) => ends.push((partition, Err(error))),
        }
    }
    consumer.assign(&wanted)?;
    let error = scan(&consumer, &mut scans, deadline);
    let end = |s: Scan| {
        if s.done { Ok(PartitionTail { tail: s.tail(), next_offset: s.next_offset }) } else { Err(error.clone()) }
    };
    ends.extend(scans.into_iter().map(|(partition, s)| (partition, end(s))));
    Ok(ends)
}

/// Reads until every partition has come to its end, or the deadline is over. Returns what is wrong with those that have
/// not.
fn scan(consumer: &BaseConsumer<Quiet>, scans: &mut BTreeMap<i32, Scan>, deadline: Instant) -> KafkaError {
    let mut error = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
    while scans.values().any(|scan| !scan.done) && Instant::now() < deadline {
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
    }
    error
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
    let recorded_at = fields.text(CE_TIME).and_then(|text| text.parse().ok());
    Some(Stamp { position, event_id: fields.text(CE_ID)?.parse().ok()?, recorded_at })
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;

    fn scan(low: i64, high: i64) -> Scan {
        Scan { low, next_offset: high, records: 0, highest: None, done: false }
    }

    fn stamp(position: i64) -> Option<Stamp> {
        Some(Stamp { position, event_id: Uuid::from_u128(position as u128), recorded_at: None })
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

    #[tokio::test]
    async fn a_partition_without_a_leader_fails_alone() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders.events", 3, 1).unwrap();
        cluster.partition_leader("orders.events", 1, None).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "orders.relay.tail");
        let tails = TailReader::new(config, "orders.events");
        assert_eq!(tails.leaders().await.unwrap(), BTreeMap::from([(0, 1), (2, 1)]));
        let read: BTreeMap<i32, ReadTail> = tails.read(vec![0, 1, 2], 1).await.into_iter().collect();
        let end = |partition| read[&partition].as_ref().ok().map(|end| (end.tail, end.next_offset));
        let never_written = Some((Tail::NeverWritten, 0));
        assert_eq!((end(0), end(1), end(2)), (never_written, None, never_written));
    }
}
