//! How many partitions topics have, and how far they have got.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

/// A request to the brokers that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The number of a topic's partitions, as Kafka has it. Blocks.
///
/// # Errors
/// When Kafka does not answer or has no such topic.
pub fn partitions(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).context("Kafka does not answer")?;
    match metadata.topics().first().map_or(0, |found| found.partitions().len()) {
        0 => bail!("Kafka has no topic {topic}: run `millrace migrate`"),
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
    /// For a topic.
    ///
    /// # Errors
    /// When Kafka does not answer or has no such topic, or librdkafka refuses a setting.
    pub async fn of(config: &ClientConfig, topic: String) -> anyhow::Result<Self> {
        let consumer = Arc::new(config.create::<BaseConsumer>()?);
        let asked = (consumer.clone(), topic.clone());
        let partitions = tokio::task::spawn_blocking(move || partitions(&asked.0, &asked.1)).await??;
        Ok(Self { consumer, topic, partitions })
    }

    /// The next offset of each partition.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn get(&self) -> anyhow::Result<Vec<i64>> {
        let (consumer, topic, partitions) = (self.consumer.clone(), self.topic.clone(), self.partitions);
        let ends = tokio::task::spawn_blocking(move || {
            let end = |partition| consumer.fetch_watermarks(&topic, partition, TIMEOUT).map(|(_, end)| end);
            (0..partitions).map(end).collect::<Result<Vec<i64>, _>>()
        });
        Ok(ends.await??)
    }
}
