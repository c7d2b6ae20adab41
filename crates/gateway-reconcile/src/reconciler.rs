//! The task: which comparison is due, and one round of it.
//!
//! A round looks first (second looks, verification), repairs, then compares on, and writes down what it found whatever happened. A channel is
//! reconciled by one replica at a time, under the lease `reconcile/<channel>`.

use crate::asked::{AskedRepairs, GroupRepairs};
use crate::config::{Defences, ReconcileConfig, later};
use crate::descend::Ladder;
use crate::error::ReconcileError;
use crate::look::{Looked, look};
use crate::memory::Memory;
use crate::plan::{self, Wants};
use crate::repair::repair_open;
use crate::settle::{Settling, Unrest, newest_letter, settle};
use crate::status::ReconcileStatus;
use crate::suspect::suspect;
use crate::sweep::{Findings, Scope, Sweep};
use crate::tour::{Context, IDLE_MS, Tour};
use async_trait::async_trait;
use gateway_connector::{Connector, ManifestSource};
use gateway_model::{ChannelId, Clock, Dataset, GapGroupId, GapId, Grain, JobId, Moment, Timestamp, Window};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{Comparison, ComparisonKind, JobKind, LeaseGrant, ReconcileRound, Store, StoreError};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const CLAIM_MS: u64 = 600_000;

