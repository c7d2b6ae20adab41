//! What a reader holds: its partitions, and the messages of each that were read ahead and not handed out yet.
//!
//! No clock and no network: what to hand out next is decided here, and what to pause so that memory stays bounded.

use crate::{Fetched, LostOffsets, Message, TopicName};
use std::collections::{BTreeMap, VecDeque};

/// A later topic that was passed over this many times in a row comes first once.
const PATIENCE: u32 = 8;
/// What a message weighs beside its bytes.
const OVERHEAD: u64 = 256;

/// A partition of one of the reader's topics: the topic's place in the order of priority, and the partition's number.
pub(super) type PartitionId = (usize, i32);

/// Something that was read of a partition.
#[derive(Debug)]
enum Item {
    Message(Message),
    /// Offsets up to this one are gone.
    LostUpTo(u64),
}

/// A partition that this reader holds.
#[derive(Debug)]
pub(super) struct Place {
    /// What was handed out lies before this.
    pub next: u64,
    /// What was read ahead lies before this.
    pub read: u64,
    /// What the group committed.
    pub committed: u64,
    /// Reading has to begin again at `read`.
    pub restart: bool,
    /// Reading began again; until its first message comes, older ones may still be on their way.
    expecting: bool,
    /// Messages that were dropped while expecting.
    skipped: u64,
    paused: bool,
    items: VecDeque<Item>,
    bytes: u64,
}

impl Place {
    fn at(offset: u64) -> Self {
        Self {
            next: offset,
            read: offset,
            committed: offset,
            restart: false,
            expecting: false,
            skipped: 0,
            paused: false,
            items: VecDeque::new(),
            bytes: 0,
        }
    }
}

/// All that a reader holds.
pub(super) struct Shelf {
    topics: Vec<TopicName>,
    places: BTreeMap<PartitionId, Place>,
    read_ahead: u64,
    /// Counts fetches, so that no partition is always the last.
    turn: usize,
    /// How many fetches in a row were full before every topic had its share.
    passed_over: u32,
    /// Which of the later topics comes first the next time one does.
    favoured: usize,
}

impl Shelf {
    pub fn new(topics: Vec<TopicName>, read_ahead: u64) -> Self {
        Self { topics, places: BTreeMap::new(), read_ahead, turn: 0, passed_over: 0, favoured: 0 }
    }

    pub fn topics(&self) -> &[TopicName] {
        &self.topics
    }

    pub fn place(&mut self, id: PartitionId) -> Option<&mut Place> {
        self.places.get_mut(&id)
    }

    pub fn holds(&self, id: PartitionId) -> bool {
        self.places.contains_key(&id)
    }

    pub fn ids(&self) -> Vec<PartitionId> {
        self.places.keys().copied().collect()
    }

    /// A partition was given to this reader.
    pub fn add(&mut self, id: PartitionId, committed: u64) {
        self.places.insert(id, Place::at(committed));
    }

    /// A partition goes to another reader; what was read ahead of it is forgotten.
    pub fn remove(&mut self, id: PartitionId) {
        self.places.remove(&id);
    }

    /// A message came. One that was handed out or read before is dropped.
    pub fn put(&mut self, id: PartitionId, message: Message) {
        // A partition that has just been given away may still have messages on their way.
        let Some(place) = self.places.get_mut(&id) else { return };
        let awaited = if place.expecting { message.offset == place.read } else { message.offset >= place.read };
        if place.restart || !awaited {
            place.skipped += 1;
            return;
        }
        place.expecting = false;
        place.skipped = 0;
        place.read = message.offset + 1;
        place.bytes += weight_of(&message);
        place.items.push_back(Item::Message(message));
    }

    /// The log of a partition begins at `first` now. True when something is gone that was not read.
    pub fn begin_at(&mut self, id: PartitionId, first: u64) -> bool {
        let Some(place) = self.places.get_mut(&id) else { return false };
        if first <= place.read {
            return false;
        }
        place.items.push_back(Item::LostUpTo(first));
        place.read = first;
        true
    }

    /// Back to what was committed.
    pub fn rewind(&mut self) {
        for place in self.places.values_mut() {
            // What is read ahead of a partition of which nothing was handed out since is still what comes next.
            if place.next != place.committed {
                place.items.clear();
                place.bytes = 0;
                place.next = place.committed;
                place.read = place.committed;
                place.restart = true;
            }
        }
    }

    /// Partitions whose reading has to begin again, with the offset.
    pub fn to_restart(&self) -> Vec<(PartitionId, u64)> {
        self.places.iter().filter(|(_, place)| place.restart).map(|(id, place)| (*id, place.read)).collect()
    }

