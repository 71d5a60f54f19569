//! Where pages come from: Postgres, or the standby that the relay is set to read from.

use std::sync::Arc;

use deadpool_postgres::Pool;
use millrace_runtime::{Health, Shutdown, Stopped, retry};
use millrace_schemas::RecordedEvent;
use millrace_store::{Cursor, Fork, Log, PageLimit, StoreError};
use tokio::task::JoinSet;

use crate::error::Step;
use crate::takeover::Divergence;

/// Most events of one partition in a page.
pub(super) const MOST_OF_A_PARTITION: usize = 1000;
/// Most events in a page, but for one of each partition.
pub(super) const MOST_EVENTS: usize = 8000;
/// Bytes of data after which a page ends, but for one event of each partition.
pub(super) const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Where to read on in a partition. The epoch tells what was asked for from what came too late.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Want {
    pub(crate) cursor: Cursor,
    pub(crate) epoch: u64,
}

/// What comes next in a partition that was asked for.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) partition: i32,
    /// The epoch with which it was asked for.
    pub(crate) epoch: u64,
    /// In order of position, or why there are none for good.
    pub(crate) events: Result<Vec<RecordedEvent>, Divergence>,
    /// The partition had no more than this.
    pub(crate) at_the_end: bool,
}

/// Reads pages.
pub(crate) struct PageSource {
    pub(crate) log: Log,
    /// The server that is read from.
    pub(crate) pool: Pool,
    /// The server that is written to, where that is another one: it tells a standby that is behind from commits that
    /// are lost.
    pub(crate) primary: Option<Pool>,
    pub(crate) health: Health,
    pub(crate) shutdown: Shutdown,
}

impl PageSource {
    /// Reads a page. The reading begins at once, in a task of its own; Postgres being away is waited out.
    ///
    /// # Errors
    /// When Postgres refuses what is asked.
    pub(super) fn next(self: Arc<Self>, wanted: Vec<Want>) -> impl Future<Output = Step<Vec<Run>>> {
        let wanted: Arc<[Want]> = wanted.into();
        let mut begun = Some(beside(self.clone().read(wanted.clone())));
        async move {
            let attempt = || begun.take().unwrap_or_else(|| beside(self.clone().read(wanted.clone())));
            let read = retry(&self.health, &self.shutdown, "read the log", StoreError::is_transient, attempt).await;
            read.map_err(Stopped::into_other)
        }
    }

    async fn read(self: Arc<Self>, wanted: Arc<[Want]>) -> Result<Vec<Run>, StoreError> {
        let limit = limit(wanted.len());
        match self.runs(&wanted, limit).await {
            Err(StoreError::Damaged(reason)) => {
                tracing::debug!(reason, "an event can't be read; reading the partitions one by one");
                self.single_events(&wanted).await
            }
            read => read,
        }
    }

    async fn runs(&self, wanted: &[Want], limit: PageLimit) -> Result<Vec<Run>, StoreError> {
        let cursors: Vec<Cursor> = wanted.iter().map(|want| want.cursor).collect();
        let page = self.log.read(&self.pool.get().await?, &cursors, limit).await?;
        let mut runs: Vec<Run> = by_partition(wanted, page.events, limit);
        for fork in page.forks {
            if let Some(run) = runs.iter_mut().find(|run| run.partition == fork.cursor.partition)
                && !self.is_merely_behind(&fork).await?
            {
                let position = fork.cursor.position;
                run.events = Err(match fork.found {
                    Some(_) => Divergence::OtherEvent(position),
                    None => Divergence::CommitsLost(position),
                });
            }
        }
        Ok(runs)
    }

    /// Whether the server that is read from lacks the event at the cursor, and the one that is written to has it.
    async fn is_merely_behind(&self, fork: &Fork) -> Result<bool, StoreError> {
        let Some(primary) = self.primary.as_ref().filter(|_| fork.found.is_none()) else { return Ok(false) };
        let Cursor { partition, position, .. } = fork.cursor;
        let there = self.log.event_at(&primary.get().await?, partition, position).await?;
        Ok(fork.cursor.is_at(there))
    }

    /// One event of each partition, each read by itself: so the one that can't be read halts its own partition only,
    /// and only once all before it are published.
    async fn single_events(&self, wanted: &[Want]) -> Result<Vec<Run>, StoreError> {
        let mut runs = Vec::with_capacity(wanted.len());
        for want in wanted {
            match self.runs(std::slice::from_ref(want), PageLimit { events: 1, bytes: 1 }).await {
                Ok(read) => runs.extend(read),
                Err(StoreError::Damaged(reason)) => {
                    let Want { cursor: Cursor { partition, position: after, .. }, epoch } = *want;
                    let events = Err(Divergence::Unreadable { after, reason });
                    runs.push(Run { partition, epoch, events, at_the_end: false });
                }
                Err(other) => return Err(other),
            }
        }
        Ok(runs)
    }
}

/// What is asked of each of so many partitions.
fn limit(partitions: usize) -> PageLimit {
    let share = |whole: usize| (whole / partitions.max(1)).max(1);
    PageLimit { events: share(MOST_EVENTS).min(MOST_OF_A_PARTITION) as i64, bytes: share(MOST_BYTES) as i64 }
}

/// A run for each partition that was asked for, also where nothing was found.
fn by_partition(wanted: &[Want], events: Vec<RecordedEvent>, limit: PageLimit) -> Vec<Run> {
    let mut events = events.into_iter().peekable();
    let mut runs = Vec::with_capacity(wanted.len());
    for Want { cursor: Cursor { partition, .. }, epoch } in wanted {
        let (mut run, mut bytes) = (Vec::new(), 0);
        while let Some(event) = events.next_if(|event| event.partition == *partition) {
            bytes += event.datum().len();
            run.push(event);
        }
        let at_the_end = (run.len() as i64) < limit.events && (bytes as i64) < limit.bytes;
        runs.push(Run { partition: *partition, epoch: *epoch, events: Ok(run), at_the_end });
    }
    runs
}

/// Begins `work` in a task beside the loop's; dropped, it is aborted.
fn beside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> impl Future<Output = T> {
    let mut task = JoinSet::from_iter([work]);
    async move {
        match task.join_next().await.expect("the one task was just spawned") {
            Ok(done) => done,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()), // nobody else aborts it
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::record::tests::event_at;

    #[test]
    fn the_partitions_share_a_page() {
        let of = |partitions| {
            let PageLimit { events, bytes } = limit(partitions);
            (events, bytes)
        };
        assert_eq!(of(1), (1000, MOST_BYTES as i64));
        assert_eq!(of(12), (666, MOST_BYTES as i64 / 12));
        assert_eq!(of(100_000), (1, 41));
    }

    #[test]
    fn every_partition_that_was_asked_for_has_its_run_and_its_end() {
        let want = |partition| Want { cursor: Cursor::start(partition), epoch: 10 + partition as u64 };
        let events = vec![event_at(0, 1), event_at(0, 2), event_at(2, 1)];
        let runs = by_partition(&[want(0), want(1), want(2)], events, PageLimit { events: 2, bytes: 100 });
        let seen: Vec<_> = runs
            .iter()
            .map(|run| (run.partition, run.epoch, run.events.as_ref().map_or(0, Vec::len), run.at_the_end))
            .collect();
        assert_eq!(seen, [(0, 10, 2, false), (1, 11, 0, true), (2, 12, 1, true)]);
        let runs = by_partition(&[want(0)], vec![event_at(0, 1)], PageLimit { events: 2, bytes: 1 });
        assert!(!runs[0].at_the_end, "a byte was all there was room for");
    }
}
