//! One round's work: what it may still ask for, what it has spent, and how it asks.
//!
//! Within a look the channel is asked first and our book is read afterwards. What the channel told us before it made its account is then already in
//! our book, so being a little slow never looks like a loss; the reverse (our book is ahead of their snapshot) is what the second look is for.

use crate::account_time::AccountTime;
use crate::config::ReconcileConfig;
use crate::doubt::Doubt;
use crate::error::ReconcileError;
use crate::gaps::ActiveGaps;
use crate::memory::Memory;
use crate::reliability::{Unreliable, check_buckets, check_items};
use crate::{
    Defences,
    compare::{Tally, item_window},
    descend::Step,
};
use gateway_connector::{Connector, ManifestSource, RequestError};
use gateway_model::{
    BookItem, Bucket, ChannelId, Clock, Dataset, GapId, GapState, Grain, ManifestBody, Moment, Timestamp, Window,
    day_of,
};
use gateway_store::{AccountDay, Days, GapRow, LeaseGrant, LeaseKeeper, NewAccount, Store, StoreError};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often jobs are looked for at least.
pub(crate) const IDLE_MS: u64 = 2_000;

/// What stays the same from round to round.
pub(crate) struct Context {
    pub(crate) channel: ChannelId,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: ReconcileConfig,
    pub(crate) defences: Defences,
    pub(crate) keeper: LeaseKeeper,
    /// The gaps that are not over.
    pub(crate) gaps: ActiveGaps,
    /// Whether a dataset may be stopped; `false` once there was seen to be none.
    pub(crate) may_have_stops: AtomicBool,
    /// The lease as it was last taken.
    lease: Mutex<Option<LeaseGrant>>,
}

impl Context {
    pub(crate) fn new(
        channel: ChannelId,
        connector: Arc<dyn Connector>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        config: ReconcileConfig,
        holder: String,
    ) -> Self {
        let (name, length) = (format!("reconcile/{channel}"), Duration::from_millis(config.lease_ms));
        // Where everything is in step, rounds are so far apart.
        let rest = Duration::from_millis(IDLE_MS);
        let keeper = LeaseKeeper::new(store.clone(), clock.clone(), name, holder, length).resting(rest);
        Self {
            channel,
            connector,
            store,
            clock,
            config,
            defences: Defences::default(),
            keeper,
            gaps: ActiveGaps::default(),
            may_have_stops: AtomicBool::new(true),
            lease: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Takes or renews the lease. One of which not a third is over is still ours: nobody can have taken it, and whatever is written under it is checked
    /// against its epoch.
    pub(crate) async fn hold(&self) -> Result<Option<LeaseGrant>, ReconcileError> {
        let held = self.lease.lock().unwrap_or_else(PoisonError::into_inner).take();
        let grant = match held {
            Some(mut grant) if !self.keeper.left(&grant).is_zero() => match self.keeper.hold(&mut grant).await {
                Ok(()) => Some(grant),
                Err(StoreError::LeaseLost { .. }) => None,
                Err(error) => return Err(error.into()),
            },
            _ => self.keeper.take().await?,
        };
        self.held(grant.as_ref());
        Ok(grant)
    }

    /// The store, for whatever this round writes: once another has the lease, nothing of it happens.
    pub(crate) fn writer(&self) -> Arc<dyn Store> {
        match &*self.lease.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(lease) => self.store.under(lease),
            None => self.store.clone(),
        }
    }

    fn held(&self, grant: Option<&LeaseGrant>) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = grant.cloned();
    }

    /// A round failed: before the next, the lease is asked for.
    pub(crate) fn doubt_lease(&self) {
        self.held(None);
    }
}

/// The channel's answer by buckets.
pub(crate) enum Sums {
    /// Bucket by bucket.
    Buckets(Vec<Bucket>),
    /// Only how many in the whole window.
    Count(u64),
}

