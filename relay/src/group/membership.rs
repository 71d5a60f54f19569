//! The thread that polls as a member of the group, and what the loop asks of it.
//!
//! After a silence that may have cost it its partitions, the member gives everything up and joins anew.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use millrace_runtime::kafka::{Meter, aside};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::callbacks::{Grants, Group};
use super::handover::Handover;
use super::pulse::Pulse;

/// Longest wait inside one poll.
const POLL: Duration = Duration::from_millis(100);
/// How long leaving the group may take before the thread is left behind.
const LEAVE: Duration = Duration::from_secs(2);

/// A member of the group, until it leaves or is dropped.
pub(crate) struct Membership {
    grants: watch::Receiver<Grants>,
    handover: Arc<Handover>,
    pulse: Arc<Pulse>,
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

impl Membership {
    /// Joins the group of `config` on `topic`. Never silent for longer than `silence`, or it joins anew.
    ///
    /// # Errors
    /// When librdkafka refuses a setting, or the system has no thread left.
    pub(crate) fn join(config: ClientConfig, topic: &str, silence: Duration) -> Result<Self, KafkaError> {
        let mut config = Meter::switch_on(&config);
        config.set("enable.auto.commit", "false").set("auto.offset.reset", "latest");
        let (sender, grants) = watch::channel(Grants::default());
        let (handover, pulse) = (Arc::new(Handover::default()), Arc::new(Pulse::new(silence)));
        let meter = Arc::new(Meter::of_consumer());
        let group = Group { grants: Arc::new(sender), handover: handover.clone(), pulse: pulse.clone(), meter };
        let stop = CancellationToken::new();
        let poller = Poller { config, topic: topic.to_owned(), group, stop: stop.clone() };
        let first = poller.join()?;
        let thread = thread::Builder::new().name("relay group".into()).spawn(move || poller.run(first));
        let thread = thread.map_err(|error| KafkaError::ClientCreation(format!("no thread for polling: {error}")))?;
        Ok(Self { grants, handover, pulse, stop, thread: Some(thread) })
    }

    /// Changes of the grants, to wait for. Closed when the member can't go on.
    pub(crate) fn grants(&self) -> watch::Receiver<Grants> {
        self.grants.clone()
    }

    /// Takes a partition, if it is still granted. From then on a revocation waits for [`Membership::release`].
    pub(crate) fn take(&self, partition: i32, grant: u64) -> bool {
        self.handover.take(partition, || self.is_granted(partition, grant))
    }

    /// Lets go of a partition: none of its records is in flight any more.
    pub(crate) fn release(&self, partition: i32) {
        self.handover.release(partition);
    }

    /// Whether this grant still holds.
    pub(crate) fn is_granted(&self, partition: i32, grant: u64) -> bool {
        self.grants.borrow().partitions.get(&partition) == Some(&grant)
    }

    /// Whether the grants can be trusted: not after a silence in which the group may have given them to another relay.
    pub(crate) fn is_fresh(&self) -> bool {
        self.pulse.is_fresh()
    }

    /// Releases everything and leaves the group.
    pub(crate) async fn leave(mut self) {
        self.handover.release_all();
        self.stop.cancel();
        let Some(thread) = self.thread.take() else { return };
        if tokio::time::timeout(LEAVE, aside(move || thread.join())).await.is_err() {
            tracing::warn!("leaving the group takes too long; the process ends without it");
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.handover.release_all();
        self.stop.cancel();
    }
}

/// The polling thread.
struct Poller {
    config: ClientConfig,
    topic: String,
    group: Group,
    stop: CancellationToken,
}

impl Poller {
    fn join(&self) -> Result<BaseConsumer<Group>, KafkaError> {
        let consumer: BaseConsumer<Group> = self.config.create_with_context(self.group.clone())?;
        self.group.pulse.restart();
        consumer.subscribe(&[&self.topic])?;
        Ok(consumer)
    }

    fn run(self, first: BaseConsumer<Group>) {
        let mut consumer = Ok(first);
        loop {
            match consumer {
                Ok(member) => self.poll(&member), // dropping it closes it: revokes, waits for the loop, leaves the group
                Err(error) => return self.group.end(error),
            }
            if self.stop.is_cancelled() {
                return;
            }
            consumer = self.join();
        }
    }

    /// Polls until the process is to stop, or the member has to join anew.
    fn poll(&self, member: &BaseConsumer<Group>) {
        while !self.stop.is_cancelled() {
            let polled = member.poll(POLL);
            self.group.pulse.beat();
            if self.group.pulse.is_suspect() {
                tracing::warn!(
                    "the member was silent for too long (was the process stopped?); it joins the group anew"
                );
                return self.group.lose_all();
            }
            match polled {
                // fetched before the pause took hold
                None | Some(Ok(_)) => {}
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                    tracing::warn!(%error, "the member joins the group anew");
                    return self.group.lose_all();
                }
                Some(Err(error)) => tracing::debug!(%error, "Kafka is away; librdkafka keeps trying"),
            }
        }
    }
}
