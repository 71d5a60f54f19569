//! The last record of a topic's partition.

use anyhow::Context;
use millrace_runtime::kafka::PartitionReader;
use rdkafka::error::KafkaError;

use super::Audit;
use super::topic::TopicRecord;
use crate::kafka_state::unread;

/// The position of the last record of a partition; 0 when it has none.
pub(super) async fn tail_position(audit: &Audit, partition: i32) -> anyhow::Result<i64> {
    let (config, topic) = (audit.kafka.clone(), audit.topic.clone());
    let place = unread(&config, &topic);
    let read = move || -> Result<i64, KafkaError> {
        let end = PartitionReader::open(&config, &topic, partition, Some(i64::MAX))?.end_offset();
        let mut reader = PartitionReader::open(&config, &topic, partition, Some(end - 1))?;
        let last = reader.next(|message| TopicRecord::from(message))?;
        Ok(last.and_then(|record| record.position).unwrap_or(0))
    };
    tokio::task::spawn_blocking(read).await?.context(place)
}
