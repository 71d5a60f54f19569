//! A flat-out consumer that decodes nothing. Its functions block.

use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// A record that takes longer is missing.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads `count` records from the topic's beginning; records a second from the first on.
pub fn consume(config: &ClientConfig, topic: &str, partitions: i32, count: u64) -> anyhow::Result<f64> {
    let consumer = reader(config, topic, partitions, Offset::Beginning)?;
    let mut started = None;
    for _ in 0..count {
        consumer.poll(PATIENCE).with_context(|| format!("{topic} has too few records"))??;
        started.get_or_insert_with(Instant::now);
    }
    let seconds = started.map_or(f64::INFINITY, |started| started.elapsed().as_secs_f64());
    Ok(count as f64 / seconds)
}

/// A consumer of all partitions from the same place on, outside of any group, with librdkafka's own sizes.
pub fn reader(config: &ClientConfig, topic: &str, partitions: i32, from: Offset) -> anyhow::Result<BaseConsumer> {
    let mut config = config.clone();
    // librdkafka demands a group, and makes no use of it without a subscription or a commit
    config.set("group.id", "millrace.bench").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, from)?;
    }
    consumer.assign(&assignment)?;
    Ok(consumer)
}
