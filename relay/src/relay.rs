//! The loop that puts the parts together: one task that owns them all.
//!
//! Every turn it takes in what changed (the grants, a tail that was read, a page, batches that ended, the time) and then
//! starts what can be started. The parts don't know each other; what one of them finds, the loop hands to the others.

mod taking_in;

use millrace_runtime::kafka::DeliveryError;
use millrace_runtime::{Health, Shutdown, Stopped};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};

use crate::bookkeeping::Bookkeeping;
use crate::connect::Connected;
use crate::delivery::{Batch, Delivery, Settled, ThrownAway, is_refusal, note};
use crate::error::{RelayError, Step};
use crate::group::Membership;
use crate::halts::Halts;
use crate::metrics;
use crate::pages::{Pages, Run};
use crate::partitions::{Obstacle, Partitions};
use crate::takeover::{Looked, Takeovers};

/// How often the loop comes round when nothing happens.
const TURN: std::time::Duration = std::time::Duration::from_secs(1);

/// Why a partition is halted whose next event Kafka does not take.
const TOO_LARGE: &str = "one of the next events is larger than Kafka takes. Raise the topic's max.message.bytes and \
                         restart the relay";

/// A relay at work.
pub(crate) struct Relay {
    partitions: Partitions,
    takeovers: Takeovers,
    pages: Pages,
    delivery: Delivery,
    bookkeeping: Bookkeeping,
    halts: Halts,
    health: Health,
    shutdown: Shutdown,
}

/// What happened.
enum Turn {
    Shutdown,
    Grants(bool),
    Settled(Vec<Settled>),
    Looked(Looked),
    Read(Step<Vec<Run>>),
    Nothing,
}

impl Relay {
    /// Joins the group. Call inside a tokio runtime.
    pub(crate) fn new(connected: Connected, health: Health, shutdown: Shutdown) -> Result<Self, RelayError> {
        metrics::declare();
        let Connected { log, pool, source, listener, tails, member, producer, silence } = connected;
        let topic = log.name().events_topic();
        let membership = Membership::join(member, &topic, silence)?;
        Ok(Self {
            partitions: Partitions::new(membership, health.clone()),
            takeovers: Takeovers::new(tails, pool.clone(), log.clone()),
            pages: Pages::new(source, listener),
            delivery: Delivery::new(producer, log.name())?,
            bookkeeping: Bookkeeping::new(pool.clone(), log.clone()),
            halts: Halts::new(pool, log),
            health,
            shutdown,
        })
    }

    /// Publishes until the process is to stop.
    pub(crate) async fn run(mut self) -> Step<()> {
        self.health.set_started();
        let mut ticks = interval(TURN);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = loop {
            if let Err(stopped) = self.turn(&mut ticks).await {
                break stopped;
            }
        };
        self.stop().await; // also after an error: what is in flight is worth waiting for
        match ended {
            Stopped::Shutdown => Ok(()),
            failed => Err(failed),
        }
    }

    async fn turn(&mut self, ticks: &mut Interval) -> Step<()> {
        self.health.beat();
        self.delivery.watch(&self.health);
        self.adopt_grants().await?;
        self.let_go().await?;
        let Self { partitions, takeovers, pages, delivery, .. } = self;
        takeovers.begin(partitions.begin_looks(|partition| delivery.is_idle(partition)));
        pages.read_ahead(partitions.wants().filter(|want| !delivery.is_stuck(want.cursor.partition)));
        self.publish().await?;
        match self.wait(ticks).await {
            Turn::Shutdown => Err(Stopped::Shutdown),
            Turn::Grants(true) | Turn::Nothing => Ok(()),
            Turn::Grants(false) => Err(RelayError::Membership(self.partitions.end()).into()),
            Turn::Settled(settled) => self.settle(settled).await,
            Turn::Looked(looked) => self.take_over(looked),
            Turn::Read(runs) => {
                runs?.into_iter().for_each(|run| self.take_in(run));
                Ok(())
            }
        }
    }

