//! librdkafka's rebalance callbacks, which run on the thread that polls.
//!
//! A revocation is answered only when the publishing loop has let go, so that the next owner reads a tail that does not
//! move.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use millrace_runtime::kafka::Meter;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{Statistics, TopicPartitionList};
use tokio::sync::watch;

use super::handover::Handover;
use super::pulse::Pulse;

/// How long a revocation waits for the loop to let go. The group's own limit (`max.poll.interval.ms`) is 300 s; before
/// this time is over, the loop throws its producer away and lets go.
const PATIENCE: Duration = Duration::from_secs(5);

/// What this relay may publish.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grants {
    /// The partitions, each with the number of the grant: a partition revoked and granted again has another.
    pub(crate) partitions: BTreeMap<i32, u64>,
    /// How often partitions were lost: taken away without waiting, because the session had expired.
    pub(crate) losses: u64,
    /// Why there will be no grants any more.
    pub(crate) ended: Option<KafkaError>,
}

/// What the polling thread does with the group's decisions.
#[derive(Clone)]
pub(crate) struct Group {
    pub(crate) grants: Arc<watch::Sender<Grants>>,
    pub(crate) handover: Arc<Handover>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) meter: Arc<Meter>,
}

impl Group {
    /// Takes every partition away at once: another relay may own it already.
    pub(crate) fn lose_all(&self) {
        self.grants.send_modify(|grants| {
            grants.partitions.clear();
            grants.losses += 1;
        });
    }

    /// There will be no grants any more.
    pub(crate) fn end(&self, error: KafkaError) {
        self.grants.send_modify(|grants| grants.ended = Some(error));
    }

    fn grant(&self, partitions: &BTreeSet<i32>) {
        if !partitions.is_empty() {
            tracing::info!(?partitions, "assigned");
        }
        self.grants.send_modify(|grants| {
            for partition in partitions {
                grants.partitions.insert(*partition, next_grant());
            }
        });
    }

    fn revoke(&self, partitions: &BTreeSet<i32>, lost: bool) {
        tracing::info!(?partitions, lost, "revoked");
        self.grants.send_modify(|grants| {
            grants.partitions.retain(|partition, _| !partitions.contains(partition));
            grants.losses += u64::from(lost);
        });
        if !self.handover.wait(partitions, PATIENCE, || self.pulse.beat()) {
            tracing::error!(
                ?partitions,
                "the loop did not let go in time: two relays may write to these partitions for a moment"
            );
        }
    }
}

/// Grants are numbered over the life of the process.
fn next_grant() -> u64 {
    static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
}

impl ClientContext for Group {
    fn error(&self, error: KafkaError, reason: &str) {
        // the producer talks to the same brokers and logs the same trouble; librdkafka keeps trying
        tracing::debug!(%error, reason, "group member");
    }

    fn stats(&self, statistics: Statistics) {
        self.meter.read(&statistics);
    }
}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.pulse.beat();
        if let Rebalance::Revoke(list) = rebalance {
            self.revoke(&partitions(list), consumer.assignment_lost());
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.meter.rebalanced();
        match rebalance {
            Rebalance::Assign(list) => {
                // this consumer is in the group for its assignment only; it reads nothing
                if let Err(error) = consumer.pause(list) {
                    tracing::warn!(%error, "the partitions are not paused: their records are fetched in vain");
                }
                self.grant(&partitions(list));
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }
}

fn partitions(list: &TopicPartitionList) -> BTreeSet<i32> {
    list.elements().iter().map(rdkafka::topic_partition_list::TopicPartitionListElem::partition).collect()
}
