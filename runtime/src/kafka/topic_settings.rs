//! The settings of topics, which somebody else may have made or changed: those that break a promise stop a service at
//! its start; those that may surprise are reported there.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::aside::aside;
use super::topics::TopicError;

/// A request to the brokers that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Events of this many bytes are appended, so the event topic has to take them.
const LARGEST_EVENT: i64 = 1_000_000;
/// In milliseconds.
const DAY: i64 = 86_400_000;

const CLEANUP_POLICY: &str = "cleanup.policy";
const RETENTION_MS: &str = "retention.ms";
const RETENTION_BYTES: &str = "retention.bytes";
const TIMESTAMP_AFTER: &str = "message.timestamp.after.max.ms";
const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
const MIN_IN_SYNC: &str = "min.insync.replicas";

/// What a log uses a topic for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicRole {
    /// Commands, until a writer has read them.
    Commands,
    /// The published log.
    Events,
    /// Outcomes of commands; Postgres has them too.
    Outcomes,
    /// Unreadable records, until a person has seen them.
    DeadLetters,
}

impl TopicRole {
    /// What compaction would do; `None` where it does no harm.
    fn harm_of_compaction(self) -> Option<&'static str> {
        match self {
            Self::Commands => Some("of the commands with one key only the last would be left"),
            Self::Events => Some("of the events of one stream only the last would be left"),
            Self::DeadLetters => Some("of the dead letters with one key only the last would be left"),
            Self::Outcomes => None,
        }
    }
}

/// A topic's settings as the brokers have them.
struct TopicSettings<'a> {
    role: TopicRole,
    values: BTreeMap<&'a str, &'a str>,
    /// Copies of its least replicated partition.
    replicas: usize,
}

/// A setting that breaks a promise.
#[derive(Debug, PartialEq, Eq)]
struct Breach {
    setting: &'static str,
    why: &'static str,
    /// What to set instead, as `kafka-configs` takes it.
    instead: &'static str,
}

/// A setting that is somebody's choice and has a price.
#[derive(Debug, PartialEq, Eq)]
struct Concern {
    setting: &'static str,
    price: String,
}

/// Looks at the settings of topics that exist: logs a warning for each that has a price, and refuses those that break a
/// promise. Call once per start, after [`check_topics`](super::check_topics). Where the brokers do not let this client
/// see settings, it checks nothing.
///
/// ```no_run
/// use millrace_runtime::Settings;
/// use millrace_runtime::kafka::{TopicRole, check_topic_settings, client_config};
///
/// # async fn example(settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
/// let topics = [("orders.events".to_owned(), TopicRole::Events)];
/// check_topic_settings(&client_config(settings)?, &topics).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When a setting breaks a promise, or Kafka does not answer. Call inside a tokio runtime.
pub async fn check_topic_settings(config: &ClientConfig, topics: &[(String, TopicRole)]) -> Result<(), TopicError> {
    let mut config = config.clone();
    // asking for a topic's replicas must not create the topic
    config.set("allow.auto.create.topics", "false");
    let (topics, runtime) = (topics.to_vec(), tokio::runtime::Handle::current());
    aside(move || {
        let admin: AdminClient<DefaultClientContext> = config.create()?;
        let found = runtime.block_on(describe(&admin, &topics))?;
        let mut concerns = Vec::new();
        for resource in &found {
            let OwnedResourceSpecifier::Topic(topic) = &resource.specifier else { continue };
            let Some((_, role)) = topics.iter().find(|(name, _)| name == topic) else { continue };
            if resource.entries.is_empty() {
                tracing::debug!(topic, "the brokers show no settings of this topic; they are not checked");
                continue;
            }
            let settings = TopicSettings::new(*role, resource, replicas(&admin, topic)?);
            settings.check(topic)?;
            concerns.extend(settings.concerns().into_iter().map(|concern| (topic, concern)));
        }
        // last, so that a start that is tried again says them once
        for (topic, Concern { setting, price }) in concerns {
            tracing::warn!(topic, setting, "{price}");
        }
        Ok(())
    })
    .await?
}

