//! Which nonces a finished segment may hold: a Bloom filter, so that what is remembered of a nonce beside the newest segment's is two bytes and not
//! sixty-four, whatever the rate of pushes and however long their nonces live.
//!
//! It never says no of a nonce that is there. It says yes of one in 1,700 that is not, and then the segment is asked, which has an index for that.

use super::guard::NonceKey;

/// Bits for each nonce.
const BITS: usize = 16;
/// Bits that each nonce sets.
const PROBES: u64 = 8;

/// A filter over nonces. Its bytes are a stored format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    words: Vec<u64>,
}

impl Filter {
    /// A filter of so many nonces.
    pub fn new(count: usize) -> Self {
        Self { words: vec![0; (count * BITS).div_ceil(64).max(1)] }
    }

    /// The filter that was stored; none where the bytes are not one's.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        (!words.is_empty() && rest.is_empty())
            .then(|| Self { words: words.iter().map(|word| u64::from_le_bytes(*word)).collect() })
    }

    /// What is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Takes a nonce in.
    pub fn insert(&mut self, key: &NonceKey) {
        for place in self.places(key) {
            if let Some(word) = self.words.get_mut(place / 64) {
                *word |= 1 << (place % 64);
            }
        }
    }

    /// Whether a nonce may be there.
    pub fn may_hold(&self, key: &NonceKey) -> bool {
        self.places(key).all(|place| self.words.get(place / 64).is_some_and(|word| word & (1 << (place % 64)) != 0))
    }

    /// The bits of a nonce. Its key is a hash already, so that two halves of it give as many places as are wanted.
    fn places(&self, key: &NonceKey) -> impl Iterator<Item = usize> + use<> {
        let (halves, _) = key.as_chunks::<8>();
        let half = |at: usize| halves.get(at).copied().map_or(0, u64::from_le_bytes);
        let (first, step, bits) = (half(0), half(1) | 1, self.words.len() as u64 * 64);
        (0..PROBES).map(move |probe| (first.wrapping_add(step.wrapping_mul(probe)) % bits) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    fn key(number: u32) -> NonceKey {
        let mut key = NonceKey::default();
        key.copy_from_slice(&Sha256::digest(number.to_be_bytes())[..16]);
        key
    }

    #[test]
    fn what_was_taken_in_is_there_and_little_else() {
        let mut filter = Filter::new(10_000);
        (0..10_000).for_each(|number| filter.insert(&key(number)));
        let filter = Filter::from_bytes(&filter.to_bytes()).expect("a filter");
        assert!((0..10_000).all(|number| filter.may_hold(&key(number))));
        let wrong = (10_000..110_000).filter(|number| filter.may_hold(&key(*number))).count();
        assert!(wrong < 150, "{wrong} of 100,000");
    }

    #[test]
    fn an_empty_one_holds_nothing_and_strange_bytes_are_none() {
        assert!(!Filter::new(0).may_hold(&key(1)));
        assert_eq!((Filter::from_bytes(&[]), Filter::from_bytes(&[0; 9])), (None, None));
    }

    #[test]
    fn its_bytes_are_a_stored_format() {
        let mut filter = Filter::new(8);
        filter.insert(&[1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        // Bits 1, 4, 7 … 22 of 128.
        assert_eq!(filter.to_bytes(), [0x92, 0x24, 0x49, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
