//! What looking for duplicates costs for each new order, while ever more orders are held.
//!
//! `cargo bench -p gateway-pipeline --bench duplicates`; `GATEWAY_BENCH_HELD=10000,100000,1000000` names how many are held, `GATEWAY_BENCH_NEW=1000` how many come. The orders are of three channels over half
//! a year, each plate on fifty of them, each place on a thousand.
#![allow(clippy::unwrap_used, missing_docs)]

use gateway_model::{
    ChannelId, Dataset, Day, Digest, FacetRow, Field, FieldValue, Fields, MatchSubject, Moment, OrderId, OrderNumber,
    Part, PersonKey, RawId, Revision, SourceNumber, SystemClock, Timestamp, day_of,
};
use gateway_pipeline::DuplicateFinder;
use gateway_store::*;
use std::sync::Arc;
use std::time::Instant;

const BATCH: u64 = 500;

/// How the orders lie in time.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Spread {
    /// As they come in: each later than the one before.
    Live,
    /// As in a backfill of the past: anywhere.
    Scattered,
}

/// What is held, and how it lies in time.
#[derive(Debug, Clone, Copy)]
struct Held(u64, Spread);

fn at(n: u64, Held(held, spread): Held) -> Timestamp {
    // 180 days, whatever the number, so that as many lie near each other however many are held.
    let seconds = 180 * 86_400;
    let mixed = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32;
    let after = if spread == Spread::Live { n * seconds / held } else { mixed % seconds };
    Timestamp::from_second(1_780_000_000 + after as i64).unwrap()
}

fn id(n: u64) -> OrderId {
    OrderId(uuid::Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + u128::from(n)))
}

fn facet(n: u64, all: Held) -> FacetRow {
    let Held(held, _) = all;
    let plates = (held / 50).max(1);
    let fields: Fields = [
        (Field::Plate, format!("粤A{:05}", n % plates.min(100_000))),
        (Field::Address, format!("天河区第{}号路口东侧", n % (held / 1_000).max(1))),
        (Field::Title, format!("出租车拒载第{n}次")),
        (Field::Content, "乘客在路口等候时司机以交班为由拒绝前往目的地，要求核实处理并回复".to_owned()),
    ]
    .into_iter()
    .map(|(field, text)| (field, FieldValue::from(text.as_str())))
    .collect();
    FacetRow {
        channel: ChannelId::new(["municipal-12345", "provincial-12328", "taxi-qr"][(n % 3) as usize]).unwrap(),
        dataset: Dataset::Acceptance,
        part: Part::Cycle(0),
        revision: Some(Revision(1)),
        revision_doubtful: false,
        event_time: Moment::At(at(n, all)),
        digest: Digest([1; 32]),
        content_hash: [1; 32],
        echo: false,
        fields,
        unmapped: Default::default(),
        read_at: at(n, all),
        received_at: at(n, all),
        raw_id: RawId(1),
        gone_at: None,
    }
}

async fn write(store: &SqliteStore, from: u64, to: u64, held: Held) {
    for start in (from..to).step_by(BATCH as usize) {
        let fill = |loaded: Loaded| {
            let mut writes = IngestWrites { at: at(start, held), ..IngestWrites::default() };
            for (place, n) in (start..(start + BATCH).min(to)).enumerate() {
                let facet = facet(n, held);
                let day: Day = day_of(at(n, held));
                let number = SourceNumber::new(format!("N{n:09}")).unwrap();
                writes.numbers.push((id(n), OrderNumber { channel: facet.channel.clone(), number, day }));
                writes.orders.push(WorkOrderRow {
                    id: id(n),
                    seq: 1,
                    feed_seq: loaded.next_feed_seq + place as u64,
                    created_at: at(n, held),
                    changed_at: at(n, held),
                    state: None,
                    round: 0,
                    fields: facet.fields.clone(),
                    conflicts: Vec::new(),
                });
                writes.facets.push((id(n), facet));
            }
            writes
        };
        store.ingest(IngestRequest::default(), &fill).await.unwrap();
    }
}

/// Writes down the keys of what is held, as rounds of the finder would have.
async fn keys(store: &SqliteStore, all: Held, key: &PersonKey) {
    let Held(held, _) = all;
    for start in (0..held).step_by(5_000) {
        let end = (start + 5_000).min(held);
        let of = |n: u64| {
            let FacetRow { channel, part, content_hash, fields, event_time, .. } = facet(n, all);
            let subject = MatchSubject::of(&fields, event_time, &Fields::new(), key);
            let comparable = Comparable { order_id: id(n), channel, subject };
            MatchTurn { was: None, is: Some(MatchEntry { comparable, part, content_hash, lead: id(n) }) }
        };
        let round = MatchRound { from: start, to: end, turns: (start..end).map(of).collect(), ..MatchRound::default() };
        store.save_matches(&round).await.unwrap();
    }
}

/// Processor time of this process so far, in seconds.
fn cpu() -> f64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

#[tokio::main]
async fn main() {
    let new: u64 = std::env::var("GATEWAY_BENCH_NEW").map_or(1_000, |new| new.parse().unwrap());
    let sizes = std::env::var("GATEWAY_BENCH_HELD").unwrap_or_else(|_| "10000,100000,1000000".into());
    let key = PersonKey::of_installation(&[7; 32]);
    let sizes = sizes.split(',').filter_map(|size| size.trim().parse::<u64>().ok());
    for (held, spread) in sizes.flat_map(|held| [(held, Spread::Live), (held, Spread::Scattered)]) {
        let all = Held(held, spread);
        let directory = tempfile::tempdir_in(".").unwrap();
        let store = Arc::new(SqliteStore::open(SqliteOptions::at(directory.path().join("store.db"))).await.unwrap());
        write(&store, 0, held, all).await;
        keys(&store, all, &key).await;
        write(&store, held, held + new, all).await;
        let mut finder = DuplicateFinder::new(store.clone(), Arc::new(SystemClock), key.clone());
        let (began, spent) = (Instant::now(), cpu());
        let mut looked = 0;
        loop {
            match finder.look().await.unwrap() {
                0 => break,
                some => looked += some,
            }
        }
        let (ms, cpu_us) = (began.elapsed().as_secs_f64() * 1e3, (cpu() - spent) * 1e6);
        let (ms, cpu_us) = (ms / looked as f64, cpu_us / looked as f64);
        let offered = store.pairs(gateway_model::PairState::Candidate, None, 100_000).await.unwrap().len();
        println!(
            "{held} orders held, {spread:?}: {ms:.2} ms, {cpu_us:.0} µs of CPU for each of {looked} new ones, {offered} candidates"
        );
        store.close().await;
    }
}
