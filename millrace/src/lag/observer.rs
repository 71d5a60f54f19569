//! Looks at the whole pipeline from outside. It asks Postgres and Kafka, never the services, so its numbers are exact
//! also when services are down.

use std::collections::BTreeMap;

use jiff::Timestamp;
use millrace_runtime::Settings;
use millrace_schemas::LogName;

use super::kafka::{Group, TopicsLook, TopicsObserver};
use super::postgres::{LogLook, LogObserver};
use super::stage::{self, Stage};
use crate::projector::Generations;

/// Looks at Postgres and Kafka.
pub struct Observer {
    log: LogObserver,
    topics: TopicsObserver,
    groups: Groups,
}

/// The consumer groups, by their usual names.
#[derive(Debug, Clone)]
struct Groups {
    writer: Group,
    relay: Group,
    projectors: BTreeMap<&'static str, Group>,
}

/// One look. If one server does not answer, the other's part is still there.
pub struct Look {
    /// When the look ended, by our clock; ages are computed from it.
    pub at: Timestamp,
    /// Kafka's part.
    pub topics: anyhow::Result<TopicsLook>,
    /// Postgres' part.
    pub log: anyhow::Result<LogLook>,
    groups: Groups,
}

impl Observer {
    /// An observer of the log in the settings, and of these read models: by name, the generation that is live. Connects
    /// at the first look.
    ///
    /// # Errors
    /// When a setting is missing or wrong.
    pub fn new(settings: &Settings, read_models: &Generations) -> anyhow::Result<Self> {
        let groups = Groups::of(&settings.log.parse()?, read_models);
        let log = LogObserver::new(settings, read_models.keys().copied().collect())?;
        // a relay's group has no offsets, because a relay consumes nothing
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
    fn of(log: &LogName, projectors: &Generations) -> Self {
        let reading = |name: String, topic: String| Group { name, topic };
        let projector = |(name, generation): (&&'static str, &i32)| {
            (*name, reading(log.projector_group(name, *generation), log.events_topic()))
        };
        Self {
            writer: reading(log.writer_group(), log.commands_topic()),
            relay: reading(log.relay_group(), log.events_topic()),
            projectors: projectors.iter().map(projector).collect(),
        }
    }
}

impl Look {
    /// Whether a stage of this name is a projector.
    pub fn is_projector(&self, name: &str) -> bool {
        self.groups.projectors.contains_key(name)
    }

    /// The stages that the servers have answered for, in the order of the pipeline.
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