    /// Reading begins again there.
    pub fn restarted(&mut self, id: PartitionId) {
        if let Some(place) = self.places.get_mut(&id) {
            place.restart = false;
            place.expecting = true;
            place.paused = false;
        }
    }

    /// A partition of which so many messages were dropped that something else than a restart must be the cause.
    pub fn stuck(&self) -> Option<(PartitionId, u64)> {
        const MANY: u64 = 100_000;
        self.places
            .iter()
            .find(|(_, place)| place.expecting && place.skipped > MANY)
            .map(|(id, place)| (*id, place.read))
    }

    /// Partitions to pause and to resume, so that what is read ahead stays within its bound.
    pub fn balance(&mut self) -> (Vec<PartitionId>, Vec<PartitionId>) {
        let share = self.read_ahead / (self.places.len().max(1) as u64);
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for (id, place) in &mut self.places {
            if !place.paused && !place.restart && place.bytes > share {
                place.paused = true;
                pause.push(*id);
            } else if place.paused && place.bytes <= share / 2 {
                place.paused = false;
                resume.push(*id);
            }
        }
        (pause, resume)
    }

    /// Takes at most `max` messages of about `bytes` together, earlier topics first.
    pub fn pick(&mut self, max: usize, mut bytes: u64) -> Fetched {
        let mut order: Vec<usize> = (0..self.topics.len()).collect();
        let turned = self.passed_over >= PATIENCE && order.len() > 1;
        if turned {
            let later = 1 + self.favoured % (order.len() - 1);
            order[..=later].rotate_right(1);
        }
        let mut fetched = Fetched::default();
        let mut left = max as u64;
        let mut short = false;
        for topic in order {
            short |= !self.pick_topic(topic, &mut left, &mut bytes, &mut fetched) && topic > 0;
        }
        if fetched.messages.is_empty() && fetched.lost.is_empty() {
            return fetched;
        }
        if turned {
            self.passed_over = 0;
            self.favoured = self.favoured.wrapping_add(1);
        } else {
            self.passed_over = if short { self.passed_over + 1 } else { 0 };
        }
        self.turn = self.turn.wrapping_add(1);
        fetched
    }

    /// Shares what is left evenly among the partitions of a topic; false when the topic has messages and nothing was left for it.
    fn pick_topic(&mut self, topic: usize, left: &mut u64, bytes: &mut u64, fetched: &mut Fetched) -> bool {
        let name = self.topics[topic].clone();
        let mut pending: Vec<(i32, &mut Place)> = self
            .places
            .range_mut((topic, i32::MIN)..=(topic, i32::MAX))
            .filter(|(_, place)| !place.items.is_empty())
            .map(|((_, partition), place)| (*partition, place))
            .collect();
        if pending.is_empty() {
            return true;
        }
        if *left == 0 || *bytes == 0 {
            return false;
        }
        let start = self.turn % pending.len();
        pending.rotate_left(start);
        let count = pending.len() as u64;
        if *left >= count {
            // Everyone gets some; the shortest first, so that what they leave is for the others.
            pending.sort_by_key(|(_, place)| place.items.len());
        }
        for (served, (partition, place)) in (0..).zip(pending) {
            let share = left.div_ceil(count - served);
            *left -= take(place, &name, partition, share, bytes, fetched);
        }
        true
    }
}

/// Takes messages of one partition; what is lost is told before anything behind it, and never in one answer with something before it.
fn take(
    place: &mut Place,
    topic: &TopicName,
    partition: i32,
    share: u64,
    bytes: &mut u64,
    fetched: &mut Fetched,
) -> u64 {
    let mut taken = 0;
    while taken < share && *bytes > 0 {
        match place.items.pop_front() {
            None => break,
            Some(Item::LostUpTo(to)) if taken > 0 => {
                place.items.push_front(Item::LostUpTo(to));
                break;
            }
            Some(Item::LostUpTo(to)) => {
                let lost =
                    LostOffsets { topic: topic.clone(), partition: partition.unsigned_abs(), from: place.next, to };
                fetched.lost.push(lost);
                place.next = to;
            }
            Some(Item::Message(message)) => {
                let weight = weight_of(&message);
                place.bytes = place.bytes.saturating_sub(weight);
                place.next = message.offset + 1;
                *bytes = bytes.saturating_sub(weight);
                taken += 1;
                fetched.messages.push(message);
            }
        }
    }
    taken
}

