//! `append`: committing batches of decided commands, without Kafka.

use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use deadpool_postgres::Pool;
use hdrhistogram::Histogram;
use millrace::Usage;
use millrace_compose::{Console, Progress};
use millrace_store::{AppendBatch, Log};
use tokio::task::JoinSet;

use crate::appends::{Appends, streams};
use crate::arguments::BenchArguments;
use crate::ceiling::{Rows, copy_in, create_tables, insert};
use crate::fill::append;
use crate::measured::{Latency, Measured, ProcessUse, Rate, histogram};
use crate::meter::{Meter, watched};
use crate::own_log::OwnLog;
use crate::storage::Storage;
use crate::work::Work;

/// Commands of an append, each with two events.
pub const BATCH: usize = 500;
/// How often ours and the ceilings take turns.
const ROUNDS: u64 = 5;
/// Events of the whole, unless asked for otherwise.
const EVENTS: u64 = 400_000;

/// The batches of one connection, in their order.
type Share = Arc<[AppendBatch]>;

/// Measures on a log of its own.
pub async fn measure(own: &OwnLog, arguments: &BenchArguments) -> anyhow::Result<Measured> {
    let connections = usize::from(arguments.connections);
    let (log, pool) = own.open(connections).await?;
    create_tables(&pool, &own.name).await?;
    let mut appends = shared_out(&log, &pool, arguments).await?;
    let events = arguments.events.map_or(EVENTS, u64::from);
    let batches = (events / ROUNDS).div_ceil(2 * (BATCH * connections) as u64);
    let round_events = 2 * (BATCH * connections) as u64 * batches;
    let (mut ours, mut inserts, mut copies) = (Vec::new(), Vec::new(), Vec::new());
    let (mut latencies, mut processes) = (histogram(), Vec::new());
    let watched = watched(&own.settings, &[]);
    for round in 1..=ROUNDS {
        let share = |appends: &mut Appends| (0..batches).map(|_| appends.batch(BATCH)).collect();
        let shares: Vec<Share> = appends.iter_mut().map(share).collect::<anyhow::Result<_>>()?;
        let meter = Meter::start(watched.clone());
        let (rate, of_round) = append_all(&log, &pool, &shares).await?;
        ProcessUse::add(&mut processes, meter.read(round_events));
        latencies.add(of_round)?;
        ours.push(rate);
        let rows = rows_in_turn(&shares);
        copies.push(copy_in(&pool, &rows, connections).await?);
        inserts.push(insert(&pool, rows, connections).await?);
        Console::new().line(&format!("append: round {round} of {ROUNDS}: {rate:.0} events/s"));
    }
    let work = format!("appends of {BATCH} entry sets on {connections} connection(s)");
    let ours = Rate::of("ours: Log::append", ours);
    let ceilings = vec![
        Rate::of("plain INSERT … SELECT FROM unnest of the same rows", inserts).above(&ours),
        Rate::of("COPY in of the same rows", copies).above(&ours),
    ];
    Ok(Measured {
        processes,
        latencies: vec![Latency::of("an append", &latencies)],
        storage: Some(Storage::measure(&log, &pool.get().await?).await?),
        ..Measured::new("append", work, ours, ceilings)
    })
}

/// The rows of all batches; every connection's turn comes again.
fn rows_in_turn(shares: &[Share]) -> Vec<Rows> {
    let batches = shares.first().map_or(0, |share| share.len());
    (0..batches).flat_map(|nr| shares.iter().map(move |share| Rows::of_batch(&share[nr]))).collect()
}

/// Work for each connection, over accounts in partitions of its own, as writers share partitions.
async fn shared_out(log: &Log, pool: &Pool, arguments: &BenchArguments) -> anyhow::Result<Vec<Appends>> {
    let connections = i32::from(arguments.connections);
    if connections > log.partitions() as i32 {
        bail!(Usage(format!("the log has {} partitions: --connections can be no more", log.partitions())));
    }
    let streams = streams()?;
    let mut shares = Vec::new();
    for connection in 0..connections {
        let is_its = |number: &usize| log.partition_of(&streams[*number]) % connections == connection;
        let accounts = (0..streams.len()).filter(is_its).collect();
        let work = Work::new(arguments.seed.wrapping_add(connection as u64), arguments.skew, accounts);
        shares.push(Appends::new(log, &pool.get().await?, work).await?);
    }
    Ok(shares)
}

/// Appends each share's batches on a connection of its own; events a second, and how long each append took.
async fn append_all(log: &Log, pool: &Pool, shares: &[Share]) -> anyhow::Result<(f64, Histogram<u64>)> {
    let mut ready = Vec::new();
    for share in shares {
        ready.push((pool.get().await?, share.clone()));
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for (client, share) in ready {
        let log = log.clone();
        tasks.spawn(async move {
            let (mut latencies, mut events) = (histogram(), 0);
            for batch in &*share {
                let began = Instant::now();
                append(&log, &client, batch).await?;
                latencies.saturating_record(began.elapsed().as_micros() as u64);
                events += batch.events.len();
            }
            anyhow::Ok((latencies, events))
        });
    }
    let (mut latencies, mut events) = (histogram(), 0);
    while let Some(done) = tasks.join_next().await {
        let (its_latencies, its_events) = done??;
        latencies.add(its_latencies)?;
        events += its_events;
    }
    Ok((events as f64 / started.elapsed().as_secs_f64(), latencies))
}
