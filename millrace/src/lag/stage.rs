//! How far behind each stage of the pipeline is.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::kafka::{Group, TopicsLook};
use super::postgres::LogLook;

/// A stage and how far it is in each partition. What can't be known is absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// `writer`, `relay`, or a projector's name.
    pub name: String,
    /// Its consumer group, if it is the usual one.
    pub group: Group,
    /// By partition.
    pub partitions: BTreeMap<i32, Behind>,
}

/// How far behind one partition is: in commands' offsets for the writer, in positions for the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behind {
    /// Where the stage before has got.
    pub head: i64,
    /// Where this stage has got.
    pub applied: i64,
    /// How old the first is that it lacks, in seconds; 0 when it lacks none, absent when that can't be told.
    pub seconds: Option<f64>,
}

impl Behind {
    /// At `now`, with the time of the first that is lacking.
    pub fn new(head: i64, applied: i64, since: Option<Timestamp>, now: Timestamp) -> Self {
        let age = since.map(|since| now.duration_since(since).as_secs_f64().max(0.0));
        Self { head, applied, seconds: if applied < head { age } else { Some(0.0) } }
    }

    /// How many are lacking.
    pub fn count(&self) -> i64 {
        (self.head - self.applied).max(0)
    }
}

/// The writers: commands that nobody has dealt with.
pub fn writer(group: &Group, topics: &TopicsLook, now: Timestamp) -> Stage {
    let read = topics.read.iter();
    let partitions = read.map(|(partition, read)| (*partition, Behind::new(read.end, read.next, read.since, now)));
    Stage { name: "writer".to_owned(), group: group.clone(), partitions: partitions.collect() }
}

/// The relays: committed events that the topic does not have.
pub fn relay(group: &Group, topics: &TopicsLook, log: &LogLook, now: Timestamp) -> Stage {
    stage("relay", group, &topics.published, log, now)
}

/// A projector: committed events that its read model does not have.
pub fn projector(name: &str, group: &Group, log: &LogLook, now: Timestamp) -> Stage {
    let applied = log.read_models.get(name);
    let at = |partition| applied.and_then(|applied| applied.get(&partition)).copied().unwrap_or(0);
    let partitions = (0..).zip(&log.heads).map(|(partition, _)| (partition, at(partition)));
    stage(name, group, &partitions.collect(), log, now)
}

fn stage(name: &str, group: &Group, applied: &BTreeMap<i32, i64>, log: &LogLook, now: Timestamp) -> Stage {
    let behind = (0..).zip(&log.heads).filter_map(|(partition, head)| {
        let applied = *applied.get(&partition)?;
        Some((partition, Behind::new(*head, applied, log.next_recorded_at(partition, applied), now)))
    });
    Stage { name: name.to_owned(), group: group.clone(), partitions: behind.collect() }
}
