//! The task that sends what one notifier is owed.
//!
//! In order, the oldest first: a notifier hears of the end after it heard of the beginning. An attempt that failed is made again with growing
//! waits; what was sent and not yet marked when the process died is sent again under the same key.

use crate::alerter::{add, task_error};
use crate::notice::Writer;
use crate::notifiers::{Notifier, SendError};
use crate::tell::item;
use async_trait::async_trait;
use gateway_model::{Clock, IncidentState, News, NotificationId, NotificationState, Timestamp};
use gateway_runtime::{Ran, Round, Schedule, Task, TaskError};
use gateway_store::{LeaseGrant, LeaseKeeper, NotificationRow, Store, StoreError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Renewed at a third of it while a notice is on its way.
const LEASE: Duration = Duration::from_secs(8);
const BATCH: u32 = 20;
const FIRST_WAIT_MS: u64 = 2_000;
const LONGEST_WAIT_MS: u64 = 300_000;
const MINUTE_MS: u64 = 60_000;
/// How often the store is asked for what is owed.
const EVERY: Duration = Duration::from_secs(1);

/// Sends what one notifier is owed.
pub struct Sender {
    id: String,
    notifier: Arc<dyn Notifier>,
    writer: Writer,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    keeper: LeaseKeeper,
    give_up_after_ms: u64,
    /// When the last ones were sent, for receivers that count.
    sent: VecDeque<Timestamp>,
    refreshed_at: Option<Timestamp>,
}

/// What every sender works with.
#[derive(Clone)]
pub(crate) struct SenderParts {
    pub(crate) writer: Writer,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) holder: String,
    pub(crate) give_up_after_ms: u64,
}

impl Sender {
    pub(crate) fn new(id: String, notifier: Arc<dyn Notifier>, parts: SenderParts) -> Self {
        let SenderParts { writer, store, clock, holder, give_up_after_ms } = parts;
        let keeper = LeaseKeeper::new(store.clone(), clock.clone(), format!("notify/{id}"), holder, LEASE);
        Self { id, notifier, writer, store, clock, keeper, give_up_after_ms, sent: VecDeque::new(), refreshed_at: None }
    }

    /// When it is due.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule::every(EVERY)
    }

    async fn round(&mut self, round: &Round) -> Result<Ran, StoreError> {
        let now = self.clock.now();
        // Looking is cheap and writes nothing; the lease is taken only where there is something to do.
        let owed = self.store.owed_notifications(&self.id, 1).await?;
        let refresh = self.refresh_due(now);
        if !refresh && owed.first().is_none_or(|first| first.due_at > now) {
            return Ok(Ran::Idle);
        }
        // Of several processes one sends.
        let Some(mut lease) = self.keeper.take().await? else {
            return Ok(Ran::After(self.keeper.retry_after()));
        };
        // Under the lease, what another process sent meanwhile is owed no more.
        for row in self.store.owed_notifications(&self.id, BATCH).await? {
            let now = self.clock.now();
            if round.stopping.is_cancelled() || row.due_at > now {
                break;
            }
            if let Some(wait) = self.full(now) {
                return Ok(Ran::After(wait));
            }
            if !self.send(&row, &mut lease).await? {
                break;
            }
        }
        if refresh && !round.stopping.is_cancelled() {
            self.refresh(&mut lease).await?;
        }
        Ok(Ran::Idle)
    }

    /// One attempt; whether the next one in order may follow.
    async fn send(&mut self, row: &NotificationRow, lease: &mut LeaseGrant) -> Result<bool, StoreError> {
        let now = self.clock.now();
        self.sent.push_back(now);
        let notice = self.writer.write(row, now);
        let sent = self.keeper.keep(lease, self.notifier.send(&notice, now)).await?;
        let now = self.clock.now();
        self.note(sent.as_ref().err(), now).await?;
        let Err(error) = sent else {
            self.store.end_notification(row.id, NotificationState::Sent, None, now).await?;
            return Ok(true);
        };
        let text = error.to_string();
        tracing::warn!(notifier = self.id, notification = row.id.0, attempts = row.attempts + 1, "{text}");
        if error.is_refusal() && crate::life::passed(row.created_at, self.give_up_after_ms, now) {
            self.store.end_notification(row.id, NotificationState::Abandoned, Some(&text), now).await?;
            return Ok(true);
        }
        let doubled = FIRST_WAIT_MS.saturating_mul(1 << row.attempts.min(20)).min(LONGEST_WAIT_MS);
        let asked = error.retry_after().map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        let wait = doubled.max(asked.min(3_600_000));
        self.store.fail_notification(row.id, &text, add(now, wait)).await?;
        Ok(false)
    }

    fn refresh_due(&self, now: Timestamp) -> bool {
        let Some(every) = self.notifier.refresh_every() else { return false };
        let every = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        self.refreshed_at.is_none_or(|at| crate::life::passed(at, every, now))
    }

    /// Tells a receiver that forgets all that lasts and that it was told of. Not written down: the next refresh tells the same.
    async fn refresh(&mut self, lease: &mut LeaseGrant) -> Result<(), StoreError> {
        let now = self.clock.now();
        let state = self.store.alert_state(now).await?;
        let told = |incident: &&gateway_store::IncidentRow| {
            incident.state == IncidentState::Open
                && incident.told.get(&self.id).is_some_and(|told| told.at.is_some())
                && !state
                    .silences
                    .iter()
                    .any(|silence| silence.covers(&incident.code, incident.channel.as_ref(), &incident.subject, now))
        };
        let items: Vec<_> =
            state.incidents.iter().filter(told).map(|incident| item(incident, News::Lasting, now)).collect();
        let row = NotificationRow {
            id: NotificationId(0),
            key: uuid::Uuid::new_v4().to_string(),
            notifier: self.id.clone(),
            summary: false,
            items,
            state: NotificationState::Owed,
            created_at: now,
            due_at: now,
            attempts: 0,
            error: None,
            ended_at: None,
        };
        let notice = self.writer.write(&row, now);
        let sent = self.keeper.keep(lease, self.notifier.send(&notice, now)).await?;
        self.refreshed_at = Some(self.clock.now());
        if let Err(error) = &sent {
            tracing::warn!(notifier = self.id, "refresh: {error}");
        }
        self.note(sent.as_ref().err(), self.clock.now()).await
    }

    /// Notes how the notifier fares.
    async fn note(&mut self, error: Option<&SendError>, now: Timestamp) -> Result<(), StoreError> {
        let outcome = if error.is_some() { "failed" } else { "sent" };
        metrics::counter!("gateway_notifications_total", "notifier" => self.id.clone(), "outcome" => outcome)
            .increment(1);
        self.store.note_notifier(&self.id, error.map(ToString::to_string).as_deref(), now).await
    }

    /// How long to wait, where the receiver takes no more in this minute.
    fn full(&mut self, now: Timestamp) -> Option<Duration> {
        let most = self.notifier.per_minute()?;
        while self.sent.front().is_some_and(|first| crate::life::passed(*first, MINUTE_MS, now)) {
            self.sent.pop_front();
        }
        let first = self.sent.front().filter(|_| self.sent.len() >= most)?;
        let wait = add(*first, MINUTE_MS).as_millisecond() - now.as_millisecond();
        Some(Duration::from_millis(u64::try_from(wait).unwrap_or(0).max(1)))
    }
}

#[async_trait]
impl Task for Sender {
    fn name(&self) -> String {
        self.keeper.name().to_owned()
    }

    async fn run(&mut self, round: &Round) -> Result<Ran, TaskError> {
        self.round(round).await.map_err(|error| task_error(&error))
    }
}
