//! `rebuild-read`: reading the log by position, as a rebuild of a read model does.

use std::time::Instant;

use anyhow::{Context, bail};
use deadpool_postgres::Pool;
use millrace_compose::{Console, Progress};
use millrace_domains::ledger::LedgerEvent;
use millrace_store::{Cursor, Log, PageLimit};
use tokio::task::JoinSet;

use crate::appends::Appends;
use crate::arguments::BenchArguments;
use crate::ceiling::copy_out;
use crate::fill::fill;
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
/// Bytes of a page, over all partitions: never reached.
const PAGE_BYTES: i64 = 64 * 1024 * 1024;

/// Measures on a log of its own.
pub async fn measure(own: &OwnLog, arguments: &BenchArguments) -> anyhow::Result<Measured> {
    let connections = usize::from(arguments.connections);
    let (log, pool) = own.open(connections).await?;
    let events = arguments.events.map_or(EVENTS, u64::from);
    let appends = Appends::new(&log, &pool.get().await?, Work::all(arguments)).await?;
    fill(&log, &pool, appends, events).await?;
    let events = committed(&log, &pool).await?;
    let watched = watched(&own.settings, &[]);
    let (mut ours, mut copies, mut processes) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let meter = Meter::start(watched.clone());
        let rate = read_all(&log, &pool, connections, events).await?;
        ProcessUse::add(&mut processes, meter.read(events));
        ours.push(rate);
        copies.push(copy_out(&pool, &own.name, connections, events).await?);
        Console::new().line(&format!("rebuild-read: round {round} of {ROUNDS}: {rate:.0} events/s"));
    }
    let work = format!("{events} events on {connections} connection(s), pages of {PAGE}");
    let ours = Rate::of("ours: Log::read, decoded", ours);
    let ceilings = vec![Rate::of("COPY out of the same rows", copies).above(&ours)];
    Ok(Measured { processes, ..Measured::new("rebuild-read", work, ours, ceilings) })
}

/// Reads and decodes all events; events a second.
async fn read_all(log: &Log, pool: &Pool, connections: usize, events: u64) -> anyhow::Result<f64> {
    read_shares(log, connections, events, |cursors| read(log.clone(), pool.clone(), cursors)).await
}

/// Reads all events with as many tasks, among which the partitions are shared; events a second. Each gets its cursors and
/// says how many events it has read.
pub async fn read_shares<F>(
    log: &Log,
    shares: usize,
    events: u64,
    read: impl Fn(Vec<Cursor>) -> F,
) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<u64>> + Send + 'static,
{
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for share in 0..shares {
        let partitions = (0..log.partitions() as i32).filter(|partition| *partition as usize % shares == share);
        tasks.spawn(read(partitions.map(Cursor::start).collect()));
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
        let partitions = cursors.len() as i64;
        let limit = PageLimit { events: PAGE / partitions, bytes: PAGE_BYTES / partitions };
        let page = log.read(&client, &cursors, limit).await?;
        // a partition without an event in the page is read to its end
        let mut next: Vec<Cursor> = Vec::with_capacity(cursors.len());
        for event in &page.events {
            let decoded = LedgerEvent::read(event.schema, event.datum());
            decoded.with_context(|| format!("{} is no event of the ledger", event.event_type()))??;
            match next.last_mut() {
                // a partition's events come in a row
                Some(cursor) if cursor.partition == event.partition => *cursor = Cursor::after(event),
                _ => next.push(Cursor::after(event)),
            }
        }
        read += page.events.len() as u64;
        cursors = next;
    }
    Ok(read)
}
