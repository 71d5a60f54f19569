//! Looks at Kafka: where the topics end, and how far the groups are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use millrace_runtime::Settings;
use millrace_runtime::kafka::client_config;
use millrace_schemas::LogName;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::places::Places;
use crate::kafka_state::partitions_by;

/// A request to the brokers fails after this time.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Looks at the topics and consumer groups of a log.
pub struct TopicsObserver {
    inside: Arc<Mutex<Inside>>,
}

/// A consumer group and the topic that it reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    pub name: String,
    pub topic: String,
}

/// The ends of the topics and the offsets of the groups at one moment.
#[derive(Debug, Default)]
pub struct TopicsLook {
    /// Kafka's own id of the cluster.
    pub cluster: String,
    /// First and next offset of each partition, by topic.
    pub ends: BTreeMap<String, Vec<(i64, i64)>>,
    /// The next offset of each group, by partition; absent where the group never committed.
    pub groups: BTreeMap<Group, BTreeMap<i32, i64>>,
    /// The position of the last event in the topic, by partition; absent where the record has no readable position.
    pub published: BTreeMap<i32, i64>,
    /// How far the writers have read the command topic, by partition.
    pub read: BTreeMap<i32, Read>,
}

/// How far the writers have read a partition of the command topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// The offset that a writer reads next.
    pub next: i64,
    /// The offset that the next record will get.
    pub end: i64,
    /// When the first unread command was sent; `None` when there is no such command or no time.
    pub since: Option<Timestamp>,
}

/// The blocking part, which one thread uses at a time.
struct Inside {
    log: LogName,
    /// Fetches the topics' ends, and reads single records.
    reader: BaseConsumer,
    last_events: Places,
    first_commands: Places,
    writers: Group,
    /// Consumers that ask for a group's offsets. They never join it.
    groups: Vec<(Group, BaseConsumer)>,
    cluster: Option<String>,
    partitions: BTreeMap<String, i32>,
}

impl TopicsObserver {
    /// An observer of the log in the settings, its `writers`, and the other `groups` with offsets. Connects at the
    /// first look.
    ///
    /// # Errors
    /// When librdkafka refuses a setting.
    pub fn new(settings: &Settings, writers: Group, groups: Vec<Group>) -> anyhow::Result<Self> {
        let log: LogName = settings.log.parse()?;
        let mut config = client_config(settings)?;
        // We read one record of each partition at a time, so fetch little. librdkafka insists on a group's name.
        config
            .set("group.id", "millrace.reader")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "10")
            .set("max.partition.fetch.bytes", "16384")
            .set("queued.max.messages.kbytes", "1024");
        let asking = std::iter::once(writers.clone()).chain(groups).map(|group| {
            let consumer = config.clone().set("group.id", &group.name).create()?;
            Ok((group, consumer))
        });
        let inside = Inside {
            groups: asking.collect::<anyhow::Result<_>>()?,
            reader: config.create()?,
            last_events: Places::of(log.events_topic()),
            first_commands: Places::of(log.commands_topic()),
            log,
            writers,
            cluster: None,
            partitions: BTreeMap::new(),
        };
        Ok(Self { inside: Arc::new(Mutex::new(inside)) })
    }

    /// Looks at the groups, and then at the topics, so that no group seems ahead of its topic.
    ///
    /// # Errors
    /// When Kafka does not answer, or lacks one of the topics.
    pub async fn look(&self) -> anyhow::Result<TopicsLook> {
        let inside = self.inside.clone();
        let looking = move || inside.lock().unwrap_or_else(PoisonError::into_inner).look();
        tokio::task::spawn_blocking(looking).await?
    }
}

impl Inside {
    fn look(&mut self) -> anyhow::Result<TopicsLook> {
        let mut look = TopicsLook { cluster: self.cluster()?, groups: self.group_offsets()?, ..TopicsLook::default() };
        let (commands, events) = (self.log.commands_topic(), self.log.events_topic());
        for topic in [&commands, &events, &self.log.dead_letters_topic()] {
            look.ends.insert(topic.clone(), self.ends(topic)?);
        }
        look.published = self.published(look.ends_of(&events))?;
        let offsets = look.groups.get(&self.writers).cloned().unwrap_or_default();
        look.read = self.read(look.ends_of(&commands), &offsets)?;
        Ok(look)
    }

