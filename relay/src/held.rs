//! A partition that this relay holds.

use millrace_runtime::kafka::Delivered;
use millrace_store::Cursor;

use crate::takeover::Beginning;
use crate::window::Part;

/// A partition, from being granted until it is let go.
#[derive(Debug)]
pub(crate) struct Held {
    /// The number of its grant.
    pub(crate) grant: u64,
    /// Counts its beginnings: what was read or sent before the last one does not count any more.
    pub(crate) epoch: u64,
    /// The last position known to be acknowledged, 0 before anything is.
    pub(crate) published: i64,
    /// How it is.
    pub(crate) state: State,
}

/// How a partition is.
#[derive(Debug)]
pub(crate) enum State {
    /// Its tail is to be read.
    Starting,
    /// It is being published.
    Running {
        /// The last event that was read.
        read: Cursor,
        /// The offset that the next acknowledged record must have.
        next_offset: i64,
    },
    /// It stands still at an event that can't be published.
    Halted(Obstacle),
}

/// Why a partition stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The next event can't be encoded; what is before it is published.
    Unencodable,
    /// Kafka refuses one of the next events for its size.
    TooLarge,
}

impl Held {
    /// A partition just granted.
    pub(crate) fn new(grant: u64) -> Self {
        Self { grant, epoch: 0, published: 0, state: State::Starting }
    }

    /// Whether its tail is to be read.
    pub(crate) fn is_starting(&self) -> bool {
        matches!(self.state, State::Starting)
    }

    /// It starts anew from its tail, because what was sent may not have arrived. Not where Kafka refuses a record: that
    /// would only fail again, and the others with it.
    pub(crate) fn restart(&mut self) {
        self.epoch += 1;
        if !matches!(self.state, State::Halted(Obstacle::TooLarge)) {
            self.state = State::Starting;
        }
    }

    /// Whether it stands still.
    pub(crate) fn is_halted(&self) -> bool {
        matches!(self.state, State::Halted(_))
    }

    /// Its tail was read.
    pub(crate) fn begin(&mut self, beginning: Beginning) {
        self.published = beginning.cursor.position;
        self.state = State::Running { read: beginning.cursor, next_offset: beginning.next_offset };
    }

    /// A batch's part was acknowledged. False when its offsets are not the ones that follow: somebody else wrote to
    /// the topic.
    pub(crate) fn acknowledge(&mut self, part: &Part, last_offset: i64) -> bool {
        self.published = self.published.max(part.last_position);
        match &mut self.state {
            State::Running { next_offset, .. } if part.epoch == self.epoch => {
                let follows = last_offset == *next_offset + part.records - 1;
                *next_offset = last_offset + 1;
                follows
            }
            _ => true,
        }
    }
}

/// The last offset of a partition in a batch that was delivered to one topic.
pub(crate) fn last_offset(delivered: &Delivered, partition: i32) -> i64 {
    let mut places = delivered.iter();
    places.find(|((_, p), _)| *p == partition).map_or(-1, |(_, offset)| *offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running_at(position: i64, next_offset: i64) -> Held {
        let mut held = Held::new(1);
        held.begin(Beginning { cursor: Cursor { position, ..Cursor::start(0) }, next_offset });
        held
    }

    fn part(epoch: u64, records: i64, last_position: i64) -> Part {
        Part { partition: 0, epoch, records, last_position }
    }

    #[test]
    fn offsets_follow_each_other_or_somebody_else_wrote() {
        let mut held = running_at(10, 30);
        assert!(held.acknowledge(&part(0, 5, 15), 34));
        assert!(held.acknowledge(&part(0, 1, 16), 35));
        assert!(!held.acknowledge(&part(0, 2, 18), 38), "36 is not ours");
        assert_eq!(held.published, 18);
    }

    #[test]
    fn what_was_sent_before_a_new_beginning_is_not_measured_by_it() {
        let mut held = running_at(10, 30);
        held.restart();
        assert!(held.is_starting());
        assert!(held.acknowledge(&part(0, 5, 15), 99));
        assert_eq!(held.published, 15);
    }
}
