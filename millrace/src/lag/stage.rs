//! The stages of the pipeline, and how far behind each is.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::kafka::{Group, TopicsLook};
use super::postgres::LogLook;

/// A stage, and how far it is in each partition. Partitions of which the servers say too little are absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// `writer`, `relay`, or a projector's name.
    pub name: String,
    /// The stage's consumer group, under its usual name.
    pub group: Group,
    /// How far behind the stage is, by partition.
    pub partitions: BTreeMap<i32, Behind>,
}

/// How far behind one partition is: in commands' offsets for the writer, in positions for the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behind {
    /// How far the stage before is.
    pub head: i64,
    /// How far this stage is.
    pub applied: i64,
    /// Age in seconds of the first command or event that it lacks; 0 when it lacks none, `None` when the age is
    /// unknown.
    pub seconds: Option<f64>,
}

impl Behind {
    /// The lag at `now`; `since` is the time of the first command or event that the stage lacks.
    pub fn new(head: i64, applied: i64, since: Option<Timestamp>, now: Timestamp) -> Self {
        let age = since.map(|since| now.duration_since(since).as_secs_f64().max(0.0));
        Self { head, applied, seconds: if applied < head { age } else { Some(0.0) } }
    }

    /// How many commands or events the stage lacks.
    pub fn count(&self) -> i64 {
        (self.head - self.applied).max(0)
    }
}

/// The writers: they lack the commands that they have not read.
pub fn writer(group: &Group, topics: &TopicsLook, now: Timestamp) -> Stage {
    let read = topics.read.iter();
    let partitions = read.map(|(partition, read)| (*partition, Behind::new(read.end, read.next, read.since, now)));
    Stage { name: "writer".to_owned(), group: group.clone(), partitions: partitions.collect() }
}

/// The relays: they lack the committed events that the topic does not have.
pub fn relay(group: &Group, topics: &TopicsLook, log: &LogLook, now: Timestamp) -> Stage {
    stage("relay", group, &topics.published, log, now)
}

/// A projector: it lacks the committed events that its read model has not applied.
pub fn projector(name: &str, group: &Group, log: &LogLook, now: Timestamp) -> Stage {
    let applied = log.read_models.get(name);
    let at = |partition| applied.and_then(|applied| applied.get(&partition)).copied().unwrap_or(0);
    let partitions = log.heads.keys().map(|partition| (*partition, at(*partition)));
    stage(name, group, &partitions.collect(), log, now)
}

fn stage(name: &str, group: &Group, applied: &BTreeMap<i32, i64>, log: &LogLook, now: Timestamp) -> Stage {
    let behind = log.heads.iter().filter_map(|(partition, head)| {
        let applied = *applied.get(partition)?;
        Some((*partition, Behind::new(*head, applied, log.next_recorded_at(*partition, applied), now)))
    });
    Stage { name: name.to_owned(), group: group.clone(), partitions: behind.collect() }
}
