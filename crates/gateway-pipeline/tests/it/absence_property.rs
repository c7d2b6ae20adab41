//! Whatever a source does with an order, and however late, often and mixed up its words arrive: what is held in the end is what the source held
//! when it was asked last, and the book is the heads.

use crate::convergence::{assert_sums, run, sizes};
use crate::history::{PLACES, wire};
use crate::peer::{Wire, day, number};
use crate::world::{Record, World, peer};
use gateway_model::{BookItem, ItemKey, Part};
use gateway_store::OrderReader;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const DAYS: [&str; 2] = ["2026-11-22", "2026-11-23"];
const STEP_MS: i64 = 1_000;

/// What the source has under the number: for each day an order or nothing.
type Holding = [Option<Wire>; 2];

/// An edit: which day; what is there from now on, by places and texts; whether the revision goes back.
type Edit = (usize, Option<Vec<(usize, u8)>>, bool);

/// A look: after which edit, how (poll, push, partial push, read by number), how long it is under way, where it arrives.
type Look = (prop::sample::Index, u8, i64, u32);

fn edit() -> impl Strategy<Value = Edit> {
    let there = prop::collection::vec((0..PLACES.len(), 0u8..3), 1..5);
    (0usize..2, prop::option::weighted(0.7, there), prop::bool::weighted(0.2))
}

fn look() -> impl Strategy<Value = Look> {
    let delay = prop_oneof![Just(1i64), 1i64..400, 1i64..20_000];
    (any::<prop::sample::Index>(), 0u8..4, delay, any::<u32>())
}

/// The holdings, oldest first; the first is empty.
fn holdings(edits: &[Edit]) -> Vec<Holding> {
    let mut all: Vec<Holding> = vec![[None, None]];
    for (at, (which, there, back)) in edits.iter().enumerate() {
        let mut next = all.last().unwrap().clone();
        let revision = if *back { 1 } else { at as i64 + 2 };
        next[*which] = there.as_ref().map(|said| {
            let said = said.iter().map(|(place, text)| (*place, *text, false)).collect();
            Wire { day: Some(DAYS[*which].into()), ..wire("N1", revision, &said) }
        });
        all.push(next);
    }
    all
}

/// What one look brings, and when: the records of a reading by number are followed by the word that there is nothing else.
fn seen(holding: &Holding, how: u8, read: i64, received: i64) -> Vec<Record> {
    let whole = holding.iter().flatten();
    let mut records: Vec<Record> = match how {
        // What is pushed is not older than its receipt.
        1 => whole.map(|wire| Record::push(read, wire)).collect(),
        2 => {
            let part =
                |wire: &Wire| Wire { day: None, revision: None, items: wire.items[..1].to_vec(), ..wire.clone() };
            whole.take(1).map(|wire| Record::push(read, &part(wire))).collect()
        }
        3 => whole.map(|wire| Record::reread(read, wire)).chain([Record::absent(read, "N1")]).collect(),
        _ => whole.map(|wire| Record::poll(read, wire)).collect(),
    };
    if how != 1 && how != 2 {
        records.iter_mut().for_each(|record| record.received = received);
    }
    records
}

fn items_of(holding: &Holding) -> BTreeMap<ItemKey, BookItem> {
    let of_wire = |wire: &Wire| {
        let day = day(wire.day.as_deref().unwrap());
        let items = wire.items.iter().map(|item| item.book_item(&number("N1"), day));
        items.map(|item| (item.key.clone(), item)).collect::<Vec<_>>()
    };
    holding.iter().flatten().flat_map(of_wire).collect()
}

async fn booked(world: &World) -> BTreeMap<ItemKey, BookItem> {
    world.book().await.into_values().map(|(_, item)| (item.key.clone(), item)).collect()
}

/// The heads of all orders that stand under the number, without what is marked as gone; and which days are absent.
async fn heads(world: &World) -> (BTreeMap<ItemKey, BookItem>, Vec<String>) {
    let (mut heads, mut absent) = (BTreeMap::new(), Vec::new());
    for id in world.ids("N1").await {
        let aggregate = world.store.order(id, false).await.unwrap().unwrap().aggregate;
        let day = aggregate.numbers[0].day;
        let mut put = |dataset, part: &Part, event_time, digest| {
            let key = ItemKey { dataset, number: number("N1"), day, part: part.clone() };
            heads.insert(key.clone(), BookItem { key, event_time, digest });
        };
        for facet in aggregate.facets.iter().filter(|facet| facet.channel == peer() && facet.gone_at.is_none()) {
            put(facet.dataset, &facet.part, facet.event_time, facet.digest);
        }
        for event in aggregate.events.iter().filter(|event| event.channel == peer() && event.gone_at.is_none()) {
            put(event.dataset, &event.part, event.event_time, event.digest);
        }
        absent.extend(aggregate.readings.iter().filter(|one| one.absent_since.is_some()).map(|one| one.number.day));
    }
    (heads, absent.into_iter().map(|day| day.to_string()).collect())
}

