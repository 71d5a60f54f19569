//! How far topics have got.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

/// A request to the brokers that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks for the ends of one topic's partitions, over one connection.
pub struct TopicEnds {
    consumer: std::sync::Arc<BaseConsumer>,
    topic: String,
    partitions: i32,
}

impl TopicEnds {
    /// For a topic.
    ///
    /// # Errors
    /// When librdkafka refuses a setting.
    pub fn of(config: &ClientConfig, topic: String, partitions: u32) -> anyhow::Result<Self> {
        let consumer = std::sync::Arc::new(config.create::<BaseConsumer>()?);
        Ok(Self { consumer, topic, partitions: i32::try_from(partitions)? })
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
