//! The hash of an event at its position, and the rows of fingerprints that a batch adds to. Pure.
//!
//! A read model's hash of a partition is the XOR of [`event_hash`] over the events that it has applied. Each of them
//! binds an id to a position, so an event that is left out, doubled, replaced or moved changes the hash, but with a
//! chance of 1 in 2^64. A batch adds to it without knowing it. It guards against faults, not against somebody who
//! computes collisions. Source: the additive multiset hashes of Clarke, Devadas, van Dijk, Gassend and Suh,
//! "Incremental Multiset Hash Functions" (2003), there with XOR as MSet-XOR-Hash.

use uuid::Uuid;

use crate::Event;

/// Positions in a row of fingerprints. A commit writes its row's whole width again, so it is no larger.
const ROW: i64 = 256;
/// Bytes of a fingerprint.
pub(super) const PRINT: usize = 4;

/// The hash of an event's id at its position.
pub fn event_hash(position: i64, event_id: Uuid) -> u64 {
    let (high, low) = event_id.as_u64_pair();
    mix(mix(mix(position.cast_unsigned()) ^ high) ^ low)
}

/// An event's fingerprint: the first bytes of its hash.
pub fn fingerprint(position: i64, event_id: Uuid) -> [u8; PRINT] {
    let [a, b, c, d, ..] = event_hash(position, event_id).to_be_bytes();
    [a, b, c, d]
}

/// One step of the generator SplitMix64: a bijection in which each bit of the input changes half of the output's.
/// Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (2014), figure 16.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// What a batch adds to a row of fingerprints.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) partition: i32,
    /// The first position of the row, whether or not it is in this batch.
    pub(super) first: i64,
    /// The last position of this batch.
    pub(super) last: i64,
    pub(super) prints: Vec<u8>,
}

/// The rows that these events belong to. Inside a partition, events stand in order without a hole.
pub(super) fn rows(events: &[Event]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for Event { partition, position, event_id, .. } in events {
        let first = first_of_row(*position);
        if rows.last().is_none_or(|row| (row.partition, row.first) != (*partition, first)) {
            rows.push(Row { partition: *partition, first, last: *position, prints: Vec::new() });
        }
        if let Some(row) = rows.last_mut() {
            row.last = *position;
            row.prints.extend(fingerprint(*position, *event_id));
        }
    }
    rows
}

/// The fingerprints of a row.
pub(super) fn split(prints: &[u8]) -> Vec<[u8; PRINT]> {
    prints.chunks_exact(PRINT).filter_map(|print| print.try_into().ok()).collect()
}

/// The first position of the row that a position belongs to.
pub(super) fn first_of_row(position: i64) -> i64 {
    (position - 1) / ROW * ROW + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The hash of events with these ids at the positions 1, 2, 3 …
    fn hash(ids: &[u128]) -> u64 {
        (1..).zip(ids).fold(0, |hash, (position, id)| hash ^ event_hash(position, Uuid::from_u128(*id)))
    }

    #[test]
    fn the_hash_stays_what_it_is_since_read_models_have_stored_it() {
        assert_eq!(event_hash(1, Uuid::nil()), 0xb18a_02f4_6d8d_86c3);
        let id = Uuid::from_u128(0x0193_5f3a_7b1c_7def_8123_4567_89ab_cdef);
        assert_eq!(event_hash(17, id), 0xc5cb_39c1_c4d3_f3fc);
        assert_eq!(fingerprint(17, id), 0xc5cb_39c1_u32.to_be_bytes());
    }

    #[test]
    fn a_row_begins_with_every_256th_position() {
        let rows: Vec<i64> = [1, 2, 256, 257, 512, 513].into_iter().map(first_of_row).collect();
        assert_eq!(rows, [1, 1, 1, 257, 257, 513]);
    }

    proptest! {
        #[test]
        fn what_is_left_out_replaced_or_swapped_changes_the_hash(
            ids in prop::collection::hash_set(any::<u128>(), 2..50), at in any::<prop::sample::Index>(),
        ) {
            let ids: Vec<u128> = ids.into_iter().collect();
            let at = at.index(ids.len() - 1);
            let mut changed = ids.clone();
            changed.remove(at);
            prop_assert_ne!(hash(&ids), hash(&changed));
            changed = ids.clone();
            changed[at] ^= 1;
            prop_assert_ne!(hash(&ids), hash(&changed));
            changed = ids.clone();
            changed.swap(at, at + 1);
            prop_assert_ne!(hash(&ids), hash(&changed));
        }
    }
}
