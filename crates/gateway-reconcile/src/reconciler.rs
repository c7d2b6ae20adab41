//! The task: which comparison is due, and one round of it.
//!
//! A round looks first (second looks, verification), repairs, then compares on, and writes down what it found whatever happened. A channel is
//! reconciled by one replica at a time, under the lease `reconcile/<channel>`.

use crate::config::{Defences, ReconcileConfig, earlier, later};
use crate::descend::Ladder;
use crate::error::ReconcileError;
use crate::look::{Looked, look};
use crate::repair::{Sizes, repair_open};
use crate::settle::{Settling, Unrest, open_letters, settle};
use crate::status::ReconcileStatus;
use crate::suspect::suspect;
use crate::sweep::{Findings, Sweep};
use crate::tour::{Context, Tour};
use async_trait::async_trait;
use gateway_connector::{Connector, ManifestSource};
use gateway_model::{ChannelId, Clock, GapId, Grain, JobId, Moment, Timestamp, Window};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{JobKind, Store};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

// How often jobs are looked for at least.
const IDLE_MS: u64 = 2_000;
const CLAIM_MS: u64 = 600_000;

/// Reconciles one channel.
pub struct Reconciler {
    context: Context,
    ladder: Ladder,
    finest: Grain,
    sweep: Option<Sweep>,
    settling: Option<Settling>,
    sizes: Sizes,
    looked: Looked,
    whole_at: Option<Timestamp>,
    recent_at: Option<Timestamp>,
    /// Jobs that wait for a comparison: whole ones, recent ones.
    whole_jobs: Vec<(JobId, u64)>,
    recent_jobs: Vec<(JobId, u64)>,
    status: Arc<Mutex<ReconcileStatus>>,
}

impl Reconciler {
    /// A reconciler of `channel`; `holder` names this process in the lease.
    #[must_use]
    pub fn new(
        channel: ChannelId,
        connector: Arc<dyn Connector>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        config: ReconcileConfig,
        holder: String,
    ) -> Self {
        let grains = connector.manifest_source().map(|source| source.grains().to_vec()).unwrap_or_default();
        let status = ReconcileStatus::new(channel.clone(), !grains.is_empty());
        Self {
            ladder: Ladder::new(&grains, &config),
            finest: grains.iter().copied().max().unwrap_or(Grain::Ids),
            context: Context { channel, connector, store, clock, config, defences: Defences::default(), holder },
            sweep: None,
            settling: None,
            sizes: Sizes::new(),
            looked: Looked::new(),
            whole_at: None,
            recent_at: None,
            whole_jobs: Vec::new(),
            recent_jobs: Vec::new(),
            status: Arc::new(Mutex::new(status)),
        }
    }

    /// With other defences; for tests that prove that the defences are needed.
    #[must_use]
    pub fn with_defences(mut self, defences: Defences) -> Self {
        self.context.defences = defences;
        self
    }

