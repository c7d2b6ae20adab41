//! A channel in memory that answers with the JSON of the municipal contract; its own CPU time is kept apart, since it is not ours.

use crate::cpu;
use async_trait::async_trait;
use gateway_connector::{Connector, Descriptor, ManifestSource, NormalizeError, Normalizer, RequestError};
use gateway_model::*;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub const DATASETS: [Dataset; 4] = [Dataset::Acceptance, Dataset::Handling, Dataset::Completion, Dataset::Evaluation];
/// Over how many days the orders are spread.
const DAYS: u64 = 1_000;

/// An item, small; the rest of it follows from these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Small {
    pub second: i64,
    pub order: u32,
    pub version: u8,
}

/// The item of an order in a dataset: all items of a dataset, by order.
pub fn small(dataset: usize, order: u32) -> Small {
    let created = created(order);
    // Replies follow after some days, visits after some more.
    let later = [0, 0, 3, 5][dataset] * 86_400 + if dataset < 2 { 0 } else { i64::from(order % 40_000) };
    Small { second: created + later, order, version: 0 }
}

fn created(order: u32) -> i64 {
    let first: Timestamp = "2024-01-01T00:00:00+08:00".parse().unwrap();
    // The finalizer of splitmix64: as good as random, and the same each time.
    let mut mixed = u64::from(order).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    first.as_second() + ((mixed ^ (mixed >> 31)) % (DAYS * 86_400)) as i64
}

pub fn item(dataset: usize, small: Small) -> BookItem {
    let at = |second| Moment::At(Timestamp::from_second(second).unwrap());
    let key = ItemKey {
        dataset: DATASETS[dataset],
        number: SourceNumber::new(format!("GZ{:014}", small.order)).unwrap(),
        day: at(created(small.order)).day(),
        part: Part::Cycle(0),
    };
    let (second, version) = (small.second.to_string(), small.version.to_string());
    let digest = digest_of_pairs([("time", second.as_str()), ("text", version.as_str())]);
    BookItem { key, event_time: at(small.second), digest }
}

/// What it was asked.
#[derive(Default)]
pub struct Asked {
    pub calls: BTreeMap<Grain, u64>,
    pub bytes: u64,
}

/// The items of a dataset, by time, and before each (and after the last) the sum of those before it: an answer costs a few looks, as with a peer
/// that keeps its sums, and leaves the machine's caches to the gateway.
struct Kept {
    items: Vec<(Small, BucketSum)>,
    before: Vec<BucketSum>,
}

impl Kept {
    fn new(items: Vec<(Small, BucketSum)>) -> Self {
        let mut kept = Self { items, before: Vec::new() };
        kept.add_up();
        kept
    }

    fn add_up(&mut self) {
        let sums = self.items.iter().scan(BucketSum::ZERO, |sum, (_, element)| {
            *sum = sum.plus(*element);
            Some(*sum)
        });
        self.before = std::iter::once(BucketSum::ZERO).chain(sums).collect();
    }

    fn place(&self, at: Timestamp) -> usize {
        self.items.partition_point(|(one, _)| one.second < at.as_second())
    }
}

pub struct Peer {
    clock: Arc<ManualClock>,
    descriptor: Descriptor,
    grains: Vec<Grain>,
    /// By dataset.
    items: Mutex<Vec<Kept>>,
    pub asked: Mutex<Asked>,
    pub cpu_ns: AtomicU64,
}

impl Peer {
    pub fn new(clock: Arc<ManualClock>, grains: &[Grain], orders: u32) -> Self {
        let fill = |dataset| {
            let mut items: Vec<_> = (0..orders).map(|order| small(dataset, order)).collect();
            items.sort_unstable();
            Kept::new(items.into_iter().map(|small| (small, item(dataset, small).element())).collect())
        };
        Self {
            clock,
            descriptor: Descriptor {
                kind: "peer",
                datasets: DATASETS.to_vec(),
                manifest_grains: grains.iter().rev().copied().collect(),
            },
            grains: grains.to_vec(),
            items: Mutex::new((0..DATASETS.len()).map(fill).collect()),
            asked: Mutex::default(),
            cpu_ns: AtomicU64::new(0),
        }
    }

    /// The place of an item among those of its dataset.
    pub fn nth(&self, dataset: usize, place: usize) -> Small {
        self.items.lock().unwrap()[dataset].items[place].0
    }

