//! Random steps against a model of the contract.

use super::{BusUnderTest, guarded, message, new_topic};
use crate::{Appended, Bus, Consumer, Position, TopicName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One step.
#[derive(Debug, Clone)]
pub enum Step {
    /// Append so many messages with these keys, guarded by this nonce where it is not 0.
    Append {
        /// One key for each message.
        keys: Vec<u8>,
        /// The nonce of the first message.
        nonce: u8,
        /// The digest of the first message.
        digest: u8,
    },
    /// Fetch at most so many.
    Fetch(usize),
    /// Commit what was fetched last.
    Commit,
    /// Go back to what was committed.
    Rewind,
    /// Drop the consumer and join anew.
    Rejoin,
    /// Drop everything without `close` and open again.
    Reopen,
    /// Let everything so far expire.
    Expire,
}

/// Steps made of random bytes, four for each, so that a property test of any library can shrink them.
#[must_use]
pub fn steps(bytes: &[u8]) -> Vec<Step> {
    bytes
        .chunks_exact(4)
        .map(|chunk| match chunk[0] % 16 {
            0..=6 => Step::Append {
                keys: (0..=chunk[1] % 6).map(|number| number.wrapping_mul(chunk[2]) % 5).collect(),
                nonce: (chunk[2] / 16).saturating_sub(8),
                digest: chunk[3] % 2,
            },
            7..=9 => Step::Fetch(usize::from(chunk[1] % 8) + 1),
            10 | 11 => Step::Commit,
            12 => Step::Rewind,
            13 => Step::Rejoin,
            14 => Step::Reopen,
            _ => Step::Expire,
        })
        .collect()
}

/// What the contract says must be there.
#[derive(Default)]
struct Model {
    /// For each partition the payloads from offset 0.
    log: BTreeMap<u32, Vec<Vec<u8>>>,
    /// The first offset that is left.
    first: BTreeMap<u32, u64>,
    nonces: BTreeMap<u8, u8>,
    read: BTreeMap<u32, u64>,
    committed: BTreeMap<u32, u64>,
    sent: u32,
}

/// Runs the steps; everything that comes back must be what the model says.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn follows_the_model(under_test: &dyn BusUnderTest, name: &str, steps: &[Step]) {
    const PARTITIONS: u32 = 3;
    let mut bus = under_test.open().await;
    let topic = new_topic(&*bus, name, PARTITIONS).await;
    let mut consumer = join(&bus, name, &topic).await;
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Append { keys, nonce, digest } => {
                model.append(under_test, &*bus, &topic, keys, *nonce, *digest).await
            }
            Step::Fetch(max) => model.fetch(&mut *consumer, *max).await,
            Step::Commit => {
                let positions: Vec<_> = model
                    .read
                    .iter()
                    .map(|(partition, offset)| Position {
                        topic: topic.clone(),
                        partition: *partition,
                        offset: *offset,
                    })
                    .collect();
                consumer.commit(&positions).await.expect("a commit works");
                model.committed.clone_from(&model.read);
            }
            Step::Rewind => {
                consumer.rewind().await.expect("a rewind works");
                model.read.clone_from(&model.committed);
            }
            Step::Rejoin => {
                drop(consumer);
                consumer = join(&bus, name, &topic).await;
                model.read.clone_from(&model.committed);
            }
            Step::Reopen => {
                drop((consumer, bus));
                bus = under_test.open().await;
                consumer = join(&bus, name, &topic).await;
                model.read.clone_from(&model.committed);
            }
            Step::Expire => {
                under_test.expire(&*bus, &topic).await;
                // More than the life of a guard has passed.
                model.nonces.clear();
                model.first = model.log.iter().map(|(partition, log)| (*partition, log.len() as u64)).collect();
            }
        }
        for end in bus.end_positions(&topic).await.expect("ends are known") {
            assert_eq!(
                end.offset,
                model.log.get(&end.partition).map_or(0, Vec::len) as u64,
                "the end of {}",
                end.partition
            );
        }
        for position in bus.committed(name, &topic).await.expect("positions are known") {
            assert_eq!(position.offset, model.committed.get(&position.partition).copied().unwrap_or(0));
        }
    }
    // At the end everything that is left comes out.
    while model.unread() > 0 {
        model.fetch(&mut *consumer, 16).await;
    }
}

async fn join(bus: &Arc<dyn Bus>, group: &str, topic: &TopicName) -> Box<dyn Consumer> {
    bus.subscribe(group, std::slice::from_ref(topic)).await.expect("a subscription works")
}

impl Model {
    fn unread(&self) -> u64 {
        self.log.iter().map(|(partition, log)| log.len() as u64 - self.read.get(partition).copied().unwrap_or(0)).sum()
    }

    async fn append(
        &mut self,
        under_test: &dyn BusUnderTest,
        bus: &dyn Bus,
        topic: &TopicName,
        keys: &[u8],
        nonce: u8,
        digest: u8,
    ) {
        let mut batch = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            self.sent += 1;
            let mut new = message(&format!("key-{key}"), self.sent.to_be_bytes());
            if index == 0 && nonce > 0 {
                new.guard = guarded(under_test.now(), &nonce.to_string(), digest).guard;
            }
            batch.push(new);
        }
        let payloads: Vec<_> = batch.iter().map(|new| new.payload.clone()).collect();
        let appended = bus.append(topic, batch).await.expect("an append works");
        for (index, (outcome, payload)) in appended.into_iter().zip(payloads).enumerate() {
            if index == 0 && nonce > 0 {
                let known = self.nonces.get(&nonce).copied();
                if let Some(known) = known {
                    assert_eq!(outcome, if known == digest { Appended::Repeated } else { Appended::Conflict });
                    continue;
                }
                self.nonces.insert(nonce, digest);
            }
            let (partition, offset) = super::place(outcome);
            let log = self.log.entry(partition).or_default();
            assert_eq!(offset, log.len() as u64, "offsets are contiguous");
            log.push(payload);
        }
    }

    async fn fetch(&mut self, consumer: &mut dyn Consumer, max: usize) {
        // What is durable is readable, so nothing is waited for; an engine that needs a moment has it.
        let wait = if self.unread() > 0 { super::PATIENCE } else { Duration::ZERO };
        let fetched = consumer.fetch(max, wait).await.expect("a fetch works");
        assert!(fetched.messages.len() <= max);
        assert!(self.unread() == 0 || !fetched.messages.is_empty() || !fetched.lost.is_empty(), "something was due");
        for lost in fetched.lost {
            let read = self.read.entry(lost.partition).or_default();
            let first = self.first.get(&lost.partition).copied().unwrap_or(0);
            assert_eq!((lost.from, lost.to), (*read, first), "what is lost of partition {}", lost.partition);
            *read = first;
        }
        for message in fetched.messages {
            let read = self.read.entry(message.partition).or_default();
            assert_eq!(message.offset, *read, "reading goes on where it was");
            assert_eq!(Some(&message.payload), self.log[&message.partition].get(message.offset as usize));
            *read += 1;
        }
    }
}