/// Asks the source as the gateway would, until nothing is asked for and its account agrees. Returns how often the account had to tell.
async fn settle(world: &mut World, truth: &Holding, mut at: i64) -> u32 {
    let mut told = 0;
    for _ in 0..8 {
        at += STEP_MS;
        let asked = world.rereads().await;
        if asked.is_empty() {
            if booked(world).await == items_of(truth) {
                return told;
            }
            told += 1;
        }
        let denied = |reason: &str| matches!(reason, "read_together" | "came_back");
        let believed = asked.is_empty() || asked.iter().any(|(_, reason)| denied(reason));
        let answer = seen(truth, 3, at, at + 1);
        let absence = usize::from(!believed);
        world.feed(&answer[..answer.len() - absence]).await;
    }
    panic!("it does not converge");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_was_read_last_with_authority_is_what_is_held(
        edits in prop::collection::vec(edit(), 1..7),
        looks in prop::collection::vec(look(), 0..12),
        repeats in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 0..6),
        last_place: u32,
        batches in sizes(),
        prompt: bool,
        death in prop::option::of(0u64..3_000),
    ) {
        run(async {
            let holdings = holdings(&edits);
            let truth = holdings.last().unwrap().clone();
            let end = holdings.len() as i64 * STEP_MS;
            let mut arriving: Vec<(u32, Record)> = Vec::new();
            // Distinct times of reading: the place among the looks tells them apart within a step.
            for (nth, (at, how, delay, place)) in looks.iter().enumerate() {
                let step = at.index(holdings.len());
                let read = step as i64 * STEP_MS + 10 + nth as i64;
                arriving.extend(seen(&holdings[step], *how, read, read + delay).into_iter().map(|record| (*place, record)));
            }
            for (which, place) in repeats {
                if !arriving.is_empty() {
                    arriving.push((place, which.get(&arriving).1.clone()));
                }
            }
            if prompt {
                arriving.iter_mut().for_each(|(_, record)| record.received = record.received.min(end));
            }
            arriving.extend(seen(&truth, 3, end, end + 1).into_iter().map(|record| (last_place, record)));
            arriving.sort_by_key(|(place, _)| *place);
            let arriving: Vec<Record> = arriving.into_iter().map(|(_, record)| record).collect();

            let mut world = World::new().await;
            // Both orders were heard of once: what is not known can't be taken away.
            for day in DAYS {
                let first = Wire { day: Some(day.into()), ..wire("N1", 0, &vec![(0, 0, false)]) };
                world.one(Record::poll(1, &first)).await;
            }
            let mut at = 0;
            for size in batches.iter().cycle() {
                if at == arriving.len() {
                    break;
                }
                let upto = (at + size).min(arriving.len());
                let batch = world.batch(&arriving[at..upto]);
                world.now += 1;
                if let Some(micros) = death {
                    // The process is gone at some moment of the transaction; the next one opens the same file.
                    let _ = tokio::time::timeout(Duration::from_micros(micros), world.ingest(&batch)).await;
                    world.reopen().await;
                }
                world.ingest(&batch).await;
                at = upto;
                let (heads, _) = heads(&world).await;
                assert_eq!(booked(&world).await, heads, "the book is the heads");
                assert_sums(&world).await;
            }
            if prompt {
                // Nothing was under way when the source was asked last, so nothing is left to ask.
                assert_eq!(booked(&world).await, items_of(&truth));
            }
            let told = settle(&mut world, &truth, end + 30_000).await;
            assert!(told <= 1, "the account had to tell {told} times");
            let (heads, absent) = heads(&world).await;
            assert_eq!(&heads, &items_of(&truth));
            assert_eq!(booked(&world).await, heads);
            for (there, day) in truth.iter().zip(DAYS) {
                assert!(there.is_none() || !absent.contains(&day.to_owned()), "{day} is there");
            }
        });
    }
}
