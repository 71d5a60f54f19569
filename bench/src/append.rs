//! `append`: committing batches of decided commands, without Kafka.

use std::time::Instant;

use anyhow::bail;
use deadpool_postgres::Pool;
use hdrhistogram::Histogram;
use millrace::Usage;
use millrace_compose::{Console, Progress};
use millrace_schemas::{RecordedEvent, StreamId};
use millrace_store::{Append, Cursor, Log};
use tokio::task::JoinSet;

use crate::appends::Appends;
use crate::arguments::BenchArguments;
use crate::ceiling::{Rows, copy_in, create_tables, insert};
use crate::fill::{append, streams};
use crate::measured::{Latency, Measured, ProcessUse, Rate, histogram};
use crate::meter::{Meter, watched};
use crate::own_log::OwnLog;
use crate::work::Work;

/// Commands of an append, each with two events.
const BATCH: usize = 500;
/// How often ours and the ceilings take turns.
const ROUNDS: u64 = 5;
/// Events of the whole, unless asked for otherwise.
const EVENTS: u64 = 200_000;

/// Measures on a log of its own.
pub async fn measure(own: &OwnLog, arguments: &BenchArguments) -> anyhow::Result<Measured> {
    let connections = usize::from(arguments.connections);
    let (log, pool) = own.open(connections).await?;
    create_tables(&pool).await?;
    let mut appends = shared_out(&log, arguments)?;
    let events = arguments.events.map_or(EVENTS, u64::from);
    let batches = (events / ROUNDS).div_ceil(2 * (BATCH * connections) as u64);
    let cursors = (0..log.partitions() as i32).map(Cursor::start).collect();
    let cursors = read_past(&log, &pool, cursors).await?.0;
    let mut rounds = Rounds { cursors, ours: Vec::new(), inserts: Vec::new(), copies: Vec::new() };
    let (mut latencies, mut processes) = (histogram(), Vec::new());
    let watched = watched(&own.settings, &[]);
    for round in 1..=ROUNDS {
        let share = |appends: &mut Appends| (0..batches).map(|_| appends.batch(BATCH)).collect();
        let shares: Vec<Share> = appends.iter_mut().map(share).collect::<anyhow::Result<_>>()?;
        let meter = Meter::start(watched.clone());
        let (rate, of_round) = append_all(&log, &pool, shares).await?;
        ProcessUse::add(&mut processes, meter.read(2 * (BATCH * connections) as u64 * batches));
        latencies.add(of_round)?;
        rounds.ours.push(rate);
        rounds.ceilings(&log, &pool, connections).await?;
        Console::new().line(&format!("append: round {round} of {ROUNDS}: {rate:.0} events/s"));
    }
    let ours = Rate::of("ours: Log::append", rounds.ours);
    Ok(Measured {
        name: "append",
        work: format!("appends of {BATCH} entry sets on {connections} connection(s)"),
        ceilings: vec![
            Rate::of("plain INSERT … SELECT FROM unnest of the same rows", rounds.inserts).above(&ours),
            Rate::of("COPY in of the same rows", rounds.copies).above(&ours),
        ],
        ours,
        processes,
        latencies: vec![Latency::of("an append", &latencies)],
        flow: None,
    })
}

/// The batches of one connection.
type Share = Vec<Vec<Append>>;

/// What each round gave, and how far the log has been read.
struct Rounds {
    cursors: Vec<Cursor>,
    ours: Vec<f64>,
    inserts: Vec<f64>,
    copies: Vec<f64>,
}

impl Rounds {
    /// Copies and inserts what our round has appended.
    async fn ceilings(&mut self, log: &Log, pool: &Pool, connections: usize) -> anyhow::Result<()> {
        let cursors = std::mem::take(&mut self.cursors);
        let (cursors, events) = read_past(log, pool, cursors).await?;
        self.cursors = cursors;
        let rows = events.chunks(2 * BATCH).map(Rows::of).collect::<anyhow::Result<Vec<_>>>()?;
        self.copies.push(copy_in(pool, &rows, connections, events.len()).await?);
        self.inserts.push(insert(pool, rows, connections, events.len()).await?);
        Ok(())
    }
}

/// Work for each connection, over accounts in partitions of its own, as writers share partitions.
fn shared_out(log: &Log, arguments: &BenchArguments) -> anyhow::Result<Vec<Appends>> {
    let connections = i32::from(arguments.connections);
    if connections > log.partitions() as i32 {
        bail!(Usage(format!("the log has {} partitions: --connections can be no more", log.partitions())));
    }
    let streams = streams()?;
    let share = |connection: i32| {
        let is_its = |stream: &StreamId| log.partition_of(stream) % connections == connection;
        let accounts = (0..streams.len()).filter(|number| is_its(&streams[*number])).collect();
        let work = Work::new(arguments.seed.wrapping_add(connection as u64), arguments.skew, accounts);
        Appends::new(work, streams.clone(), &format!("set-{connection}"))
    };
    Ok((0..connections).map(share).collect())
}

/// Appends each share's batches on a connection of its own; events a second, and how long each append took.
async fn append_all(log: &Log, pool: &Pool, shares: Vec<Share>) -> anyhow::Result<(f64, Histogram<u64>)> {
    let mut ready = Vec::new();
    for share in shares {
        ready.push((pool.get().await?, share));
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for (client, share) in ready {
        let log = log.clone();
        tasks.spawn(async move {
            let (mut latencies, mut events) = (histogram(), 0);
            for batch in &share {
                let began = Instant::now();
                append(&log, &client, batch).await?;
                latencies.saturating_record(began.elapsed().as_micros() as u64);
                events += 2 * batch.len();
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

/// Everything after the cursors, in the order of the appends as far as their times tell it.
async fn read_past(
    log: &Log,
    pool: &Pool,
    mut cursors: Vec<Cursor>,
) -> anyhow::Result<(Vec<Cursor>, Vec<RecordedEvent<String>>)> {
    let mut events = log.read(&pool.get().await?, &cursors, i64::MAX).await?;
    for event in &events {
        if let Some(cursor) = cursors.iter_mut().find(|cursor| cursor.partition == event.partition) {
            (cursor.position, cursor.recorded_at) = (event.position, event.recorded_at);
        }
    }
    events.sort_by_key(|event| event.recorded_at);
    Ok((cursors, events))
}
