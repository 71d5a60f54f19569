//! Where to go on in a partition, as one table.

use uuid::Uuid;

use crate::error::Divergence;
use crate::tail::{Stamp, Tail};

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

/// Decides from the topic's tail, the last position `known` to have been acknowledged (a checkpoint, so it may lag), and
/// the id of the event that Postgres has at the tail's position (or, under an emptied topic, at `known`).
pub(crate) fn decide(tail: Tail, known: i64, in_log: Option<Uuid>) -> Result<Start, Divergence> {
    match (tail, in_log) {
        (Tail::NeverWritten, _) if known == 0 => Ok(Start::After(0)),
        (Tail::NeverWritten, _) => Ok(Start::Republish { after: 0, lost: known }),
        (Tail::Emptied, None) if known > 0 => Err(Divergence::CommitsLost(known)),
        (Tail::Emptied, _) => Ok(Start::TrustCheckpoint(known)),
        (Tail::Foreign, _) => Err(Divergence::Foreign),
        (Tail::At(Stamp { position, .. }), None) => Err(Divergence::CommitsLost(position)),
        (Tail::At(Stamp { position, event_id }), Some(id)) if event_id != id => Err(Divergence::OtherEvent(position)),
        (Tail::At(Stamp { position, .. }), Some(_)) if position < known => {
            Ok(Start::Republish { after: position, lost: known - position })
        }
        (Tail::At(Stamp { position, .. }), Some(_)) => Ok(Start::After(position)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn at(position: i64) -> Tail {
        Tail::At(Stamp { position, event_id: ID })
    }

    #[test]
    fn where_to_go_on() {
        let republish = |after, lost| Ok(Start::Republish { after, lost });
        for (tail, known, in_log, expected) in [
            (Tail::NeverWritten, 0, None, Ok(Start::After(0))),
            (Tail::NeverWritten, 7, Some(ID), republish(0, 7)),
            (Tail::Emptied, 7, Some(ID), Ok(Start::TrustCheckpoint(7))),
            (Tail::Emptied, 0, None, Ok(Start::TrustCheckpoint(0))),
            (Tail::Emptied, 7, None, Err(Divergence::CommitsLost(7))),
            (Tail::Foreign, 7, None, Err(Divergence::Foreign)),
            (at(9), 7, Some(ID), Ok(Start::After(9))),
            (at(7), 7, Some(ID), Ok(Start::After(7))),
            (at(5), 7, Some(ID), republish(5, 2)),
            (at(9), 7, None, Err(Divergence::CommitsLost(9))),
            (at(9), 7, Some(OTHER), Err(Divergence::OtherEvent(9))),
            (at(5), 7, Some(OTHER), Err(Divergence::OtherEvent(5))),
        ] {
            assert_eq!(decide(tail, known, in_log), expected, "{tail:?}, known {known}, in the log {in_log:?}");
        }
    }
}
