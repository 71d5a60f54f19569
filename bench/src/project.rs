//! `project`: each projector catching up with the topic.

use deadpool_postgres::Pool;
use millrace_compose::{Console, Progress};
use millrace_projector_runner::checkpoints;
use millrace_runtime::kafka::client_config;
use millrace_schemas::LogName;

use crate::appends::Appends;
use crate::arguments::BenchArguments;
use crate::ceiling::{Upserts, consume};
use crate::fill::fill;
use crate::measured::{Measured, ProcessUse, Rate};
use crate::meter::watched;
use crate::own_log::OwnLog;
use crate::relay::EventTopic;
use crate::service::Service;
use crate::watching::{CaughtUp, catch_up};
use crate::work::Work;

/// How often ours and the ceilings take turns.
const ROUNDS: u64 = 3;
/// Events of the whole, unless asked for otherwise.
const EVENTS: u64 = 450_000;
/// Events of a projector's batch when it catches up.
const BATCH: u64 = 2000;

/// What one projector did.
struct Ours {
    /// The scenario's name in the gate's file, and the projector's own.
    names: (&'static str, &'static str),
    /// Events that it has applied.
    applied: u64,
    rounds: Vec<f64>,
    processes: Vec<ProcessUse>,
}

/// The rates of the ceilings.
#[derive(Default)]
struct Ceilings {
    consumed: Vec<f64>,
    upserted: Vec<f64>,
}

/// Measures on a log of its own.
pub async fn measure(own: &OwnLog, arguments: &BenchArguments) -> anyhow::Result<Vec<Measured>> {
    let (log, pool) = own.open(2).await?;
    let topic = EventTopic::of(own).await?;
    let mut all = ["project-reporting", "project-search"].map(|name| Ours {
        names: (name, &name[8..]),
        applied: 0,
        rounds: Vec::new(),
        processes: Vec::new(),
    });
    let opened = topic.publish_rest(own, &log, &pool).await?;
    for ours in &mut all {
        ours.catch_up(own, &pool, opened).await?;
    }
    let round_events = arguments.events.map_or(EVENTS, u64::from) / ROUNDS;
    let mut work = Work::all(arguments);
    let upserts = Upserts::prepare(&pool, &mut work, round_events, BATCH).await?;
    let mut appends = Appends::new(&log, &pool.get().await?, work).await?;
    let mut ceilings = Ceilings::default();
    for round in 1..=ROUNDS {
        appends = fill(&log, &pool, appends, round_events).await?;
        let published = topic.publish_rest(own, &log, &pool).await?;
        for ours in &mut all {
            let CaughtUp { rate, processes } = ours.catch_up(own, &pool, published).await?;
            ours.rounds.push(rate);
            ProcessUse::add(&mut ours.processes, processes);
            Console::new().line(&format!("{}: round {round} of {ROUNDS}: {rate:.0} events/s", ours.names.0));
        }
        let (config, name, partitions) = (client_config(&own.settings)?, own.name.events_topic(), topic.partitions);
        let consumed = tokio::task::spawn_blocking(move || consume(&config, &name, partitions, published));
        ceilings.consumed.push(consumed.await??);
        ceilings.upserted.push(upserts.write(&pool).await?);
    }
    let work = format!("{ROUNDS} times {round_events} events, published before the projector is started");
    Ok(all.into_iter().map(|ours| ours.beside(&ceilings, work.clone())).collect())
}

impl Ours {
    fn beside(self, ceilings: &Ceilings, work: String) -> Measured {
        let (upserted, consumed) = (ceilings.upserted.clone(), ceilings.consumed.clone());
        let ours = Rate::of(format!("ours: the projector {}, catching up", self.names.1), self.rounds);
        let ceilings = vec![
            Rate::of("plain upsert of as many account rows, on one connection", upserted).above(&ours),
            Rate::of("flat-out consumer that decodes nothing", consumed).above(&ours),
        ];
        Measured { processes: self.processes, ..Measured::new(self.names.0, work, ours, ceilings) }
    }

    /// Runs the projector until it has applied `goal` events.
    async fn catch_up(&mut self, own: &OwnLog, pool: &Pool, goal: u64) -> anyhow::Result<CaughtUp> {
        let name = self.names.1;
        let mut projector = Service::projector(own, name).await?;
        let watched = watched(&own.settings, &[&projector]);
        let look = async || applied(pool, name, &own.name).await;
        let caught_up = catch_up(std::slice::from_mut(&mut projector), watched, (self.applied, goal), look).await?;
        projector.stop().await?;
        self.applied = goal;
        Ok(caught_up)
    }
}

/// How many events a read model has applied.
pub async fn applied(pool: &Pool, projector: &str, log: &LogName) -> anyhow::Result<u64> {
    let checkpoints = checkpoints(&**pool.get().await?, projector, log).await?;
    Ok(checkpoints.into_values().map(i64::unsigned_abs).sum())
}
