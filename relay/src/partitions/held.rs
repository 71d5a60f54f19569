//! A partition that this relay holds, and how it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millrace_runtime::{Health, Trouble};
use millrace_schemas::RecordedEvent;
use millrace_store::Cursor;
use tokio::time::Instant;

use super::look::NextLook;
use crate::delivery::Batch;
use crate::takeover::{Beginning, Divergence, Known, Look, Start};

/// When a partition that has diverged is looked at again: somebody may have mended it.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// A partition, from being granted until it is let go.
#[derive(Debug)]
pub(crate) struct Held {
    /// The number of its grant.
    pub(crate) grant: u64,
    /// The number of its beginning, unique in the process: what was read, sent or looked at under another number does not
    /// count any more.
    pub(crate) epoch: u64,
    /// The last event that Kafka is known to have acknowledged.
    published: Known,
    state: State,
    standing: Standing,
    look: NextLook,
    /// Where publishing began last.
    start: Option<Start>,
    /// A producer with records of this partition was thrown away: what it had on the wire may still arrive.
    after_purge: bool,
    /// Held while the partition is halted or its tail can't be read: the relay is not ready.
    trouble: Option<Trouble>,
}

/// How a partition is.
#[derive(Debug)]
enum State {
    /// Its tail is to be read.
    Starting,
    /// It is being published.
    Running {
        /// The last event that was read.
        read: Cursor,
        /// The offset that the next acknowledged record must have.
        next_offset: i64,
    },
    /// Nothing more of it is published; where an obstacle may go away, its tail is to be read again.
    Halted,
    /// Its grant has ended; what is in flight is waited for until then.
    Leaving(Instant),
}

/// What the reading has shown of a partition. A good tail alone shows nothing of the log after it.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing was read since its last beginning: that it is halted may still be written in Postgres.
    Unproven,
    /// It is halted, and stays so until the reading has come past the obstacle.
    Halted(Obstacle),
    /// Nothing stands in the way.
    Sound,
}

/// Why a partition is halted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Kafka refuses one of the next events for its size.
    TooLarge,
    /// Postgres and the topic contradict each other.
    Diverged(Divergence),
}

/// What becomes of an event that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admission {
    /// All follow what was read before.
    Admitted,
    /// The same, and no halt holds any more.
    Cleared,
    /// They were asked for before the partition's last beginning.
    Late,
    /// They don't follow.
    Refused(Divergence),
}

fn next_epoch() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

impl Held {
    /// A partition just granted.
    pub(crate) fn new(grant: u64) -> Self {
        Self {
            grant,
            epoch: next_epoch(),
            published: Known::default(),
            state: State::Starting,
            standing: Standing::Unproven,
            look: NextLook::now(),
            start: None,
            after_purge: false,
            trouble: None,
        }
    }

    /// Position of the last event that Kafka is known to have acknowledged, 0 for none.
    pub(crate) fn published(&self) -> i64 {
        self.published.position
    }

