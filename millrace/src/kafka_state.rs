//! Asks Kafka how many partitions a topic has, and where they end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

/// A request to the brokers fails after this time.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Kafka's bootstrap servers, for an error that names them.
pub fn bootstrap(config: &ClientConfig) -> &str {
    config.get("bootstrap.servers").unwrap_or_default()
}

/// The context of an error: which topic can't be read, and from which brokers.
pub fn unread(config: &ClientConfig, topic: &str) -> String {
    format!("{topic} can't be read from Kafka at {}", bootstrap(config))
}

/// Asks Kafka for the number of a topic's partitions. Also returns the consumer that asked. Blocks.
///
/// # Errors
/// When Kafka does not answer or has no such topic.
pub fn partitions(config: &ClientConfig, topic: &str) -> anyhow::Result<(BaseConsumer, i32)> {
    let consumer: BaseConsumer = config.create()?;
    let partitions = partitions_by(&consumer, topic).with_context(|| format!("Kafka at {}", bootstrap(config)))?;
    Ok((consumer, partitions))
}

/// Asks Kafka for the number of a topic's partitions, with an existing consumer. Blocks.
///
/// # Errors
/// As [`partitions`].
pub fn partitions_by(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).context("it does not answer")?;
    match metadata.topics().first().map_or(0, |found| found.partitions().len()) {
        0 => bail!("there is no topic {topic}: run `millrace migrate`"),
        partitions => Ok(i32::try_from(partitions)?),
    }
}

/// Asks for the ends of one topic's partitions, over one connection.
pub struct TopicEnds {
    consumer: Arc<BaseConsumer>,
    topic: String,
    partitions: i32,
}

impl TopicEnds {
    /// Connects, and learns the topic's partitions.
    ///
    /// # Errors
    /// When Kafka does not answer or has no such topic, or librdkafka refuses a setting.
    pub async fn of(config: &ClientConfig, topic: String) -> anyhow::Result<Self> {
        let asked = (config.clone(), topic.clone());
        let (consumer, partitions) = tokio::task::spawn_blocking(move || partitions(&asked.0, &asked.1)).await??;
        Ok(Self { consumer: Arc::new(consumer), topic, partitions })
    }

    /// The offset that each partition's next record will get, by partition.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn get(&self) -> anyhow::Result<Vec<i64>> {
        Ok(self.watermarks().await?.into_iter().map(|(_, end)| end).collect())
    }

    /// The first offset that the topic still has of each partition, by partition.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn begins(&self) -> anyhow::Result<Vec<i64>> {
        Ok(self.watermarks().await?.into_iter().map(|(begin, _)| begin).collect())
    }

    async fn watermarks(&self) -> anyhow::Result<Vec<(i64, i64)>> {
        let (consumer, topic, partitions) = (self.consumer.clone(), self.topic.clone(), self.partitions);
        let watermarks = tokio::task::spawn_blocking(move || {
            let watermarks = |partition| consumer.fetch_watermarks(&topic, partition, TIMEOUT);
            (0..partitions).map(watermarks).collect::<Result<Vec<_>, _>>()
        });
        Ok(watermarks.await??)
    }
}
