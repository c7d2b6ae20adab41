//! Nonces that are still remembered.
//!
//! Rows of the table `guard` are written in the transaction of the message they guard. All that are alive are in memory as well, so that an
//! append needs no lookup: 64 bytes a nonce, bounded by the rate of guarded appends times the life of a guard. The map is rebuilt at open from
//! the segments that can still hold a live one; a segment that is dropped hands its live ones on first.

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

/// The live nonces.
#[derive(Debug, Default)]
pub(super) struct Guards {
    live: HashMap<NonceKey, ([u8; 32], i64)>,
    sweep_at: usize,
}

impl Guards {
    /// The smallest number of nonces that is worth a sweep.
    const SMALLEST_SWEEP: usize = 4096;

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

    /// What is known of a nonce, committed or staged in the same transaction.
    pub fn look_up(&self, staged: &HashMap<NonceKey, GuardRow>, row: &GuardRow, now: i64) -> Known {
        let committed = self.live.get(&row.key).filter(|(_, until)| *until > now).map(|(digest, _)| digest);
        match staged.get(&row.key).map(|row| &row.digest).or(committed) {
            None => Known::New,
            Some(digest) if *digest == row.digest => Known::Same,
            Some(_) => Known::Other,
        }
    }
}
