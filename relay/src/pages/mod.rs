//! Reading the log ahead of publishing: which partitions to read next, and when to look again at the end of the log.
//!
//! Promises: a partition that Kafka does not take is not read on, and keeps no other from being read; what is read ahead
//! is bounded.

mod backlog;
mod hint;
mod source;

use std::pin::Pin;
use std::sync::Arc;

use millrace_store::Log;
use tokio::task::JoinSet;

use crate::error::Step;
use backlog::Backlog;
use hint::{Hint, Waits};
use source::{MOST_BYTES, MOST_EVENTS, MOST_OF_A_PARTITION};

pub(crate) use source::{PageSource, Run, Want};

/// Nothing is read while the backlog is larger than this, all partitions together.
const MOST_BACKLOG_BYTES: usize = 32 * 1024 * 1024;

/// The page being read, and the events that were.
pub(crate) struct Pages {
    source: Arc<PageSource>,
    hint: Arc<Hint>,
    /// Keeps the hint.
    _listening: JoinSet<()>,
    waits: Waits,
    /// The last page had something.
    found: bool,
    wanted: Vec<Want>,
    step: Next,
    pub(crate) backlog: Backlog,
}

/// How the next page comes.
enum Next {
    /// No partition is to be read.
    Nothing,
    /// All partitions are at the end of the log.
    Waiting(Pin<Box<dyn Future<Output = Waits>>>),
    /// It is being read.
    Reading(Pin<Box<dyn Future<Output = Step<Vec<Run>>>>>),
}

impl Pages {
    /// From `source`, listening at `listener` for appends; without one, it polls. Call inside a tokio runtime.
    pub(crate) fn new(source: PageSource, listener: Option<tokio_postgres::Config>) -> Self {
        let (hint, mut listening) = (Arc::new(Hint::default()), JoinSet::new());
        if let Some(listener) = listener {
            let (hint, log): (_, Log) = (hint.clone(), source.log.clone());
            listening.spawn(async move { hint.keep(&listener, log.name()).await });
        }
        Self {
            source: Arc::new(source),
            hint,
            _listening: listening,
            waits: Waits::default(),
            found: false,
            wanted: Vec::new(),
            step: Next::Nothing,
            backlog: Backlog::default(),
        }
    }

    /// Sees to it that the next page is being read, if these partitions, which are being published and can be, have need
    /// of one.
    pub(crate) fn read_ahead(&mut self, partitions: impl Iterator<Item = Want>) {
        if let Next::Reading(_) = self.step {
            return;
        }
        self.wanted = wanted(&self.backlog, partitions);
        let at_the_end = |want: &Want| self.backlog.is_at_the_end(want.cursor.partition);
        if self.wanted.is_empty() {
            self.step = Next::Nothing;
        } else if !self.wanted.iter().all(at_the_end) || (self.found && !self.hint.is_listening()) {
            self.read();
        } else if let Next::Nothing = self.step {
            let (hint, mut waits) = (self.hint.clone(), self.waits);
            self.step = Next::Waiting(Box::pin(async move {
                hint.wait(&mut waits).await;
                waits
            }));
        }
    }

    /// The next page, one run for each partition that was asked for; for ever when none is to be read. Cancel-safe.
    ///
    /// # Errors
    /// When Postgres refuses what is asked.
    pub(crate) async fn next(&mut self) -> Step<Vec<Run>> {
        loop {
            match &mut self.step {
                Next::Nothing => return std::future::pending().await,
                Next::Waiting(waiting) => {
                    self.waits = waiting.await;
                    self.read();
                }
                Next::Reading(reading) => {
                    let runs = reading.await?;
                    self.step = Next::Nothing;
                    self.found = runs.iter().any(|run| run.events.as_ref().is_ok_and(|events| !events.is_empty()));
                    if self.found {
                        self.waits = Waits::default();
                    }
                    return Ok(runs);
                }
            }
        }
    }

    fn read(&mut self) {
        self.step = Next::Reading(Box::pin(self.source.clone().next(self.wanted.clone())));
    }
}

/// The partitions to read next: none while what was read keeps the producer busy, then all that are not far ahead, so
/// that a page is worth its round trip.
fn wanted(backlog: &Backlog, partitions: impl Iterator<Item = Want>) -> Vec<Want> {
    let (mut events, mut bytes, mut wanted) = (0, 0, Vec::new());
    for want in partitions {
        let ahead = backlog.len(want.cursor.partition);
        events += ahead;
        bytes += backlog.bytes(want.cursor.partition);
        if ahead < MOST_OF_A_PARTITION {
            wanted.push(want);
        }
    }
    if events > MOST_EVENTS / 2 || bytes > MOST_BYTES || backlog.all_bytes() > MOST_BACKLOG_BYTES {
        wanted.clear();
    }
    wanted
}

#[cfg(test)]
mod tests {
    use millrace_store::Cursor;

    use super::*;
    use crate::delivery::record::tests::event_at;

    fn want(partition: i32) -> Want {
        Want { cursor: Cursor::start(partition), epoch: 1 }
    }

    fn ahead(partition: i32, events: usize, backlog: &mut Backlog) {
        backlog.add(partition, vec![event_at(partition, 1); events], false);
    }

    fn read_next(backlog: &Backlog, partitions: std::ops::Range<i32>) -> Vec<i32> {
        wanted(backlog, partitions.map(want)).iter().map(|want| want.cursor.partition).collect()
    }

    #[test]
    fn what_was_read_is_published_before_more_is_read() {
        let mut backlog = Backlog::default();
        assert_eq!(read_next(&backlog, 0..3), [0, 1, 2]);
        ahead(1, MOST_OF_A_PARTITION, &mut backlog);
        assert_eq!(read_next(&backlog, 0..3), [0, 2], "1 is far ahead");
        ahead(0, MOST_OF_A_PARTITION - 1, &mut backlog);
        assert_eq!(read_next(&backlog, 0..3), [0, 2]);
        ahead(2, MOST_EVENTS / 2, &mut backlog);
        assert!(read_next(&backlog, 0..4).is_empty(), "there is enough to do");
    }

    #[test]
    fn a_partition_that_is_not_taken_does_not_keep_the_others_from_being_read() {
        let mut backlog = Backlog::default();
        ahead(0, 2 * MOST_EVENTS, &mut backlog);
        // the caller leaves out what Kafka does not take
        assert_eq!(read_next(&backlog, 1..3), [1, 2]);
    }
}
