//! `end-to-end`: commands through all services, as clients would send them.
//!
//! With a rate, each command's time of sending is fixed beforehand, and latency counts from it: what waits because
//! something stalls counts as slow. Without, as many commands are sent as go with a bounded number without an outcome.

mod listen;
mod look;
mod run;
mod send;
mod through;

use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_store::{Cursor, Log};

use crate::arguments::BenchArguments;
use crate::ceiling::{Rows, create_tables, insert};
use crate::measured::{Measured, Rate};
use crate::meter::watched;
use crate::own_log::OwnLog;
use crate::project::applied;
use crate::service::Service;
use crate::work::ACCOUNTS;
use through::Through;

/// How often it is looked whether the services run.
const LOOK: Duration = Duration::from_millis(20);
/// Rounds of the ceiling, and the events of one partition in each.
const ROUNDS: usize = 3;
const EVENTS_OF_A_PARTITION: i64 = 4000;
/// Rows of a transaction of the ceiling.
const ROWS: usize = 1000;

/// Measures on a log of its own.
pub async fn measure(own: &OwnLog, arguments: &BenchArguments) -> anyhow::Result<Measured> {
    let (log, pool) = own.open(3).await?;
    let mut services = start(own, &pool, arguments.with_search).await?;
    let watched = watched(&own.settings, &services.iter().collect::<Vec<_>>());
    let through = Through::prepare(own, &log, &pool, arguments).await?;
    let passed = tokio::select! {
        passed = through.pass(watched) => passed?,
        ended = until_one_ends(&mut services) => return Err(ended),
    };
    for service in services {
        service.stop().await?;
    }
    let ours = Rate::of("ours: events visible in reporting", vec![passed.visible_per_second]);
    let ceilings = match arguments.rate {
        Some(_) => Vec::new(),
        None => vec![inserted(&log, &pool).await?.above(&ours)],
    };
    let seconds = arguments.seconds.get();
    Ok(Measured {
        name: "end-to-end",
        work: format!("{seconds} s of entry sets: produce, decide, commit, topic, reporting"),
        ours,
        ceilings,
        processes: passed.processes,
        latencies: passed.latencies,
        flow: Some(passed.flow),
    })
}

/// The services, ready, with the opening of all accounts behind them.
async fn start(own: &OwnLog, pool: &Pool, with_search: bool) -> anyhow::Result<Vec<Service>> {
    let projectors: &[&str] = if with_search { &["reporting", "search"] } else { &["reporting"] };
    let mut services = vec![Service::writer(own).await?, Service::relay(own).await?];
    for projector in projectors {
        services.push(Service::projector(own, projector).await?);
    }
    for service in &mut services {
        service.wait_until_ready().await?;
    }
    for projector in projectors {
        while applied(pool, projector, &own.name).await? < ACCOUNTS as u64 {
            services.iter_mut().try_for_each(Service::check)?;
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(services)
}

async fn until_one_ends(services: &mut [Service]) -> anyhow::Error {
    loop {
        if let Err(ended) = services.iter_mut().try_for_each(Service::check) {
            return ended;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What the plain insert makes of the last events, with nothing else running.
async fn inserted(log: &Log, pool: &Pool) -> anyhow::Result<Rate> {
    create_tables(pool).await?;
    let mut rates = Vec::new();
    for round in 0..ROUNDS as i64 {
        let client = pool.get().await?;
        let heads = log.heads(&client).await?;
        let from = |(partition, head)| Cursor {
            position: i64::max(head - (round + 1) * EVENTS_OF_A_PARTITION, 0),
            ..Cursor::start(partition)
        };
        let cursors: Vec<Cursor> = (0..).zip(heads).map(from).collect();
        let mut events = log.read(&client, &cursors, EVENTS_OF_A_PARTITION).await?;
        drop(client);
        events.sort_by_key(|event| event.recorded_at);
        let rows = events.chunks(ROWS).map(Rows::of).collect::<anyhow::Result<Vec<_>>>()?;
        rates.push(insert(pool, rows, 1, events.len()).await?);
    }
    Ok(Rate::of("plain INSERT … SELECT FROM unnest, nothing else running", rates))
}
