//! From the spool to the far bus.
//!
//! A batch is read, appended, and committed after its acknowledgement. Before a batch is sent it is asked whether the far bus answers at all, so that
//! an outage is not met by queues of appends that all run into their time limit.

use super::{GROUP, SpooledBus, travel};
use crate::{Appended, Bus, BusError, Consumer, Message, NewMessage, Position, TopicName};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How many messages one batch has at most.
const BATCH: usize = 500;
/// How many batches of a topic one round sends before the other topics have their turn.
const BATCHES: usize = 20;
/// How many conflicts are remembered for the sake of later records of the same push.
const MOST_CONFLICTS: usize = 10_000;

/// What becomes of a spooled message whose nonce, as the far bus says, was used for other content meanwhile. Whoever appended it was told that it
/// is kept, so it must be.
pub trait ConflictRule: Send + Sync + 'static {
    /// The nonce of the append that one nonce belongs to: where one request makes several messages, a conflict of its first is one of all.
    fn request_of<'a>(&self, nonce: &'a str) -> &'a str;

    /// The message as it is to be kept, under a nonce that tells its content.
    fn resolve(&self, message: NewMessage) -> NewMessage;
}

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// How many messages the far bus has acknowledged.
    pub messages: u64,
    /// How many of them were kept as conflicts.
    pub conflicts: u64,
    /// Whether more waits.
    pub more: bool,
}

/// What the drain remembers from round to round.
#[derive(Default)]
pub(super) struct Drain {
    readers: HashMap<TopicName, Box<dyn Consumer>>,
    conflicts: HashSet<(String, [u8; 32])>,
    /// Messages were committed and may still be in the files.
    droppable: bool,
}

impl SpooledBus {
    /// One round: makes the topics that the far bus has not been told of, and moves what is spooled. Dropped at any moment it loses nothing.
    ///
    /// # Errors
    /// What keeps the spool, or one topic's, from being drained; the other topics went on where that was possible.
    pub async fn drain(&self) -> Result<Drained, BusError> {
        let mut drain = self.drain.lock().await;
        let drained = self.drain_with(&mut drain).await;
        self.measure();
        drained
    }

    async fn drain_with(&self, drain: &mut Drain) -> Result<Drained, BusError> {
        self.make_owed_topics().await?;
        let mut drained = Drained::default();
        let mut failed = None;
        let waiting = self.depths().into_iter().filter(|depth| depth.messages > 0);
        for topic in waiting.map(|depth| depth.topic).collect::<Vec<_>>() {
            match self.drain_topic(drain, &topic, &mut drained).await {
                Ok(()) => {}
                // Nobody answers, or nobody may ask any more: the others fare no better.
                Err(error @ (BusError::Unavailable(_) | BusError::Closed)) => {
                    failed = Some(error);
                    break;
                }
                Err(error) => failed = Some(error),
            }
        }
        let empty = self.depths().iter().all(|depth| depth.messages == 0);
        drained.more = !empty;
        if drain.droppable {
            // Whole files that are done with; the last one goes when nothing waits.
            let dropped = self.spool.drop_read(GROUP).await?;
            drain.droppable = !empty;
            tracing::debug!(messages = dropped, "drained messages were dropped from the spool");
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(drained),
        }
    }

    async fn make_owed_topics(&self) -> Result<(), BusError> {
        let owed: Vec<_> = self.topics().owed.values().cloned().collect();
        for spec in owed {
            self.far.ensure_topic(&spec).await?;
            self.topics().owed.remove(&spec.name);
            tracing::info!(topic = %spec.name, "the brokers have the topic");
        }
        Ok(())
    }

