//! A member of a consumer group: what librdkafka calls back with, above all when the group's partitions move.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use prometheus::IntGauge;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, Statistics, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use crate::kafka::meter::Meter;
use crate::kafka::trouble::Trouble;

/// A request to the brokers that takes longer has failed.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// Where Kafka would go on reading a partition, at the time of its assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The partition's number in the topic.
    pub partition: i32,
    /// The offset that the group has committed, if any.
    pub committed: Option<i64>,
    /// The first offset that the topic still has, and the one after its last; `None` where the partition's leader does
    /// not answer.
    pub watermarks: Option<(i64, i64)>,
}

/// Chooses the offsets from which to read the partitions that were assigned. Where it leaves one out, reading begins
/// where Kafka says. It runs on the polling thread and may block; when the token is cancelled it has to return.
pub type StartOffsets = Box<dyn Fn(&[Standing], &CancellationToken) -> HashMap<i32, i64> + Send + Sync>;

/// What the callbacks of one consumer work with.
pub(super) struct Member {
    pub(super) topic: String,
    pub(super) group: String,
    pub(super) starts: Option<StartOffsets>,
    pub(super) stop: CancellationToken,
    pub(super) trouble: Trouble,
    pub(super) meter: Meter,
    pub(super) assigned: Assigned,
}

/// How many partitions a member holds: its part of a gauge that all members of the process share.
pub(super) struct Assigned {
    gauge: IntGauge,
    partitions: AtomicI64,
}

impl Assigned {
    pub(super) fn none_of(gauge: IntGauge) -> Self {
        Self { gauge, partitions: AtomicI64::new(0) }
    }

    fn set(&self, partitions: usize) {
        let now = i64::try_from(partitions).unwrap_or(i64::MAX);
        self.gauge.add(now - self.partitions.swap(now, Ordering::Relaxed));
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl ClientContext for Member {
    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.tell(&self.group, &error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.meter.read(&statistics);
    }
}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let assigned = match (what, consumer.rebalance_protocol()) {
            (RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, protocol) => {
                self.set_starts(consumer, list);
                match protocol {
                    RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
                    _ => consumer.assign(list),
                }
                .map(|()| Rebalance::Assign(list))
            }
            (RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, RebalanceProtocol::Cooperative) => {
                consumer.incremental_unassign(list).map(|()| Rebalance::Revoke(list))
            }
            (RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS, _) => {
                consumer.unassign().map(|()| Rebalance::Revoke(list))
            }
            (error, _) => Err(KafkaError::Rebalance(error.into())),
        };
        self.post_rebalance(consumer, &assigned.unwrap_or_else(Rebalance::Error));
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.meter.rebalanced();
        self.assigned.set(consumer.assignment().map_or(0, |assigned| assigned.count()));
        match rebalance {
            Rebalance::Assign(list) => tracing::info!(group = self.group, partitions = ?partitions(list), "assigned"),
            Rebalance::Revoke(list) => tracing::info!(group = self.group, partitions = ?partitions(list), "revoked"),
            Rebalance::Error(error) => tracing::warn!(group = self.group, %error, "rebalance failed"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(group = self.group, %error, "offsets not committed; they are a hint");
        }
    }
}

impl Member {
    /// Sets where reading begins, before anything is fetched: so nothing that is fetched has to be taken back.
    fn set_starts(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) {
        let Some(starts) = &self.starts else { return };
        if list.count() == 0 {
            return;
        }
        let committed = loop {
            match consumer.committed_offsets(list.clone(), ANSWER) {
                Ok(committed) => break committed,
                // "none is committed" is an answer, "nobody answers" is not
                Err(error) => {
                    tracing::warn!(group = self.group, %error, "the committed offsets can't be read; trying again")
                }
            }
            if self.stop.is_cancelled() {
                return;
            }
        };
        let committed = |partition: i32| committed_offset(&committed.find_partition(&self.topic, partition)?);
        let standing = |partition: i32| Standing {
            partition,
            committed: committed(partition),
            watermarks: consumer.fetch_watermarks(&self.topic, partition, ANSWER).ok(),
        };
        let standings: Vec<Standing> = partitions(list).into_iter().map(standing).collect();
        for (partition, offset) in starts(&standings, &self.stop) {
            if let Err(error) = list.set_partition_offset(&self.topic, partition, Offset::Offset(offset)) {
                tracing::error!(group = self.group, partition, offset, %error, "reading begins where Kafka says");
            }
        }
    }
}

/// The offset that a group has committed. librdkafka shows "none yet" as a negative number.
pub(super) fn committed_offset(found: &TopicPartitionListElem<'_>) -> Option<i64> {
    found.offset().to_raw().filter(|offset| *offset >= 0)
}

fn partitions(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(TopicPartitionListElem::partition).collect()
}
