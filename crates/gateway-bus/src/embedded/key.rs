//! The key of a message's row: topic, partition and offset packed into one `i64`.
//!
//! A rowid table whose key is the whole position needs no index, and a range of offsets of one partition is one range scan. Packing bounds the
//! numbers: 1,023 topics, 512 partitions a topic, 17 · 10^12 offsets a partition.

/// Bits of an offset.
const OFFSET_BITS: u32 = 44;
/// Bits of a partition.
const PARTITION_BITS: u32 = 9;
/// Bits of a topic, so that the key stays positive.
const TOPIC_BITS: u32 = 10;

/// The most partitions a topic can have.
pub(super) const MAX_PARTITIONS: u32 = 1 << PARTITION_BITS;
/// The greatest number a topic can have.
pub(super) const MAX_TOPIC: u32 = (1 << TOPIC_BITS) - 1;
/// The greatest offset.
pub(super) const MAX_OFFSET: u64 = (1 << OFFSET_BITS) - 1;

/// One partition of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PartitionId {
    /// The topic's number.
    pub topic: u32,
    /// The partition's number.
    pub partition: u32,
}

impl PartitionId {
    /// The row key of an offset; offsets beyond [`MAX_OFFSET`] stand at the end of the partition.
    pub fn row(self, offset: u64) -> i64 {
        let head = (i64::from(self.topic) << PARTITION_BITS) | i64::from(self.partition);
        (head << OFFSET_BITS) | i64::try_from(offset.min(MAX_OFFSET)).unwrap_or(i64::MAX)
    }
}

/// The offset in a row key.
pub(super) fn offset_of(row: i64) -> u64 {
    row.unsigned_abs() & MAX_OFFSET
}

/// The topic in a row key.
pub(super) fn topic_of(row: i64) -> u32 {
    u32::try_from(row >> (OFFSET_BITS + PARTITION_BITS)).unwrap_or(0)
}

/// The partition of a key: FNV-1a (64 bit) of its bytes, upper half folded onto the lower, modulo the number of partitions.
///
/// Part of the stored format: another function would break the order of keys that are already in the log.
pub(super) fn partition_of(key: &str, partitions: u32) -> u32 {
    let hash = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let folded = (hash ^ (hash >> 32)) & u64::from(u32::MAX);
    u32::try_from(folded % u64::from(partitions.max(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_key_keeps_order_and_gives_its_offset_back() {
        let parts = [(1, 0), (1, 1), (1, 511), (2, 0), (MAX_TOPIC, MAX_PARTITIONS - 1)];
        let mut last = -1;
        for (topic, partition) in parts {
            for offset in [0, 1, MAX_OFFSET] {
                let row = PartitionId { topic, partition }.row(offset);
                assert!(row > last, "{topic} {partition} {offset}");
                assert_eq!((topic_of(row), offset_of(row)), (topic, offset));
                last = row;
            }
        }
        assert_eq!(last, i64::MAX);
    }

    #[test]
    fn the_hash_is_a_stored_format() {
        let keys = ["", "a", "工单", "municipal-12345/20261123000001"];
        // Computed by another implementation.
        assert_eq!(keys.map(|key| partition_of(key, 8)), [1, 0, 2, 2]);
        assert_eq!(partition_of("anything", 1), 0);
    }

    #[test]
    fn keys_spread_evenly() {
        let mut counts = [0_u32; 8];
        for number in 0..8_000 {
            counts[partition_of(&format!("municipal-12345/2026{number:06}"), 8) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }
}
