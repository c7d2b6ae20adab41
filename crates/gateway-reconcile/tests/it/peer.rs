//! A channel that is a list in memory, and can lie.

use async_trait::async_trait;
use bytes::Bytes;
use gateway_connector::{
    AttachmentError, AttachmentSource, Connector, Cursor, Descriptor, ManifestSource, NormalizeError, Normalizer, Page,
    RawRecord, Receiver, RequestError, Sink, Source,
};
use gateway_model::{
    BookItem, Bucket, BucketSum, Change, Clock, Dataset, Fields, Grain, ItemKey, Manifest, ManifestBody, ManualClock,
    SourceNumber, Timestamp, Window,
};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// How its account contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    Twice,
    Outside,
    LeavesOut,
    OtherWindow,
    OtherDataset,
    Truncated,
    /// Of a peer that only counts: one too many, every other time.
    Flips,
}

/// One call: how fine, and how many items it listed.
#[derive(Debug, Clone)]
pub struct Call {
    pub grain: Grain,
    pub listed: usize,
}

pub struct Peer {
    clock: Arc<ManualClock>,
    descriptor: Descriptor,
    datasets: Vec<Dataset>,
    grains: Vec<Grain>,
    items: Mutex<BTreeMap<ItemKey, BookItem>>,
    pub calls: Mutex<Vec<Call>>,
    pub lie: Mutex<Option<Lie>>,
    pub down: AtomicBool,
    /// Whether its records can be read by number; what is read is as of now, also while its accounts are frozen.
    pub readable: AtomicBool,
    /// Whether reading by number fails, while its accounts go on.
    pub unread: AtomicBool,
    /// Answers with a number only.
    pub counts_only: AtomicBool,
    /// How old its answers are; the content is as of now all the same, which only a slower clock would do.
    pub clock_behind_ms: AtomicU64,
    /// What happens before the next account is answered; the account is made first.
    pub before_answer: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    snapshot: Mutex<Option<(Timestamp, BTreeMap<ItemKey, BookItem>)>>,
}

impl Peer {
    pub fn new(clock: Arc<ManualClock>, grains: &[Grain], datasets: &[Dataset]) -> Self {
        Self {
            clock,
            descriptor: Descriptor { kind: "peer", datasets: datasets.to_vec(), manifest_grains: grains.to_vec() },
            datasets: datasets.to_vec(),
            grains: grains.to_vec(),
            items: Mutex::default(),
            calls: Mutex::default(),
            lie: Mutex::default(),
            down: AtomicBool::new(false),
            readable: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            counts_only: AtomicBool::new(false),
            clock_behind_ms: AtomicU64::new(0),
            before_answer: Mutex::default(),
            snapshot: Mutex::default(),
        }
    }

    pub fn put(&self, item: BookItem) {
        self.items.lock().unwrap().insert(item.key.clone(), item);
    }

    pub fn remove(&self, key: &ItemKey) {
        self.items.lock().unwrap().remove(key);
    }

    /// From now on it answers from a snapshot made now, until told otherwise.
    pub fn freeze(&self) {
        *self.snapshot.lock().unwrap() = Some((self.clock.now(), self.items.lock().unwrap().clone()));
    }

    /// The snapshot passes for one of now.
    pub fn refreeze(&self) {
        if let Some(snapshot) = &mut *self.snapshot.lock().unwrap() {
            snapshot.0 = self.clock.now();
        }
    }

    pub fn thaw(&self) {
        *self.snapshot.lock().unwrap() = None;
    }

    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

/// The items of a window as a list.
pub fn listed<'a>(items: impl Iterator<Item = &'a BookItem>, window: Window) -> Vec<BookItem> {
    items.filter(|item| window.contains(item.event_time.start())).cloned().collect()
}

/// The sums of a window.
pub fn buckets_of<'a>(items: impl Iterator<Item = &'a BookItem>, grain: Grain, window: Window) -> Vec<Bucket> {
    let mut buckets: BTreeMap<Timestamp, (u64, BucketSum)> = BTreeMap::new();
    for item in items {
        let start = match grain {
            Grain::Total => window.contains(item.event_time.start()).then_some(window.start),
            _ => grain.bucket_start(item.event_time).filter(|start| window.contains(*start)),
        };
        if let Some(start) = start {
            let bucket = buckets.entry(start).or_default();
            *bucket = (bucket.0 + 1, bucket.1.plus(item.element()));
        }
    }
    buckets.into_iter().map(|(start, (count, sum))| Bucket { start, count, sum }).collect()
}

