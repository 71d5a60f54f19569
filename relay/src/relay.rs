//! The loop: one task that owns everything there is to publish.
//!
//! Every turn it takes in what changed: the grants, a batch's end, a page that was read, the time. `publish.rs` has what
//! it does with events, `rebalance.rs` what it does with partitions.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBackoff;
use millrace_runtime::kafka::{Delivered, DeliveryError, Outbox};
use millrace_runtime::{Health, Shutdown, Stopped, Trouble};
use millrace_schemas::{Codec, RecordedEvent};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::bookkeeping::{Bookkeeping, Published};
use crate::connect::Connected;
use crate::error::{RelayError, Step};
use crate::group::Grants;
use crate::held::Held;
use crate::membership::Membership;
use crate::metrics;
use crate::page::{Page, PageSize, Reader};
use crate::record::Envelope;
use crate::takeover::Takeover;
use crate::window::{Batch, Window};

/// How often the loop comes round when nothing happens.
const TURN: Duration = Duration::from_secs(1);
/// A batch that is not acknowledged for this long means that Kafka is away.
const UNANSWERED: Duration = Duration::from_secs(10);

/// A relay at work.
pub(crate) struct Relay {
    pub(crate) membership: Membership,
    pub(crate) grants: watch::Receiver<Grants>,
    /// Losses of the assignment that have been dealt with.
    pub(crate) losses: u64,
    pub(crate) held: BTreeMap<i32, Held>,
    pub(crate) takeover: Takeover,
    pub(crate) reader: Arc<Reader>,
    /// The next page being read, and then the page that was read.
    pub(crate) reading: Option<Reading>,
    pub(crate) next_page: Option<Page>,
    pub(crate) page_size: PageSize,
    /// The last page had all that there was.
    pub(crate) at_the_end: bool,
    /// The page being published: each partition's events one after the other. Of one that has halted since, they are passed
    /// over.
    pub(crate) backlog: VecDeque<RecordedEvent<String>>,
    pub(crate) codec: Codec,
    pub(crate) window: Window,
    pub(crate) envelope: Envelope,
    pub(crate) outbox: Outbox,
    pub(crate) producer: ClientConfig,
    /// A producer was thrown away: what it had on the wire may still arrive.
    pub(crate) purged: bool,
    pub(crate) backoff: ExponentialBackoff,
    pub(crate) not_before: Instant,
    pub(crate) bookkeeping: Bookkeeping,
    /// Where to listen for appends.
    pub(crate) listener: tokio_postgres::Config,
    pub(crate) published: watch::Sender<Published>,
    pub(crate) health: Health,
    pub(crate) shutdown: Shutdown,
    pub(crate) unanswered: Option<Trouble>,
}

/// A page being read.
pub(crate) type Reading = Pin<Box<dyn Future<Output = Step<Page>>>>;

/// What happened.
enum Turn {
    Shutdown,
    Grants(bool),
    Settled(Batch, Result<Delivered, DeliveryError>),
    Read(Step<Page>),
    Nothing,
}

impl Relay {
    /// Joins the group. Call inside a tokio runtime.
    pub(crate) fn new(connected: Connected, health: Health, shutdown: Shutdown) -> Result<Self, RelayError> {
        metrics::declare();
        let Connected { pool, log, codec, listener, tails, member, producer, silence } = connected;
        let topic = log.name().events_topic();
        let envelope = Envelope::new(&topic, log.name().as_str());
        let membership = Membership::join(member, &topic, silence)?;
        let (health2, shutdown2) = (health.clone(), shutdown.clone());
        Ok(Self {
            grants: membership.grants(),
            membership,
            losses: 0,
            held: BTreeMap::new(),
            takeover: Takeover { tails, topic, pool: pool.clone(), log: log.clone() },
            bookkeeping: Bookkeeping { pool: pool.clone(), log: log.clone() },
            reader: Arc::new(Reader { pool, log, hint: Arc::default(), health: health2, shutdown: shutdown2 }),
            listener,
            reading: None,
            next_page: None,
            page_size: PageSize::default(),
            at_the_end: false,
            backlog: VecDeque::new(),
            codec,
            window: Window::default(),
            envelope,
            outbox: Outbox::new(&producer)?,
            producer,
            purged: false,
            backoff: crate::rebalance::backoff(),
            not_before: Instant::now(),
            published: watch::Sender::new(Published::new()),
            health,
            shutdown,
            unanswered: None,
        })
    }

    /// Publishes until the process is to stop.
    pub(crate) async fn run(mut self) -> Step<()> {
        let mut beside = JoinSet::new(); // dropped, they end
        beside.spawn(self.bookkeeping.clone().run(self.published.subscribe()));
        let (reader, listener) = (self.reader.clone(), self.listener.clone());
        beside.spawn(async move { reader.hint.keep(&listener, reader.log.name()).await });
        self.health.set_started();
        let ended = self.turns().await;
        self.stop().await; // also after an error: what is in flight is worth waiting for
        ended
    }

    async fn turns(&mut self) -> Step<()> {
        let mut ticks = tokio::time::interval(TURN);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.health.beat();
            self.adopt_grants().await?;
            self.start_partitions().await?;
            self.read_ahead()?;
            self.publish().await?;
            let turn = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => Turn::Shutdown,
                changed = self.grants.changed() => Turn::Grants(changed.is_ok()),
                (batch, result) = self.window.next() => Turn::Settled(batch, result),
                page = read(&mut self.reading) => Turn::Read(page),
                _ = ticks.tick() => Turn::Nothing,
            };
            match turn {
                Turn::Shutdown => return Ok(()),
                Turn::Grants(true) | Turn::Nothing => self.watch_kafka(),
                Turn::Grants(false) => return Err(self.no_member()),
                Turn::Settled(batch, result) => self.settle(batch, result).await?,
                Turn::Read(page) => {
                    self.reading = None;
                    self.next_page = Some(page?);
                }
            }
        }
    }

    /// The membership's thread has ended, and why.
    fn no_member(&self) -> Stopped<RelayError> {
        let reason = self.grants.borrow().ended.clone();
        RelayError::Membership(reason.unwrap_or(KafkaError::Canceled)).into()
    }

    /// Says when Kafka does not answer, and when it does again.
    fn watch_kafka(&mut self) {
        if self.window.age() <= UNANSWERED {
            self.unanswered = None;
        } else if self.unanswered.is_none() {
            tracing::warn!("Kafka has not acknowledged a batch for {UNANSWERED:?}; waiting for it");
            self.unanswered = Some(self.health.trouble());
        }
    }
}

/// Waits for the page that is being read; for ever when none is.
async fn read(reading: &mut Option<Reading>) -> Step<Page> {
    match reading {
        Some(page) => page.await,
        None => std::future::pending().await,
    }
}
