//! A store, a channel, a clock and a reconciler.

use crate::peer::Peer;
use gateway_model::{
    BookItem, BookSide, ChannelId, Clock, Dataset, Digest, GapState, Grain, ItemKey, ManualClock, Moment, Part,
    SourceNumber, Timestamp,
};
use gateway_reconcile::{Defences, ReconcileConfig, Reconciler};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{
    BookPut, GapFilter, GapRow, GapStore, IngestRequest, IngestStore, IngestWrites, Job, JobKind, JobStore, Loaded,
    SqliteOptions, SqliteStore,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub const LOOK: i64 = 4;
pub const DATASETS: [Dataset; 3] = [Dataset::Acceptance, Dataset::Handling, Dataset::Completion];
pub const GRAINS: [Grain; 6] = [Grain::Total, Grain::Month, Grain::Day, Grain::Hour, Grain::TenMinutes, Grain::Ids];

pub struct World {
    pub peer: Arc<Peer>,
    pub store: Arc<SqliteStore>,
    pub clock: Arc<ManualClock>,
    pub config: ReconcileConfig,
    pub reconciler: Reconciler,
    pub dir: tempfile::TempDir,
}

pub fn channel() -> ChannelId {
    ChannelId::new("municipal-12345").unwrap()
}

pub fn config() -> ReconcileConfig {
    ReconcileConfig {
        recent_every_ms: 2_000,
        whole_every_ms: 10_000,
        tiers: Vec::new(),
        second_look_min_ms: LOOK as u64 * 1_000,
        second_look_max_ms: LOOK as u64 * 1_000,
        repair_patience_ms: 4_000,
        ..ReconcileConfig::default()
    }
}

/// An item of an order; the event time is `minutes` after a Monday morning in January.
pub fn item(dataset: Dataset, n: u32, minutes: i64, digest: u8) -> BookItem {
    let start: Timestamp = "2026-01-05T09:00:00+08:00".parse().unwrap();
    let at = Timestamp::from_second(start.as_second() + minutes * 60).unwrap();
    let key = ItemKey {
        dataset,
        number: SourceNumber::new(format!("GZ{n:06}")).unwrap(),
        day: Moment::At(start).day(),
        part: Part::Cycle(0),
    };
    BookItem { key, event_time: Moment::At(at), digest: Digest([digest; 32]) }
}

pub fn order(n: u32) -> BookItem {
    item(Dataset::Acceptance, n, i64::from(n) * 37, 1)
}

impl World {
    pub async fn new() -> Self {
        Self::with(config(), &GRAINS, Defences::default()).await
    }

    pub async fn with(config: ReconcileConfig, grains: &[Grain], defences: Defences) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(SqliteOptions::at(dir.path().join("store.db"))).await.unwrap());
        let clock = Arc::new(ManualClock::new("2026-01-06T12:00:00+08:00".parse().unwrap()));
        let peer = Arc::new(Peer::new(clock.clone(), grains, &DATASETS));
        let reconciler =
            Reconciler::new(channel(), peer.clone(), store.clone(), clock.clone(), config.clone(), "test".to_owned())
                .with_defences(defences);
        Self { peer, store, clock, config, reconciler, dir }
    }

    /// The gateway starts anew on the same store.
    pub fn restart(&mut self) {
        self.reconciler = Reconciler::new(
            channel(),
            self.peer.clone(),
            self.store.clone(),
            self.clock.clone(),
            self.config.clone(),
            "test".to_owned(),
        );
    }

    pub async fn write(&self, fill: impl Fn(&Loaded, &mut IngestWrites) + Send + Sync) {
        let decide = |loaded: Loaded| {
            let mut writes = IngestWrites::default();
            fill(&loaded, &mut writes);
            writes
        };
        self.store.ingest(IngestRequest::default(), &decide).await.unwrap();
    }

    /// We hold it, as the channel's word.
    pub async fn hold(&self, items: &[BookItem]) {
        self.hold_as(items, BookSide::Source).await;
    }

    pub async fn hold_as(&self, items: &[BookItem], side: BookSide) {
        let put =
            |item: &BookItem| BookPut::Put { channel: channel(), side, projection_version: 1, item: item.clone() };
        self.write(|_, writes| writes.book = items.iter().map(put).collect()).await;
    }

    /// Both sides hold these.
    pub async fn agree(&self, items: &[BookItem]) {
        items.iter().for_each(|item| self.peer.put(item.clone()));
        self.hold(items).await;
    }

    pub fn wait(&self, seconds: i64) {
        let now = self.clock.now();
        self.clock.advance_to(Timestamp::from_second(now.as_second() + seconds).unwrap());
    }

    /// One round, with what follows it at once.
    pub async fn round(&mut self) -> Result<(), TaskError> {
        let round = Round { stopping: CancellationToken::new() };
        for _ in 0..100 {
            if self.reconciler.run(&round).await? != Ran::Busy {
                return Ok(());
            }
        }
        panic!("a round that never ends");
    }

    /// Rounds every two seconds for so long.
    pub async fn run_for(&mut self, seconds: i64) {
        for _ in 0..seconds / 2 {
            self.wait(2);
            self.round().await.unwrap();
        }
    }

    pub async fn gaps(&self) -> Vec<GapRow> {
        self.store.gaps(&GapFilter::default(), 1_000).await.unwrap()
    }

    pub async fn gap(&self) -> GapRow {
        let mut gaps = self.gaps().await;
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        gaps.pop().unwrap()
    }

    pub async fn states(&self) -> Vec<GapState> {
        self.gaps().await.into_iter().map(|gap| gap.state).collect()
    }

    pub async fn vanished(&self) -> u64 {
        self.store.comparison_totals().await.unwrap().2
    }

    /// Takes the waiting jobs of a kind, as their worker would.
    pub async fn take_jobs(&self, kind: JobKind) -> Vec<String> {
        let now = self.clock.now();
        let jobs: Vec<Job> = self.store.claim_jobs(kind, &channel(), now, now, 1_000).await.unwrap();
        let done: Vec<_> = jobs.iter().map(|job| (job.id, job.requested)).collect();
        self.store.finish_jobs(&done).await.unwrap();
        jobs.into_iter().map(|job| job.subject).collect()
    }

    /// Reads orders again as asked for: what the channel has of a dataset replaces what we hold.
    pub async fn reread(&self, items: &[BookItem]) -> Vec<String> {
        let asked = self.take_jobs(JobKind::Reread).await;
        let wanted: Vec<BookItem> = items
            .iter()
            .filter(|item| asked.iter().any(|number| number == item.key.number.as_str()))
            .cloned()
            .collect();
        self.hold(&wanted).await;
        asked
    }
}
