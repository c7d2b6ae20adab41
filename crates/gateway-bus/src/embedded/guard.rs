//! Nonces that are still remembered.
//!
//! Rows of the table `guard` are written in the transaction of the message they guard. Those of the newest segment that are alive are in memory as
//! well, 64 bytes each, so that an append needs no lookup. Of those of an older segment there is a filter (`filter`), and only where it says that the
//! segment may hold a nonce is the segment asked: so memory is bounded by a segment, not by the rate of guarded appends times the life of a guard. The
//! map is rebuilt at open; a segment that is dropped hands its live ones on to the newest first.

use super::filter::Filter;
use crate::Guard;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Identifies a nonce of a topic: the first 128 bits of SHA-256 over both. Half a hash is enough, since no one gains by a collision of nonces
/// that the peer's key has signed.
pub(super) type NonceKey = [u8; 16];

/// A row of the table `guard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GuardRow {
    /// Which nonce.
    pub key: NonceKey,
    /// The digest of what it was used for.
    pub digest: [u8; 32],
    /// Microseconds since 1970 from which it is forgotten.
    pub until: i64,
}

impl GuardRow {
    /// The row of a guard, for the topic with this number.
    pub fn new(topic: u32, guard: &Guard) -> Self {
        let mut hash = Sha256::new();
        hash.update(topic.to_be_bytes());
        hash.update(guard.nonce.as_bytes());
        let full: [u8; 32] = hash.finalize().into();
        let mut key = NonceKey::default();
        key.copy_from_slice(&full[..16]);
        Self { key, digest: guard.digest, until: guard.until.as_microsecond() }
    }
}

/// Nonces of one transaction.
pub(super) type Found = HashMap<NonceKey, GuardRow>;

/// What is known of a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: it is new, or its time is over.
    New,
    /// It was used for the same content.
    Same,
    /// It was used for other content.
    Other,
}

/// The live nonces of the newest segment.
#[derive(Debug, Default)]
pub(super) struct Guards {
    live: HashMap<NonceKey, ([u8; 32], i64)>,
    sweep_at: usize,
}

impl Guards {
    /// The smallest number of nonces that is worth a sweep.
    const SMALLEST_SWEEP: usize = 4096;

    /// Whether this nonce is among them, alive or not.
    pub fn has(&self, key: &NonceKey) -> bool {
        self.live.contains_key(key)
    }

    /// The filter of these nonces.
    pub fn filter(&self) -> Filter {
        let mut filter = Filter::new(self.live.len());
        self.live.keys().for_each(|key| filter.insert(key));
        filter
    }

    /// Remembers rows that are committed.
    pub fn remember(&mut self, rows: impl IntoIterator<Item = GuardRow>, now: i64) {
        for row in rows {
            if row.until > now {
                self.live.insert(row.key, (row.digest, row.until));
            }
        }
        if self.live.len() > self.sweep_at.max(Self::SMALLEST_SWEEP) {
            self.live.retain(|_, (_, until)| *until > now);
            self.sweep_at = self.live.len() * 2;
        }
    }

    /// What is known of a nonce: staged in the same transaction, committed in the newest segment, or found in an older one.
    pub fn look_up(&self, staged: &Found, older: &Found, row: &GuardRow, now: i64) -> Known {
        let committed = self.live.get(&row.key).filter(|(_, until)| *until > now).map(|(digest, _)| digest);
        let found = || older.get(&row.key).filter(|row| row.until > now).map(|row| &row.digest);
        match staged.get(&row.key).map(|row| &row.digest).or(committed).or_else(found) {
            None => Known::New,
            Some(digest) if *digest == row.digest => Known::Same,
            Some(_) => Known::Other,
        }
    }
}