/// A round under way.
pub(crate) struct Tour<'a> {
    pub(crate) context: &'a Context,
    pub(crate) memory: &'a mut Memory,
    source: &'a dyn ManifestSource,
    stopping: CancellationToken,
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
    pub(crate) ids: u64,
    pub(crate) vanished: u64,
    /// Accounts that contradicted themselves in vain; the round goes on without them.
    pub(crate) doubts: Vec<Doubt>,
    /// What the channel said of itself, to be written down at the end of the round.
    pub(crate) accounts: Vec<NewAccount>,
    /// Which gaps' windows the accounts of this round agreed with us about, and which not.
    pub(crate) agreed: HashMap<GapId, bool>,
    lease: LeaseGrant,
}

impl<'a> Tour<'a> {
    pub(crate) fn new(
        context: &'a Context,
        memory: &'a mut Memory,
        source: &'a dyn ManifestSource,
        lease: LeaseGrant,
        stopping: &CancellationToken,
    ) -> Self {
        Self {
            context,
            memory,
            source,
            stopping: stopping.clone(),
            calls: 0,
            bytes: 0,
            ids: 0,
            vanished: 0,
            doubts: Vec::new(),
            accounts: Vec::new(),
            agreed: HashMap::new(),
            lease,
        }
    }

    /// Whether this round has asked for as much as it may, or is to end.
    pub(crate) fn is_spent(&self) -> bool {
        let config = &self.context.config;
        self.is_over(config)
            || self.calls >= config.max_calls_per_round.max(1)
            || self.ids >= config.max_ids_per_round.max(1)
            || self.bytes >= config.max_bytes_per_round.max(1)
    }

    /// Whether looks have used their half, so that comparing goes on too.
    pub(crate) fn is_half_spent(&self) -> bool {
        let config = &self.context.config;
        self.is_over(config)
            || self.calls * 2 >= config.max_calls_per_round.max(1)
            || self.ids * 2 >= config.max_ids_per_round.max(1)
            || self.bytes * 2 >= config.max_bytes_per_round.max(1)
    }

    fn is_over(&self, config: &ReconcileConfig) -> bool {
        self.stopping.is_cancelled() || self.memory.spending.rests_until(self.context.now(), config).is_some()
    }

    /// How long a difference may last before it is looked at again.
    pub(crate) fn allowance_ms(&self) -> u64 {
        self.memory.allowance_ms(&self.context.config)
    }

    /// Asks for sums. The inner error is an account that contradicts itself.
    pub(crate) async fn sums(
        &mut self,
        dataset: Dataset,
        window: Window,
        grain: Grain,
    ) -> Result<Result<(Sums, Timestamp), Unreliable>, ReconcileError> {
        let (body, as_of) = match self.ask(dataset, window, grain).await? {
            Ok(answer) => answer,
            Err(unreliable) => return Ok(Err(unreliable)),
        };
        Ok(match body {
            ManifestBody::Buckets(buckets) => {
                check_buckets(grain, window, &buckets).map(|()| (Sums::Buckets(buckets), as_of))
            }
            ManifestBody::Count(count) => Ok((Sums::Count(count), as_of)),
            ManifestBody::Items(_) => Err(Unreliable::Shape),
        })
    }

    /// Asks for items. The inner error is an account that contradicts itself.
    pub(crate) async fn items(
        &mut self,
        dataset: Dataset,
        window: Window,
    ) -> Result<Result<(Vec<BookItem>, Timestamp), Unreliable>, ReconcileError> {
        let (body, as_of) = match self.ask(dataset, window, Grain::Ids).await? {
            Ok(answer) => answer,
            Err(unreliable) => return Ok(Err(unreliable)),
        };
        let ManifestBody::Items(items) = body else { return Ok(Err(Unreliable::Shape)) };
        self.ids += items.len() as u64;
        Ok(check_items(dataset, window, &items).map(|()| (items, as_of)))
    }

