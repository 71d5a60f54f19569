//! Filling a build from the log in Postgres.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use futures::future::try_join_all;
use millrace_runtime::{Health, Shutdown, Stopped, retry};
use millrace_store::{Cursor, Log, PageLimit, StoreError};

use super::RebuildError;
use crate::checkpoints::Move;
use crate::read_model::{AppliedRun, CommitError, ReadModel};
use crate::{Event, Generation, Projector};

/// Events of one transaction. The more, the fewer rows are written for one that many events change.
const PAGE: i64 = 8_000;
/// Bytes of data of one transaction.
const PAGE_BYTES: i64 = 16 * 1024 * 1024;
/// With a rate, a transaction has the events of this part of a second, so that the live side gets its turn in between.
const PARTS: i64 = 10;

/// Fills one build.
pub struct Filling {
    read_model: ReadModel,
    log: Log,
    /// Connections to the log.
    source: Pool,
    workers: usize,
    pace: Pace,
}

/// How fast a build may be filled, and how much was.
#[derive(Debug)]
pub struct Pace {
    /// Most events a second.
    rate: Option<u32>,
    began: Instant,
    applied: AtomicU64,
}

impl Pace {
    /// From now on, at most so many events a second.
    pub fn new(rate: Option<u32>) -> Self {
        Self { rate, began: Instant::now(), applied: AtomicU64::new(0) }
    }

    /// Events applied since it was made.
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    /// Takes note of applied events, and says how long the rate demands to wait.
    fn note(&self, events: usize) -> Duration {
        let applied = self.applied.fetch_add(events as u64, Ordering::Relaxed) + events as u64;
        let due = self.rate.map(|rate| Duration::from_secs_f64(applied as f64 / f64::from(rate)));
        due.unwrap_or_default().saturating_sub(self.began.elapsed())
    }

    fn page(&self, workers: usize) -> i64 {
        let share = self.rate.map(|rate| i64::from(rate) / PARTS / i64::try_from(workers).unwrap_or(1));
        share.map_or(PAGE, |events| events.clamp(10, PAGE))
    }
}

impl Filling {
    /// Fills the build `generation` of a projector, which stands in `schema`. `pool` has connections to that schema and
    /// `source` to the log, each at least one for a worker.
    pub fn new(
        projector: Arc<dyn Projector>,
        (schema, generation): (String, Generation),
        (log, source, pool): (Log, Pool, Pool),
        (workers, pace): (usize, Pace),
        shutdown: Shutdown,
    ) -> Self {
        let name = log.name().clone();
        let read_model =
            ReadModel { projector, pool, log: name, schema, generation, health: Health::default(), shutdown };
        Self { read_model, log, source, workers: workers.max(1), pace }
    }

    /// How much was applied.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// How far the build is, by partition.
    ///
    /// # Errors
    /// When Postgres does not answer, or the process is to stop.
    pub async fn checkpoints(&self) -> Result<BTreeMap<i32, i64>, RebuildError> {
        let partitions: Vec<i32> = (0..i32::try_from(self.log.partitions()).unwrap_or(i32::MAX)).collect();
        let found = self.read_model.checkpoints(&partitions, crate::ProjectorError::is_transient).await?;
        Ok(partitions.into_iter().map(|partition| (partition, found.get(&partition).copied().unwrap_or(0))).collect())
    }

    /// Applies what the build lacks of each partition, up to these positions and no further. What fails for the time being
    /// is tried again. Cancel-safe: what is committed stays.
    ///
    /// # Errors
    /// When an event can't be applied, the log lacks one, or the process is to stop.
    pub async fn fill(&self, targets: &BTreeMap<i32, i64>) -> Result<(), RebuildError> {
        self.fill_shares(targets, true).await
    }

    /// The same as fast as it goes: for the last few events, while somebody waits.
    ///
    /// # Errors
    /// As [`Filling::fill`].
    pub async fn fill_at_once(&self, targets: &BTreeMap<i32, i64>) -> Result<(), RebuildError> {
        self.fill_shares(targets, false).await
    }

