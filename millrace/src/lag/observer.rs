//! Looks at the whole pipeline from outside: at what Postgres and Kafka hold, never at the processes. So what it sees is
//! exact also when they are down.

use std::collections::BTreeMap;

use jiff::Timestamp;
use millrace_runtime::Settings;
use millrace_schemas::LogName;

use super::kafka::{Group, TopicsLook, TopicsObserver};
use super::postgres::{LogLook, LogObserver};
use super::stage::{self, Stage};

/// Looks at Postgres and Kafka.
pub struct Observer {
    pub log: LogObserver,
    topics: TopicsObserver,
    groups: Groups,
}

/// The consumer groups, as they are called unless somebody calls them otherwise.
#[derive(Debug, Clone)]
struct Groups {
    writer: Group,
    relay: Group,
    projectors: BTreeMap<&'static str, Group>,
}

/// What was seen. Each server answers for itself.
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// What Kafka says.
    pub topics: anyhow::Result<TopicsLook>,
    /// What Postgres says.
    pub log: anyhow::Result<LogLook>,
    groups: Groups,
}

impl Observer {
    /// Of the log of the settings. Connects when it looks.
    ///
    /// # Errors
    /// When a setting is missing or wrong.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let groups = Groups::of(&settings.log.parse()?);
        let log = LogObserver::new(settings)?;
        // a relay's group has no offsets: it reads nothing
        let others = groups.projectors.values().cloned().collect();
        let topics = TopicsObserver::new(settings, groups.writer.clone(), others)?;
        Ok(Self { log, topics, groups })
    }

    /// Looks at Kafka, then at Postgres, so that no stage seems ahead of the one before it.
    pub async fn look(&self) -> Look {
        let topics = self.topics.look().await;
        let nothing = BTreeMap::new();
        let log = self.log.look(topics.as_ref().map_or(&nothing, |topics| &topics.published)).await;
        Look { at: Timestamp::now(), topics, log, groups: self.groups.clone() }
    }
}

impl Groups {
    fn of(log: &LogName) -> Self {
        let group = |name: String, topic: String| Group { name, topic };
        let projectors = millrace_projectors::names().into_iter();
        Self {
            writer: group(format!("{log}.writer"), log.commands_topic()),
            relay: group(format!("{log}.relay"), log.events_topic()),
            projectors: projectors.map(|name| (name, group(format!("{name}.g1"), log.events_topic()))).collect(),
        }
    }
}

impl Look {
    /// The stages that can be told of, in the order of the pipeline.
    pub fn stages(&self) -> Vec<Stage> {
        let Self { at, topics, log, groups } = self;
        let mut stages = Vec::new();
        if let Ok(topics) = topics {
            stages.push(stage::writer(&groups.writer, topics, *at));
        }
        if let (Ok(topics), Ok(log)) = (topics, log) {
            stages.push(stage::relay(&groups.relay, topics, log, *at));
        }
        if let Ok(log) = log {
            let projectors = groups.projectors.iter();
            stages.extend(projectors.map(|(name, group)| stage::projector(name, group, log, *at)));
        }
        stages
    }
}
