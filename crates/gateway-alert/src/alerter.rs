//! The task that looks, and decides who has to be told.
//!
//! One process does it, under the lease `alert`. A round runs every check, follows the incidents, and writes both the incidents and what is owed to
//! the notifiers in one transaction: a kill at any line leaves either the round before or this one, never an incident that nobody will be told of.

use crate::finding::{Check, Finding};
use crate::life::{Cause, Found, Seen, follow};
use crate::policy::Policy;
use crate::tell::{Around, tell};
use crate::{AlertConfig, CHECK_FAILED, HEARTBEAT, NOTIFIER_FAILING};
use async_trait::async_trait;
use gateway_model::{Clock, IncidentState, Severity, Timestamp};
use gateway_runtime::{Ran, Round, Schedule, Task, TaskError};
use gateway_store::{AlertRound, AlertState, IncidentRow, LeaseKeeper, NotifierRow, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const LEASE: &str = "alert";
/// What one check may find at once. More is no longer read by anybody, and says that something larger is wrong.
const MOST_FINDINGS: usize = 500;
/// What a subject or a fact may be long, in characters.
const LONGEST: usize = 300;
/// A notifier that failed so often, for so long, is an incident.
const FAILING_ATTEMPTS: u64 = 3;
const FAILING_MS: u64 = 30_000;
/// Between two sweeps of what is kept no longer.
const SWEEP_MS: u64 = 3_600_000;

/// Looks, and decides who has to be told.
pub struct Alerter {
    checks: Vec<Box<dyn Check>>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    config: AlertConfig,
    keeper: LeaseKeeper,
    heartbeat: bool,
    swept_at: Option<Timestamp>,
}

impl Alerter {
    pub(crate) fn new(
        checks: Vec<Box<dyn Check>>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        policy: Policy,
        config: AlertConfig,
        holder: String,
        heartbeat: bool,
    ) -> Self {
        let length = Duration::from_millis(config.lease_ms);
        let keeper = LeaseKeeper::new(store.clone(), clock.clone(), LEASE, holder, length)
            .resting(Duration::from_millis(config.every_ms));
        Self { checks, store, clock, policy, config, keeper, heartbeat, swept_at: None }
    }

    /// When it is due.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule::every(Duration::from_millis(self.config.every_ms))
    }

    async fn round(&mut self) -> Result<Ran, StoreError> {
        let now = self.clock.now();
        let Some(mut lease) = self.keeper.take().await? else {
            // Another replica does it; it may end at any time.
            return Ok(Ran::After(self.keeper.retry_after()));
        };
        let keeper = self.keeper.clone();
        let mut seen = keeper.keep(&mut lease, self.look(now)).await?;
        // The checks may have taken a while.
        let now = self.clock.now();
        let AlertState { incidents, silences, owed, notifiers, next_incident_id } = self.store.alert_state(now).await?;
        self.look_at_notifiers(&notifiers, &mut seen, now);
        let before: BTreeMap<_, _> = incidents.iter().map(|incident| (incident.id, incident.clone())).collect();
        let mut followed = follow(&self.policy, incidents, next_incident_id, seen, now);
        let owed: BTreeSet<_> = owed.into_iter().collect();
        let around = Around { silences: &silences, owed: &owed, now };
        let notifications = tell(&self.policy, &mut followed, &around);
        self.show(&followed.incidents);
        // One that is as it was needs no writing.
        let changed = |incident: &IncidentRow| before.get(&incident.id) != Some(incident);
        let incidents: Vec<_> = followed.incidents.into_iter().filter(changed).collect();
        for incident in incidents.iter().filter(|incident| is_news(incident, before.get(&incident.id))) {
            let channel = incident.channel.as_ref().map_or("", |channel| channel.as_str());
            let (code, state) = (incident.code.as_str(), incident.state);
            tracing::warn!(incident = incident.id.0, code, channel, subject = incident.subject, %state, "incident");
        }
        let round = AlertRound { incidents, forgotten: followed.forgotten, notifications };
        if round != AlertRound::default() {
            self.store.save_alert_round(&round, &lease).await?;
        }
        self.sweep(now).await?;
        Ok(Ran::Idle)
    }

    async fn look(&mut self, now: Timestamp) -> Seen {
        let mut seen = Seen::default();
        let patience = Duration::from_millis(self.config.check_timeout_ms);
        for check in &mut self.checks {
            let name = check.name();
            let mut findings = match tokio::time::timeout(patience, check.look(now)).await {
                Ok(Ok(findings)) => findings,
                Ok(Err(error)) => {
                    let text = TaskError::new(CHECK_FAILED, &error).text;
                    blind(&mut seen, name, &text, now);
                    continue;
                }
                Err(_) => {
                    blind(&mut seen, name, &format!("no answer within {} ms", patience.as_millis()), now);
                    continue;
                }
            };
            if findings.len() > MOST_FINDINGS {
                blind(&mut seen, name, &format!("{} findings at once, {MOST_FINDINGS} are read", findings.len()), now);
                findings.truncate(MOST_FINDINGS);
            }
            for finding in findings {
                take(&mut seen, name, finding);
            }
        }
        seen
    }

    fn look_at_notifiers(&self, notifiers: &[NotifierRow], seen: &mut Seen, now: Timestamp) {
        for notifier in notifiers {
            let ours = self.policy.notifiers.contains(&notifier.id) || (self.heartbeat && notifier.id == HEARTBEAT);
            let Some(since) = notifier.failing_since.filter(|_| ours) else { continue };
            if notifier.failures < FAILING_ATTEMPTS || !crate::life::passed(since, FAILING_MS, now) {
                continue;
            }
            let finding = Finding {
                code: NOTIFIER_FAILING,
                channel: None,
                subject: notifier.id.clone(),
                severity: Severity::Critical,
                count: notifier.failures,
                since,
                facts: [("error".into(), notifier.error.clone().unwrap_or_default())].into(),
            };
            take(seen, "notifiers", finding);
        }
    }

    async fn sweep(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.swept_at.is_some_and(|at| !crate::life::passed(at, SWEEP_MS, now)) {
            return Ok(());
        }
        let kept = i64::from(self.config.keep_days).saturating_mul(86_400_000);
        let before = Timestamp::from_millisecond(now.as_millisecond().saturating_sub(kept)).unwrap_or(Timestamp::MIN);
        self.store.drop_ended_alerts(before).await?;
        self.swept_at = Some(now);
        Ok(())
    }

    fn show(&self, incidents: &[IncidentRow]) {
        for severity in Severity::ALL {
            let open = |incident: &&IncidentRow| {
                incident.state == IncidentState::Open && crate::policy::effective(incident) == *severity
            };
            let count = incidents.iter().filter(open).count();
            metrics::gauge!("gateway_incidents_open", "severity" => severity.as_str()).set(count as f64);
        }
    }
}

