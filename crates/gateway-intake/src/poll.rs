//! Scheduled reading of a channel's listing by update time.
//!
//! A *sweep* reads the listing from `through − overlap` to its end. Each page is made durable on the bus before anything remembers it, and `through`
//! moves only at the end of a sweep, to the newest update time that is believable; a record dated 2099 never moves it. A sweep may take several
//! rounds of the driver. When the counterparty fails in the middle, the sweep goes on at the same page later; when the process or the lease ends,
//! the next holder begins a new one from the saved `through`, which repeats records and loses none. Refused: saving a half-way cursor, which would
//! make a skipped page (drift while we were down) permanent.

use crate::channel::{sha256, short_hex};
use crate::checkpoint::{self, Checkpoint, Seen};
use crate::{ChannelIntake, Defences, PollConfig, PollProgress, failure};
use async_trait::async_trait;
use gateway_bus::{Envelope, TopicName};
use gateway_connector::{Cursor, Page, RawRecord, Source};
use gateway_model::{Origin, Timestamp};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{LeaseGrant, LeaseKeeper, LeaseStore, StoreError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Reads one channel's listing.
pub struct Poller {
    intake: ChannelIntake,
    leases: Arc<dyn LeaseStore>,
    keeper: LeaseKeeper,
    config: PollConfig,
    overlap: Duration,
    topic: TopicName,
    sweep: Option<Sweep>,
    progress: Arc<PollProgress>,
}

/// One reading of the listing from its start to its end.
struct Sweep {
    epoch: u64,
    from: Option<Timestamp>,
    cursor: Option<Cursor>,
    checkpoint: Checkpoint,
    /// The newest believable update time met.
    newest: Option<Timestamp>,
    /// Where in the listing we are; a record without an update time stands where its neighbour does.
    position: Timestamp,
    /// Records met whose update time is not believable.
    implausible: BTreeSet<String>,
}

impl Poller {
    /// A poller of a channel; `None` when the channel has nothing to pull. `holder` names this process among its replicas.
    #[must_use]
    pub fn new(
        intake: ChannelIntake,
        leases: Arc<dyn LeaseStore>,
        holder: impl Into<String>,
        config: PollConfig,
        defences: Defences,
    ) -> Option<Self> {
        intake.connector.source()?;
        let overlap = if defences.overlap { Duration::from_millis(config.overlap_ms) } else { Duration::ZERO };
        let topic = TopicName::raw(&intake.channel);
        let progress = Arc::default();
        let (name, length) = (format!("poll/{}", intake.channel), Duration::from_millis(config.lease_ms));
        // Beyond the next round: while this process lives no other takes turns with it, and the channel is not asked more often.
        let keeper = LeaseKeeper::new(leases.clone(), intake.clock.clone(), name, holder, length)
            .resting(Duration::from_millis(config.every_ms));
        Some(Self { intake, leases, keeper, config, overlap, topic, sweep: None, progress })
    }

    /// How far it has read, for status.
    #[must_use]
    pub fn progress(&self) -> Arc<PollProgress> {
        Arc::clone(&self.progress)
    }

    async fn begin(&self, lease: &LeaseGrant) -> Result<Sweep, TaskError> {
        let text = self.leases.checkpoint(&self.intake.channel, checkpoint::NAME).await;
        let checkpoint = match text.map_err(|error| failure::store(&error))? {
            Some(text) => Checkpoint::parse(&text).map_err(|error| TaskError::new("checkpoint", &error))?,
            None => Checkpoint::default(),
        };
        let from = checkpoint.through.map(|through| self.zone(through));
        Ok(Sweep {
            epoch: lease.epoch,
            from,
            cursor: None,
            newest: checkpoint.through,
            position: from.unwrap_or(Timestamp::MIN),
            implausible: BTreeSet::new(),
            checkpoint,
        })
    }

    fn zone(&self, through: Timestamp) -> Timestamp {
        through.saturating_sub(self.overlap).unwrap_or(through)
    }

    /// Until when an update time that was read at `read_at` is believable.
    fn plausible(&self, read_at: Timestamp) -> Timestamp {
        read_at.saturating_add(Duration::from_millis(self.config.tolerance_ms)).unwrap_or(read_at)
    }

    /// Makes a page durable, then remembers it. An error leaves the sweep unusable.
    async fn take(&self, sweep: &mut Sweep, page: Page) -> Result<(), TaskError> {
        let plausible = self.plausible(page.read_at);
        let mut fresh: Vec<Envelope> = Vec::new();
        let tally = &mut sweep.checkpoint.tally;
        tally.pages += 1;
        tally.records += page.records.len() as u64;
        for record in page.records {
            let fingerprint = short_hex(&sha256(&record.body));
            let key = key_of(&record, &fingerprint);
            match record.updated_at {
                Some(at) if at <= plausible => {
                    sweep.newest = sweep.newest.max(Some(at));
                    sweep.position = at;
                }
                Some(at) => {
                    sweep.position = at;
                    sweep.implausible.insert(key.clone());
                }
                None if sweep.position > plausible => {
                    sweep.implausible.insert(key.clone());
                }
                // At the very start of a listing there is no neighbour: it counts as read now.
                None if sweep.position == Timestamp::MIN => sweep.position = page.read_at,
                None => {}
            }
            let seen = Seen(fingerprint, sweep.position.as_millisecond());
            if sweep.checkpoint.seen.get(&key).is_some_and(|before| before.0 == seen.0) {
                tally.repeated += 1;
                sweep.checkpoint.seen.insert(key, seen);
                continue;
            }
            tally.appended += 1;
            sweep.checkpoint.seen.insert(key, seen);
            fresh.push(self.intake.envelope(record, Origin::Poll, page.read_at));
        }
        let appended = fresh.len() as u64;
        self.intake.append(&self.topic, fresh).await?;
        self.count("gateway_poll_pages_total", 1);
        self.count("gateway_poll_appended_records_total", appended);
        if let Some(newest) = sweep.newest {
            let zone = self.zone(newest).as_millisecond();
            sweep.checkpoint.trim(zone, plausible.as_millisecond(), None, self.config.implausible_limit);
        }
        sweep.cursor = page.next;
        Ok(())
    }

    /// Saves the checkpoint; at the end of a sweep `through` moves. `Ok(false)`: the lease is another's by now.
    async fn save(&self, sweep: &mut Sweep, lease: &LeaseGrant, ended: bool) -> Result<bool, TaskError> {
        let now = self.intake.clock.now();
        if ended {
            sweep.checkpoint.through = sweep.newest;
            let zone = sweep.newest.map_or(Timestamp::MIN, |newest| self.zone(newest)).as_millisecond();
            let plausible = self.plausible(now).as_millisecond();
            sweep.checkpoint.trim(zone, plausible, Some(&sweep.implausible), self.config.implausible_limit);
        }
        let text = sweep.checkpoint.text().map_err(|error| TaskError::new("checkpoint", &error))?;
        match self.leases.save_checkpoint(&self.intake.channel, checkpoint::NAME, &text, lease, now).await {
            Ok(()) => {}
            Err(StoreError::LeaseLost { .. }) => return Ok(false),
            Err(error) => return Err(failure::store(&error)),
        }
        if ended {
            self.progress.swept(now, sweep.checkpoint.through);
        }
        if let (true, Some(through)) = (ended, sweep.checkpoint.through) {
            let channel = self.intake.channel.to_string();
            let seconds = through.as_millisecond() as f64 / 1_000.0;
            metrics::gauge!("gateway_poll_through_timestamp_seconds", "channel" => channel).set(seconds);
        }
        Ok(true)
    }

    fn count(&self, name: &'static str, by: u64) {
        metrics::counter!(name, "channel" => self.intake.channel.to_string()).increment(by);
    }

    /// Pages of one round. The sweep is put back only where it can go on.
    async fn pages(&mut self, source: &dyn Source, mut lease: LeaseGrant, round: &Round) -> Result<Ran, TaskError> {
        let mut sweep = match self.sweep.take().filter(|sweep| sweep.epoch == lease.epoch) {
            Some(sweep) => sweep,
            None => self.begin(&lease).await?,
        };
        for _ in 0..self.config.pages_per_round.max(1) {
            let asked = source.poll(sweep.from, sweep.cursor.as_ref(), self.config.page_size);
            let page = tokio::select! {
                () = round.stopping.cancelled() => return Ok(Ran::Idle),
                page = self.keeper.keep(&mut lease, asked) => page,
            };
            let page = match page {
                Ok(page) => page,
                Err(StoreError::LeaseLost { .. }) => return Ok(Ran::Idle),
                Err(error) => return Err(failure::store(&error)),
            };
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    // Another error than a passing one may be about the cursor: begin anew.
                    self.sweep = error.is_transient().then_some(sweep);
                    return Err(failure::request(&error));
                }
            };
            let taken = self.keeper.keep(&mut lease, self.take(&mut sweep, page)).await;
            match taken {
                Ok(taken) => taken?,
                Err(StoreError::LeaseLost { .. }) => return Ok(Ran::Idle),
                Err(error) => return Err(failure::store(&error)),
            }
            if sweep.cursor.is_none() {
                self.save(&mut sweep, &lease, true).await?;
                return Ok(Ran::Idle);
            }
        }
        if self.save(&mut sweep, &lease, false).await? {
            self.sweep = Some(sweep);
            return Ok(Ran::Busy);
        }
        Ok(Ran::Idle)
    }
}

#[async_trait]
impl Task for Poller {
    fn name(&self) -> String {
        self.keeper.name().to_owned()
    }

    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError> {
        let Some(lease) = self.keeper.take().await.map_err(|error| failure::store(&error))? else {
            self.sweep = None;
            self.progress.leave();
            return Ok(Ran::After(self.keeper.retry_after()));
        };
        self.progress.hold();
        let connector = Arc::clone(&self.intake.connector);
        match connector.source() {
            Some(source) => self.pages(source, lease, round).await,
            None => Ok(Ran::Idle),
        }
    }
}

/// What a record is remembered by: its number, or its content where it has none.
fn key_of(record: &RawRecord, fingerprint: &str) -> String {
    match &record.number {
        Some(number) => number.to_string(),
        None => format!("#{fingerprint}"),
    }
}
