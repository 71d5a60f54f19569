//! `rebuild-read`: reading the log by position, as a rebuild of a read model has to.

use std::time::Instant;

use anyhow::{Context, bail};
use deadpool_postgres::Pool;
use millrace_compose::{Console, Progress};
use millrace_schemas::ledger::LedgerEvent;
use millrace_store::{Cursor, Log};
use tokio::task::JoinSet;

use crate::appends::Appends;
use crate::arguments::BenchArguments;
use crate::ceiling::copy_out;
use crate::fill::{fill, streams};
use crate::measured::{Measured, ProcessUse, Rate};
use crate::meter::{Meter, watched};
use crate::own_log::OwnLog;
use crate::relay::committed;
use crate::work::Work;

/// How often ours and the ceiling take turns.
const ROUNDS: u64 = 3;
/// Events of the log, unless asked for otherwise.
const EVENTS: u64 = 300_000;
/// Events of a page, over all partitions.
const PAGE: i64 = 4000;

/// Measures on a log of its own.
pub async fn measure(own: &OwnLog, arguments: &BenchArguments) -> anyhow::Result<Measured> {
    let connections = usize::from(arguments.connections);
    let (log, pool) = own.open(connections).await?;
    let events = arguments.events.map_or(EVENTS, u64::from);
    fill(&log, &pool, Appends::new(Work::all(arguments), streams()?, "set"), events).await?;
    let events = committed(&log, &pool).await?;
    let watched = watched(&own.settings, &[]);
    let (mut ours, mut copies, mut processes) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let meter = Meter::start(watched.clone());
        let rate = read_all(&log, &pool, connections, events).await?;
        ProcessUse::add(&mut processes, meter.read(events));
        ours.push(rate);
        copies.push(copy_out(&pool, connections, events).await?);
        Console::new().line(&format!("rebuild-read: round {round} of {ROUNDS}: {rate:.0} events/s"));
    }
    let ours = Rate::of("ours: Log::read, decoded", ours);
    Ok(Measured {
        name: "rebuild-read",
        work: format!("{events} events on {connections} connection(s), pages of {PAGE}"),
        ceilings: vec![Rate::of("COPY out of the same rows", copies).above(&ours)],
        ours,
        processes,
        latencies: Vec::new(),
        flow: None,
    })
}

/// Reads and decodes all events, the partitions shared among so many connections; events a second.
async fn read_all(log: &Log, pool: &Pool, connections: usize, events: u64) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for share in 0..connections {
        let partitions = (0..log.partitions() as i32).filter(|partition| *partition as usize % connections == share);
        tasks.spawn(read(log.clone(), pool.clone(), partitions.map(Cursor::start).collect()));
    }
    let mut read = 0;
    while let Some(done) = tasks.join_next().await {
        read += done??;
    }
    if read != events {
        bail!("the log has {events} events, and {read} were read");
    }
    Ok(events as f64 / started.elapsed().as_secs_f64())
}

async fn read(log: Log, pool: Pool, mut cursors: Vec<Cursor>) -> anyhow::Result<u64> {
    let client = pool.get().await?;
    let mut read = 0;
    while !cursors.is_empty() {
        let limit = PAGE / cursors.len() as i64;
        let page = log.read(&client, &cursors, limit).await?;
        let mut counts = vec![0; cursors.len()];
        for event in &page {
            let decoded = LedgerEvent::from_json(&event.event_type, &event.data);
            decoded.with_context(|| format!("{} is no event of the ledger", event.event_type))??;
            if let Some(place) = cursors.iter().position(|cursor| cursor.partition == event.partition) {
                cursors[place].position = event.position;
                cursors[place].recorded_at = event.recorded_at;
                counts[place] += 1;
            }
        }
        read += page.len() as u64;
        let mut counts = counts.into_iter();
        cursors.retain(|_| counts.next() == Some(limit));
    }
    Ok(read)
}