/// The topics' settings; none where this client may not see them.
async fn describe(
    admin: &AdminClient<DefaultClientContext>,
    topics: &[(String, TopicRole)],
) -> Result<Vec<ConfigResource>, KafkaError> {
    let specifiers: Vec<_> = topics.iter().map(|(name, _)| ResourceSpecifier::Topic(name)).collect();
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    match admin.describe_configs(&specifiers, &options).await {
        Ok(found) => Ok(found.into_iter().filter_map(Result::ok).collect()),
        Err(error) if is_denied(&error) => {
            tracing::debug!(%error, "the brokers show no settings of topics; they are not checked");
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn is_denied(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        ClusterAuthorizationFailed, TopicAuthorizationFailed, UnsupportedFeature, UnsupportedVersion,
    };
    error.rdkafka_error_code().is_some_and(|code| {
        matches!(code, TopicAuthorizationFailed | ClusterAuthorizationFailed | UnsupportedFeature | UnsupportedVersion)
    })
}

/// Copies of the topic's least replicated partition.
fn replicas(admin: &AdminClient<DefaultClientContext>, topic: &str) -> Result<usize, KafkaError> {
    let metadata = admin.inner().fetch_metadata(Some(topic), TIMEOUT)?;
    let partitions = metadata.topics().first().map_or(&[][..], |found| found.partitions());
    Ok(partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or(0))
}

impl<'a> TopicSettings<'a> {
    fn new(role: TopicRole, resource: &'a ConfigResource, replicas: usize) -> Self {
        let values = resource.entries.iter().filter_map(|entry| Some((entry.name.as_str(), entry.value.as_deref()?)));
        Self { role, values: values.collect(), replicas }
    }

    /// A setting that is a number; `None` too where an older broker does not have it.
    fn number(&self, setting: &str) -> Option<i64> {
        self.values.get(setting)?.parse().ok()
    }

    fn check(&self, topic: &str) -> Result<(), TopicError> {
        let Some(Breach { setting, why, instead }) = self.breach() else { return Ok(()) };
        let value = self.values.get(setting).copied().unwrap_or_default().to_owned();
        Err(TopicError::Setting { topic: topic.to_owned(), setting, value, why, instead })
    }

    fn breach(&self) -> Option<Breach> {
        let why = self.role.harm_of_compaction()?;
        let policy = self.values.get(CLEANUP_POLICY)?;
        let is_compacted = policy.split(',').any(|one| one.trim() == "compact");
        is_compacted.then_some(Breach { setting: CLEANUP_POLICY, why, instead: "cleanup.policy=delete" })
    }

    fn concerns(&self) -> Vec<Concern> {
        let mut concerns = Vec::new();
        let mut add = |setting, price| concerns.push(Concern { setting, price });
        if self.role == TopicRole::Events {
            if let Some(time) = self.number(RETENTION_MS).filter(|ms| *ms >= 0) {
                let price = "the topic forgets events after {}; a read model that is further behind has to be rebuilt";
                add(RETENTION_MS, price.replace("{}", &in_words(time)));
            }
            if let Some(bytes) = self.number(RETENTION_BYTES).filter(|bytes| *bytes >= 0) {
                let price = format!(
                    "a partition forgets events beyond {bytes} bytes; a read model that is further behind has to be \
                     rebuilt"
                );
                add(RETENTION_BYTES, price);
            }
            if let Some(ahead) = self.number(TIMESTAMP_AFTER).filter(|ms| *ms != i64::MAX) {
                let price = "Kafka refuses events that Postgres' clock stamps more than {} ahead of the brokers', and \
                             publishing stops until then; set it to 9223372036854775807";
                add(TIMESTAMP_AFTER, price.replace("{}", &in_words(ahead)));
            }
            if let Some(bytes) = self.number(MAX_MESSAGE_BYTES).filter(|bytes| *bytes < LARGEST_EVENT) {
                let price = format!("an event of more than {bytes} bytes stops the publishing of its partition");
                add(MAX_MESSAGE_BYTES, price);
            }
        }
        let kept = self.number(RETENTION_MS).filter(|ms| *ms >= 0);
        match (self.role, kept) {
            (TopicRole::Commands, Some(time)) if time < DAY => {
                let price = "commands that nobody has read after {} are gone, and their senders get no outcome";
                add(RETENTION_MS, price.replace("{}", &in_words(time)));
            }
            (TopicRole::DeadLetters, Some(time)) => {
                add(RETENTION_MS, format!("the topic forgets dead letters after {}", in_words(time)));
            }
            _ => {}
        }
        // Postgres has the outcomes, and the writer sends them again
        if self.role != TopicRole::Outcomes && self.replicas >= 3 && self.number(MIN_IN_SYNC).is_some_and(|n| n < 2) {
            let price =
                "the topic takes records that only one broker has, and loses them with it; set it to 2".to_owned();
            add(MIN_IN_SYNC, price);
        }
        concerns
    }
}

/// A time in the largest unit that shows it exactly.
fn in_words(milliseconds: i64) -> String {
    let units = [("day", DAY), ("hour", 3_600_000), ("minute", 60_000), ("second", 1000)];
    let (unit, length) = units.into_iter().find(|(_, length)| milliseconds % length == 0).unwrap_or(("millisecond", 1));
    match milliseconds / length {
        1 => format!("1 {unit}"),
        count => format!("{count} {unit}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(role: TopicRole, values: &[(&'static str, &'static str)]) -> TopicSettings<'static> {
        TopicSettings { role, values: values.iter().copied().collect(), replicas: 3 }
    }

    #[test]
    fn a_compacted_topic_is_refused_where_its_records_would_vanish() {
        use TopicRole::{Commands, DeadLetters, Events, Outcomes};
        for (role, policy, is_refused) in [
            (Events, "delete", false),
            (Events, "compact", true),
            (Events, "compact,delete", true),
            (Events, "delete, compact", true),
            (Commands, "compact", true),
            (DeadLetters, "compact", true),
            (Outcomes, "compact", false),
        ] {
            let refused = settings(role, &[(CLEANUP_POLICY, policy)]).breach();
            assert_eq!(refused.is_some(), is_refused, "{role:?} {policy}");
        }
        assert_eq!(settings(Events, &[]).breach(), None, "a broker that does not say");
    }

    #[test]
    fn a_setting_with_a_price_is_reported() {
        use TopicRole::{Commands, DeadLetters, Events, Outcomes};
        for (role, setting, value, expected) in [
            (Events, RETENTION_MS, "604800000", Some("forgets events after 7 days;")),
            (Events, RETENTION_MS, "90061000", Some("forgets events after 90061 seconds;")),
            (Events, RETENTION_MS, "-1", None),
            (Commands, RETENTION_MS, "604800000", None),
            (Commands, RETENTION_MS, "60000", Some("after 1 minute are gone")),
            (DeadLetters, RETENTION_MS, "604800000", Some("forgets dead letters after 7 days")),
            (Events, RETENTION_BYTES, "1000", Some("beyond 1000 bytes;")),
            (Events, RETENTION_BYTES, "-1", None),
            (Events, TIMESTAMP_AFTER, "3600000", Some("more than 1 hour ahead")),
            (Events, TIMESTAMP_AFTER, "9223372036854775807", None),
            (Commands, TIMESTAMP_AFTER, "3600000", None),
            (Events, MAX_MESSAGE_BYTES, "999999", Some("more than 999999 bytes")),
            (Events, MAX_MESSAGE_BYTES, "1000000", None),
            (Events, MIN_IN_SYNC, "1", Some("only one broker has")),
            (Commands, MIN_IN_SYNC, "1", Some("only one broker has")),
            (DeadLetters, MIN_IN_SYNC, "1", Some("only one broker has")),
            (Outcomes, MIN_IN_SYNC, "1", None),
            (Events, MIN_IN_SYNC, "2", None),
        ] {
            let concerns = settings(role, &[(setting, value)]).concerns();
            let said = concerns.first().map(|concern| concern.price.as_str());
            match expected {
                Some(part) => assert!(said.is_some_and(|said| said.contains(part)), "{setting}={value}: {said:?}"),
                None => assert_eq!(said, None, "{setting}={value}"),
            }
        }
        let alone = TopicSettings { replicas: 1, ..settings(Events, &[(MIN_IN_SYNC, "1")]) };
        assert_eq!(alone.concerns(), [], "where there are no other copies anyway");
    }
}
