//! Incidents, notifications, silences, notifiers.

use gateway_model::{
    ChannelId, IncidentId, IncidentState, News, NotificationId, NotificationState, Severity, SilenceId, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a notifier was told of an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When last; `None` when nothing was told yet, or not since a silence.
    pub at: Option<Timestamp>,
    /// When first, or first after a silence: from then on it can be said to ignore the incident.
    pub first_at: Option<Timestamp>,
    /// The severity that it was told with last; `None` when nothing was told yet.
    pub severity: Option<Severity>,
    /// The escalation that it was told of.
    pub escalation: u32,
    /// Something is held back by quiet hours.
    pub held: bool,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRow {
    /// Its id.
    pub id: IncidentId,
    /// The check that found it.
    pub found_by: String,
    /// What is wrong.
    pub code: String,
    /// About which channel.
    pub channel: Option<ChannelId>,
    /// About what exactly.
    pub subject: String,
    /// Where it stands.
    pub state: IncidentState,
    /// How much it matters: the highest that was found while it lasts.
    pub severity: Severity,
    /// How many, at the last look.
    pub count: u64,
    /// Values that its text names.
    pub facts: BTreeMap<String, String>,
    /// Since when the trouble is there.
    pub since: Timestamp,
    /// When a check first found it.
    pub first_seen_at: Timestamp,
    /// When a check last found it.
    pub last_seen_at: Timestamp,
    /// Since when it is not found, while that is not long enough.
    pub absent_since: Option<Timestamp>,
    /// When it opened.
    pub opened_at: Option<Timestamp>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// How often it was escalated, for want of an acknowledgement.
    pub escalation: u32,
    /// When last.
    pub escalated_at: Option<Timestamp>,
    /// What each notifier was told.
    pub told: BTreeMap<String, Told>,
    /// Somebody has still to be told of its end.
    pub unsettled: bool,
    /// When a person acknowledged it. Not written by [`AlertStore::save_alert_round`](crate::AlertStore::save_alert_round).
    pub acknowledged_at: Option<Timestamp>,
    /// Who.
    pub acknowledged_by: Option<String>,
}

/// An incident as a notification tells of it: what was true when the notification was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationItem {
    /// The incident.
    pub incident_id: IncidentId,
    /// What is new.
    pub news: News,
    /// What is wrong.
    pub code: String,
    /// About which channel.
    pub channel: Option<ChannelId>,
    /// About what exactly.
    pub subject: String,
    /// How much it matters, escalation included.
    pub severity: Severity,
    /// How many.
    pub count: u64,
    /// Since when.
    pub since: Timestamp,
    /// When the incident opened.
    pub opened_at: Timestamp,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// Values that its text names.
    pub facts: BTreeMap<String, String>,
    /// Who acknowledged it.
    pub acknowledged_by: Option<String>,
}

/// A notification to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotification {
    /// By which a receiver recognizes a repeat; unique.
    pub key: String,
    /// Through which notifier.
    pub notifier: String,
    /// Whether it tells what quiet hours held back.
    pub summary: bool,
    /// What it tells.
    pub items: Vec<NotificationItem>,
    /// When it was written; due from then on.
    pub at: Timestamp,
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationRow {
    /// Its id.
    pub id: NotificationId,
    /// By which a receiver recognizes a repeat.
    pub key: String,
    /// Through which notifier.
    pub notifier: String,
    /// Whether it tells what quiet hours held back.
    pub summary: bool,
    /// What it tells.
    pub items: Vec<NotificationItem>,
    /// Where it stands.
    pub state: NotificationState,
    /// When it was written.
    pub created_at: Timestamp,
    /// When the next attempt is due, while owed.
    pub due_at: Timestamp,
    /// Attempts that ended.
    pub attempts: u32,
    /// Why the last one failed.
    pub error: Option<String>,
    /// When it was sent or abandoned.
    pub ended_at: Option<Timestamp>,
}

/// A silence to write. What is `None` matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSilence {
    /// Incidents with this code.
    pub code: Option<String>,
    /// Incidents of this channel.
    pub channel: Option<ChannelId>,
    /// Incidents with this subject.
    pub subject: Option<String>,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub by: String,
    /// When it was made.
    pub at: Timestamp,
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilenceRow {
    /// Its id.
    pub id: SilenceId,
    /// What was asked for.
    pub silence: NewSilence,
    /// Who ended it early.
    pub ended_by: Option<String>,
}

impl SilenceRow {
    /// Whether it silences such an incident at that time.
    #[must_use]
    pub fn covers(&self, code: &str, channel: Option<&ChannelId>, subject: &str, at: Timestamp) -> bool {
        let silence = &self.silence;
        silence.starts_at <= at
            && at < silence.ends_at
            && silence.code.as_ref().is_none_or(|wanted| wanted == code)
            && silence.channel.as_ref().is_none_or(|wanted| Some(wanted) == channel)
            && silence.subject.as_ref().is_none_or(|wanted| wanted == subject)
    }
}

/// How a notifier, or the heartbeat, fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifierRow {
    /// Its id.
    pub id: String,
    /// When it last took something.
    pub sent_at: Option<Timestamp>,
    /// Since when it fails.
    pub failing_since: Option<Timestamp>,
    /// Attempts that failed since.
    pub failures: u64,
    /// Why the last one failed.
    pub error: Option<String>,
}

/// What a round of the alerter begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertState {
    /// Incidents that last, or whose end has still to be told, ascending by id.
    pub incidents: Vec<IncidentRow>,
    /// Silences that have not ended.
    pub silences: Vec<SilenceRow>,
    /// Which notifier has still to be told something that is written already of which incident.
    pub owed: Vec<(String, IncidentId)>,
    /// How the notifiers fare.
    pub notifiers: Vec<NotifierRow>,
    /// The id of the next new incident.
    pub next_incident_id: IncidentId,
}

/// What a round of the alerter ends with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertRound {
    /// New and changed incidents.
    pub incidents: Vec<IncidentRow>,
    /// Suspected ones that were not found again.
    pub forgotten: Vec<IncidentId>,
    /// What is owed to whom.
    pub notifications: Vec<NewNotification>,
}

/// Which incidents to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Of this channel.
    pub channel: Option<ChannelId>,
    /// With this code.
    pub code: Option<String>,
    /// In this state.
    pub state: Option<IncidentState>,
    /// With an id above.
    pub after: Option<IncidentId>,
}
