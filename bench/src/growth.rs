//! `growth`: whether work costs the same in a log ten times as long.
//!
//! Two logs, one with a tenth of the other's events, on the same servers. What is measured is done to both in turn, so
//! that the machine's speed, which changes from minute to minute, is the same for both.

use std::time::Instant;

use deadpool_postgres::Object;
use fastrand::Rng;
use millrace_compose::{Console, Progress};
use millrace_store::{AppendBatch, Cursor, Log, PageLimit};

use crate::append::BATCH;
use crate::appends::Appends;
use crate::arguments::BenchArguments;
use crate::fill::{append, fill};
use crate::measured::{Measured, Rate};
use crate::own_log::OwnLog;
use crate::storage::Storage;
use crate::work::{ACCOUNTS, Work};

/// Events of the larger log, unless asked for otherwise.
const EVENTS: u64 = 10_000_000;
/// How much smaller the smaller log is.
const TIMES: u64 = 10;
/// A line is printed each time so many events are in.
const STEP: u64 = 1_000_000;
/// A round's rate is that of its calls together; the median round counts.
const ROUNDS: usize = 10;
const CALLS: usize = 10;
/// What the relay reads when it is half a page behind: events of each partition.
const PAGE: PageLimit = PageLimit { events: 333, bytes: 1024 * 1024 };
/// Streams that a batch of new commands makes a writer load, and events of each.
const STREAMS: usize = 500;
const EVENTS_OF_A_STREAM: i64 = 10;

/// A log that is filled.
struct Grown {
    log: Log,
    client: Object,
    appends: Appends,
    rng: Rng,
    events: u64,
    rates: Rates,
    cost: Cost,
}

/// What Postgres did for the measured appends.
#[derive(Default)]
struct Cost {
    events: usize,
    wal_bytes: i64,
}

/// Of each round, in events a second.
#[derive(Default)]
struct Rates {
    append: Vec<f64>,
    read: Vec<f64>,
    load: Vec<f64>,
}

/// Fills both logs and measures.
pub async fn measure(small: &OwnLog, large: &OwnLog, arguments: &BenchArguments) -> anyhow::Result<Vec<Measured>> {
    let events = arguments.events.map_or(EVENTS, u64::from);
    let mut small = Grown::new(small, events / TIMES, arguments).await?;
    let mut large = Grown::new(large, events, arguments).await?;
    for round in 1..=ROUNDS {
        let mut times = [Times::default(), Times::default()];
        for _ in 0..CALLS {
            for (log, times) in [&mut small, &mut large].into_iter().zip(&mut times) {
                log.call(times).await?;
            }
        }
        for (log, times) in [&mut small, &mut large].into_iter().zip(times) {
            log.rates.push(&times);
        }
        let ratio = large.rates.append[round - 1] / small.rates.append[round - 1];
        Console::new().line(&format!("growth: round {round} of {ROUNDS}: append {ratio:.2} of the smaller log's rate"));
    }
    for log in [&small, &large] {
        let wal = log.cost.wal_bytes / log.cost.events as i64;
        Console::new().line(&format!("growth: {} events: each appended one wrote {wal} bytes of WAL", log.events));
    }
    let storage = Storage::measure(&large.log, &large.client).await?;
    let (few, many) = (small.events, large.events);
    let compare = |name, what: &str, few_rates: Vec<f64>, many_rates: Vec<f64>| {
        let ours = Rate::of(format!("{what}, {many} events"), many_rates);
        let ceilings = vec![Rate::of(format!("{what}, {few} events"), few_rates).above(&ours)];
        let work = format!("calls to two logs in turn, {ROUNDS} rounds of {CALLS}");
        Measured { storage: Some(storage), ..Measured::new(name, work, ours, ceilings) }
    };
    let (few, many) = (small.rates, large.rates);
    Ok(vec![
        compare("growth-append", &format!("append of {BATCH} entry sets"), few.append, many.append),
        compare(
            "growth-relay",
            &format!("reading the last {} events of each partition", PAGE.events),
            few.read,
            many.read,
        ),
        compare(
            "growth-load",
            &format!("loading the last {EVENTS_OF_A_STREAM} events of {STREAMS} streams"),
            few.load,
            many.load,
        ),
    ])
}

/// Seconds and events of a round's calls.
#[derive(Default)]
struct Times {
    append: (f64, usize),
    read: (f64, usize),
    load: (f64, usize),
}

impl Rates {
    fn push(&mut self, times: &Times) {
        let rate = |(seconds, events): (f64, usize)| events as f64 / seconds;
        self.append.push(rate(times.append));
        self.read.push(rate(times.read));
        self.load.push(rate(times.load));
    }
}

impl Grown {
    async fn new(own: &OwnLog, events: u64, arguments: &BenchArguments) -> anyhow::Result<Self> {
        let (log, pool) = own.open(2).await?;
        let client = pool.get().await?;
        let mut appends = Appends::new(&log, &client, Work::all(arguments)).await?;
        let mut filled = 0;
        while filled < events {
            let step = STEP.min(events - filled);
            appends = fill(&log, &pool, appends, step).await?;
            filled += step;
            Console::new().line(&format!("growth: {filled} of {events} events are in log {}", own.name));
        }
        // now, and not by autovacuum while the clock runs
        client.batch_execute(&format!("VACUUM ANALYZE \"{}\".events, \"{}\".commands", own.name, own.name)).await?;
        let (rng, rates, cost) = (Rng::with_seed(arguments.seed), Rates::default(), Cost::default());
        Ok(Self { log, client, appends, rng, events, rates, cost })
    }

    /// Bytes of WAL since the cluster was made.
    async fn wal_written(&self) -> anyhow::Result<i64> {
        let row = self.client.query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", &[]).await?;
        Ok(row.try_get(0)?)
    }

    /// One call of each kind.
    async fn call(&mut self, times: &mut Times) -> anyhow::Result<()> {
        let batch: AppendBatch = self.appends.batch(BATCH)?;
        let wal_before = self.wal_written().await?;
        timed(&mut times.append, async || {
            append(&self.log, &self.client, &batch).await?;
            Ok(batch.events.len())
        })
        .await?;
        self.cost.events += batch.events.len();
        self.cost.wal_bytes += self.wal_written().await? - wal_before;
        let positions = self.log.positions(&self.client).await?;
        let cursor = |(partition, position): (i32, i64)| Cursor {
            position: i64::max(position - PAGE.events, 0),
            ..Cursor::start(partition)
        };
        let cursors: Vec<Cursor> = positions.into_iter().map(cursor).collect();
        timed(&mut times.read, async || Ok(self.log.read(&self.client, &cursors, PAGE).await?.events.len())).await?;
        let accounts = self.rng.choose_multiple(0..ACCOUNTS, STREAMS);
        let streams = accounts.into_iter().map(|account| self.appends.account(account));
        let streams: Vec<_> =
            streams.map(|(id, version)| (id.clone(), i64::max(version - EVENTS_OF_A_STREAM, 0))).collect();
        timed(&mut times.load, async || {
            let mut events = 0;
            let count = |_: millrace_store::LoadedEvent<'_>| {
                events += 1;
                Ok(())
            };
            self.log.load(&self.client, &streams, count).await?;
            Ok(events)
        })
        .await
    }
}

/// Adds how long a call takes, and the events that it deals with.
async fn timed(
    (seconds, events): &mut (f64, usize),
    call: impl AsyncFnOnce() -> anyhow::Result<usize>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    *events += call().await?;
    *seconds += began.elapsed().as_secs_f64();
    Ok(())
}
