//! Nonces that are still remembered.
//!
//! A guarded message carries its nonce's hash, the digest and the time of forgetting in a header, so that nonce and message are one write. Every
//! replica reads the topics it guards from as far back as a guard may live to their end, and then goes on reading: it knows what others appended
//! a moment later, and its own at once. Two replicas that take the same nonce within that moment both append; the pipeline sees a duplicate.
//!
//! A topic of its own for the nonces was refused: two writes are not one.

use super::client::locked;
use crate::{Guard, TopicName};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// The header of a guarded message; readers never see it.
pub(super) const HEADER: &str = "gateway-guard";

/// Identifies a nonce of a topic: the first 128 bits of SHA-256 over both.
pub(super) type NonceKey = [u8; 16];

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which nonce.
    pub key: NonceKey,
    /// The digest of what it was used for.
    pub digest: [u8; 32],
    /// Microseconds since 1970 from which it is forgotten.
    pub until: i64,
}

impl Mark {
    /// The mark of a guard in a topic.
    pub fn new(topic: &TopicName, guard: &Guard) -> Self {
        let mut hash = Sha256::new();
        hash.update((topic.as_str().len() as u64).to_be_bytes());
        hash.update(topic.as_str().as_bytes());
        hash.update(guard.nonce.as_bytes());
        let full: [u8; 32] = hash.finalize().into();
        let mut key = NonceKey::default();
        key.copy_from_slice(&full[..16]);
        Self { key, digest: guard.digest, until: guard.until.as_microsecond() }
    }

    /// As it stands in the header.
    pub fn to_bytes(self) -> [u8; 56] {
        let mut bytes = [0; 56];
        bytes[..16].copy_from_slice(&self.key);
        bytes[16..48].copy_from_slice(&self.digest);
        bytes[48..].copy_from_slice(&self.until.to_be_bytes());
        bytes
    }

    /// Read back; nothing where it is not ours.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (key, rest) = bytes.split_first_chunk()?;
        let (digest, rest) = rest.split_first_chunk()?;
        Some(Self { key: *key, digest: *digest, until: i64::from_be_bytes(rest.try_into().ok()?) })
    }
}

/// What is known of a nonce.
#[derive(Debug)]
enum Entry {
    /// It stands in the log.
    Known { digest: [u8; 32], until: i64 },
    /// An append of this process is under way.
    UnderWay(watch::Receiver<()>),
}

#[derive(Debug, Default)]
struct Nonces {
    live: HashMap<NonceKey, Entry>,
    sweep_at: usize,
}

/// The live nonces of all topics.
#[derive(Debug, Default)]
pub(super) struct Guards(Mutex<Nonces>);

/// What is to be done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Append it.
    New,
    /// It stands in the log already.
    Same,
    /// Its nonce was used for something else.
    Other,
}

/// Nonces taken for one append. Dropped without [`Claimed::done`], they are free again; the log tells if they were used all the same.
pub(super) struct Claimed {
    guards: Arc<Guards>,
    taken: Vec<Mark>,
    _settled: watch::Sender<()>,
}

impl Guards {
    /// The smallest number of nonces that is worth a sweep.
    const SMALLEST_SWEEP: usize = 4096;

    /// Remembers what stands in the log.
    pub fn remember(&self, mark: Mark, now: i64) {
        if mark.until <= now {
            return;
        }
        let mut nonces = locked(&self.0);
        if let Some(Entry::Known { until, .. }) = nonces.live.get(&mark.key)
            && *until > now
        {
            return;
        }
        nonces.live.insert(mark.key, Entry::Known { digest: mark.digest, until: mark.until });
        if nonces.live.len() > nonces.sweep_at.max(Self::SMALLEST_SWEEP) {
            nonces.live.retain(|_, entry| match entry {
                Entry::Known { until, .. } => *until > now,
                Entry::UnderWay(_) => true,
            });
            nonces.sweep_at = nonces.live.len() * 2;
        }
    }

    /// Takes the nonces of one append, all or none: where one is under way in another append, this waits for that one to end.
    pub async fn claim(self: &Arc<Self>, marks: &[Option<Mark>], now: i64) -> (Vec<Claim>, Claimed) {
        loop {
            let mut other = match self.try_claim(marks, now) {
                Ok(claimed) => return claimed,
                Err(other) => other,
            };
            // The sender goes when the other append has ended; nothing is ever sent.
            other.changed().await.ok();
        }
    }