    async fn ask(
        &mut self,
        dataset: Dataset,
        window: Window,
        grain: Grain,
    ) -> Result<Result<(ManifestBody, Timestamp), Unreliable>, ReconcileError> {
        self.calls += 1;
        let channel = self.context.channel.to_string();
        metrics::counter!("gateway_reconcile_manifest_calls_total", "channel" => channel.clone(), "grain" => grain.as_str()).increment(1);
        let config = &self.context.config;
        self.memory.spending.call(self.context.now());
        let asked = self.source.manifest(dataset, window, grain);
        let manifest = match self.context.keeper.keep(&mut self.lease, asked).await? {
            Ok(manifest) => manifest,
            Err(RequestError::Undecodable { what }) => {
                tracing::warn!(channel = %self.context.channel, %dataset, %grain, %window, "an account can't be read: {what}");
                return Ok(Err(Unreliable::Unreadable));
            }
            Err(source) => return Err(ReconcileError::Request { dataset, source }),
        };
        let now = self.context.now();
        self.memory.answered(now, config);
        self.memory.spending.answer(manifest.bytes);
        self.bytes += manifest.bytes;
        metrics::counter!("gateway_reconcile_manifest_bytes_total", "channel" => channel).increment(manifest.bytes);
        if manifest.dataset != dataset || manifest.window != window || manifest.grain != grain {
            return Ok(Err(Unreliable::Shape));
        }
        let time = self.memory.account_times.entry(dataset).or_insert(AccountTime::first(manifest.as_of, now));
        if let Err(unreliable) = time.take(manifest.as_of, now, config.manifest_age_max_ms) {
            return Ok(Err(unreliable));
        }
        Ok(Ok((manifest.body, manifest.as_of)))
    }

    /// Notes an account that contradicted itself in vain.
    pub(crate) fn doubt(&mut self, doubt: Doubt) {
        let channel = self.context.channel.to_string();
        metrics::counter!("gateway_reconcile_manifest_unreliable_total", "channel" => channel, "why" => doubt.why.code())
            .increment(1);
        let Doubt { dataset, window, grain, why, .. } = doubt;
        tracing::warn!(channel = %self.context.channel, %dataset, %grain, %window, "{why}: nothing is concluded from this account");
        self.doubts.push(doubt);
    }

    /// As [`Tour::sums`]; a peer that only counts is asked again when it counts otherwise than we do, since a number alone can't be held against
    /// anything else. `None`: it counts otherwise now, so nothing can be told this time.
    pub(crate) async fn steady_sums(
        &mut self,
        dataset: Dataset,
        window: Window,
        grain: Grain,
    ) -> Result<Result<Option<(Sums, Timestamp)>, Unreliable>, ReconcileError> {
        let (sums, as_of) = match self.sums(dataset, window, grain).await? {
            Ok(answer) => answer,
            Err(unreliable) => return Ok(Err(unreliable)),
        };
        let Sums::Count(first) = sums else { return Ok(Ok(Some((sums, as_of)))) };
        if first == total(&self.our_sums(dataset, window, grain).await?).count {
            return Ok(Ok(Some((Sums::Count(first), as_of))));
        }
        let again = match self.sums(dataset, window, grain).await? {
            Ok(answer) => answer,
            Err(unreliable) => return Ok(Err(unreliable)),
        };
        if matches!(again.0, Sums::Count(second) if second == first) {
            return Ok(Ok(Some(again)));
        }
        Ok(match self.sums(dataset, window, grain).await? {
            Ok((Sums::Count(third), _)) if third == first => Err(Unreliable::Flips),
            Ok(_) => Ok(None),
            Err(unreliable) => Err(unreliable),
        })
    }

    // A long round renews its lease, and ends when it has lost it.
    pub(crate) async fn keep_lease(&mut self) -> Result<(), ReconcileError> {
        Ok(self.context.keeper.hold(&mut self.lease).await?)
    }

    /// Our sums over a window. A total is added up from the kept sums of the coarsest grain whose buckets fill the window.
    pub(crate) async fn our_sums(
        &self,
        dataset: Dataset,
        window: Window,
        grain: Grain,
    ) -> Result<Vec<Bucket>, ReconcileError> {
        let version = self.context.connector.normalizer().projection_version();
        let kept = if grain == Grain::Total { filling(window) } else { grain };
        let buckets = self.context.store.buckets(&self.context.channel, dataset, version, kept, window).await?;
        let mut all = total(&buckets);
        if kept > Grain::Day && grain == Grain::Total {
            all = all.plus(self.our_date_only(dataset, window).await?);
        }
        let Tally { count, sum } = all;
        Ok(match grain {
            Grain::Total if count == 0 => Vec::new(),
            Grain::Total => vec![Bucket { start: window.start, count, sum }],
            _ => buckets,
        })
    }

