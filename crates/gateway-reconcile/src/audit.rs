//! The audit of our own books: no peer is asked, and nothing of theirs is believed.
//!
//! State book: day by day, round and round, the items are added up again and held against the kept sums at ten minutes, hour and day, and the
//! months against their days. Flow book: every accounted offset of the bus has its record. What does not add up twice is a gap of kind
//! `book_damaged`; a sum is then replaced by that of its items in one transaction and added up again; a record that is gone can't be, and is a
//! person's. Where several processes share the store, one that fell silent with records in its spool is a gap as well (`silence`),
//! and so is each file that a record refers to and that does not come (`attachments`).
//!
//! Refused: to recompute sums unasked. A sum that drifts tells that something writes past the books, and that must be seen.

use crate::attachments::LackingAttachments;
use crate::config::ReconcileConfig;
use crate::error::ReconcileError;
use crate::gaps::all_in_state;
use crate::silence::Silence;
use async_trait::async_trait;
use gateway_connector::Connector;
use gateway_model::{
    AttachmentId, BookSide, BucketSum, ChannelId, Clock, Dataset, Digest, GapEvidence, GapKind, GapState, Grain,
    Timestamp, Window,
};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{BucketDamage, GapRow, LeaseGrant, LeaseKeeper, NewGap, Store, left_topic};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "audit";
/// How many offsets of a partition a round goes through.
const OFFSETS: u64 = 5_000;
/// How many damaged buckets a round writes down; the next round finds the rest.
const MOST_DAMAGE: usize = 200;

/// How far the audit has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    /// From where each dataset goes on.
    days: BTreeMap<Dataset, Timestamp>,
    /// From where each partition of a topic goes on.
    offsets: BTreeMap<String, u64>,
    /// Behind which of what a channel does not give the next round goes on.
    attachments: Option<AttachmentId>,
    /// How often everything was gone through.
    turns: u64,
}

/// What does not add up.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    dataset: Dataset,
    window: Window,
    detail: String,
    kept: Option<Digest>,
    items: Option<Digest>,
}

/// Audits one channel.
pub struct Auditor {
    channel: ChannelId,
    connector: Arc<dyn Connector>,
    store: Arc<dyn Store>,
    /// The same, under the lease of this round.
    written: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    config: ReconcileConfig,
    keeper: LeaseKeeper,
    topics: Vec<String>,
    silent_after_ms: Option<u64>,
}

impl Auditor {
    /// An auditor of what is kept of `channel`, and of the records that came over `topics`.
    #[must_use]
    pub fn new(
        channel: ChannelId,
        connector: Arc<dyn Connector>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        config: ReconcileConfig,
        holder: String,
        topics: Vec<String>,
    ) -> Self {
        // What was accounted for on a bus that the installation has left is accounted for.
        let left: Vec<String> = topics.iter().map(|topic| left_topic(topic)).collect();
        let topics = topics.into_iter().chain(left).collect();
        let (name, length) = (format!("audit/{channel}"), Duration::from_millis(config.lease_ms));
        let keeper = LeaseKeeper::new(store.clone(), clock.clone(), name, holder, length)
            .resting(Duration::from_millis(config.audit_every_ms));
        let written = store.clone();
        Self { channel, connector, store, written, clock, config, keeper, topics, silent_after_ms: None }
    }

    /// Where several processes share the store: one that told nothing for so long, and holds records of the channel in its spool, is a gap.
    #[must_use]
    pub fn with_nodes(mut self, silent_after_ms: u64) -> Self {
        self.silent_after_ms = Some(silent_after_ms);
        self
    }

    fn version(&self) -> u32 {
        self.connector.normalizer().projection_version()
    }

    async fn round(&self, lease: &LeaseGrant) -> Result<(), ReconcileError> {
        self.settle().await?;
        if let Some(silent_after_ms) = self.silent_after_ms {
            let (store, channel, now) = (&*self.written, &self.channel, self.clock.now());
            Silence { store, channel, silent_after_ms, now }.look().await?;
        }
        let text = self.store.checkpoint(&self.channel, NAME).await?;
        let mut progress: Progress = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let before = progress.clone();
        if self.connector.attachments().is_some() {
            let lacking = LackingAttachments {
                store: &*self.written,
                channel: &self.channel,
                allowance_ms: self.config.attachment_allowance_ms,
                group_within_ms: self.config.group_within_ms,
                now: self.clock.now(),
            };
            progress.attachments = lacking.look(progress.attachments).await?;
        }
        let mut found = Vec::new();
        let mut items = 0;
        let finished = self.walk_days(&mut progress, &mut found, &mut items).await?;
        self.walk_offsets(&mut progress, &mut found).await?;
        if finished {
            progress.turns += 1;
        }
        self.suspect(found).await?;
        let channel = self.channel.to_string();
        metrics::counter!("gateway_audit_items_total", "channel" => channel.clone()).increment(items);
        metrics::gauge!("gateway_audit_turns", "channel" => channel).set(progress.turns as f64);
        if progress != before {
            let text = serde_json::to_string(&progress).map_err(ReconcileError::Memory)?;
            self.store.save_checkpoint(&self.channel, NAME, &text, lease, self.clock.now()).await?;
        }
        Ok(())
    }

