//! Where to go on in a partition, as one table.

use millrace_store::Identity;

use super::tail::{Stamp, Tail};

/// Where publishing goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// After this position, which the topic ends with.
    After(i64),
    /// After this position: the topic had more, and Kafka lost it.
    Republish {
        /// What the topic still ends with.
        after: i64,
        /// How many events Kafka lost at least.
        lost: i64,
    },
    /// After this checkpoint: retention has removed what the topic had, so its tail tells nothing.
    TrustCheckpoint(i64),
}

/// How Postgres and the topic contradict each other in one partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Divergence {
    /// The topic is ahead of the log.
    #[error(
        "the topic ends with position {0}, which Postgres does not have: Postgres lost commits that were published \
         (a restored backup, a failover to a replica that lagged?)"
    )]
    CommitsLost(i64),
    /// Another event stands at that position.
    #[error(
        "at position {0} the topic has another event than Postgres: Postgres lost commits and has made new ones since, \
         or the topic belongs to another database"
    )]
    OtherEvent(i64),
    /// The last records were not written by a relay.
    #[error("the last records have no log-position: something else than the relay writes to this topic")]
    Foreign,
    /// Positions in Postgres are not dense, which the store promises.
    #[error("the log in Postgres has a hole: position {found} follows position {last}")]
    Hole {
        /// The last position before the hole.
        last: i64,
        /// The position found.
        found: i64,
    },
    /// The next event can't be read.
    #[error("after position {after}, {reason}")]
    Unreadable {
        /// The last position before the event.
        after: i64,
        /// What is wrong with the event.
        reason: String,
    },
}

impl Divergence {
    /// Whether it is gone, as the log shows that was read on up to `position`, to its end or not.
    pub(crate) fn is_past(&self, position: i64, at_the_end: bool) -> bool {
        match self {
            Self::Hole { last: before, .. } | Self::Unreadable { after: before, .. } => {
                at_the_end || position > *before
            }
            // the tail has shown it
            Self::CommitsLost(_) | Self::OtherEvent(_) | Self::Foreign => true,
        }
    }
}

/// What this process and Postgres remember of a partition that was published before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Known {
    /// The last position that is known to have been acknowledged, 0 for none. A checkpoint may lag behind.
    pub(crate) position: i64,
    /// The event there, if this process published it itself.
    pub(crate) event: Option<Identity>,
}

/// Decides from the topic's tail, what is `known`, and the event that Postgres has at the tail's position (or, under an
/// emptied topic, at the known position).
pub(crate) fn decide(tail: Tail, known: Known, in_log: Option<Identity>) -> Result<Start, Divergence> {
    let last = known.position;
    match (tail, in_log) {
        (Tail::NeverWritten, _) if last == 0 => Ok(Start::After(0)),
        (Tail::NeverWritten, _) => Ok(Start::Republish { after: 0, lost: last }),
        (Tail::Emptied, None) if last > 0 => Err(Divergence::CommitsLost(last)),
        (Tail::Emptied, Some(found)) if known.event.is_some_and(|published| published != found) => {
            Err(Divergence::OtherEvent(last))
        }
        (Tail::Emptied, _) => Ok(Start::TrustCheckpoint(last)),
        (Tail::Foreign, _) => Err(Divergence::Foreign),
        (Tail::At(Stamp { position, .. }), None) => Err(Divergence::CommitsLost(position)),
        (Tail::At(stamp), Some(found)) if !stamp.is_of(found) => Err(Divergence::OtherEvent(stamp.position)),
        (Tail::At(Stamp { position, .. }), Some(_)) if position < last => {
            Ok(Start::Republish { after: position, lost: last - position })
        }
        (Tail::At(Stamp { position, .. }), Some(_)) => Ok(Start::After(position)),
    }
}

impl Start {
    /// The last position that is not published again.
    pub(crate) fn position(self) -> i64 {
        match self {
            Self::After(position) | Self::Republish { after: position, .. } | Self::TrustCheckpoint(position) => {
                position
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    const EVENT: Identity = Identity { event_id: Uuid::from_u128(1), recorded_at: Timestamp::UNIX_EPOCH };
    const OTHER: Identity = Identity { event_id: Uuid::from_u128(2), ..EVENT };
    /// The same id came again, after Postgres had lost the event.
    const AGAIN: Identity = Identity { recorded_at: Timestamp::constant(0, 1_000), ..EVENT };

    fn at(position: i64) -> Tail {
        Tail::At(Stamp { position, event_id: EVENT.event_id, recorded_at: Some(EVENT.recorded_at) })
    }

    #[test]
    fn where_to_go_on() {
        let republish = |after, lost| Ok(Start::Republish { after, lost });
        for (tail, known, in_log, expected) in [
            (Tail::NeverWritten, 0, None, Ok(Start::After(0))),
            (Tail::NeverWritten, 7, Some(EVENT), republish(0, 7)),
            (Tail::Emptied, 7, Some(EVENT), Ok(Start::TrustCheckpoint(7))),
            (Tail::Emptied, 0, None, Ok(Start::TrustCheckpoint(0))),
            (Tail::Emptied, 7, None, Err(Divergence::CommitsLost(7))),
            (Tail::Foreign, 7, None, Err(Divergence::Foreign)),
            (at(9), 7, Some(EVENT), Ok(Start::After(9))),
            (at(7), 7, Some(EVENT), Ok(Start::After(7))),
            (at(5), 7, Some(EVENT), republish(5, 2)),
            (at(9), 7, None, Err(Divergence::CommitsLost(9))),
            (at(9), 7, Some(OTHER), Err(Divergence::OtherEvent(9))),
            (at(5), 7, Some(OTHER), Err(Divergence::OtherEvent(5))),
            (at(9), 7, Some(AGAIN), Err(Divergence::OtherEvent(9))),
        ] {
            let remembered = Known { position: known, event: None };
            assert_eq!(decide(tail, remembered, in_log), expected, "{tail:?}, known {known}, in the log {in_log:?}");
        }
    }

    #[test]
    fn a_record_that_does_not_say_when_is_known_by_its_id() {
        let tail = Tail::At(Stamp { position: 9, event_id: EVENT.event_id, recorded_at: None });
        assert_eq!(decide(tail, Known::default(), Some(AGAIN)), Ok(Start::After(9)));
        assert_eq!(decide(tail, Known::default(), Some(OTHER)), Err(Divergence::OtherEvent(9)));
    }

    #[test]
    fn an_emptied_topic_does_not_hide_that_postgres_has_another_event_than_was_published() {
        let published = |event| Known { position: 7, event: Some(event) };
        assert_eq!(decide(Tail::Emptied, published(EVENT), Some(EVENT)), Ok(Start::TrustCheckpoint(7)));
        assert_eq!(decide(Tail::Emptied, published(EVENT), Some(OTHER)), Err(Divergence::OtherEvent(7)));
        assert_eq!(decide(Tail::Emptied, published(EVENT), Some(AGAIN)), Err(Divergence::OtherEvent(7)));
        assert_eq!(decide(Tail::Emptied, published(EVENT), None), Err(Divergence::CommitsLost(7)));
        // the topic was made anew: everything is published again, whichever history Postgres has
        assert_eq!(
            decide(Tail::NeverWritten, published(EVENT), Some(OTHER)),
            Ok(Start::Republish { after: 0, lost: 7 })
        );
    }
}
