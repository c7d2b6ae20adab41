//! Histories of an order at its sources, in any order of arrival, and what must be held in the end.

use crate::peer::{DAY, Wire, WireItem, day, item, number, start};
use crate::world::{Record, World, desk, place_of};
use gateway_model::{BookItem, ChannelId, Origin, Part};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The items that a record may speak of.
pub const PLACES: [&str; 9] = [
    "acceptance/c0",
    "handling/c0",
    "handling/e:1",
    "handling/e:2",
    "handling/e:3",
    "completion/c0",
    "completion/c1",
    "evaluation/c1",
    "evaluation/c2",
];

/// An event that never changes, so that a partial push of it can't be in conflict.
const PUSHED: &str = "handling/e:9";

const STATES: [&str; 4] = ["dispatched 0", "signed 0", "replied 0", "dispatched 1"];

/// One version of an order: what it says of each item that it speaks of.
pub type Said = Vec<(usize, u8, bool)>;

pub fn said() -> impl Strategy<Value = Said> {
    prop::collection::vec((0..PLACES.len(), 0u8..4, any::<bool>()), 1..6)
}

/// The record that says so.
pub fn wire(order: &str, revision: i64, said: &Said) -> Wire {
    let mut items: BTreeMap<usize, WireItem> = BTreeMap::new();
    for (place, text, person) in said {
        let text = if PLACES[*place] == "handling/c0" {
            STATES[usize::from(*text)].to_owned()
        } else {
            format!("text {text}")
        };
        let minute = i64::try_from(*place).unwrap() * 70;
        let person = if *person { "李雷".to_owned() } else { String::new() };
        items.insert(*place, WireItem { minute, person, ..item(PLACES[*place], &text) });
    }
    Wire { number: order.into(), day: Some(DAY.into()), revision: Some(revision), items: items.into_values().collect() }
}

/// A partial push of the event that never changes.
pub fn pushed(order: &str) -> Wire {
    Wire { number: order.into(), day: None, revision: None, items: vec![item(PUSHED, "urge")] }
}

/// What arrives, in the order of the keys; each key is (where, when read, how).
pub fn arrange(records: Vec<Record>, keys: &[(u32, i64, u8)]) -> Vec<Record> {
    let mut keyed: Vec<(u32, Record)> = Vec::new();
    for (at, (place, read, origin)) in keys.iter().enumerate() {
        // Every record comes at least once, as long as there are keys; the rest repeats some.
        let mut record = records[at % records.len()].clone();
        record.read = *read;
        record.received = 20_000;
        record.origin = [Origin::Poll, Origin::Webhook, Origin::Backfill][usize::from(*origin) % 3];
        keyed.push((*place, record));
    }
    keyed.sort_by_key(|(place, _)| *place);
    keyed.into_iter().map(|(_, record)| record).collect()
}

/// Feeds records in batches of these sizes.
pub async fn play(world: &mut World, records: &[Record], sizes: &[usize]) {
    let mut rest = records;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            return;
        }
        let (batch, later) = rest.split_at((*size).clamp(1, rest.len()));
        world.feed(batch).await;
        rest = later;
    }
}

/// Everything that is held of an order, without what the gateway assigns (ids, sequences, times of reading and receiving).
pub async fn held(world: &World, order: &str) -> String {
    let view = world.order(order).await;
    let mut lines = Vec::new();
    for facet in &view.aggregate.facets {
        let unimportant = (start(), start(), gateway_model::RawId(0));
        let mut facet = facet.clone();
        (facet.read_at, facet.received_at, facet.raw_id) = unimportant;
        lines.push(format!("{facet:?}"));
    }
    for event in &view.aggregate.events {
        let mut event = event.clone();
        (event.read_at, event.received_at, event.raw_id) = (start(), start(), gateway_model::RawId(0));
        lines.push(format!("{event:?}"));
    }
    for person in view.persons.iter().filter(|person| !person.fields.is_empty()) {
        lines.push(format!("{} {} {} {:?}", person.channel, person.dataset, person.part, person.fields));
    }
    let row = &view.aggregate.order;
    lines.push(format!("{:?} {} {:?} {:?}", row.state, row.round, row.fields, row.conflicts));
    lines.push(format!("{:?} {:?}", view.aggregate.numbers, world.book().await));
    lines.sort();
    lines.join("\n")
}

/// What the last version of each item says, as the book must hold it.
pub fn expected(order: &str, records: &[Wire]) -> Vec<BookItem> {
    let mut newest: BTreeMap<(String, String), (i64, BookItem)> = BTreeMap::new();
    for record in records {
        for item in &record.items {
            let revision = record.revision.unwrap_or(i64::MIN);
            let held = item.book_item(&number(order), day(DAY));
            let key = (item.dataset.clone(), item.part.clone());
            let entry = newest.entry(key).or_insert((revision, held.clone()));
            if entry.0 < revision {
                *entry = (revision, held);
            }
        }
    }
    let mut items: Vec<BookItem> = newest.into_values().map(|(_, item)| item).collect();
    items.sort_by(|a, b| a.key.cmp(&b.key));
    items
}

/// The heads of the order as items.
pub async fn heads(world: &World, order: &str, channel: &ChannelId) -> Vec<BookItem> {
    let aggregate = world.order(order).await.aggregate;
    let key = |dataset, part: &Part| gateway_model::ItemKey {
        dataset,
        number: number(order),
        day: day(DAY),
        part: part.clone(),
    };
    let facets = aggregate.facets.iter().filter(|facet| facet.channel == *channel && facet.channel != desk());
    let facets = facets.map(|facet| BookItem {
        key: key(facet.dataset, &facet.part),
        event_time: facet.event_time,
        digest: facet.digest,
    });
    let events = aggregate.events.iter().filter(|event| event.channel == *channel);
    let events = events.map(|event| BookItem {
        key: key(event.dataset, &event.part),
        event_time: event.event_time,
        digest: event.digest,
    });
    let mut items: Vec<BookItem> = facets.chain(events).collect();
    items.sort_by(|a, b| a.key.cmp(&b.key));
    items
}

#[test]
fn the_places_are_places() {
    for place in PLACES {
        place_of(place);
    }
}