    async fn wait(&mut self, ticks: &mut Interval) -> Turn {
        let due = self.partitions.next_due(|partition| self.delivery.is_idle(partition));
        let due = due.unwrap_or_else(|| Instant::now() + TURN);
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Turn::Shutdown,
            granting = self.partitions.changed() => Turn::Grants(granting),
            settled = self.delivery.settled() => Turn::Settled(settled),
            looked = self.takeovers.next() => Turn::Looked(looked),
            runs = self.pages.next() => Turn::Read(runs),
            () = tokio::time::sleep_until(due) => Turn::Nothing,
            _ = ticks.tick() => Turn::Nothing,
        }
    }

    /// Brings what is held in line with what is granted.
    async fn adopt_grants(&mut self) -> Step<()> {
        if self.partitions.take_loss() && !self.delivery.is_empty() {
            tracing::warn!("partitions were lost with records in flight; throwing the producer away");
            self.replace_producer(ThrownAway::new()).await?;
        }
        for partition in self.partitions.adopt_grants() {
            self.pages.backlog.forget(partition);
        }
        Ok(())
    }

    /// Lets partitions go that are leaving and have nothing in flight. Where that takes too long, the producer is thrown
    /// away: the next owner must find a tail that does not move.
    async fn let_go(&mut self) -> Step<()> {
        let leaving: Vec<(i32, Instant)> = self.partitions.leaving().collect();
        let is_late =
            |(partition, until): &(i32, Instant)| *until <= Instant::now() && !self.delivery.is_idle(*partition);
        if leaving.iter().any(is_late) {
            tracing::warn!(?leaving, "what is in flight is not acknowledged in time; throwing the producer away");
            self.replace_producer(ThrownAway::new()).await?;
        }
        for (partition, _) in leaving {
            if self.delivery.is_idle(partition) {
                let published = self.partitions.release(partition);
                self.halts.forget(partition);
                self.bookkeeping.close(partition, published);
            }
        }
        Ok(())
    }

    /// Hands over what there is room for, a batch of each partition in turn.
    async fn publish(&mut self) -> Step<()> {
        let mut sending = true;
        while std::mem::take(&mut sending) {
            for partition in self.pages.backlog.waiting() {
                let Some(room) = self.delivery.room(partition, self.partitions.len()) else { continue };
                tokio::task::yield_now().await; // the next page comes in meanwhile
                // what is not ours any more is not sent; the next turn lets it go
                let Some(epoch) = self.partitions.sending(partition) else { continue };
                match self.delivery.send(epoch, room, self.pages.backlog.events(partition)).await {
                    Ok(sent) => {
                        self.pages.backlog.sent(partition, sent);
                        sending |= sent > 0;
                    }
                    Err(error) => return self.replace_producer(ThrownAway::from([(partition, Some(error))])).await,
                }
            }
        }
        Ok(())
    }

    /// Batches have ended.
    async fn settle(&mut self, settled: Vec<Settled>) -> Step<()> {
        let (mut published, mut failed) = (Vec::with_capacity(settled.len()), ThrownAway::new());
        for Settled { batch, result } in settled {
            match result {
                Ok(offset) => {
                    self.acknowledged(&batch, offset);
                    published.push((batch.partition, self.partitions.published(batch.partition)));
                }
                Err(error) => note(&mut failed, batch.partition, error),
            }
        }
        self.bookkeeping.note(published);
        if failed.is_empty() {
            return Ok(());
        }
        if self.delivery.is_broken() {
            return self.replace_producer(failed).await;
        }
        self.start_anew(failed, false);
        Ok(())
    }

    fn acknowledged(&mut self, batch: &Batch, offset: i64) {
        self.delivery.count(batch);
        if !self.partitions.acknowledge(batch, offset) {
            let (partition, position) = (batch.partition, batch.last_position);
            metrics::DISTURBANCES.inc();
            tracing::error!(
                partition,
                position,
                offset,
                "offsets don't follow each other: another writer, a lost answer, or the topic was made anew and lacks \
                 what it had before (`millrace audit` tells); reading the topic's tail"
            );
            self.partitions.restart(partition, false, false);
            self.pages.backlog.forget(partition);
        }
    }

    /// Makes a new producer. Partitions that had records in flight start anew, those of `failed` among them.
    async fn replace_producer(&mut self, mut failed: ThrownAway) -> Step<()> {
        for (partition, error) in self.delivery.replace_producer().await.map_err(RelayError::from)? {
            match error {
                Some(error) => note(&mut failed, partition, error),
                None => drop(failed.entry(partition).or_default()),
            }
        }
        self.start_anew(failed, true);
        Ok(())
    }

    /// Partitions start anew from their tails, because what was sent may not have arrived.
    fn start_anew(&mut self, failed: ThrownAway, after_purge: bool) {
        for (partition, error) in failed {
            let refusal = error.filter(is_refusal);
            self.pages.backlog.forget(partition);
            self.partitions.restart(partition, after_purge, refusal.is_some());
            match refusal {
                Some(error) if error.is_too_large() => self.halt_at_a_large_event(partition, &error),
                Some(error) => tracing::error!(partition, %error, "delivery failed; reading the topic's tail"),
                None => {}
            }
        }
    }

    /// A record that Kafka will never take halts its partition, not the others. The next grant begins it anew.
    fn halt_at_a_large_event(&mut self, partition: i32, error: &DeliveryError) {
        let position = self.partitions.published(partition);
        if self.partitions.halt(partition, Obstacle::TooLarge) {
            tracing::error!(
                partition,
                position,
                %error,
                "the partition is halted, the others go on: {TOO_LARGE} (runbook MillraceRelayPartitionHalted)"
            );
        }
        self.halts.begin(partition, position, TOO_LARGE.to_owned());
    }

    /// Ends it all: what is in flight is waited for, checkpoints are written, the group is left.
    async fn stop(mut self) {
        self.partitions.leave_all();
        while self.partitions.len() > 0 {
            if let Err(Stopped::Failed(error)) = self.let_go().await {
                tracing::warn!(%error, "stopping without waiting for what is in flight");
                break;
            }
            let Some(until) = self.partitions.leaving().map(|(_, until)| until).min() else { break };
            if let Ok(settled) = timeout_at(until, self.delivery.settled()).await
                && let Err(Stopped::Failed(error)) = self.settle(settled).await
            {
                tracing::warn!(%error, "while stopping");
            }
        }
        let Self { partitions, delivery, bookkeeping, .. } = self;
        delivery.close().await;
        tokio::join!(partitions.close(), bookkeeping.end());
    }
}
