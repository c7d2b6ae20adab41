//! A member of a group that reads the embedded log.

use super::catalog::Topic;
use super::key::PartitionId;
use super::log::Log;
use super::segment::{ReadError, Segment};
use crate::{BusError, Consumer, Fetched, LostOffsets, Message, Position};
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// A later topic that was passed over this many times in a row comes first once.
const PATIENCE: u32 = 8;

/// Reads for a group.
pub(super) struct EmbeddedConsumer {
    log: Arc<Log>,
    group: String,
    member: u64,
    topics: Vec<Arc<Topic>>,
    /// The next offset to read of every partition that this member holds.
    places: HashMap<PartitionId, u64>,
    wake: Arc<Notify>,
    /// Counts fetches, so that no partition is always the last.
    turn: usize,
    /// How many fetches in a row were full before every topic had its share.
    passed_over: u32,
    /// Which of the later topics comes first the next time one does.
    favoured: usize,
}

/// A range to read from one segment.
struct Range {
    topic: Arc<Topic>,
    id: PartitionId,
    segment: Arc<Segment>,
    from: u64,
    to: u64,
}

impl EmbeddedConsumer {
    /// Joins the group.
    pub fn join(log: Arc<Log>, group: &str, topics: Vec<Arc<Topic>>) -> Self {
        let wake = Arc::new(Notify::new());
        for topic in &topics {
            topic.watch(&wake);
        }
        let member = log.groups.join(group, &topics, &wake);
        let group = group.to_owned();
        Self { log, group, member, topics, places: HashMap::new(), wake, turn: 0, passed_over: 0, favoured: 0 }
    }

    /// Takes and gives up partitions; new ones start at what the group committed.
    fn settle(&mut self) {
        let held = self.log.groups.settle(&self.group, self.member);
        let old = std::mem::take(&mut self.places);
        for id in held {
            let place = old.get(&id).copied().unwrap_or_else(|| self.log.catalog.position(&self.group, id));
            self.places.insert(id, place);
        }
    }

    /// The offsets that are gone before they were read.
    fn lost(&self) -> Vec<(PartitionId, LostOffsets)> {
        let mut lost = Vec::new();
        for topic in &self.topics {
            for id in topic.ids() {
                let Some(&from) = self.places.get(&id) else { continue };
                let to = self.log.first(id);
                if from < to {
                    let range = LostOffsets { topic: topic.name.clone(), partition: id.partition, from, to };
                    lost.push((id, range));
                }
            }
        }
        lost
    }

    /// What to read next: at most `max` messages, earlier topics first.
    fn plan(&mut self, max: usize) -> Vec<Range> {
        let mut order: Vec<usize> = (0..self.topics.len()).collect();
        let turned = self.passed_over >= PATIENCE && order.len() > 1;
        if turned {
            let later = 1 + self.favoured % (order.len() - 1);
            order[..=later].rotate_right(1);
        }
        let mut ranges = Vec::new();
        let mut left = max as u64;
        let mut short = false;
        for index in order {
            let topic = Arc::clone(&self.topics[index]);
            short |= !self.plan_topic(&topic, &mut left, &mut ranges) && index > 0;
        }
        if turned {
            self.passed_over = 0;
            self.favoured = self.favoured.wrapping_add(1);
        } else {
            self.passed_over = if short { self.passed_over + 1 } else { 0 };
        }
        self.turn = self.turn.wrapping_add(1);
        ranges
    }

    /// Shares what is left evenly among the partitions of a topic; false when the topic has messages and nothing was left for it.
    fn plan_topic(&self, topic: &Arc<Topic>, left: &mut u64, ranges: &mut Vec<Range>) -> bool {
        let mut pending: Vec<(PartitionId, u64, u64)> = topic
            .ids()
            .filter_map(|id| Some((id, *self.places.get(&id)?, topic.end(id.partition))))
            .filter(|(_, from, end)| from < end)
            .collect();
        if pending.is_empty() {
            return true;
        }
        if *left == 0 {
            return false;
        }
        // Ends were read before this list, so it reaches at least as far.
        let segments = self.log.segments();
        let start = self.turn % pending.len();
        pending.rotate_left(start);
        let count = pending.len() as u64;
        if *left >= count {
            // Everyone gets some; the shortest first, so that what they leave is for the others.
            pending.sort_by_key(|(_, from, end)| end - from);
        }
        for (served, (id, from, end)) in (0..).zip(pending) {
            let share = left.div_ceil(count - served);
            let to = end.min(from + share);
            *left -= to - from;
            split(topic, id, from, to, &segments, ranges);
        }
        true
    }

