//! Reading the log ahead of publishing: the next page, encoded, in a task of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_runtime::{Health, Shutdown, Stopped, retry};
use millrace_schemas::{Codec, EncodeError, RecordedEvent};
use millrace_store::{Cursor, Log, StoreError};
use tokio::task::JoinSet;

use crate::error::{RelayError, Step};
use crate::record::{Encoded, size_of};

/// First wait after a page that was empty; this and [`LONGEST_WAIT`] bound what polling adds to an event's way.
const SHORTEST_WAIT: Duration = Duration::from_millis(2);
/// Longest wait between two looks at a log that is idle.
const LONGEST_WAIT: Duration = Duration::from_millis(25);
/// Most events of one partition in a page.
const MOST_OF_A_PARTITION: usize = 1000;
/// Most events in a page.
const MOST_EVENTS: usize = 4000;
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
    /// Ready to publish; in order of position inside a partition.
    pub(crate) events: Vec<Encoded>,
    /// The epoch with which each partition was asked for.
    pub(crate) epochs: BTreeMap<i32, u64>,
    /// The event at which a partition ends for good.
    pub(crate) unencodable: Vec<Unencodable>,
    /// About how many bytes the events take.
    pub(crate) bytes: usize,
}

impl Page {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.unencodable.is_empty()
    }
}

/// An event that can't be published.
#[derive(Debug)]
pub(crate) struct Unencodable {
    pub(crate) partition: i32,
    pub(crate) position: i64,
    pub(crate) correlation_id: Option<String>,
    pub(crate) reason: EncodeError,
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
    pub(crate) codec: Codec,
    pub(crate) health: Health,
    pub(crate) shutdown: Shutdown,
}

impl Reader {
    /// Waits for the next page that has something, looking adaptively: at once (the first reading begins before the
    /// future is polled), then more and more seldom. Cancel-safe.
    ///
    /// # Errors
    /// When the log is damaged. Postgres being away is waited out.
    pub(crate) fn next(self: Arc<Self>, wanted: Vec<Want>, limit: usize) -> impl Future<Output = Step<Page>> {
        let wanted: Arc<[Want]> = wanted.into();
        let mut begun = Some(beside(self.clone().read(wanted.clone(), limit)));
        async move {
            let mut wait = SHORTEST_WAIT;
            loop {
                let attempt = || begun.take().unwrap_or_else(|| beside(self.clone().read(wanted.clone(), limit)));
                let read = retry(&self.health, &self.shutdown, "read the log", StoreError::is_transient, attempt).await;
                let page = read.map_err(into_relay)?;
                if !page.is_empty() {
                    return Ok(page);
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }

    async fn read(self: Arc<Self>, wanted: Arc<[Want]>, limit: usize) -> Result<Page, StoreError> {
        let cursors: Vec<Cursor> = wanted.iter().map(|want| want.cursor).collect();
        let events = self.log.read(&self.pool.get().await?, &cursors, limit as i64).await?;
        let epochs = wanted.iter().map(|want| (want.cursor.partition, want.epoch)).collect();
        Ok(encode(&self.codec, events, epochs))
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

/// Encodes what was read. A partition with an event that can't be encoded ends before it.
fn encode(codec: &Codec, read: Vec<RecordedEvent<String>>, epochs: BTreeMap<i32, u64>) -> Page {
    let mut page = Page { events: Vec::with_capacity(read.len()), epochs, unencodable: Vec::new(), bytes: 0 };
    for event in read {
        if page.unencodable.iter().any(|end| end.partition == event.partition) {
            continue;
        }
        match encode_data(codec, &event) {
            Ok(data) => {
                let event = with_data(event, data);
                page.bytes += size_of(&event);
                page.events.push(event);
            }
            Err(reason) => {
                let RecordedEvent { partition, position, metadata, .. } = event;
                let correlation_id = metadata.correlation_id;
                page.unencodable.push(Unencodable { partition, position, correlation_id, reason });
            }
        }
    }
    page
}

fn encode_data(codec: &Codec, event: &RecordedEvent<String>) -> Result<Vec<u8>, EncodeError> {
    codec.encode_event(&event.event_type, &event.data)
}

fn with_data(event: RecordedEvent<String>, data: Vec<u8>) -> Encoded {
    let RecordedEvent { partition, position, stream_id, version, event_id, event_type, metadata, recorded_at, .. } =
        event;
    RecordedEvent { partition, position, stream_id, version, event_id, event_type, data, metadata, recorded_at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_grows_while_its_events_are_small_and_shrinks_when_they_are_large() {
        let mut size = PageSize::default();
        assert_eq!(size.per_partition(1), MOST_OF_A_PARTITION);
        assert_eq!(size.per_partition(12), 83);
        size.learn(1000);
        size.learn(1000);
        size.learn(1000);
        assert_eq!(size.per_partition(12), 333);
        for _ in 0..20 {
            size.learn(100 * MOST_BYTES);
        }
        assert_eq!(size.per_partition(12), 1);
        assert_eq!(size.per_partition(1), 1);
    }
}