    // What a total counts and hours and ten minutes do not: it lies in the first second of its day.
    async fn our_date_only(&self, dataset: Dataset, window: Window) -> Result<Tally, ReconcileError> {
        let mut all = Tally::default();
        let mut day = Grain::Day.bucket(window.start);
        while day.start < window.end {
            if window.contains(day.start) {
                let second = item_window(Moment::At(day.start));
                let items = self.context.store.items(&self.context.channel, dataset, second).await?;
                let date_only = items.iter().map(|held| &held.item).filter(|item| item.event_time.is_date_only());
                all = all.plus(Tally::of(date_only));
            }
            day = Grain::Day.bucket(day.end);
        }
        Ok(all)
    }

    /// Notes which open gaps an account of `window` still shows: where both sides agree about one, a look will probably close it.
    pub(crate) async fn note_agreement(
        &mut self,
        dataset: Dataset,
        window: Window,
        differs: impl Fn(&GapRow) -> bool,
    ) -> Result<(), ReconcileError> {
        for gap in self.context.active_gaps().await?.iter() {
            if gap.state == GapState::Open && gap.dataset == dataset && window.contains(gap.window.start) {
                self.agreed.insert(gap.id, !differs(gap));
            }
        }
        Ok(())
    }

    /// Keeps the channel's account, for the reports of any past day: its days where it told them, and what is in step by a coarser sum.
    pub(crate) fn record(&mut self, dataset: Dataset, step: &Step, theirs: &Sums, ours: &[Bucket], as_of: Timestamp) {
        let is_midnight = |at: Timestamp| Grain::Day.bucket(at).start == at;
        if !is_midnight(step.window.start) || !is_midnight(step.window.end) {
            // A part of a day says nothing about the day.
            return;
        }
        let days_of = |window: Window| Days { from: day_of(window.start), to: day_of(window.end) };
        let said = |day, count, sum| AccountDay { dataset, day, count, sum, as_of };
        let (days, in_step) = match (theirs, step.grain) {
            (Sums::Buckets(theirs), Grain::Day) => {
                let days = theirs.iter().map(|day| said(day_of(day.start), day.count, Some(day.sum))).collect();
                (Some(days), Vec::new())
            }
            (Sums::Buckets(theirs), Grain::Month | Grain::Total) => {
                let same = theirs.iter().filter(|bucket| ours.contains(bucket));
                let window = |bucket: &Bucket| step.grain.bucket(bucket.start).intersect(&step.window);
                (None, same.map(|bucket| days_of(window(bucket))).collect())
            }
            // A count of one day is that day's account, whatever grain it was asked at.
            (Sums::Count(count), _) if Grain::Day.bucket(step.window.start) == step.window => {
                (Some(vec![said(day_of(step.window.start), *count, None)]), Vec::new())
            }
            _ => return,
        };
        if days.is_none() && in_step.is_empty() {
            return;
        }
        self.accounts.push(NewAccount {
            channel: self.context.channel.clone(),
            dataset,
            asked: days_of(step.window),
            days,
            in_step,
            as_of,
            at: self.context.now(),
        });
    }
}

// The coarsest kept grain whose buckets fill a window.
fn filling(window: Window) -> Grain {
    let fills = |grain: &Grain| [window.start, window.end].iter().all(|at| grain.bucket(*at).start == *at);
    Grain::BUCKETS.into_iter().find(fills).unwrap_or(Grain::TenMinutes)
}

/// All buckets in one.
pub(crate) fn total(buckets: &[Bucket]) -> Tally {
    buckets.iter().fold(Tally::default(), |sum, bucket| sum.plus((*bucket).into()))
}
