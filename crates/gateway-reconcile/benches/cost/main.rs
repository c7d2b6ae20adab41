//! What a comparison costs: bytes, calls and our own CPU time where the sides agree, and bytes, calls and rounds until differences are named.
//!
//! `cargo bench -p gateway-reconcile --bench cost`. Items lie in four datasets over a thousand days; the store is the real one, filled with book
//! items only; the peer answers in memory with the JSON of the municipal contract, whose bodies are what is counted (as in the gateway's own
//! figures; the heads of HTTP come on top, some hundred bytes a call). CPU time is the process's without the peer's.
//!
//! `GATEWAY_BENCH_SIZES` = items in step (default `10000,100000,1000000,3000000`), `GATEWAY_BENCH_ITEMS` = items among which differences are
//! looked for (default 1000000), `GATEWAY_BENCH_DIFFERENCES` = how many (default `1,10,100,1000`).
#![allow(clippy::unwrap_used, missing_docs)]

mod other;
mod peer;

use gateway_model::*;
use gateway_reconcile::{ReconcileConfig, Reconciler};
use gateway_runtime::{Ran, Round, Task};
use gateway_store::*;
use peer::{Asked, DATASETS, Peer, Small, item, small};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const ALL: [Grain; 6] = [Grain::Total, Grain::Month, Grain::Day, Grain::Hour, Grain::TenMinutes, Grain::Ids];
const FILL: u32 = 5_000;
const REPEATS: u32 = 101;

/// CPU time of this process, all its threads.
pub fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn numbers(name: &str, default: &str) -> Vec<u32> {
    let text = std::env::var(name).unwrap_or_else(|_| default.to_owned());
    text.split(',').filter_map(|one| one.trim().parse().ok()).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("in step: one whole comparison of {} datasets", DATASETS.len());
    println!(
        "{:>10} {:>6} {:>8} {:>14} {:>17} {:>11}",
        "items", "calls", "bytes", "our CPU in ms", "an idle round", "the sums"
    );
    for items in numbers("GATEWAY_BENCH_SIZES", "10000,100000,1000000,3000000") {
        let world = World::new(items / DATASETS.len() as u32).await;
        world.in_step().await;
    }
    let items = numbers("GATEWAY_BENCH_ITEMS", "1000000").first().copied().unwrap_or(1_000_000);
    let world = World::new(items / DATASETS.len() as u32).await;
    println!("\ndifferences among {items} items (bodies of the peer's answers; negentropy both ways)");
    println!(
        "{:>6} {:>11} {:>9}  {:>10} {:>6} {:>6} {:>6}   {:>12} {:>6} {:>6}",
        "number", "where", "narrowed", "bytes", "calls", "rounds", "named", "negentropy B", "rounds", "named"
    );
    for number in numbers("GATEWAY_BENCH_DIFFERENCES", "1,10,100,1000") {
        for spread in [true, false] {
            world.differences(number as usize, spread).await;
        }
    }
}

struct World {
    peer: Arc<Peer>,
    store: Arc<SqliteStore>,
    clock: Arc<ManualClock>,
    _dir: tempfile::TempDir,
}

fn channel() -> ChannelId {
    ChannelId::new("municipal-12345").unwrap()
}

impl World {
    async fn new(orders: u32) -> Self {
        let dir = tempfile::tempdir_in(".").unwrap();
        let store = SqliteStore::open(SqliteOptions::at(dir.path().join("store.db"))).await.unwrap();
        let clock = Arc::new(ManualClock::new("2026-11-23T10:00:00+08:00".parse().unwrap()));
        let put = |dataset, order| BookPut::Put {
            channel: channel(),
            side: BookSide::Source,
            projection_version: 1,
            item: item(dataset, small(dataset, order)),
        };
        for dataset in 0..DATASETS.len() {
            for from in (0..orders).step_by(FILL as usize) {
                let orders = from..orders.min(from + FILL);
                let fill = |_| IngestWrites {
                    book: orders.clone().map(|order| put(dataset, order)).collect(),
                    ..IngestWrites::default()
                };
                store.ingest(IngestRequest::default(), &fill).await.unwrap();
            }
        }
        let peer = Arc::new(Peer::new(clock.clone(), &ALL, orders));
        Self { peer, store: Arc::new(store), clock, _dir: dir }
    }

    /// A whole comparison, a day after the last. Returns what was asked, how many rounds it took, and our CPU time.
    async fn compare(&self, reconciler: &mut Reconciler) -> (Asked, u32, Duration) {
        let now = self.clock.now();
        self.clock.advance_to(Timestamp::from_second(now.as_second() + 86_400).unwrap());
        self.run(reconciler).await
    }