    /// The last event that was read, while the partition is being published.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        match self.state {
            State::Running { read, .. } => Some(read),
            _ => None,
        }
    }

    pub(crate) fn is_halted(&self) -> bool {
        matches!(self.standing, Standing::Halted(_))
    }

    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.state, State::Leaving(_))
    }

    /// Until when what is in flight of a partition that is leaving is waited for.
    pub(crate) fn patience(&self) -> Option<Instant> {
        match self.state {
            State::Leaving(until) => Some(until),
            _ => None,
        }
    }

    /// The grant has ended: nothing more is read or sent.
    pub(crate) fn leave(&mut self, until: Instant) {
        self.trouble = None;
        self.standing = Standing::Unproven;
        self.state = State::Leaving(until);
    }

    /// When the tail is to be read; `None` when it is not, or that is under way.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        let wanted = match self.state {
            State::Starting => true,
            State::Halted => matches!(self.standing, Standing::Halted(Obstacle::Diverged(_))),
            State::Running { .. } | State::Leaving(_) => false,
        };
        self.look.due().filter(|_| wanted)
    }

    /// The tail is being read from now on.
    pub(crate) fn begin_look(&mut self, partition: i32) -> Look {
        let apart = self.look.begin();
        let Self { epoch, published: known, after_purge, .. } = *self;
        Look { partition, epoch, known, after_purge, apart }
    }

    /// The tail was read, and publishing begins after it. True when that is news: a partition that is halted stays so
    /// until the log was read on.
    pub(crate) fn begin(&mut self, start: Start, beginning: Beginning) -> bool {
        let Beginning { cursor, next_offset } = beginning;
        self.published = Known { position: cursor.position, event: cursor.identity() };
        self.state = State::Running { read: cursor, next_offset };
        self.look.succeeded();
        self.after_purge = false;
        let last_start = self.start.replace(start);
        if self.is_halted() {
            return matches!(start, Start::Republish { .. }) && last_start != Some(start);
        }
        self.standing = Standing::Unproven;
        self.trouble = None;
        true
    }

    /// The tail could not be read, for a reason of its `own` or one that all partitions have. True the first time in a
    /// row.
    pub(crate) fn look_failed(&mut self, own: bool, health: &Health) -> bool {
        self.trouble.get_or_insert_with(|| health.trouble());
        self.look.failed(own)
    }

    /// Takes in what was read, if it follows.
    pub(crate) fn admit(&mut self, epoch: u64, events: &[RecordedEvent]) -> Admission {
        let State::Running { read, .. } = &mut self.state else { return Admission::Late };
        if epoch != self.epoch {
            return Admission::Late;
        }
        for event in events {
            if event.position != read.position + 1 {
                return Admission::Refused(Divergence::Hole { last: read.position, found: event.position });
            }
            *read = Cursor::after(event);
        }
        let cleared = match &self.standing {
            Standing::Unproven => true,
            Standing::Halted(Obstacle::Diverged(divergence)) => divergence.is_past(read.position, events.is_empty()),
            Standing::Halted(Obstacle::TooLarge) | Standing::Sound => false,
        };
        if !cleared {
            return Admission::Admitted;
        }
        self.standing = Standing::Sound;
        self.trouble = None;
        Admission::Cleared
    }

    /// A batch was acknowledged. False when its offsets are not the ones that follow: somebody else wrote to the topic.
    pub(crate) fn acknowledge(&mut self, batch: &Batch, last_offset: i64) -> bool {
        if batch.last_position > self.published.position {
            self.published = Known { position: batch.last_position, event: Some(batch.last_event) };
        }
        self.look.hurry();
        match &mut self.state {
            State::Running { next_offset, .. } if batch.epoch == self.epoch => {
                let follows = last_offset == *next_offset + batch.records as i64 - 1;
                *next_offset = last_offset + 1;
                follows
            }
            _ => true,
        }
    }

    /// The partition starts anew from its tail, because what was sent may not have arrived; if `refused`, not at once.
    /// Where Kafka refuses a record for its size, it stays halted: starting anew would only fail again.
    pub(crate) fn restart(&mut self, after_purge: bool, refused: bool) {
        self.epoch = next_epoch();
        self.look.end();
        self.after_purge |= after_purge;
        if refused {
            self.look.wait();
        }
        if let State::Running { .. } = self.state {
            self.state = State::Starting;
        }
    }

    /// The partition is halted. True when that is news.
    pub(crate) fn halt(&mut self, obstacle: Obstacle, health: &Health) -> bool {
        if self.is_leaving() {
            return false;
        }
        self.epoch = next_epoch();
        self.look.wait_for(LOOK_AGAIN);
        self.trouble.get_or_insert_with(|| health.trouble());
        self.state = State::Halted;
        let standing = Standing::Halted(obstacle);
        let is_news = self.standing != standing;
        self.standing = standing;
        is_news
    }
}

#[cfg(test)]
mod tests;
