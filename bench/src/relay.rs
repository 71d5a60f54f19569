//! `relay`: publishing what has piled up in the log.

use std::time::{Duration, Instant};

use anyhow::Context;
use deadpool_postgres::Pool;
use millrace::TopicEnds;
use millrace_compose::{Console, Progress};
use millrace_runtime::kafka::{TopicSpec, client_config, create_topics, producer_config};
use millrace_store::Log;

use crate::appends::Appends;
use crate::arguments::BenchArguments;
use crate::ceiling::{copy_out, produce, records_of};
use crate::fill::fill;
use crate::measured::{Measured, ProcessUse, Rate};
use crate::meter::watched;
use crate::own_log::OwnLog;
use crate::run::WARM_UP;
use crate::service::Service;
use crate::watching::{CaughtUp, catch_up};
use crate::work::Work;

/// How often ours and the ceilings take turns.
const ROUNDS: u64 = 3;
/// Events of the whole, unless asked for otherwise.
const EVENTS: u64 = 600_000;
/// Records of each partition that the flat-out producer sends over and over.
const RECORDS: u16 = 1500;
/// How often the benchmark looks whether an untimed relay is done.
const LOOK: Duration = Duration::from_millis(50);

/// Measures on a log of its own.
pub async fn measure(own: &OwnLog, arguments: &BenchArguments) -> anyhow::Result<Measured> {
    let (log, pool) = own.open(2).await?;
    let topic = EventTopic::of(own).await?;
    let mut published = topic.publish_rest(own, &log, &pool).await?;
    topic.warm_up(own).await?;
    let round_events = arguments.events.map_or(EVENTS, u64::from) / ROUNDS;
    let mut appends = Appends::new(&log, &pool.get().await?, Work::all(arguments)).await?;
    let (mut ours, mut produced, mut copied, mut processes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        appends = fill(&log, &pool, appends, round_events).await?;
        let goal = committed(&log, &pool).await?;
        let mut relay = Service::relay(own).await?;
        let watched = watched(&own.settings, &[&relay]);
        let CaughtUp { rate, processes: used } =
            catch_up(std::slice::from_mut(&mut relay), watched, (published, goal), async || topic.events().await)
                .await?;
        published = goal;
        relay.stop().await?;
        ours.push(rate);
        ProcessUse::add(&mut processes, used);
        produced.push(topic.flat_out(own, round_events).await?);
        copied.push(copy_out(&pool, &own.name, 1, goal).await?);
        Console::new().line(&format!("relay: round {round} of {ROUNDS}: {rate:.0} events/s"));
    }
    let work = format!("{ROUNDS} times {round_events} events, committed before the relay is started");
    let ours = Rate::of("ours: the relay, catching up", ours);
    let ceilings = vec![
        Rate::of("flat-out producer of the same records", produced).above(&ours),
        Rate::of("COPY out of the events", copied).above(&ours),
    ];
    Ok(Measured { processes, ..Measured::new("relay", work, ours, ceilings) })
}

/// How many events the log has.
pub async fn committed(log: &Log, pool: &Pool) -> anyhow::Result<u64> {
    Ok(log.positions(&pool.get().await?).await?.into_values().map(i64::unsigned_abs).sum())
}

/// The event topic, as seen from outside.
pub struct EventTopic {
    ends: TopicEnds,
    name: String,
    /// Its number of partitions.
    pub partitions: i32,
}

impl EventTopic {
    /// The event topic of a log that is migrated.
    pub async fn of(own: &OwnLog) -> anyhow::Result<Self> {
        let name = own.name.events_topic();
        let ends = TopicEnds::of(&client_config(&own.settings)?, name.clone()).await?;
        let partitions = i32::try_from(own.settings.partitions)?;
        Ok(Self { ends, name, partitions })
    }

    /// How many events it has.
    pub async fn events(&self) -> anyhow::Result<u64> {
        Ok(self.ends.get().await?.into_iter().map(i64::unsigned_abs).sum())
    }

    /// Lets a relay publish what the log has, untimed; how many events the topic has then.
    pub async fn publish_rest(&self, own: &OwnLog, log: &Log, pool: &Pool) -> anyhow::Result<u64> {
        let goal = committed(log, pool).await?;
        let mut relay = Service::relay(own).await?;
        while self.events().await? < goal {
            relay.check()?;
            tokio::time::sleep(LOOK).await;
        }
        relay.stop().await?;
        Ok(goal)
    }

    /// Produces to a topic beside it until Kafka's compiler, which takes a quarter of this machine meanwhile, is done.
    async fn warm_up(&self, own: &OwnLog) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < WARM_UP {
            self.flat_out(own, EVENTS / ROUNDS).await?;
        }
        Ok(())
    }

    /// Produces so many of its records flat-out to a topic beside it; records a second.
    async fn flat_out(&self, own: &OwnLog, events: u64) -> anyhow::Result<f64> {
        let settings = &own.settings;
        let beside = TopicSpec {
            name: own.ceiling_topic(),
            partitions: settings.partitions,
            is_fixed: true,
            replication_factor: settings.replication_factor,
            settings: Vec::new(),
        };
        create_topics(&client_config(settings)?, std::slice::from_ref(&beside)).await?;
        let (reading, producing) = (client_config(settings)?, producer_config(settings)?);
        let (topic, partitions) = (self.name.clone(), self.partitions);
        tokio::task::spawn_blocking(move || {
            let records = records_of(&reading, &topic, partitions, RECORDS).context("the topic can't be read")?;
            produce(&producing, &beside.name, &records, events)
        })
        .await?
    }
}