    /// Reads the ranges; none when a segment went away meanwhile and the plan has to be made again.
    async fn read(&self, ranges: &[Range]) -> Result<Option<Vec<Message>>, BusError> {
        let mut bytes = self.log.options.fetch_bytes.max(1);
        let mut messages = Vec::new();
        for range in ranges {
            if bytes == 0 {
                break;
            }
            match range.segment.read(&range.topic.name, range.id, (range.from, range.to), &mut bytes).await {
                Ok(read) => messages.extend(read),
                Err(_) if self.log.first(range.id) > range.from => return Ok(None),
                Err(ReadError::Failed(failure)) if failure.is_closed() => return Ok(None),
                Err(ReadError::Failed(failure)) => return Err(failure.to_bus_error()),
                Err(ReadError::Unreadable(error)) => return Err(damaged(range, range.from, Some(Box::new(error)))),
                Err(ReadError::Missing(offset)) => return Err(damaged(range, offset, None)),
            }
        }
        Ok(Some(messages))
    }

    /// One look, without waiting.
    async fn look(&mut self, max: usize) -> Result<Fetched, BusError> {
        loop {
            if self.log.is_closed() {
                return Err(BusError::Closed);
            }
            self.settle();
            let lost = self.lost();
            for (id, range) in &lost {
                tracing::warn!(topic = %range.topic, partition = range.partition, from = range.from, to = range.to, group = %self.group,
                    "offsets were dropped before they were read");
                metrics::counter!("gateway_bus_lost_messages_total", "topic" => range.topic.as_str().to_owned())
                    .increment(range.to - range.from);
                self.places.insert(*id, range.to);
            }
            let ranges = self.plan(max);
            let read = if lost.is_empty() { self.read(&ranges).await? } else { Some(Vec::new()) };
            let Some(messages) = read else { continue };
            for message in &messages {
                let topic = ranges.iter().find(|range| range.topic.name == message.topic);
                if let Some(range) = topic {
                    let id = PartitionId { partition: message.partition, ..range.id };
                    self.places.insert(id, message.offset + 1);
                }
            }
            return Ok(Fetched { messages, lost: lost.into_iter().map(|(_, range)| range).collect() });
        }
    }
}

/// Cuts a range at the borders of segments.
fn split(topic: &Arc<Topic>, id: PartitionId, from: u64, to: u64, segments: &[Arc<Segment>], ranges: &mut Vec<Range>) {
    for (index, segment) in segments.iter().enumerate() {
        let end = segments.get(index + 1).map_or(u64::MAX, |next| next.start(id));
        let (from, to) = (from.max(segment.start(id)), to.min(end));
        if from < to {
            ranges.push(Range { topic: Arc::clone(topic), id, segment: Arc::clone(segment), from, to });
        }
    }
}

fn damaged(range: &Range, offset: u64, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> BusError {
    let what = format!(
        "offset {offset} of partition {} of {} can't be read from segment {}",
        range.id.partition, range.topic.name, range.segment.number
    );
    BusError::Damaged { what, source }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn fetch(&mut self, max: usize, wait: Duration) -> Result<Fetched, BusError> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let fetched = self.look(max).await?;
            if !fetched.messages.is_empty() || !fetched.lost.is_empty() {
                return Ok(fetched);
            }
            // The permit of a wake-up between the look and here is kept, so none is missed.
            let wake = Arc::clone(&self.wake);
            if tokio::time::timeout_at(deadline, wake.notified()).await.is_err() {
                return Ok(Fetched::default());
            }
        }
    }

    async fn commit(&mut self, positions: &[Position]) -> Result<(), BusError> {
        if self.log.is_closed() {
            return Err(BusError::Closed);
        }
        let mut rows = Vec::with_capacity(positions.len());
        for position in positions {
            let topic = self.log.catalog.topic(&position.topic)?;
            let end = topic.end(position.partition);
            if position.partition >= topic.partitions() || position.offset > end {
                let what = format!(
                    "position {} of partition {} of {} is past the end {end}",
                    position.offset, position.partition, position.topic
                );
                return Err(BusError::Refused { what });
            }
            rows.push((PartitionId { topic: topic.number, partition: position.partition }, position.offset));
        }
        self.log.catalog.commit(&self.group, &rows).await
    }

    async fn rewind(&mut self) -> Result<(), BusError> {
        self.places.clear();
        Ok(())
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        self.log.groups.leave(&self.group, self.member);
    }
}