    fn try_claim(
        self: &Arc<Self>,
        marks: &[Option<Mark>],
        now: i64,
    ) -> Result<(Vec<Claim>, Claimed), watch::Receiver<()>> {
        let (settled, under_way) = watch::channel(());
        let mut claims = Vec::with_capacity(marks.len());
        let mut taken: Vec<Mark> = Vec::new();
        let mut nonces = locked(&self.0);
        for mark in marks {
            let Some(mark) = mark else {
                claims.push(Claim::New);
                continue;
            };
            let known = taken.iter().find(|one| one.key == mark.key).map(|one| one.digest);
            let known = match (known, nonces.live.get(&mark.key)) {
                (Some(digest), _) => Some(digest),
                (None, Some(Entry::Known { digest, until })) if *until > now => Some(*digest),
                (None, Some(Entry::UnderWay(other))) => return Err(other.clone()),
                (None, _) => None,
            };
            claims.push(match known {
                Some(digest) if digest == mark.digest => Claim::Same,
                Some(_) => Claim::Other,
                None => {
                    taken.push(*mark);
                    Claim::New
                }
            });
        }
        for mark in &taken {
            nonces.live.insert(mark.key, Entry::UnderWay(under_way.clone()));
        }
        drop(nonces);
        Ok((claims, Claimed { guards: Arc::clone(self), taken, _settled: settled }))
    }
}

impl Claimed {
    /// The append is durable.
    pub fn done(mut self) {
        let mut nonces = locked(&self.guards.0);
        for mark in std::mem::take(&mut self.taken) {
            nonces.live.insert(mark.key, Entry::Known { digest: mark.digest, until: mark.until });
        }
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let mut nonces = locked(&self.guards.0);
        for mark in &self.taken {
            if let Some(Entry::UnderWay(_)) = nonces.live.get(&mark.key) {
                nonces.live.remove(&mark.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(nonce: &str, digest: u8) -> Option<Mark> {
        let topic = TopicName::from_stored("gateway.t.raw.v1".into());
        let until = gateway_model::Timestamp::from_microsecond(1_000).unwrap();
        Some(Mark::new(&topic, &Guard { nonce: nonce.into(), digest: [digest; 32], until }))
    }

    #[test]
    fn a_mark_reads_back_and_nothing_else_does() {
        let mark = mark("n", 7).unwrap();
        assert_eq!(Mark::from_bytes(&mark.to_bytes()), Some(mark));
        assert_eq!(Mark::from_bytes(&mark.to_bytes()[..55]), None);
        assert_eq!(Mark::from_bytes(&[0; 57]), None);
        assert_eq!(Mark::from_bytes(&[]), None);
    }

    #[tokio::test]
    async fn an_append_waits_for_another_with_the_same_nonce() {
        let guards = Arc::new(Guards::default());
        let (first, claimed) = guards.claim(&[mark("n", 1), None, mark("n", 1), mark("n", 2)], 0).await;
        assert_eq!(first, [Claim::New, Claim::New, Claim::Same, Claim::Other]);
        let both = [mark("m", 1), mark("n", 1)];
        let mut second = Box::pin(guards.claim(&both, 0));
        assert!(futures::poll!(&mut second).is_pending());
        // Who waits holds nothing.
        let (third, other) = guards.claim(&[mark("m", 9)], 0).await;
        assert_eq!(third, [Claim::New]);
        drop(other);
        claimed.done();
        let (second, _) = second.await;
        assert_eq!(second, [Claim::New, Claim::Same]);
    }

    #[tokio::test]
    async fn a_failed_append_frees_its_nonce_unless_the_log_has_it() {
        let guards = Arc::new(Guards::default());
        let (_, failed) = guards.claim(&[mark("n", 1), mark("m", 1)], 0).await;
        guards.remember(mark("m", 1).unwrap(), 0);
        drop(failed);
        let (again, _) = guards.claim(&[mark("n", 2), mark("m", 1)], 0).await;
        assert_eq!(again, [Claim::New, Claim::Same]);
    }

    #[tokio::test]
    async fn a_nonce_is_forgotten_in_time() {
        let guards = Arc::new(Guards::default());
        let (_, claimed) = guards.claim(&[mark("n", 1)], 0).await;
        claimed.done();
        let (again, _) = guards.claim(&[mark("n", 2)], 1_000).await;
        assert_eq!(again, [Claim::New]);
    }
}
