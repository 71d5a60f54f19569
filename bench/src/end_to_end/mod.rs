//! `end-to-end`: commands through all services, as clients would send them.
//!
//! With a rate, each command has its time of sending fixed beforehand, and latency counts from that time, so that stalls
//! count. Without a rate, commands are sent as fast as a bound on commands without an outcome allows.

mod appended;
mod listen;
mod look;
mod run;
mod send;
mod through;

use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_store::Log;

use crate::append::BATCH;
use crate::appends::Appends;
use crate::arguments::BenchArguments;
use crate::ceiling::{Rows, create_tables, insert};
use crate::measured::{Measured, Rate};
use crate::meter::watched;
use crate::own_log::OwnLog;
use crate::project::applied;
use crate::service::Service;
use crate::storage::Storage;
use crate::work::{ACCOUNTS, Work};
pub use send::Commands;
use through::Through;

/// How often the benchmark looks whether the services run.
const LOOK: Duration = Duration::from_millis(20);
/// Rounds of the ceiling, and the transactions of each.
const ROUNDS: usize = 3;
const TRANSACTIONS: usize = 48;

/// Measures on a log of its own.
pub async fn measure(own: &OwnLog, arguments: &BenchArguments) -> anyhow::Result<Measured> {
    let (log, pool) = own.open(3).await?;
    let mut services = start(own, &pool, arguments).await?;
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
        None => vec![inserted(&log, &pool, arguments).await?.above(&ours)],
    };
    let seconds = arguments.seconds.get();
    let work = format!("{seconds} s of entry sets: produce, decide, commit, topic, reporting");
    Ok(Measured {
        processes: passed.processes,
        latencies: passed.latencies,
        flow: Some(passed.flow),
        storage: Some(Storage::measure(&log, &pool.get().await?).await?),
        ..Measured::new("end-to-end", work, ours, ceilings)
    })
}

/// Starts the services, and waits until they have passed on the opening of all accounts.
async fn start(own: &OwnLog, pool: &Pool, arguments: &BenchArguments) -> anyhow::Result<Vec<Service>> {
    let projectors: &[&str] = if arguments.with_search { &["reporting", "search"] } else { &["reporting"] };
    let mut services = vec![Service::relay(own).await?];
    for projector in projectors {
        services.push(Service::projector(own, projector).await?);
    }
    services.extend(Service::writers(own, arguments.writers.map_or(1, u16::from)).await?);
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

/// What the plain insert makes of rows like the log's, with nothing else running.
async fn inserted(log: &Log, pool: &Pool, arguments: &BenchArguments) -> anyhow::Result<Rate> {
    create_tables(pool, log.name()).await?;
    let mut appends = Appends::new(log, &pool.get().await?, Work::all(arguments)).await?;
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let rows = (0..TRANSACTIONS).map(|_| Ok(Rows::of_batch(&appends.batch(BATCH)?)));
        let rows = rows.collect::<anyhow::Result<Vec<_>>>()?;
        rates.push(insert(pool, rows, 1).await?);
    }
    Ok(Rate::of("plain INSERT … SELECT FROM unnest, nothing else running", rates))
}
