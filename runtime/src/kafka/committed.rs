//! The committed offsets of a consumer group.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::aside::aside;

/// A request to the brokers that takes longer has failed.
const ANSWER: Duration = Duration::from_secs(10);

/// Commits for one group what another has committed of `topic`, which has so many partitions. The group must have no
/// members. What the other one never committed stays as it is.
///
/// # Errors
/// When Kafka does not answer within 10 s, or the group has members.
pub async fn copy_offsets(
    config: &ClientConfig,
    (from, to): (String, String),
    topic: String,
    partitions: i32,
) -> Result<(), KafkaError> {
    let config = config.clone();
    aside(move || {
        let group = |name: &str| config.clone().set("group.id", name).create::<BaseConsumer>();
        let mut all = TopicPartitionList::new();
        all.add_partition_range(&topic, 0, partitions - 1);
        let committed = group(&from)?.committed_offsets(all, ANSWER)?;
        let mut known = TopicPartitionList::new();
        for at in committed.elements() {
            if let offset @ Offset::Offset(_) = at.offset() {
                known.add_partition_offset(&topic, at.partition(), offset)?;
            }
        }
        if known.count() == 0 {
            return Ok(());
        }
        group(&to)?.commit(&known, CommitMode::Sync)
    })
    .await?
}
