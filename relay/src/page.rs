//! Reading the log ahead of publishing: the next page, in a task of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use deadpool_postgres::Pool;
use millrace_runtime::{Health, Shutdown, Stopped, retry};
use millrace_schemas::RecordedEvent;
use millrace_store::{Cursor, Log, StoreError};
use tokio::task::JoinSet;

use crate::error::{RelayError, Step};
use crate::hint::{Hint, Waits};
use crate::record::RECORD_COST;

/// Most events of one partition in a page.
const MOST_OF_A_PARTITION: usize = 1000;
/// Most events in a page. How large they are is known only when it is there: where events of many kilobytes follow small
/// ones, one page takes as much as that, and the next ones are smaller.
const MOST_EVENTS: usize = 8000;
/// A page larger than this makes the next one smaller.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Where to read on in a partition. The epoch tells a page that was asked for from one that came too late.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Want {
    pub(crate) cursor: Cursor,
    pub(crate) epoch: u64,
}

/// What comes next in the partitions that were asked for.
pub(crate) struct Page {
    /// In order of position inside a partition; data is JSON.
    pub(crate) events: Vec<RecordedEvent<String>>,
    /// The epoch with which each partition was asked for.
    pub(crate) epochs: BTreeMap<i32, u64>,
    /// No partition had more than it was asked for.
    pub(crate) ends_the_log: bool,
}

impl Page {
    /// About how many bytes the events take.
    pub(crate) fn bytes(&self) -> usize {
        self.events.iter().map(|event| RECORD_COST + event.data.len()).sum()
    }
}

/// How many events to ask for, so that a page of large events stays within memory.
#[derive(Debug)]
pub(crate) struct PageSize(usize);

impl Default for PageSize {
    fn default() -> Self {
        Self(MOST_EVENTS / 4)
    }
}

impl PageSize {
    /// The most events per partition.
    pub(crate) fn per_partition(&self, partitions: usize) -> usize {
        (self.0 / partitions.max(1)).clamp(1, MOST_OF_A_PARTITION)
    }

    /// Learns from a page's size.
    pub(crate) fn learn(&mut self, bytes: usize) {
        self.0 = if bytes > MOST_BYTES { (self.0 / 2).max(1) } else { (self.0 * 2).min(MOST_EVENTS) };
    }
}

/// Reads pages.
pub(crate) struct Reader {
    pub(crate) pool: Pool,
    pub(crate) log: Log,
    pub(crate) hint: Arc<Hint>,
    pub(crate) health: Health,
    pub(crate) shutdown: Shutdown,
}

impl Reader {
    /// Waits for the next page that has something. Looks at once (the first reading begins before the future is polled),
    /// or, `at_the_end` of the log, when something was appended. Cancel-safe.
    ///
    /// # Errors
    /// When the log is damaged. Postgres being away is waited out.
    pub(crate) fn next(
        self: Arc<Self>,
        wanted: Vec<Want>,
        limit: usize,
        at_the_end: bool,
    ) -> impl Future<Output = Step<Page>> {
        let wanted: Arc<[Want]> = wanted.into();
        let nothing_new = at_the_end && self.hint.is_listening();
        let mut begun = (!nothing_new).then(|| beside(self.clone().read(wanted.clone(), limit)));
        async move {
            let mut waits = Waits::default();
            if nothing_new {
                self.hint.wait(&mut waits).await;
            }
            loop {
                let attempt = || begun.take().unwrap_or_else(|| beside(self.clone().read(wanted.clone(), limit)));
                let read = retry(&self.health, &self.shutdown, "read the log", StoreError::is_transient, attempt).await;
                let page = read.map_err(into_relay)?;
                if !page.events.is_empty() {
                    return Ok(page);
                }
                self.hint.wait(&mut waits).await;
            }
        }
    }

    async fn read(self: Arc<Self>, wanted: Arc<[Want]>, limit: usize) -> Result<Page, StoreError> {
        let cursors: Vec<Cursor> = wanted.iter().map(|want| want.cursor).collect();
        let events = self.log.read(&self.pool.get().await?, &cursors, limit as i64).await?;
        let epochs = wanted.iter().map(|want| (want.cursor.partition, want.epoch)).collect();
        let ends_the_log = events.chunk_by(|a, b| a.partition == b.partition).all(|run| run.len() < limit);
        Ok(Page { events, epochs, ends_the_log })
    }
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

fn into_relay(stopped: Stopped<StoreError>) -> Stopped<RelayError> {
    match stopped {
        Stopped::Shutdown => Stopped::Shutdown,
        Stopped::Failed(error) => RelayError::from(error).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_grows_while_its_events_are_small_and_shrinks_when_they_are_large() {
        let mut size = PageSize::default();
        assert_eq!(size.per_partition(1), MOST_OF_A_PARTITION);
        assert_eq!(size.per_partition(12), 166);
        size.learn(1000);
        size.learn(1000);
        size.learn(1000);
        assert_eq!(size.per_partition(12), 666);
        for _ in 0..20 {
            size.learn(100 * MOST_BYTES);
        }
        assert_eq!(size.per_partition(12), 1);
        assert_eq!(size.per_partition(1), 1);
    }
}