/// Reconciles one channel.
pub struct Reconciler {
    context: Context,
    ladder: Ladder,
    finest: Grain,
    /// What is remembered, with the epoch of the lease under which it was loaded.
    memory: Option<(u64, Memory)>,
    /// Comparisons under way, the one that goes first in front.
    under_way: Vec<Sweep>,
    settling: Option<Settling>,
    looked: Looked,
    /// Jobs that wait for a comparison: whole ones, recent ones.
    whole_jobs: Vec<(JobId, u64)>,
    recent_jobs: Vec<(JobId, u64)>,
    group_repairs: GroupRepairs,
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
            context: Context::new(channel, connector, store, clock, config, holder),
            memory: None,
            under_way: Vec::new(),
            settling: None,
            looked: Looked::default(),
            whole_jobs: Vec::new(),
            recent_jobs: Vec::new(),
            group_repairs: GroupRepairs::default(),
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
        lease: &LeaseGrant,
        asked: &Asked,
        stopping: &CancellationToken,
    ) -> Result<Ran, ReconcileError> {
        let mut memory = self.remember(lease).await?;
        let before = memory.clone();
        // What others wrote since the last round is seen now.
        self.context.gaps.changed();
        let unrest = Unrest::of(&self.context.active_gaps().await?);
        memory.lateness.observe(&self.context).await?;
        self.plan(source, &mut memory, asked, &unrest).await?;

        let mut findings = Findings::default();
        let mut tour = Tour::new(&self.context, &mut memory, source, lease.clone(), stopping);
        let mut outcome = look(&mut tour, &mut self.looked, self.finest).await;
        if outcome.is_ok() {
            if tour.calls > 0 {
                // While the channel was asked, a person may have decided on some.
                self.context.gaps.changed();
            }
            let mut repairs = AskedRepairs { gaps: &asked.gaps, groups: &mut self.group_repairs };
            outcome = repair_open(&self.context, tour.memory, &mut repairs).await.map(drop);
        }
        let (calls, bytes) = (tour.calls, tour.bytes);
        if outcome.is_ok() && unrest.active() < self.context.config.max_active {
            for sweep in &mut self.under_way {
                outcome = sweep.advance(&mut tour, &self.ladder, &mut findings).await;
                if outcome.is_err() || !sweep.is_done() {
                    break;
                }
            }
        }
        // Whatever failed, what was found is written down, and only then what remains of the comparisons.
        let suspected = suspect(&mut tour, &mut self.under_way, &findings).await;
        let written = suspected.is_ok();
        let outcome = outcome.and(suspected);
        let allowance_ms = tour.allowance_ms();
        let (accounts, vanished) = (std::mem::take(&mut tour.accounts), tour.vanished);
        self.looked.agree(std::mem::take(&mut tour.agreed));
        if !written {
            // What the steps found is not written down: they are taken again.
            self.under_way = before.under_way.iter().map(Sweep::resume).collect();
            return outcome.map(|()| Ran::Busy);
        }
        let ended = self.take_ended(&mut memory);
        memory.under_way = self.under_way.iter().map(Sweep::saved).collect();
        memory.allowance_ms = allowance_ms;
        let looked = self.looks(calls, bytes, vanished);
        let round = ReconcileRound {
            channel: self.context.channel.clone(),
            accounts,
            comparisons: looked.into_iter().chain(ended.iter().map(|ended| ended.comparison.clone())).collect(),
            checkpoint: if memory == before { None } else { Some(memory.saved()?) },
            at: self.context.now(),
        };
        let nothing = round.accounts.is_empty() && round.comparisons.is_empty() && round.checkpoint.is_none();
        if !nothing && let Err(error) = self.context.store.save_reconcile_round(&round, lease).await {
            // Nothing of it is written down: the steps are taken again.
            self.under_way = before.under_way.iter().map(Sweep::resume).collect();
            return Err(error.into());
        }
        self.memory = Some((lease.epoch, memory));
        self.end(&ended).await?;
        outcome?;

        let unrest = Unrest::of(&self.context.active_gaps().await?);
        if let Some(settling) = self.settling.take() {
            self.settling = settle(&self.context, settling, &unrest, allowance_ms).await?;
        }
        self.show(&unrest, allowance_ms, &ended);
        Ok(self.next(&unrest))
    }

    // What is remembered; loaded anew when another replica has been at it.
    async fn remember(&mut self, lease: &LeaseGrant) -> Result<Memory, ReconcileError> {
        if let Some((epoch, memory)) = &self.memory
            && *epoch == lease.epoch
        {
            return Ok(memory.clone());
        }
        let memory = Memory::load(&self.context).await?;
        self.context.may_have_stops.store(true, Ordering::Relaxed);
        self.under_way = memory.under_way.iter().map(Sweep::resume).collect();
        self.memory = Some((lease.epoch, memory.clone()));
        Ok(memory)
    }

    // Decides what to compare.
    async fn plan(
        &mut self,
        source: &dyn ManifestSource,
        memory: &mut Memory,
        asked: &Asked,
        unrest: &Unrest,
    ) -> Result<(), ReconcileError> {
        let config = &self.context.config;
        let now = self.context.now();
        let polled = self.context.store.checkpoint_saved_at(&self.context.channel, "poll").await?;
        memory.polled(polled, now, config);
        if memory.spending.rests_until(now, config).is_some() {
            // Silence that we chose is no outage.
            memory.answered_at = memory.answered_at.map(|_| now);
        }
        let due = |last: Option<Timestamp>, every| last.is_none_or(|last| now >= later(last, every));
        // A whole comparison that is quiet and late enough would settle the dead letters.
        let mut letters_due = false;
        if unrest.is_quiet() && self.settling.is_none() && due(memory.whole_at, config.recent_every_ms) {
            let newest = newest_letter(&self.context).await?;
            letters_due = newest.is_some_and(|at| now >= later(at, memory.allowance_ms(config)));
        }
        let wants = Wants { whole: letters_due || !self.whole_jobs.is_empty(), recent: !self.recent_jobs.is_empty() };
        let under_way: Vec<Scope> = self.under_way.iter().map(|sweep| sweep.scope).collect();
        for scope in plan::due(config, memory, &under_way, wants, now) {
            let span = match scope {
                Scope::Asked => continue,
                Scope::Outage => memory.outage.unwrap_or_else(|| plan::back(config.recent_span_ms, now)),
                Scope::Recent => plan::back(config.recent_span_ms, now),
                Scope::Older(reach) => plan::back(reach, now),
                Scope::Whole => self.whole_span(source).await?,
            };
            let mut sweep = Sweep::new(&self.ladder, source.datasets(), span, scope, now);
            if scope != Scope::Outage {
                sweep.jobs.append(&mut self.recent_jobs);
            }
            if scope == Scope::Whole {
                sweep.jobs.append(&mut self.whole_jobs);
            }
            plan::begun(config, memory, scope, now);
            self.under_way.push(sweep);
        }
        for (job, dataset, span) in &asked.windows {
            let datasets = dataset.map_or_else(|| source.datasets().to_vec(), |dataset| vec![dataset]);
            let mut sweep = Sweep::new(&self.ladder, &datasets, *span, Scope::Asked, now);
            sweep.jobs.push(*job);
            self.under_way.push(sweep);
        }
        self.under_way.sort_by_key(|sweep| sweep.scope);
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

    // What looks cost and cleared; what comparisons cost is written down with them.
    fn looks(&self, calls: u64, bytes: u64, vanished: u64) -> Option<Comparison> {
        let now = self.context.now();
        (calls > 0 || vanished > 0).then(|| Comparison {
            channel: self.context.channel.clone(),
            started_at: now,
            ended_at: now,
            kind: ComparisonKind::Look,
            in_step: false,
            calls,
            bytes,
            vanished,
        })
    }

    // Takes the comparisons that are done out of those under way.
    fn take_ended(&mut self, memory: &mut Memory) -> Vec<Ended> {
        let mut ended = Vec::new();
        while let Some(at) = self.under_way.iter().position(Sweep::is_done) {
            let sweep = self.under_way.remove(at);
            if sweep.scope == Scope::Whole {
                memory.sizes.clone_from(&sweep.sizes);
            }
            let comparison = Comparison {
                channel: self.context.channel.clone(),
                started_at: sweep.started_at,
                ended_at: self.context.now(),
                kind: sweep.scope.kind(),
                in_step: sweep.clean && !sweep.doubted,
                calls: sweep.calls,
                bytes: sweep.bytes,
                vanished: 0,
            };
            ended.push(Ended { comparison, sweep });
        }
        ended
    }

    // What follows from comparisons that are written down.
    async fn end(&mut self, ended: &[Ended]) -> Result<(), ReconcileError> {
        let mut jobs = Vec::new();
        for Ended { comparison, sweep } in ended {
            let channel = self.context.channel.to_string();
            metrics::counter!("gateway_reconcile_comparisons_total", "channel" => channel, "kind" => comparison.kind.as_str())
                .increment(1);
            if sweep.scope == Scope::Whole {
                self.settling = Settling::of(sweep);
            }
            jobs.extend(&sweep.jobs);
        }
        if !jobs.is_empty() {
            self.context.writer().finish_jobs(&jobs).await?;
        }
        Ok(())
    }

    // Takes jobs over: comparisons run as soon as the present one is done, gaps are repaired in this round.
    async fn take_jobs(&mut self) -> Result<Asked, ReconcileError> {
        let now = self.context.now();
        let until = later(now, CLAIM_MS);
        let jobs = self.context.writer().claim_jobs(JobKind::Reconcile, &self.context.channel, now, until, 100).await?;
        let mut asked = Asked::default();
        for job in jobs {
            let done = (job.id, job.requested);
            let gap = job.subject.strip_prefix("gap ").and_then(|id| id.trim().parse().ok()).map(GapId);
            let window = job.subject.strip_prefix("window ").and_then(read_window);
            let group = job.subject.strip_prefix("group ").and_then(|id| id.trim().parse().ok()).map(GapGroupId);
            if let Some(group) = group {
                self.group_repairs.take(group, done);
                continue;
            }
            match (job.subject.as_str(), gap, window) {
                ("whole", ..) => add(&mut self.whole_jobs, done),
                ("recent", ..) => add(&mut self.recent_jobs, done),
                (_, Some(gap), _) => {
                    asked.gaps.insert(gap);
                    asked.done.push(done);
                }
                (_, None, Some((dataset, window))) => {
                    let known = |sweep: &Sweep| sweep.jobs.iter().any(|(id, _)| *id == done.0);
                    if !self.under_way.iter().any(known) {
                        asked.windows.push((done, dataset, window));
                    }
                }
                (other, None, None) => {
                    tracing::warn!(channel = %self.context.channel, subject = other, "a job that nobody understands is dropped");
                    asked.done.push(done);
                }
            }
        }
        Ok(asked)
    }

    fn show(&self, unrest: &Unrest, allowance_ms: u64, ended: &[Ended]) {
        let channel = &self.context.channel;
        let gauge = |state: &'static str, value: usize| {
            metrics::gauge!("gateway_reconcile_gaps", "channel" => channel.to_string(), "state" => state)
                .set(value as f64);
        };
        gauge("suspected", unrest.suspected.len());
        gauge("open", unrest.open);
        gauge("repairing", unrest.repairing);
        metrics::gauge!("gateway_reconcile_allowance_seconds", "channel" => channel.to_string())
            .set(allowance_ms as f64 / 1_000.0);
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.suspected = unrest.suspected.len();
        status.open = unrest.open;
        status.repairing = unrest.repairing;
        status.allowance_ms = allowance_ms;
        if let Some(whole) = ended.iter().map(|ended| &ended.comparison).rfind(|one| one.kind == ComparisonKind::Whole)
        {
            status.whole_at = Some(whole.started_at);
            status.whole_in_step = Some(whole.in_step);
        }
    }

    fn next(&self, unrest: &Unrest) -> Ran {
        let config = &self.context.config;
        let now = self.context.now();
        let memory = self.memory.as_ref().map(|(_, memory)| memory);
        let rests = memory.and_then(|memory| memory.spending.rests_until(now, config));
        if !self.under_way.is_empty() && unrest.active() < config.max_active && rests.is_none() {
            return Ran::Busy;
        }
        let due = memory.map_or(now, |memory| plan::next_at(config, memory, now));
        let wait = u64::try_from(due.as_millisecond() - now.as_millisecond()).unwrap_or(0);
        Ran::After(Duration::from_millis(wait.clamp(10, IDLE_MS)))
    }
}