    /// How many items a dataset has.
    pub fn count(&self, dataset: usize) -> usize {
        self.items.lock().unwrap()[dataset].items.len()
    }

    /// The source edits these, or undoes it.
    pub fn edit(&self, chosen: &[(usize, Small)], version: u8) {
        let mut items = self.items.lock().unwrap();
        for (dataset, small) in chosen {
            let list = &mut items[*dataset].items;
            let at = list.partition_point(|(one, _)| (one.second, one.order) < (small.second, small.order));
            let edited = Small { version, ..*small };
            list[at] = (edited, item(*dataset, edited).element());
        }
        items.iter_mut().for_each(Kept::add_up);
    }

    /// (event second, element) of everything, for another protocol.
    pub fn elements(&self) -> Vec<(i64, [u8; 32])> {
        let items = self.items.lock().unwrap();
        items.iter().flat_map(|kept| &kept.items).map(|(small, element)| (small.second, element.0)).collect()
    }

    fn answer(&self, dataset: usize, window: Window, grain: Grain) -> (ManifestBody, usize) {
        let items = self.items.lock().unwrap();
        let kept = &items[dataset];
        let inside = kept.place(window.start)..kept.place(window.end);
        let head = r#"{"code":0,"message":"ok","data":{"asOf":"2026-11-23 10:00:00",""#;
        let mut json = String::from(head);
        let wire = |at: Timestamp| Moment::At(at).to_string()[..19].replace('T', " ");
        let body = if grain == Grain::Ids {
            json.push_str(r#"items":["#);
            let all: Vec<BookItem> = kept.items[inside].iter().map(|(small, _)| item(dataset, *small)).collect();
            for one in &all {
                let _ = write!(
                    json,
                    r#"{{"orderNo":"{}","day":"{}","part":"{}","eventTime":"{}","digest":"{}"}},"#,
                    one.key.number,
                    one.key.day,
                    one.key.part,
                    wire(one.event_time.start()),
                    one.digest
                );
            }
            ManifestBody::Items(all)
        } else {
            json.push_str(r#"buckets":["#);
            let mut buckets: Vec<Bucket> = Vec::new();
            let mut from = inside.start;
            while from < inside.end {
                let at = Timestamp::from_second(kept.items[from].0.second).unwrap();
                let place = if grain == Grain::Total { window } else { grain.bucket(at) };
                let to = kept.place(place.end).min(inside.end);
                let sum = kept.before[to].minus(kept.before[from]);
                buckets.push(Bucket { start: place.start, count: (to - from) as u64, sum });
                from = to;
            }
            for one in &buckets {
                let _ = write!(json, r#"{{"start":"{}","count":{},"sum":"{}"}},"#, wire(one.start), one.count, one.sum);
            }
            ManifestBody::Buckets(buckets)
        };
        // The last comma goes, the brackets close.
        let length = json.trim_end_matches(',').len() + "]}}".len();
        (body, length)
    }
}

#[async_trait]
impl ManifestSource for Peer {
    async fn manifest(&self, dataset: Dataset, window: Window, grain: Grain) -> Result<Manifest, RequestError> {
        let began = cpu();
        let index = DATASETS.iter().position(|one| *one == dataset).unwrap();
        let (body, bytes) = self.answer(index, window, grain);
        {
            let mut asked = self.asked.lock().unwrap();
            *asked.calls.entry(grain).or_default() += 1;
            asked.bytes += bytes as u64;
        }
        let manifest = Manifest { dataset, window, grain, as_of: self.clock.now(), body, bytes: bytes as u64 };
        self.cpu_ns.fetch_add((cpu() - began).as_nanos() as u64, Ordering::Relaxed);
        Ok(manifest)
    }

    fn datasets(&self) -> &[Dataset] {
        &DATASETS
    }

    fn grains(&self) -> &[Grain] {
        &self.grains
    }

    fn since(&self) -> Option<Timestamp> {
        None
    }
}

impl Normalizer for Peer {
    fn normalize(&self, _body: &[u8], _received_at: Timestamp) -> Result<Vec<Change>, NormalizeError> {
        Ok(Vec::new())
    }

    fn projection_version(&self) -> u32 {
        1
    }
}

#[async_trait]
impl Connector for Peer {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }
    fn normalizer(&self) -> &dyn Normalizer {
        self
    }
    fn manifest_source(&self) -> Option<&dyn ManifestSource> {
        Some(self)
    }
    async fn check_connectivity(&self) -> Result<(), RequestError> {
        Ok(())
    }
}