fn is_news(incident: &IncidentRow, before: Option<&IncidentRow>) -> bool {
    incident.state != IncidentState::Suspected && before.is_none_or(|before| before.state != incident.state)
}

// A check that can't look is itself a finding, and what it found before stays.
fn blind(seen: &mut Seen, name: &'static str, error: &str, now: Timestamp) {
    seen.blind.insert(name.to_owned());
    let finding = Finding {
        code: CHECK_FAILED,
        channel: None,
        subject: name.to_owned(),
        severity: Severity::Warning,
        count: 1,
        since: now,
        facts: [("error".into(), error.to_owned())].into(),
    };
    take(seen, "checks", finding);
}

// Of two findings of one cause in one round, the worse counts.
fn take(seen: &mut Seen, by: &str, finding: Finding) {
    let cause = Cause { code: finding.code.to_owned(), channel: finding.channel, subject: clip(finding.subject) };
    let facts = finding.facts.into_iter().map(|(name, value)| (name.into_owned(), clip(value))).collect();
    let found =
        Found { by: by.to_owned(), severity: finding.severity, count: finding.count, since: finding.since, facts };
    match seen.found.get(&cause) {
        Some(known) if known.severity >= found.severity => {}
        _ => {
            seen.found.insert(cause, found);
        }
    }
}

fn clip(text: String) -> String {
    let clean = |character: char| if character.is_control() { ' ' } else { character };
    text.chars().take(LONGEST).map(clean).collect()
}

pub(crate) fn add(at: Timestamp, ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(at.as_millisecond().saturating_add(ms)).unwrap_or(Timestamp::MAX)
}

pub(crate) fn task_error(error: &StoreError) -> TaskError {
    let code = match error {
        StoreError::Unavailable(_) => "store_unavailable",
        StoreError::LeaseLost { .. } => "lease_lost",
        _ => "store",
    };
    TaskError::new(code, error)
}

#[async_trait]
impl Task for Alerter {
    fn name(&self) -> String {
        LEASE.into()
    }

    async fn run(&mut self, _round: &Round) -> Result<Ran, TaskError> {
        self.round().await.map_err(|error| task_error(&error))
    }
}
