//! Creating topics, and checking that they exist as their log needs them.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::aside::aside;

/// A request to the brokers that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Between two looks whether deleted topics are gone.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A topic to be created.
#[derive(Debug, Clone)]
pub struct TopicSpec {
    /// Its full name, `<log>.<what for>`.
    pub name: String,
    /// Number of partitions when it is created.
    pub partitions: u32,
    /// Whether it must have that number, because its partitions are the log's.
    pub is_fixed: bool,
    /// Replicas of each partition; -1: the brokers' default.
    pub replication_factor: i32,
    /// Names and values of the settings that the topic has of its own; the others are the brokers'.
    pub settings: Vec<(&'static str, &'static str)>,
}

/// Why topics are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// Kafka did not answer, or refused.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// The brokers refused a topic.
    #[error("Kafka refuses topic {topic}: {code}")]
    Refused {
        /// Its full name.
        topic: String,
        /// The brokers' reason.
        code: RDKafkaErrorCode,
    },
    /// A topic does not exist; this is its name.
    #[error("topic {0} does not exist: run `millrace migrate`")]
    Missing(String),
    /// A topic exists with another number of partitions.
    #[error("topic {topic} has {actual} partitions and needs {expected}: its log has that many, for ever")]
    Partitions {
        /// Its full name.
        topic: String,
        /// Partitions that it has.
        actual: usize,
        /// Partitions that its log has.
        expected: u32,
    },
    /// A topic has a setting that breaks a promise.
    #[error(
        "topic {topic} has {setting}={value}: {why}; change it: kafka-configs.sh --bootstrap-server HOST:PORT --alter \
         --entity-type topics --entity-name {topic} --add-config {instead}"
    )]
    Setting {
        /// Its full name.
        topic: String,
        /// The setting's name in Kafka.
        setting: &'static str,
        /// What the brokers have.
        value: String,
        /// The promise that it breaks.
        why: &'static str,
        /// What to set instead, as `kafka-configs.sh` takes it.
        instead: &'static str,
    },
}

impl TopicError {
    /// Whether waiting may mend it: Kafka comes back, somebody creates a missing topic.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Kafka(error) => !matches!(error, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_)),
            Self::Missing(_) => true,
            Self::Refused { .. } | Self::Partitions { .. } | Self::Setting { .. } => false,
        }
    }
}

/// Creates those of the topics that do not exist, and checks the partitions of those that do and are fixed.
///
/// # Errors
/// When Kafka refuses or does not answer, or a fixed topic exists with another number of partitions.
pub async fn create_topics(config: &ClientConfig, topics: &[TopicSpec]) -> Result<(), TopicError> {
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let new_topics: Vec<NewTopic<'_>> = topics.iter().map(new_topic).collect();
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
    let results = admin.create_topics(&new_topics, &options).await?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(TopicError::Refused { topic, code }),
        }
    }
    for topic in topics.iter().filter(|topic| topic.is_fixed) {
        let metadata = admin.inner().fetch_metadata(Some(&topic.name), TIMEOUT)?;
        let actual = metadata.topics().first().map_or(0, |found| found.partitions().len());
        // a topic that was made a moment ago may not have reached this broker's metadata
        if actual != 0 && actual != topic.partitions as usize {
            return Err(TopicError::Partitions { topic: topic.name.clone(), actual, expected: topic.partitions });
        }
    }
    Ok(())
}

/// Checks that the topics exist, each with the number of partitions that stands beside its name; `None` allows any.
/// Creates no topic.
///
/// # Errors
/// When a topic is missing or has another number of partitions, or Kafka does not answer.
pub async fn check_topics(config: &ClientConfig, topics: &[(String, Option<u32>)]) -> Result<(), TopicError> {
    let names: Vec<String> = topics.iter().map(|(topic, _)| topic.clone()).collect();
    for ((topic, expected), actual) in topics.iter().zip(topic_partitions(config, &names).await?) {
        match (actual, *expected) {
            (0, _) => return Err(TopicError::Missing(topic.clone())),
            (actual, Some(expected)) if actual != expected as usize => {
                return Err(TopicError::Partitions { topic: topic.clone(), actual, expected });
            }
            _ => {}
        }
    }
    Ok(())
}

/// How many partitions each of the topics has; 0 when it does not exist. Creates no topic.
///
/// # Errors
/// When Kafka does not answer.
pub async fn topic_partitions(config: &ClientConfig, topics: &[String]) -> Result<Vec<usize>, TopicError> {
    let (config, topics) = (config.clone(), topics.to_vec());
    aside(move || {
        // a consumer, because a broker that may create topics does so when a producer asks for one
        let consumer: BaseConsumer = config.create()?;
        let partitions = topics.iter().map(|topic| {
            let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
            Ok(metadata.topics().first().map_or(0, |found| found.partitions().len()))
        });
        partitions.collect()
    })
    .await?
}

/// Deletes those of the topics that exist, with all their records, and waits until the brokers no longer name them.
/// Returns the names of the deleted ones.
///
/// # Errors
/// When Kafka refuses or does not answer.
pub async fn delete_topics(config: &ClientConfig, topics: &[String]) -> Result<Vec<String>, TopicError> {
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut deleted = Vec::new();
    for result in admin.delete_topics(&names, &options).await? {
        match result {
            Ok(topic) => deleted.push(topic),
            Err((_, RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((topic, code)) => return Err(TopicError::Refused { topic, code }),
        }
    }
    let deadline = Instant::now() + TIMEOUT;
    while topic_partitions(config, &deleted).await?.iter().any(|partitions| *partitions > 0)
        && Instant::now() < deadline
    {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(deleted)
}

fn new_topic(spec: &TopicSpec) -> NewTopic<'_> {
    let replication = TopicReplication::Fixed(spec.replication_factor);
    let topic = NewTopic::new(&spec.name, spec.partitions as i32, replication);
    spec.settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
}