fn weight_of(message: &Message) -> u64 {
    let headers: usize = message.headers.iter().map(|(key, value)| key.len() + value.len()).sum();
    (message.key.len() + message.payload.len() + headers) as u64 + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Headers;

    fn shelf(topics: usize) -> Shelf {
        let names = (0..topics).map(|number| TopicName::from_stored(format!("gateway.t{number}.raw.v1"))).collect();
        Shelf::new(names, 10_000)
    }

    fn put(shelf: &mut Shelf, id: PartitionId, offset: u64) {
        let message = Message {
            topic: shelf.topics()[id.0].clone(),
            partition: id.1.unsigned_abs(),
            offset,
            key: "k".into(),
            headers: Headers::new(),
            payload: vec![0; 100],
            appended_at: gateway_model::Timestamp::UNIX_EPOCH,
        };
        shelf.put(id, message);
    }

    fn offsets(fetched: &Fetched) -> Vec<u64> {
        fetched.messages.iter().map(|message| message.offset).collect()
    }

    #[test]
    fn what_came_twice_is_handed_out_once() {
        let mut shelf = shelf(1);
        shelf.add((0, 0), 3);
        for offset in [2, 3, 4, 3, 5] {
            put(&mut shelf, (0, 0), offset);
        }
        assert_eq!(offsets(&shelf.pick(2, 1 << 20)), [3, 4]);
        assert_eq!(offsets(&shelf.pick(2, 1 << 20)), [5]);
        put(&mut shelf, (0, 1), 0);
        assert!(shelf.pick(2, 1 << 20).messages.is_empty(), "a partition that is not held");
    }

    #[test]
    fn a_rewind_drops_what_is_on_its_way() {
        let mut shelf = shelf(1);
        shelf.add((0, 0), 0);
        (0..4).for_each(|offset| put(&mut shelf, (0, 0), offset));
        shelf.pick(2, 1 << 20);
        shelf.rewind();
        put(&mut shelf, (0, 0), 4);
        assert_eq!(shelf.to_restart(), [((0, 0), 0)]);
        shelf.restarted((0, 0));
        put(&mut shelf, (0, 0), 5);
        assert!(shelf.pick(9, 1 << 20).messages.is_empty());
        (0..6).for_each(|offset| put(&mut shelf, (0, 0), offset));
        assert_eq!(offsets(&shelf.pick(9, 1 << 20)), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_rewind_with_nothing_handed_out_keeps_what_is_read_ahead() {
        let mut shelf = shelf(1);
        shelf.add((0, 0), 0);
        (0..3).for_each(|offset| put(&mut shelf, (0, 0), offset));
        shelf.rewind();
        assert!(shelf.to_restart().is_empty());
        assert_eq!(offsets(&shelf.pick(9, 1 << 20)), [0, 1, 2]);
    }

    #[test]
    fn what_is_lost_comes_between_what_is_not() {
        let mut shelf = shelf(1);
        shelf.add((0, 0), 0);
        (0..2).for_each(|offset| put(&mut shelf, (0, 0), offset));
        assert!(shelf.begin_at((0, 0), 7));
        assert!(!shelf.begin_at((0, 0), 7), "told once");
        (7..9).for_each(|offset| put(&mut shelf, (0, 0), offset));
        let first = shelf.pick(9, 1 << 20);
        assert_eq!((offsets(&first), first.lost.len()), (vec![0, 1], 0));
        let second = shelf.pick(9, 1 << 20);
        assert_eq!((second.lost[0].from, second.lost[0].to), (2, 7));
        assert_eq!(offsets(&second), [7, 8]);
    }

    #[test]
    fn a_full_partition_is_paused_until_half_of_it_is_gone() {
        let mut shelf = shelf(1);
        shelf.add((0, 0), 0);
        shelf.add((0, 1), 0);
        (0..20).for_each(|offset| put(&mut shelf, (0, 0), offset));
        assert_eq!(shelf.balance(), (vec![(0, 0)], vec![]));
        assert_eq!(shelf.balance(), (vec![], vec![]));
        shelf.pick(10, 1 << 20);
        assert_eq!(shelf.balance(), (vec![], vec![]));
        shelf.pick(5, 1 << 20);
        assert_eq!(shelf.balance(), (vec![], vec![(0, 0)]));
    }

    #[test]
    fn bytes_bound_a_fetch_and_one_message_always_comes() {
        let mut shelf = shelf(2);
        shelf.add((0, 0), 0);
        shelf.add((1, 0), 0);
        for offset in 0..5 {
            put(&mut shelf, (0, 0), offset);
            put(&mut shelf, (1, 0), offset);
        }
        assert_eq!(shelf.pick(9, 1).messages.len(), 1);
        assert_eq!(shelf.pick(0, 1 << 20).messages.len(), 0);
        assert_eq!(shelf.pick(9, 800).messages.len(), 3);
    }
}
