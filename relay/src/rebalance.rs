//! What the loop does with partitions: take up what is granted, let go what is revoked, start anew from the tail.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use millrace_runtime::kafka::{Outbox, aside};
use millrace_runtime::{Stopped, retry};
use tokio::time::{Instant, timeout_at};

use crate::error::{RelayError, Step};
use crate::held::Held;
use crate::metrics;
use crate::relay::Relay;

/// How long a hand-over waits for what is in flight. With [`CLOSE`], less than the membership's patience.
const DRAIN: Duration = Duration::from_millis(2500);
/// How long throwing a producer away may take.
const CLOSE: Duration = Duration::from_secs(2);

/// The waits between attempts to publish that fail one after the other.
pub(crate) fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(5))
        .without_max_times()
        .with_jitter()
        .build()
}

impl Relay {
    /// Brings what is held in line with what is granted.
    pub(crate) async fn adopt_grants(&mut self) -> Step<()> {
        let grants = self.grants.borrow_and_update().clone();
        if grants.losses != self.losses {
            self.losses = grants.losses;
            if !self.window.is_empty() {
                tracing::warn!("partitions were lost with records in flight; throwing the producer away");
                self.replace_producer().await?;
            }
        }
        let revoked = self.held.iter().filter(|(p, held)| grants.partitions.get(p) != Some(&held.grant));
        let revoked: BTreeSet<i32> = revoked.map(|(partition, _)| *partition).collect();
        if !revoked.is_empty() {
            self.let_go(&revoked).await?;
        }
        for (&partition, &grant) in &grants.partitions {
            if !self.held.contains_key(&partition) && self.membership.take(partition, grant) {
                self.held.insert(partition, Held::new(grant));
            }
        }
        self.count_held();
        Ok(())
    }

    /// Ends publishing of partitions, waits for what is in flight, and lets the group go on.
    async fn let_go(&mut self, partitions: &BTreeSet<i32>) -> Step<()> {
        self.forget(partitions);
        self.drain(partitions, Instant::now() + DRAIN).await?;
        self.membership.release(partitions);
        let gone = partitions.iter().filter_map(|p| Some((*p, self.held.remove(p)?.published)));
        let checkpoints: Vec<(i32, i64)> = gone.filter(|(_, published)| *published > 0).collect();
        self.published.send_modify(|published| published.retain(|partition, _| !partitions.contains(partition)));
        self.bookkeeping.write_last(&checkpoints).await;
        Ok(())
    }

    /// What was read of partitions and not handed over does not count any more.
    fn forget(&mut self, partitions: &BTreeSet<i32>) {
        self.backlog.retain(|event| !partitions.contains(&event.partition));
        self.reread();
    }

    /// The page that is being read, or was, is read again: it is not of the right partitions any more.
    fn reread(&mut self) {
        self.reading = None;
        self.next_page = None;
        self.at_the_end = false;
    }

    /// Waits until nothing of these partitions is in flight; throws the producer away when that takes too long.
    async fn drain(&mut self, partitions: &BTreeSet<i32>, deadline: Instant) -> Step<()> {
        while self.window.touches(partitions) {
            match timeout_at(deadline, self.window.next()).await {
                Ok((batch, result)) => self.settle(batch, result).await?,
                Err(_) => {
                    tracing::warn!(?partitions, "what is in flight is not acknowledged in time");
                    self.replace_producer().await?;
                }
            }
        }
        Ok(())
    }

    /// A partition starts anew from its tail.
    pub(crate) fn start_anew(&mut self, partition: i32) {
        self.forget(&BTreeSet::from([partition]));
        if let Some(held) = self.held.get_mut(&partition) {
            held.restart();
        }
    }

    /// Reads the tails of partitions that are to start, until that succeeds or the grants change.
    pub(crate) async fn start_partitions(&mut self) -> Step<()> {
        let starting = self.held.iter().filter(|(_, held)| held.is_starting());
        let starting: BTreeSet<i32> = starting.map(|(partition, _)| *partition).collect();
        if starting.is_empty() {
            return Ok(());
        }
        self.drain(&starting, Instant::now() + DRAIN).await?;
        let published: BTreeMap<i32, i64> = starting.iter().map(|p| (*p, self.published_of(*p))).collect();
        let (takeover, purged, not_before) = (&self.takeover, self.purged, self.not_before);
        let begin = async || takeover.begin(&published, purged).await;
        let begun = tokio::select! {
            begun = async {
                tokio::time::sleep_until(not_before).await;
                retry(&self.health, &self.shutdown, "read the topic's tail", RelayError::is_transient, begin).await
            } => begun?,
            // adopted at the next turn, which begins here again
            _ = self.grants.changed() => { self.grants.mark_changed(); return Ok(()) }
            () = self.shutdown.cancelled() => return Err(Stopped::Shutdown),
        };
        for beginning in begun {
            let partition = beginning.cursor.partition;
            if let Some(held) = self.held.get_mut(&partition) {
                held.begin(beginning);
                self.published.send_modify(|published| {
                    published.insert(partition, held.published);
                });
            }
        }
        self.purged = self.purged && self.held.values().any(Held::is_starting);
        self.reread(); // the next page is of these partitions too
        Ok(())
    }

    fn published_of(&self, partition: i32) -> i64 {
        self.held.get(&partition).map_or(0, |held| held.published)
    }

    /// Throws the producer away with all that is in flight, and makes a new one. Everything starts anew.
    pub(crate) async fn replace_producer(&mut self) -> Step<()> {
        metrics::PRODUCER_RESTARTS.inc();
        let old = std::mem::replace(&mut self.outbox, Outbox::new(&self.producer).map_err(RelayError::from)?);
        let deadline = Instant::now() + CLOSE;
        let batches = self.window.take();
        let purging = aside(move || {
            old.purge();
            old
        });
        let purged = timeout_at(deadline, purging).await;
        for batch in batches {
            if let Ok(Ok(Err(error))) = timeout_at(deadline, batch.receipt).await {
                self.halt_if_too_large(&error, &batch.contents);
            }
        }
        match purged {
            // its connections close with it; past the deadline they do so later
            Ok(Ok(old)) => drop(timeout_at(deadline, aside(move || drop(old))).await),
            _ => tracing::warn!("the old producer does not end in time; what it still has may arrive late"),
        }
        self.purged = true;
        self.backlog.clear();
        self.reread();
        self.held.values_mut().for_each(Held::restart);
        Ok(())
    }

    /// After a failure the next attempt comes later and later.
    pub(crate) fn wait_before_trying_again(&mut self) {
        self.not_before = Instant::now() + self.backoff.next().unwrap_or(DRAIN);
    }

    /// Ends it all: what is in flight is waited for, checkpoints are written, the group is left.
    pub(crate) async fn stop(mut self) {
        let all: BTreeSet<i32> = self.held.keys().copied().collect();
        if let Err(Stopped::Failed(error)) = self.let_go(&all).await {
            tracing::warn!(%error, "stopping without waiting");
        }
        self.count_held();
        let Self { membership, outbox, .. } = self;
        // nothing is in flight any more, but closing could hang
        drop(timeout_at(Instant::now() + CLOSE, aside(move || drop(outbox))).await);
        membership.leave().await;
    }

    /// Shows how many partitions are held, and how many of them stand still.
    pub(crate) fn count_held(&self) {
        metrics::ASSIGNED.set(self.held.len() as i64);
        metrics::HALTED.set(self.held.values().filter(|held| held.is_halted()).count() as i64);
    }
}
