//! The arithmetic of the state book: items, digests, and bucket sums that two systems can compare without sending records.
//!
//! A bucket is a count and the sum of SHA-256(item key ‖ digest) modulo 2^256. A sum can be kept by adding and subtracting, in any order, so
//! the book never rescans; unlike a count it notices one lost and one duplicated record in the same bucket, and unlike XOR it notices a
//! record that is there twice. It is no defence against a peer that forges sums on purpose; a peer that lies could as well send forged ids.

use crate::{Dataset, Day, Moment, Part, SourceNumber};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// SHA-256 over the compared fields of an item, in the normal form that the channel's page defines. Never covers person fields.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// The digest of (wire name, wire value) pairs in the given order: `name 0x1F value 0x1E`, concatenated, SHA-256.
pub fn digest_of_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Digest {
    let mut hash = Sha256::new();
    for (name, value) in pairs {
        hash.update(name.as_bytes());
        hash.update([0x1f]);
        hash.update(value.as_bytes());
        hash.update([0x1e]);
    }
    Digest(hash.finalize().into())
}

/// Which side's statement an item of the book is. A key belongs to one side at a time, so the two never count the same item twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BookSide {
    /// The channel said it, and we hold it.
    Source,
    /// We delivered it, the channel acknowledged it, and must hold it.
    Sent,
}

impl BookSide {
    /// The name in SQL and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            BookSide::Source => "source",
            BookSide::Sent => "sent",
        }
    }
}

/// What identifies an item within a channel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemKey {
    /// The dataset.
    pub dataset: Dataset,
    /// The order's number at the channel.
    pub number: SourceNumber,
    /// The order's creation day at the channel.
    pub day: Day,
    /// The cycle or event.
    pub part: Part,
}

impl ItemKey {
    /// The bytes that both sides hash: dataset, number, day and part, separated by 0x1F.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        format!("{}\x1f{}\x1f{}\x1f{}", self.dataset, self.number, self.day, self.part).into_bytes()
    }
}

/// An item of the state book: one facet or event, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookItem {
    /// What identifies it.
    #[serde(flatten)]
    pub key: ItemKey,
    /// When it happened; decides the bucket.
    pub event_time: Moment,
    /// Its compared content.
    pub digest: Digest,
}

impl BookItem {
    /// What the item adds to its bucket's sum.
    #[must_use]
    pub fn element(&self) -> BucketSum {
        let mut hash = Sha256::new();
        hash.update(self.key.bytes());
        hash.update(self.digest.0);
        BucketSum(hash.finalize().into())
    }
}

/// A sum of elements modulo 2^256, big-endian.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BucketSum(pub [u8; 32]);

impl BucketSum {
    /// The empty sum.
    pub const ZERO: BucketSum = BucketSum([0; 32]);

    /// The sum with another added.
    #[must_use]
    pub fn plus(self, other: BucketSum) -> BucketSum {
        let mut out = [0; 32];
        let mut carry = 0u16;
        for at in (0..32).rev() {
            let sum = u16::from(self.0[at]) + u16::from(other.0[at]) + carry;
            out[at] = (sum & 0xff) as u8;
            carry = sum >> 8;
        }
        BucketSum(out)
    }

    /// The sum with another taken away.
    #[must_use]
    pub fn minus(self, other: BucketSum) -> BucketSum {
        // −x = ¬x + 1 in two's complement.
        let mut negated = other.0.map(|byte| !byte);
        for byte in negated.iter_mut().rev() {
            let (sum, overflow) = byte.overflowing_add(1);
            *byte = sum;
            if !overflow {
                break;
            }
        }
        self.plus(BucketSum(negated))
    }
}

macro_rules! hex_bytes {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = hex::FromHexError;
            fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_bytes!(Digest);
hex_bytes!(BucketSum);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn taking_away_undoes_adding(a: [u8; 32], b: [u8; 32]) {
            let (a, b) = (BucketSum(a), BucketSum(b));
            prop_assert_eq!(a.plus(b).minus(b), a);
            prop_assert_eq!(a.minus(b).plus(b), a);
        }

        #[test]
        fn the_order_of_adding_does_not_matter(mut elements: Vec<[u8; 32]>, seed: u64) {
            let sum = |list: &[[u8; 32]]| list.iter().fold(BucketSum::ZERO, |sum, one| sum.plus(BucketSum(*one)));
            let before = sum(&elements);
            if !elements.is_empty() {
                let middle = (seed as usize) % elements.len();
                elements.rotate_left(middle);
            }
            prop_assert_eq!(before, sum(&elements));
        }
    }

    #[test]
    fn the_sum_wraps_at_two_to_the_256() {
        let mut one = [0; 32];
        one[31] = 1;
        assert_eq!(BucketSum([0xff; 32]).plus(BucketSum(one)), BucketSum::ZERO);
        assert_eq!(BucketSum::ZERO.minus(BucketSum(one)), BucketSum([0xff; 32]));
    }
}
