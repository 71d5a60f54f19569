//! Which partition a stream belongs to.

use crate::StreamId;

/// The partition of a stream in a log of `partitions` partitions: murmur2 of its id, as Kafka's own default
/// partitioner computes it for a record's key (librdkafka: `murmur2_random`).
///
/// Kafka clients in any language thus put a stream's records into the partition that Postgres has for it. Source:
/// `org.apache.kafka.common.utils.Utils.murmur2` and `toPositive`.
pub fn partition_of(stream: &StreamId, partitions: u32) -> i32 {
    let positive = murmur2(stream.as_str().as_bytes()) & 0x7fff_ffff;
    (positive % partitions.max(1)) as i32
}

fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = word.iter().rev().fold(0u32, |k, byte| (k << 8) | u32::from(*byte));
        k = k.wrapping_mul(M);
        k ^= k >> R;
        k = k.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0u32, |k, byte| (k << 8) | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_gives_the_values_of_kafkas_own_test() {
        // Kafka: clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java, testMurmur2
        for (text, expected) in [
            ("21", -973932308),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ] {
            assert_eq!(murmur2(text.as_bytes()) as i32, expected, "{text}");
        }
    }
}