    // Some days further; `true` when every dataset has come to its end.
    async fn walk_days(
        &self,
        progress: &mut Progress,
        found: &mut Vec<Found>,
        items: &mut u64,
    ) -> Result<bool, ReconcileError> {
        for dataset in Dataset::ALL {
            let mut from = match progress.days.get(&dataset) {
                Some(from) => *from,
                None if progress.days.is_empty() || !later_dataset(progress, dataset) => Timestamp::MIN,
                // Done in this turn.
                None => continue,
            };
            while let Some(day) = self.store.next_book_day(&self.channel, dataset, self.version(), from).await? {
                let audit = self.store.audit_day(&self.channel, dataset, self.version(), day).await?;
                found.extend(audit.damage.iter().map(|damage| describe(dataset, damage)));
                *items += audit.items.max(1);
                from = Grain::Day.bucket(day).end;
                if *items >= u64::from(self.config.audit_items_per_round) || found.len() >= MOST_DAMAGE {
                    progress.days.retain(|other, _| *other > dataset);
                    progress.days.insert(dataset, from);
                    return Ok(false);
                }
            }
            progress.days.remove(&dataset);
        }
        progress.days.clear();
        Ok(true)
    }

    async fn walk_offsets(&self, progress: &mut Progress, found: &mut Vec<Found>) -> Result<(), ReconcileError> {
        let positions = self.store.flow_positions().await?;
        let now = self.clock.now();
        for position in positions.iter().filter(|position| self.topics.contains(&position.topic)) {
            let place = format!("{} {}", position.topic, position.partition);
            let from = progress.offsets.get(&place).copied().filter(|from| *from < position.next_offset).unwrap_or(0);
            let to = position.next_offset.min(from.saturating_add(OFFSETS));
            for (first, end) in self.store.missing_offsets(&position.topic, position.partition, from, to).await? {
                found.push(Found {
                    dataset: Dataset::Acceptance,
                    window: Window::new(now, now),
                    detail: format!("offsets {place} {first} {end}"),
                    kept: None,
                    items: None,
                });
            }
            progress.offsets.insert(place, to);
        }
        Ok(())
    }

    // First looks. What is known already is left alone, and so is what the bus is known to have lost.
    async fn suspect(&self, found: Vec<Found>) -> Result<(), ReconcileError> {
        if found.is_empty() {
            return Ok(());
        }
        let mut known: HashSet<String> = HashSet::new();
        let mut lost = Vec::new();
        for state in [GapState::Suspected, GapState::Open, GapState::Repairing, GapState::Waived, GapState::Closed] {
            for gap in all_in_state(&*self.store, &self.channel, state).await? {
                match (gap.kind, gap.detail) {
                    (GapKind::BookDamaged, Some(detail)) if state != GapState::Closed => {
                        known.insert(format!("{} {}", gap.dataset, place(&detail)));
                    }
                    (GapKind::LostOffset, Some(detail)) => lost.push(detail),
                    _ => {}
                }
            }
        }
        let now = self.clock.now();
        let news =
            found.into_iter().filter(|found| !known.contains(&format!("{} {}", found.dataset, place(&found.detail))));
        let news: Vec<NewGap> = news
            .filter(|found| !lost.iter().any(|lost| covers(lost, &found.detail)))
            .take(MOST_DAMAGE)
            .map(|found| NewGap {
                channel: self.channel.clone(),
                dataset: found.dataset,
                kind: GapKind::BookDamaged,
                key: None,
                window: found.window,
                delivery_id: None,
                evidence: GapEvidence { theirs: found.items, ours: found.kept, as_of: now, compared_at: now },
                detail: Some(found.detail),
                at: now,
            })
            .collect();
        self.written.suspect(&news).await?;
        Ok(())
    }

    // Second looks, repairs and their verification.
    async fn settle(&self) -> Result<(), ReconcileError> {
        for state in [GapState::Repairing, GapState::Open, GapState::Suspected] {
            let gaps = all_in_state(&*self.store, &self.channel, state).await?;
            for gap in gaps.iter().filter(|gap| gap.kind == GapKind::BookDamaged) {
                self.settle_one(gap).await?;
            }
        }
        Ok(())
    }