    async fn drain_topic(&self, drain: &mut Drain, topic: &TopicName, drained: &mut Drained) -> Result<(), BusError> {
        if let Err(error) = self.far.end_positions(topic).await {
            // A topic that the brokers have lost is made anew in the next round.
            self.is_bridged(topic, &error);
            return Err(error);
        }
        let mut reader = match drain.readers.remove(topic) {
            Some(reader) => reader,
            None => self.spool.subscribe(GROUP, std::slice::from_ref(topic)).await?,
        };
        for _ in 0..BATCHES {
            let fetched = reader.fetch(BATCH, Duration::ZERO).await?;
            for lost in &fetched.lost {
                let (from, to) = (lost.from, lost.to);
                tracing::error!(topic = %topic, from, to, "the spool has lost messages: its files were damaged or taken away");
                metrics::counter!("gateway_bus_lost_messages_total").increment(to.saturating_sub(from));
            }
            let (Some(first), Some(last)) = (fetched.messages.first(), fetched.messages.last()) else { break };
            self.oldest.is(topic, first.appended_at);
            let through = Position { topic: topic.clone(), partition: 0, offset: last.offset + 1 };
            let last_at = last.appended_at;
            // Whatever is between reading and committing may fail or be dropped: the reader is then not kept, and a new one begins at the commit.
            let count = fetched.messages.len() as u64;
            drained.conflicts += self.send(&mut drain.conflicts, topic, fetched.messages).await?;
            reader.commit(&[through]).await?;
            drain.droppable = true;
            drained.messages += count;
            self.oldest.is(topic, last_at);
        }
        drain.readers.insert(topic.clone(), reader);
        Ok(())
    }

    /// Appends a batch, in its order; returns how many were conflicts.
    async fn send(
        &self,
        conflicts: &mut HashSet<(String, [u8; 32])>,
        topic: &TopicName,
        messages: Vec<Message>,
    ) -> Result<u64, BusError> {
        let mut messages = messages.into_iter().map(travel::unpack).peekable();
        let mut count = 0;
        while messages.peek().is_some() {
            let mut part: Vec<NewMessage> = Vec::new();
            let mut requests: HashSet<String> = HashSet::new();
            // A later message of a request waits for what its first one comes to.
            while let Some(next) = messages.next_if(|next| !self.waits(&requests, next)) {
                let Some(guard) = &next.guard else {
                    part.push(next);
                    continue;
                };
                let request = self.rule.request_of(&guard.nonce).to_owned();
                if conflicts.contains(&(request.clone(), guard.digest)) {
                    part.push(self.resolved(topic, next));
                    count += 1;
                } else {
                    requests.insert(request);
                    part.push(next);
                }
            }
            count += self.send_part(conflicts, topic, part).await?;
        }
        Ok(count)
    }

    fn waits(&self, requests: &HashSet<String>, message: &NewMessage) -> bool {
        message.guard.as_ref().is_some_and(|guard| {
            let request = self.rule.request_of(&guard.nonce);
            request != guard.nonce && requests.contains(request)
        })
    }

    async fn send_part(
        &self,
        conflicts: &mut HashSet<(String, [u8; 32])>,
        topic: &TopicName,
        part: Vec<NewMessage>,
    ) -> Result<u64, BusError> {
        let appended = self.far.append(topic, part.clone()).await?;
        let conflicting: Vec<_> = part
            .into_iter()
            .zip(&appended)
            .filter(|(_, appended)| **appended == Appended::Conflict)
            .map(|(message, _)| message)
            .collect();
        let count = conflicting.len() as u64;
        for message in conflicting {
            if let Some(guard) = &message.guard
                && conflicts.len() < MOST_CONFLICTS
            {
                conflicts.insert((self.rule.request_of(&guard.nonce).to_owned(), guard.digest));
            }
            let mut kept = self.resolved(topic, message);
            let again = self.far.append(topic, vec![kept.clone()]).await?;
            if again.contains(&Appended::Conflict) {
                // A nonce that tells its content can't be another's; kept all the same, if need be twice.
                kept.guard = None;
                self.far.append(topic, vec![kept]).await?;
            }
        }
        Ok(count)
    }

    fn resolved(&self, topic: &TopicName, message: NewMessage) -> NewMessage {
        tracing::warn!(topic = %topic, "a spooled message has a nonce that was used for other content elsewhere meanwhile");
        metrics::counter!("gateway_spool_conflicts_total", "topic" => topic.to_string()).increment(1);
        self.rule.resolve(message)
    }
}