#[async_trait]
impl ManifestSource for Peer {
    async fn manifest(&self, dataset: Dataset, window: Window, grain: Grain) -> Result<Manifest, RequestError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(RequestError::Unavailable { what: "down".to_owned(), not_sent: true, source: None });
        }
        let behind = i64::try_from(self.clock_behind_ms.load(Ordering::SeqCst)).unwrap();
        let now = Timestamp::from_millisecond(self.clock.now().as_millisecond() - behind).unwrap();
        let (as_of, items) =
            self.snapshot.lock().unwrap().clone().unwrap_or_else(|| (now, self.items.lock().unwrap().clone()));
        let lie = *self.lie.lock().unwrap();
        let of_dataset = || items.values().filter(|item| item.key.dataset == dataset);
        let body = if grain == Grain::Ids {
            let mut list = listed(of_dataset(), window);
            match lie {
                Some(Lie::Twice) => list.extend(list.first().cloned()),
                Some(Lie::Outside) => {
                    list.extend(of_dataset().find(|item| !window.contains(item.event_time.start())).cloned())
                }
                Some(Lie::LeavesOut) => drop(list.pop()),
                _ => {}
            }
            ManifestBody::Items(list)
        } else if self.counts_only.load(Ordering::SeqCst) {
            let flips = lie == Some(Lie::Flips) && self.calls.lock().unwrap().len().is_multiple_of(2);
            ManifestBody::Count(listed(of_dataset(), window).len() as u64 + u64::from(flips))
        } else {
            ManifestBody::Buckets(buckets_of(of_dataset(), grain, window))
        };
        let (listed, bytes) = match &body {
            ManifestBody::Items(items) => (items.len(), 200 * items.len() as u64 + 20),
            ManifestBody::Buckets(buckets) => (0, 120 * buckets.len() as u64 + 20),
            ManifestBody::Count(_) => (0, 20),
        };
        self.calls.lock().unwrap().push(Call { grain, listed });
        let mut manifest = Manifest { dataset, window, grain, as_of, body, bytes };
        match lie.filter(|_| grain == Grain::Ids) {
            Some(Lie::OtherWindow) => manifest.window = Window::new(window.end, window.end),
            Some(Lie::OtherDataset) => manifest.dataset = Dataset::Knowledge,
            Some(Lie::Truncated) => return Err(RequestError::Undecodable { what: "cut off".to_owned() }),
            _ => {}
        }
        let before = self.before_answer.lock().unwrap().take();
        if let Some(before) = before {
            before.await;
        }
        Ok(manifest)
    }

    fn datasets(&self) -> &[Dataset] {
        &self.datasets
    }

    fn grains(&self) -> &[Grain] {
        &self.grains
    }

    fn since(&self) -> Option<Timestamp> {
        None
    }
}

#[async_trait]
impl Source for Peer {
    async fn poll(&self, _: Option<Timestamp>, _: Option<&Cursor>, _: u32) -> Result<Page, RequestError> {
        unreachable!("reconciliation does not poll")
    }

    async fn fetch_window(&self, _: Dataset, _: Window, _: Option<&Cursor>) -> Result<Page, RequestError> {
        unreachable!("reconciliation fetches no windows itself")
    }

    async fn fetch_ids(&self, numbers: &[SourceNumber]) -> Result<Page, RequestError> {
        if self.unread.load(Ordering::SeqCst) {
            return Err(RequestError::Unavailable { what: "down".to_owned(), not_sent: true, source: None });
        }
        let items = self.items.lock().unwrap();
        let record = |number: &SourceNumber| {
            let of_order: Vec<&BookItem> = items.values().filter(|item| item.key.number == *number).collect();
            let body = serde_json::to_vec(&of_order).unwrap().into();
            let known = !of_order.is_empty();
            known.then_some(RawRecord { number: Some(number.clone()), body, updated_at: None, undecodable: None })
        };
        let records = numbers.iter().filter_map(record).collect();
        Ok(Page { records, next: None, datasets: self.datasets.clone(), read_at: self.clock.now() })
    }

    fn ids_per_fetch(&self) -> usize {
        100
    }
}

impl Normalizer for Peer {
    fn normalize(&self, body: &[u8], _received_at: Timestamp) -> Result<Vec<Change>, NormalizeError> {
        let items: Vec<BookItem> = serde_json::from_slice(body).unwrap();
        let change = |item: BookItem| Change {
            dataset: item.key.dataset,
            number: item.key.number,
            day: Some(item.key.day),
            part: item.key.part,
            revision: None,
            event_time: item.event_time,
            digest: item.digest,
            fields: Fields::default(),
            person: Fields::default(),
            unmapped: Default::default(),
            operation: None,
            oddities: Vec::new(),
        };
        Ok(items.into_iter().map(change).collect())
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
    fn source(&self) -> Option<&dyn Source> {
        self.readable.load(Ordering::SeqCst).then_some(self)
    }
    fn receiver(&self) -> Option<&dyn Receiver> {
        None
    }
    fn sink(&self) -> Option<&dyn Sink> {
        None
    }
    fn manifest_source(&self) -> Option<&dyn ManifestSource> {
        Some(self)
    }
    fn attachments(&self) -> Option<&dyn AttachmentSource> {
        Some(self)
    }
    async fn check_connectivity(&self) -> Result<(), RequestError> {
        Ok(())
    }
}

#[async_trait]
impl AttachmentSource for Peer {
    async fn fetch(&self, _: &str, _: usize) -> Result<Bytes, AttachmentError> {
        Err(AttachmentError::NotThere { code: "http_404".into() })
    }
}