    fn reconciler(&self, halving_splits: u32) -> Reconciler {
        let never = 300 * 86_400_000;
        let config = ReconcileConfig {
            tiers: Vec::new(),
            recent_every_ms: never,
            outage_after_ms: never,
            audit_every_ms: never,
            // Suspicions stay suspicions: only the finding is measured.
            second_look_min_ms: never,
            second_look_max_ms: never,
            auto_repair: false,
            max_calls_per_hour: u64::MAX,
            max_bytes_per_hour: u64::MAX,
            halving_splits,
            ..ReconcileConfig::default()
        };
        let (peer, store, clock) = (self.peer.clone(), self.store.clone(), self.clock.clone());
        Reconciler::new(channel(), peer, store, clock, config, "bench".to_owned())
    }

    /// What is due now.
    async fn run(&self, reconciler: &mut Reconciler) -> (Asked, u32, Duration) {
        *self.peer.asked.lock().unwrap() = Asked::default();
        self.peer.cpu_ns.store(0, Ordering::Relaxed);
        let round = Round { stopping: CancellationToken::new() };
        let began = cpu();
        let mut rounds = 1;
        while reconciler.run(&round).await.unwrap() == Ran::Busy {
            rounds += 1;
        }
        let ours = (cpu() - began).saturating_sub(Duration::from_nanos(self.peer.cpu_ns.load(Ordering::Relaxed)));
        (std::mem::take(&mut *self.peer.asked.lock().unwrap()), rounds, ours)
    }

    async fn in_step(&self) {
        let mut reconciler = self.reconciler(ReconcileConfig::default().halving_splits);
        self.compare(&mut reconciler).await;
        let (mut times, mut idle) = (Vec::new(), Vec::new());
        let mut asked = Asked::default();
        for _ in 0..REPEATS {
            let (this, _, ours) = self.compare(&mut reconciler).await;
            times.push(ours);
            asked = this;
            idle.push(self.run(&mut reconciler).await.2);
        }
        assert!(self.store.gaps(&GapFilter::default(), 1).await.unwrap().is_empty(), "the sides are in step");
        let began = cpu();
        for _ in 0..REPEATS {
            for dataset in DATASETS {
                let ever = Window::new(Timestamp::UNIX_EPOCH, Timestamp::from_second(5_000_000_000).unwrap());
                self.store.buckets(&channel(), dataset, 1, Grain::Month, ever).await.unwrap();
            }
        }
        let sums = (cpu() - began) / REPEATS;
        let items: usize = (0..DATASETS.len()).map(|dataset| self.peer.count(dataset)).sum();
        let calls: u64 = asked.calls.values().sum();
        println!(
            "{items:>10} {calls:>6} {:>8} {:>14.2} {:>17.2} {:>11.2}",
            asked.bytes,
            median(&mut times),
            median(&mut idle),
            sums.as_secs_f64() * 1e3
        );
    }

    /// The source edits `number` items without telling; all are to be named, by halving and by buckets alone.
    async fn differences(&self, number: usize, spread: bool) {
        let chosen = self.chosen(number, spread);
        let before = self.peer.elements();
        self.peer.edit(&chosen, 1);
        let (bytes, trips, found) = other::negentropy(&before, &self.peer.elements());
        assert_eq!(found, 2 * number, "the other protocol sees the old and the new");
        let expected: BTreeSet<ItemKey> = chosen.iter().map(|(dataset, small)| item(*dataset, *small).key).collect();
        for (narrowed, splits) in [("halving", ReconcileConfig::default().halving_splits), ("buckets", 0)] {
            let (asked, rounds, _) = self.compare(&mut self.reconciler(splits)).await;
            let gaps = self.store.gaps(&GapFilter::default(), 100_000).await.unwrap();
            let named: BTreeSet<ItemKey> = gaps.iter().filter_map(|gap| gap.key.clone()).collect();
            assert_eq!(named, expected, "exactly what differs is named");
            let calls: u64 = asked.calls.values().sum();
            let place = if spread { "spread" } else { "contiguous" };
            println!(
                "{number:>6} {place:>11} {narrowed:>9}  {:>10} {calls:>6} {rounds:>6} {:>6}   {bytes:>12} {trips:>6} {found:>6}",
                asked.bytes,
                named.len()
            );
            // For the next way of finding them.
            self.store.forget(&gaps.iter().map(|gap| gap.id).collect::<Vec<_>>()).await.unwrap();
        }
        self.peer.edit(&chosen, 0);
    }

    /// Items by time: evenly over everything, or one after the other.
    fn chosen(&self, number: usize, spread: bool) -> Vec<(usize, Small)> {
        let datasets = DATASETS.len();
        let place = |nth: usize| {
            let dataset = nth % datasets;
            let (step, count) = (nth / datasets, self.peer.count(dataset));
            let each = number.div_ceil(datasets);
            // Not at the ends, and not at round places.
            let at = if spread { (2 * step + 1) * count / (2 * each) + dataset * 7 } else { count / 3 + step };
            (dataset, self.peer.nth(dataset, at.min(count - 1)))
        };
        (0..number).map(place).collect()
    }
}