/// A comparison that is done.
struct Ended {
    comparison: Comparison,
    sweep: Sweep,
}

/// What jobs ask for in this round.
#[derive(Default)]
struct Asked {
    gaps: HashSet<GapId>,
    windows: Vec<((JobId, u64), Option<Dataset>, Window)>,
    done: Vec<(JobId, u64)>,
}

// `<dataset or all> <start> <end>`
fn read_window(text: &str) -> Option<(Option<Dataset>, Window)> {
    let mut words = text.split_whitespace();
    let dataset = match words.next()? {
        "all" => None,
        word => Some(word.parse().ok()?),
    };
    let (start, end): (Timestamp, Timestamp) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (start < end && words.next().is_none()).then_some((dataset, Window::new(start, end)))
}

fn add(jobs: &mut Vec<(JobId, u64)>, job: (JobId, u64)) {
    jobs.retain(|(id, _)| *id != job.0);
    jobs.push(job);
}

#[async_trait]
impl Task for Reconciler {
    fn name(&self) -> String {
        self.context.keeper.name().to_owned()
    }

    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError> {
        let connector = self.context.connector.clone();
        let Some(source) = connector.manifest_source() else { return Ok(Ran::Idle) };
        let Some(lease) = self.context.hold().await? else {
            // Another replica does it; it may end at any time.
            return Ok(Ran::After(self.context.keeper.retry_after()));
        };
        let asked = self.take_jobs().await?;
        let ran = self.round(source, &lease, &asked, &round.stopping).await;
        if ran.is_err() {
            self.context.doubt_lease();
        }
        if matches!(ran, Err(ReconcileError::Store(StoreError::LeaseLost { .. }))) {
            // What was asked for is its next holder's to do, when the claims run out.
            return Ok(ran?);
        }
        let mut done = self.group_repairs.take_done();
        if ran.is_ok() {
            // A round that failed may have come to nothing of it: it is done when the claims run out.
            done.extend(asked.done);
        }
        if !done.is_empty() {
            self.context.writer().finish_jobs(&done).await.map_err(ReconcileError::from)?;
        }
        Ok(ran?)
    }
}
