//! `rebuild`: filling a new generation of `reporting` from the log, as `millrace rebuild` does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use deadpool_postgres::Pool;
use millrace_compose::{Console, Progress};
use millrace_domains::ledger::LedgerEvent;
use millrace_projector_runner::rebuild::{Filling, Pace, builds, create_build, drop_build};
use millrace_projectors::reporting::Reporting;
use millrace_runtime::{Shutdown, postgres};
use millrace_store::{Cursor, Log, PageLimit};

use crate::appends::Appends;
use crate::arguments::BenchArguments;
use crate::fill::fill;
use crate::measured::{Measured, ProcessUse, Rate};
use crate::meter::{Meter, watched};
use crate::own_log::OwnLog;
use crate::rebuild_read::read_shares;
use crate::relay::committed;
use crate::work::Work;

/// How often ours and the ceiling take turns.
const ROUNDS: i32 = 3;
/// Events of the log, unless asked for otherwise.
const EVENTS: u64 = 1_000_000;
/// As many as `millrace rebuild` has.
const WORKERS: usize = 4;
/// Events of the ceiling's page, over a worker's partitions, as of a rebuild's.
const PAGE: PageLimit = PageLimit { events: 8_000 / 3, bytes: 16 * 1024 * 1024 };

/// Measures on a log of its own.
pub async fn measure(own: &OwnLog, arguments: &BenchArguments) -> anyhow::Result<Measured> {
    let (log, pool) = own.open(WORKERS).await?;
    let events = arguments.events.map_or(EVENTS, u64::from);
    let appends = Appends::new(&log, &pool.get().await?, Work::all(arguments)).await?;
    fill(&log, &pool, appends, events).await?;
    let events = committed(&log, &pool).await?;
    pool.get().await?.batch_execute(include_str!("ceiling/sql/create_balances.sql")).await?;
    let watched = watched(&own.settings, &[]);
    let (mut ours, mut plain, mut processes) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let meter = Meter::start(watched.clone());
        let rate = rebuild(own, &log, &pool, round + 1, events).await?;
        ProcessUse::add(&mut processes, meter.read(events));
        ours.push(rate);
        plain.push(fold_all(&log, own, events).await?);
        Console::new().line(&format!("rebuild: round {round} of {ROUNDS}: {rate:.0} events/s"));
    }
    let work = format!("{events} events into an empty generation, {WORKERS} workers");
    let ours = Rate::of("ours: a generation of reporting, filled", ours);
    let ceilings = vec![Rate::of("reading, folding and upserting balances, and nothing else", plain).above(&ours)];
    Ok(Measured { processes, ..Measured::new("rebuild", work, ours, ceilings) })
}

/// Fills a generation and drops it; events a second.
async fn rebuild(own: &OwnLog, log: &Log, pool: &Pool, number: i32, events: u64) -> anyhow::Result<f64> {
    let mut client = pool.get().await?;
    create_build(&mut client, &Reporting, number).await?;
    let all = builds(&**client, "reporting").await?;
    let build = all.into_iter().find(|build| build.generation.number == number).context("no generation")?;
    let url = own.settings.postgres_url()?;
    let source = postgres::pool(url, own.name.as_str(), WORKERS)?;
    let read_model = postgres::read_model_pool(url, &build.schema, WORKERS + 1)?;
    let stores = (log.clone(), source, read_model);
    let place = (build.schema.clone(), build.generation);
    let filling = Filling::new(Arc::new(Reporting), place, stores, (WORKERS, Pace::new(None)), Shutdown::new());
    let heads: BTreeMap<i32, i64> = log.positions(&client).await?;
    let started = Instant::now();
    filling.fill(&heads).await?;
    let rate = events as f64 / started.elapsed().as_secs_f64();
    if filling.pace().applied() != events {
        bail!("the log has {events} events, and {} were applied", filling.pace().applied());
    }
    drop_build(&client, &build).await?;
    Ok(rate)
}

/// Reads all events, folds their amounts by account, and upserts the sums, with as many workers; events a second.
async fn fold_all(log: &Log, own: &OwnLog, events: u64) -> anyhow::Result<f64> {
    let url = own.settings.postgres_url()?;
    let source = postgres::pool(url, own.name.as_str(), WORKERS)?;
    let sums = postgres::read_model_pool(url, "ceiling", WORKERS)?;
    sums.get().await?.batch_execute("TRUNCATE ceiling.account_balances").await?;
    read_shares(log, WORKERS, events, |cursors| fold(log.clone(), source.clone(), sums.clone(), cursors)).await
}

async fn fold(log: Log, source: Pool, sums: Pool, mut cursors: Vec<Cursor>) -> anyhow::Result<u64> {
    let (source, sums) = (source.get().await?, sums.get().await?);
    let upsert = sums.prepare_cached(include_str!("ceiling/sql/upsert.sql")).await?;
    let mut read = 0;
    let mut page = log.read(&source, &cursors, PAGE).await?;
    while !page.events.is_empty() {
        cursors = page
            .events
            .chunk_by(|a, b| a.partition == b.partition)
            .filter_map(<[_]>::last)
            .map(Cursor::after)
            .collect();
        read += page.events.len() as u64;
        let write = async {
            let mut accounts: BTreeMap<String, (i64, i64)> = BTreeMap::new();
            for event in &page.events {
                if let Some(Ok(LedgerEvent::EntryPosted(entry))) = LedgerEvent::read(event.schema, event.datum()) {
                    let (change, entries) = accounts.entry(entry.account_id).or_default();
                    *change += entry.amount_minor;
                    *entries += 1;
                }
            }
            let changes: Vec<i64> = accounts.values().map(|(change, _)| *change).collect();
            let entries: Vec<i64> = accounts.values().map(|(_, entries)| *entries).collect();
            let ids: Vec<String> = accounts.into_keys().collect();
            sums.execute(&upsert, &[&ids, &changes, &entries]).await
        };
        let (next, written) = tokio::join!(log.read(&source, &cursors, PAGE), write);
        written?;
        page = next?;
    }
    Ok(read)
}