    async fn settle_one(&self, gap: &GapRow) -> Result<(), ReconcileError> {
        let now = self.clock.now();
        let detail = gap.detail.as_deref().unwrap_or_default();
        let still = self.still(gap, detail).await?;
        match (gap.state, still) {
            (GapState::Suspected, None) => self.written.forget(&[gap.id]).await?,
            (GapState::Suspected, Some(evidence)) => {
                self.written.open_gaps(&[(gap.id, evidence)], self.config.group_within_ms, now).await?;
                tracing::error!(channel = %self.channel, gap = %gap.id, dataset = %gap.dataset, detail, "our own book is damaged");
                let channel = self.channel.to_string();
                metrics::counter!("gateway_audit_damage_total", "channel" => channel).increment(1);
                self.restore(gap, detail, now).await?;
            }
            (_, None) => self.written.move_gap(gap.id, GapState::Closed, None, None, None, now).await?,
            (GapState::Repairing, Some(_)) => {
                let reason = "the sums were added up anew and are wrong again: something writes past the books";
                self.written.move_gap(gap.id, GapState::Open, None, Some(reason), None, now).await?;
            }
            (_, Some(_)) if gap.reason.is_none() => self.restore(gap, detail, now).await?,
            (_, Some(_)) => {}
        }
        Ok(())
    }

    async fn restore(&self, gap: &GapRow, detail: &str, now: Timestamp) -> Result<(), ReconcileError> {
        if detail.starts_with("offsets ") {
            let reason = "records of accounted offsets are gone from the store: restore them from a backup, or waive this when everything is in step";
            self.written.move_gap(gap.id, GapState::Open, None, Some(reason), None, now).await?;
            return Ok(());
        }
        self.written.move_gap(gap.id, GapState::Repairing, None, None, None, now).await?;
        self.written.restore_day(&self.channel, gap.dataset, self.version(), gap.window.start).await?;
        tracing::warn!(channel = %self.channel, gap = %gap.id, dataset = %gap.dataset, detail, "the sums are replaced by those of their items");
        Ok(())
    }

    // The evidence of damage that is still there.
    async fn still(&self, gap: &GapRow, detail: &str) -> Result<Option<GapEvidence>, ReconcileError> {
        let now = self.clock.now();
        let evidence = |kept, items| GapEvidence { theirs: items, ours: kept, as_of: now, compared_at: now };
        if let Some((topic, partition, from, to)) = read_offsets(detail) {
            let missing = self.store.missing_offsets(topic, partition, from, to).await?;
            return Ok((!missing.is_empty()).then(|| evidence(None, None)));
        }
        let audit = self.store.audit_day(&self.channel, gap.dataset, self.version(), gap.window.start).await?;
        let same = audit
            .damage
            .iter()
            .map(|damage| describe(gap.dataset, damage))
            .find(|found| found.window == gap.window && place(&found.detail) == place(detail));
        Ok(same.map(|found| evidence(found.kept, found.items)))
    }
}

// Whether a dataset that comes after this one is where this turn has come to.
fn later_dataset(progress: &Progress, dataset: Dataset) -> bool {
    progress.days.keys().any(|other| *other > dataset)
}

// What a detail is about, without the counts, which live on.
fn place(detail: &str) -> &str {
    detail.split_once(';').map_or(detail, |(place, _)| place)
}

fn describe(dataset: Dataset, damage: &BucketDamage) -> Found {
    let side = match damage.side {
        BookSide::Source => "source",
        BookSide::Sent => "sent",
    };
    let start = damage.start;
    Found {
        dataset,
        window: damage.window(),
        detail: format!(
            "{} {start} {side} version {}; kept {}, added up {}",
            damage.grain, damage.projection_version, damage.kept.0, damage.items.0
        ),
        kept: Some(digest(damage.kept)),
        items: Some(digest(damage.items)),
    }
}

// The sum, or the count where there is none.
fn digest((count, sum): (i64, BucketSum)) -> Digest {
    let mut bytes = sum.0;
    if sum == BucketSum::ZERO {
        bytes[24..].copy_from_slice(&count.to_be_bytes());
    }
    Digest(bytes)
}

// `offsets <topic> <partition> <from> <to>`
fn read_offsets(detail: &str) -> Option<(&str, u32, u64, u64)> {
    let mut words = detail.strip_prefix("offsets ")?.split(' ');
    let topic = words.next()?;
    Some((topic, words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

fn covers(lost: &str, found: &str) -> bool {
    match (read_offsets(lost), read_offsets(found)) {
        (Some(lost), Some(found)) => (lost.0, lost.1) == (found.0, found.1) && lost.2 <= found.2 && found.3 <= lost.3,
        _ => false,
    }
}

#[async_trait]
impl Task for Auditor {
    fn name(&self) -> String {
        self.keeper.name().to_owned()
    }

    async fn run(&mut self, _round: &Round) -> Result<Ran, TaskError> {
        let Some(lease) = self.keeper.take().await.map_err(ReconcileError::from)? else {
            return Ok(Ran::After(self.keeper.retry_after()));
        };
        self.written = self.store.under(&lease);
        let mut kept = lease.clone();
        self.keeper.keep(&mut kept, self.round(&lease)).await.map_err(ReconcileError::from)??;
        Ok(Ran::After(Duration::from_millis(self.config.audit_every_ms)))
    }
}
