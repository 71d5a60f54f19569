//! What to do when records are missing. Pure.

use crate::reading::Gap;

/// How much further back the second try begins: records that are no events may stand between, or some twice.
const FURTHER: i64 = 10_000;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Read the topic again from this offset.
    SeekTo(i64),
    /// The topic does not have what is missing: stop the partition.
    Stop,
}

/// The remedy for a gap that was there after `tries` readings again; `low` is the first offset that the topic still has.
///
/// Positions are dense and each has one record, so the missing ones stand just before.
pub(crate) fn remedy(gap: Gap, low: i64, tries: u32) -> Remedy {
    let missing = gap.position - gap.expected;
    match tries {
        _ if gap.offset <= low => Remedy::Stop,
        0 => Remedy::SeekTo((gap.offset - missing).max(low)),
        1 => Remedy::SeekTo((gap.offset - missing - FURTHER).max(low)),
        _ => Remedy::Stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies() {
        let gap = |expected, position, offset| Gap { expected, position, offset };
        for (gap, low, tries, expected) in [
            // the read model was emptied while the group's offset stayed
            (gap(1, 101, 100), 0, 0, Remedy::SeekTo(0)),
            // restored from a backup
            (gap(51, 101, 100), 0, 0, Remedy::SeekTo(50)),
            // the topic was made anew, and began with a later position
            (gap(51, 101, 0), 0, 0, Remedy::Stop),
            // retention took a part of it: whether it is enough, only reading shows
            (gap(1, 101, 100), 60, 0, Remedy::SeekTo(60)),
            (gap(1, 61, 60), 60, 1, Remedy::Stop),
            // records that are no events stood between
            (gap(50, 52, 20_060), 0, 1, Remedy::SeekTo(10_058)),
            (gap(50, 52, 60), 0, 1, Remedy::SeekTo(0)),
            (gap(50, 52, 60), 0, 2, Remedy::Stop),
            // retention overtook us
            (gap(50, 52, 60), 90, 0, Remedy::Stop),
        ] {
            assert_eq!(remedy(gap, low, tries), expected, "{gap:?}, low {low}, tries {tries}");
        }
    }
}
