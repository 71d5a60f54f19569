//! The last record of a topic's partition.

use anyhow::Context;
use millrace_runtime::kafka::{Fields, PartitionReader};
use rdkafka::error::KafkaError;

use super::Audit;
use super::topic::position;
use crate::kafka_state::unread;

/// The position of a partition's last record in the topic; 0 when the partition is empty.
pub(super) async fn tail_position(audit: &Audit, partition: i32) -> anyhow::Result<i64> {
    let (config, topic) = (audit.kafka.clone(), audit.topic.clone());
    let place = unread(&config, &topic);
    let read = move || -> Result<i64, KafkaError> {
        let end = PartitionReader::open(&config, &topic, partition, Some(i64::MAX))?.end_offset();
        let mut reader = PartitionReader::open(&config, &topic, partition, Some(end - 1))?;
        let last = reader.next(|message| position(&Fields::of(message)))?;
        Ok(last.flatten().unwrap_or(0))
    };
    tokio::task::spawn_blocking(read).await?.context(place)
}