    async fn fill_shares(&self, targets: &BTreeMap<i32, i64>, is_paced: bool) -> Result<(), RebuildError> {
        let mut shares: Vec<BTreeMap<Place, i64>> = vec![BTreeMap::new(); self.workers];
        let missing = self.checkpoints().await?.into_iter().filter_map(|(partition, applied)| {
            let target = targets.get(&partition).copied().unwrap_or(0);
            (applied < target).then_some(((partition, applied), target))
        });
        for (index, (place, target)) in missing.enumerate() {
            if let Some(share) = shares.get_mut(index % self.workers) {
                share.insert(place, target);
            }
        }
        try_join_all(
            shares.into_iter().filter(|share| !share.is_empty()).map(|share| self.fill_share(share, is_paced)),
        )
        .await?;
        Ok(())
    }

    /// Reads the next page while the one before is being applied.
    async fn fill_share(&self, share: BTreeMap<Place, i64>, is_paced: bool) -> Result<(), RebuildError> {
        let targets: HashMap<i32, i64> = share.iter().map(|((partition, _), target)| (*partition, *target)).collect();
        let mut cursors: Vec<Cursor> =
            share.into_keys().map(|(partition, position)| Cursor { position, ..Cursor::start(partition) }).collect();
        let mut page = self.read(&mut cursors, &targets).await?;
        while !page.is_empty() {
            let (next, applied) = tokio::join!(self.read(&mut cursors, &targets), self.apply(&page));
            applied?;
            let due = self.pace.note(page.len());
            if is_paced {
                self.pause(due).await;
            }
            page = next?;
        }
        Ok(())
    }

    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.read_model.shutdown.cancelled() => {}
        }
    }

    /// The next events of the cursors, which move behind them. Those that have reached their targets go.
    async fn read(&self, cursors: &mut Vec<Cursor>, targets: &HashMap<i32, i64>) -> Result<Vec<Event>, RebuildError> {
        let target = |partition: i32| targets.get(&partition).copied().unwrap_or(0);
        cursors.retain(|cursor| cursor.position < target(cursor.partition));
        let Ok(partitions @ 1..) = i64::try_from(cursors.len()) else { return Ok(Vec::new()) };
        let limit = PageLimit {
            events: (self.pace.page(self.workers) / partitions).max(1),
            bytes: (PAGE_BYTES / partitions).max(1),
        };
        let ReadModel { health, shutdown, .. } = &self.read_model;
        let read = async || self.log.read(&self.source.get().await?, cursors, limit).await;
        let page = retry(health, shutdown, "read the log", StoreError::is_transient, read).await?;
        let mut events = page.events;
        events.retain(|event| event.position <= target(event.partition));
        for cursor in cursors {
            let last = events.iter().rev().find(|event| event.partition == cursor.partition);
            let Some(last) = last else {
                let (partition, after, head) = (cursor.partition, cursor.position, target(cursor.partition));
                return Err(RebuildError::Missing { partition, after, head });
            };
            *cursor = Cursor::after(last);
        }
        Ok(events)
    }

    async fn apply(&self, events: &[Event]) -> Result<(), RebuildError> {
        let runs = runs(events);
        let steps: Vec<Move> = runs.iter().filter_map(|run| Move::over(events.get(run.clone())?)).collect();
        match self.read_model.persist(events, &steps).await {
            Ok(true) => return Ok(()),
            Ok(false) => return Err(self.raced().await),
            Err(Stopped::Shutdown) => return Err(RebuildError::Shutdown),
            Err(Stopped::Failed(_)) => {}
        }
        for run in runs {
            match self.read_model.apply_run(events, run).await? {
                AppliedRun::All => {}
                AppliedRun::Raced => return Err(self.raced().await),
                AppliedRun::UpTo(index, error) => return Err(of_event(events.get(index), &error)),
            }
        }
        Ok(())
    }

    async fn raced(&self) -> RebuildError {
        match self.checkpoints().await {
            Ok(_) => RebuildError::Raced(self.read_model.generation.number),
            Err(error) => error,
        }
    }
}

/// A partition, and the position that was applied last.
type Place = (i32, i64);

/// The events of each partition, which stand in a row.
fn runs(events: &[Event]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for run in events.chunk_by(|one, next| one.partition == next.partition) {
        runs.push(start..start + run.len());
        start += run.len();
    }
    runs
}

fn of_event(event: Option<&Event>, error: &CommitError) -> RebuildError {
    match event {
        Some(event) => RebuildError::Event {
            partition: event.partition,
            position: event.position,
            event_id: event.event_id,
            event_type: event.event_type().to_owned(),
            stream_id: event.stream_id.to_string(),
            reason: error.to_string(),
        },
        None => RebuildError::NotNow(error.to_string()),
    }
}