    /// The position of each partition's last event.
    fn published(&mut self, ends: &[(i64, i64)]) -> anyhow::Result<BTreeMap<i32, i64>> {
        let with_records = (0..).zip(ends).filter(|(_, (low, end))| low < end);
        let last = with_records.map(|(partition, (_, end))| (partition, end - 1)).collect();
        let marks = self.last_events.read(&self.reader, &last, TIMEOUT)?;
        let never_written = (0..).zip(ends).filter(|(_, (_, end))| *end == 0).map(|(partition, _)| (partition, 0));
        Ok(marks
            .iter()
            .filter_map(|(partition, mark)| Some((*partition, mark.position?)))
            .chain(never_written)
            .collect())
    }

    /// How far the writers are. Records that retention has deleted, and offsets without a record, count as read.
    fn read(&mut self, ends: &[(i64, i64)], offsets: &BTreeMap<i32, i64>) -> anyhow::Result<BTreeMap<i32, Read>> {
        let read = (0..).zip(ends).map(|(partition, (low, end))| {
            let next = offsets.get(&partition).map_or(*low, |next| *next.clamp(low, end));
            (partition, Read { next, end: *end, since: None })
        });
        let mut read: BTreeMap<i32, Read> = read.collect();
        let unread = read.iter().filter(|(_, read)| read.next < read.end);
        let unread = unread.map(|(partition, read)| (*partition, read.next)).collect();
        let marks = self.first_commands.read(&self.reader, &unread, TIMEOUT)?;
        for (partition, read) in &mut read {
            match marks.get(partition) {
                Some(mark) => read.since = mark.timestamp,
                None => read.next = read.end,
            }
        }
        Ok(read)
    }

    fn cluster(&mut self) -> anyhow::Result<String> {
        if self.cluster.is_none() {
            self.cluster = self.reader.client().fetch_cluster_id(TIMEOUT);
        }
        self.cluster.clone().ok_or_else(|| anyhow::anyhow!("Kafka does not answer"))
    }

    fn ends(&mut self, topic: &str) -> anyhow::Result<Vec<(i64, i64)>> {
        let ends =
            (0..self.partitions(topic)?).map(|partition| self.reader.fetch_watermarks(topic, partition, TIMEOUT));
        Ok(ends.collect::<Result<_, _>>()?)
    }

    fn partitions(&mut self, topic: &str) -> anyhow::Result<i32> {
        if let Some(known) = self.partitions.get(topic) {
            return Ok(*known);
        }
        let found = partitions_by(&self.reader, topic)?;
        self.partitions.insert(topic.to_owned(), found);
        Ok(found)
    }

    fn group_offsets(&mut self) -> anyhow::Result<BTreeMap<Group, BTreeMap<i32, i64>>> {
        let topics: Vec<String> = self.groups.iter().map(|(group, _)| group.topic.clone()).collect();
        let counts = topics.iter().map(|topic| self.partitions(topic)).collect::<anyhow::Result<Vec<i32>>>()?;
        let mut found = BTreeMap::new();
        for ((group, consumer), partitions) in self.groups.iter().zip(counts) {
            let mut list = TopicPartitionList::new();
            list.add_partition_range(&group.topic, 0, partitions - 1);
            let committed = consumer.committed_offsets(list, TIMEOUT)?;
            let committed = committed.elements();
            let offsets = committed.iter().filter_map(|at| match at.offset() {
                Offset::Offset(offset) => Some((at.partition(), offset)),
                _ => None,
            });
            found.insert(group.clone(), offsets.collect::<BTreeMap<i32, i64>>());
        }
        Ok(found)
    }
}

impl TopicsLook {
    /// First and next offset of each partition of a topic.
    pub fn ends_of(&self, topic: &str) -> &[(i64, i64)] {
        self.ends.get(topic).map_or(&[], Vec::as_slice)
    }
}