    /// Tells how it stands, also after the driver has taken the task.
    #[must_use]
    pub fn status(&self) -> Arc<dyn Fn() -> ReconcileStatus + Send + Sync> {
        let status = self.status.clone();
        Arc::new(move || status.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn round(
        &mut self,
        source: &dyn ManifestSource,
        asked: &HashSet<GapId>,
        stopping: &CancellationToken,
    ) -> Result<Ran, ReconcileError> {
        let unrest = Unrest::load(&self.context).await?;
        let letters = open_letters(&self.context).await?;
        let newest = letters.iter().map(|letter| letter.at).max();
        self.plan(source, &unrest, newest).await?;

        let mut findings = Findings::default();
        let mut tour = Tour::new(&self.context, source, stopping);
        let mut outcome = look(&mut tour, &mut self.looked, self.finest).await;
        if outcome.is_ok() {
            outcome = repair_open(&self.context, &self.sizes, asked).await.map(drop);
        }
        let room = unrest.active() < self.context.config.max_active;
        if let (Ok(()), Some(sweep), true) = (&outcome, &mut self.sweep, room) {
            outcome = sweep.advance(&mut tour, &self.ladder, &mut findings).await;
        }
        // Whatever failed, what was found is written down.
        let suspected = suspect(&mut tour, self.sweep.as_mut(), &findings).await;
        self.sizes.extend(findings.sizes);
        let outcome = outcome.and(suspected);

        let done = self.sweep.take_if(|sweep| outcome.is_ok() && sweep.is_done());
        let whole =
            done.as_ref().filter(|sweep| sweep.whole).map(|sweep| (sweep.started_at, sweep.clean && !sweep.doubted));
        tour.save(whole, outcome.is_ok()).await?;
        let unreliable = tour.unreliable.take();
        if let Some(sweep) = done {
            self.finish(sweep).await?;
        }
        outcome?;

        let unrest = Unrest::load(&self.context).await?;
        if let Some(settling) = self.settling.take() {
            self.settling = settle(&self.context, settling, &unrest, &letters).await?;
        }
        self.show(&unrest, whole);
        match unreliable {
            Some(error) => Err(error),
            None => Ok(self.next(&unrest)),
        }
    }

    // Decides what to compare, unless a comparison is under way. A whole one includes the recent past.
    async fn plan(
        &mut self,
        source: &dyn ManifestSource,
        unrest: &Unrest,
        newest_letter: Option<Timestamp>,
    ) -> Result<(), ReconcileError> {
        let config = &self.context.config;
        let now = self.context.now();
        let due = |last: Option<Timestamp>, every| last.is_none_or(|last| now >= later(last, every));
        // A whole comparison that is quiet and late enough would settle the dead letters.
        let letters_due = newest_letter.is_some_and(|at| {
            unrest.is_quiet()
                && self.settling.is_none()
                && now >= later(at, config.second_look_after_ms)
                && due(self.whole_at, config.recent_every_ms)
        });
        let whole = due(self.whole_at, config.whole_every_ms) || !self.whole_jobs.is_empty() || letters_due;
        let recent = due(self.recent_at, config.recent_every_ms) || !self.recent_jobs.is_empty();
        if self.sweep.is_some() || !(whole || recent) {
            return Ok(());
        }
        let span = if whole { self.whole_span(source).await? } else { self.recent_span() };
        let mut sweep = Sweep::new(&self.ladder, source.datasets(), span, whole, now);
        sweep.jobs = std::mem::take(&mut self.recent_jobs);
        if whole {
            sweep.jobs.append(&mut self.whole_jobs);
            self.whole_at = Some(now);
        }
        self.recent_at = Some(now);
        self.sweep = Some(sweep);
        Ok(())
    }

    async fn whole_span(&self, source: &dyn ManifestSource) -> Result<Window, ReconcileError> {
        let config = &self.context.config;
        let held = self.context.store.span(&self.context.channel).await?;
        let start = [source.since(), held.map(|held| held.start)].into_iter().flatten();
        let start = start.fold(Moment::On(config.since).start(), Timestamp::min);
        let end = held.map_or(Timestamp::MIN, |held| later(held.end, 1_000));
        Ok(Window::new(start, end.max(Moment::On(config.until).start())))
    }

    fn recent_span(&self) -> Window {
        let now = self.context.now();
        let start = Grain::Day.bucket(earlier(now, self.context.config.recent_span_ms)).start;
        Window::new(start, Grain::Day.bucket(now).end)
    }

    async fn finish(&mut self, sweep: Sweep) -> Result<(), ReconcileError> {
        let kind = if sweep.whole { "whole" } else { "recent" };
        let channel = self.context.channel.to_string();
        metrics::counter!("gateway_reconcile_comparisons_total", "channel" => channel, "kind" => kind).increment(1);
        if sweep.whole {
            self.settling = Settling::of(&sweep);
        }
        if !sweep.jobs.is_empty() {
            self.context.store.finish_jobs(&sweep.jobs).await?;
        }
        Ok(())
    }

    // Takes jobs over: comparisons run as soon as the present one is done, gaps are repaired in this round.
    async fn take_jobs(&mut self) -> Result<(HashSet<GapId>, Vec<(JobId, u64)>), ReconcileError> {
        let now = self.context.now();
        let until = later(now, CLAIM_MS);
        let jobs = self.context.store.claim_jobs(JobKind::Reconcile, &self.context.channel, now, until, 100).await?;
        let (mut gaps, mut gap_jobs) = (HashSet::new(), Vec::new());
        for job in jobs {
            let done = (job.id, job.requested);
            let gap = job.subject.strip_prefix("gap ").and_then(|id| id.trim().parse().ok()).map(GapId);
            match (job.subject.as_str(), gap) {
                ("whole", _) => add(&mut self.whole_jobs, done),
                ("recent", _) => add(&mut self.recent_jobs, done),
                (_, Some(gap)) => {
                    gaps.insert(gap);
                    gap_jobs.push(done);
                }
                (other, None) => {
                    tracing::warn!(channel = %self.context.channel, subject = other, "a job that nobody understands is dropped");
                    gap_jobs.push(done);
                }
            }
        }
        Ok((gaps, gap_jobs))
    }

    fn show(&self, unrest: &Unrest, whole: Option<(Timestamp, bool)>) {
        let channel = &self.context.channel;
        let gauge = |state: &'static str, value: usize| {
            metrics::gauge!("gateway_reconcile_gaps", "channel" => channel.to_string(), "state" => state)
                .set(value as f64);
        };
        gauge("suspected", unrest.suspected.len());
        gauge("open", unrest.open);
        gauge("repairing", unrest.repairing);
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.suspected = unrest.suspected.len();
        status.open = unrest.open;
        status.repairing = unrest.repairing;
        if let Some((at, in_step)) = whole {
            status.whole_at = Some(at);
            status.whole_in_step = Some(in_step);
        }
    }

    fn next(&self, unrest: &Unrest) -> Ran {
        let config = &self.context.config;
        if self.sweep.is_some() && unrest.active() < config.max_active {
            return Ran::Busy;
        }
        let now = self.context.now();
        let wait = |last: Option<Timestamp>, every| {
            let due = last.map_or(now, |last| later(last, every));
            u64::try_from(due.as_millisecond() - now.as_millisecond()).unwrap_or(0)
        };
        let recent = wait(self.recent_at, config.recent_every_ms);
        let whole = wait(self.whole_at, config.whole_every_ms);
        Ran::After(Duration::from_millis(recent.min(whole).clamp(10, IDLE_MS)))
    }
}

fn add(jobs: &mut Vec<(JobId, u64)>, job: (JobId, u64)) {
    jobs.retain(|(id, _)| *id != job.0);
    jobs.push(job);
}

#[async_trait]
impl Task for Reconciler {
    fn name(&self) -> String {
        self.context.lease_name()
    }

    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError> {
        let connector = self.context.connector.clone();
        let Some(source) = connector.manifest_source() else { return Ok(Ran::Idle) };
        if self.context.hold().await?.is_none() {
            // Another replica does it; it may end at any time.
            return Ok(Ran::After(Duration::from_millis(self.context.config.lease_ms / 4)));
        }
        let (asked, jobs) = self.take_jobs().await?;
        let ran = self.round(source, &asked, &round.stopping).await;
        if !jobs.is_empty() {
            self.context.store.finish_jobs(&jobs).await.map_err(ReconcileError::from)?;
        }
        Ok(ran?)
    }
}
