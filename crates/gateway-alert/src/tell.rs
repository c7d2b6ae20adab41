//! Who has to be told what now: the first notice, worse news, escalations, repeats, the end; and what waits because of a silence, quiet hours or the
//! group that it goes out with.

use crate::life::{Followed, passed};
use crate::policy::{Policy, Target, effective};
use gateway_model::{ChannelId, IncidentId, IncidentState, News, Severity, Timestamp};
use gateway_store::{IncidentRow, NewNotification, NotificationItem, SilenceRow, Told};
use std::collections::{BTreeMap, BTreeSet};

/// At most so many incidents in one notification; the rest goes into others.
const MOST_ITEMS: usize = 100;

/// One thing that one notifier has to be told.
struct Piece {
    at: usize,
    news: News,
    /// Whether the group must go out now, or waits for more of its kind.
    due: bool,
    notifier: String,
    held: bool,
}

/// What decides besides the policy.
pub(crate) struct Around<'a> {
    pub(crate) silences: &'a [SilenceRow],
    /// What is written already and not sent yet.
    pub(crate) owed: &'a BTreeSet<(String, IncidentId)>,
    pub(crate) now: Timestamp,
}

/// Decides what goes out, and notes on the incidents what was told.
pub(crate) fn tell(policy: &Policy, followed: &mut Followed, around: &Around<'_>) -> Vec<NewNotification> {
    let now = around.now;
    let mut pieces = Vec::new();
    for at in 0..followed.incidents.len() {
        let incident = &mut followed.incidents[at];
        // A notifier that is configured no more can't be told, and nothing waits for it.
        incident.told.retain(|notifier, _| policy.notifiers.contains(notifier));
        let silenced = around
            .silences
            .iter()
            .any(|silence| silence.covers(&incident.code, incident.channel.as_ref(), &incident.subject, now));
        match incident.state {
            IncidentState::Suspected => {}
            IncidentState::Open if silenced => {
                // When the silence is over, whoever knew is told anew, and the patience of the escalation begins anew.
                for told in incident.told.values_mut() {
                    (told.at, told.first_at) = (None, None);
                }
            }
            IncidentState::Resolved if silenced => settle(incident),
            IncidentState::Open => {
                escalate(policy, incident, now);
                open_pieces(policy, incident, at, around, &mut pieces);
            }
            IncidentState::Resolved => {
                let just_now = followed.ended.contains(&incident.id);
                resolved_pieces(policy, incident, at, just_now, now, &mut pieces);
            }
        }
    }
    let notifications = write(policy, &mut followed.incidents, pieces, now);
    for incident in &mut followed.incidents {
        incident.unsettled = incident.state == IncidentState::Resolved && incident.told.values().any(|told| told.held);
    }
    notifications
}

fn settle(incident: &mut IncidentRow) {
    for told in incident.told.values_mut() {
        told.held = false;
    }
}

// Ignored by those who were told: one step up. Not while all of them are in their quiet hours.
fn escalate(policy: &Policy, incident: &mut IncidentRow, now: Timestamp) {
    let patience = policy.pace(effective(incident)).escalate_after_ms;
    let may = incident.escalation == 0 || effective(incident) < Severity::Critical;
    if patience == 0 || !may || incident.acknowledged_at.is_some() {
        return;
    }
    let Some(first_told) = incident.told.values().filter_map(|told| told.first_at).min() else { return };
    let from = incident.escalated_at.map_or(first_told, |escalated| escalated.max(first_told));
    if !passed(from, patience, now) {
        return;
    }
    let targets = policy.targets(incident, now);
    let awake = targets.iter().any(|target| !target.quiet && incident.told.contains_key(&target.notifier));
    if awake {
        incident.escalation += 1;
        incident.escalated_at = Some(now);
    }
}

fn open_pieces(policy: &Policy, incident: &mut IncidentRow, at: usize, around: &Around<'_>, pieces: &mut Vec<Piece>) {
    let now = around.now;
    let severity = effective(incident);
    for Target { notifier, quiet } in policy.targets(incident, now) {
        let told = incident.told.get(&notifier).cloned().unwrap_or_default();
        let waited = incident.opened_at.is_none_or(|opened| passed(opened, policy.group_window_ms, now));
        let known = told.severity.is_some();
        let repeat_due = told.at.is_none_or(|last| passed(last, policy.repeat_every_ms(incident), now));
        let (news, due) = if !known {
            (News::Opened, waited || severity == Severity::Critical)
        } else if told.escalation < incident.escalation {
            (News::Escalated, true)
        } else if told.severity < Some(severity) {
            (News::Worsened, true)
        } else if repeat_due || told.held {
            // What has not even been sent is not repeated.
            if around.owed.contains(&(notifier.clone(), incident.id)) {
                continue;
            }
            (News::Repeated, true)
        } else {
            continue;
        };
        if quiet {
            incident.told.entry(notifier).or_default().held = true;
        } else {
            pieces.push(Piece { at, news, due: due || told.held, notifier, held: told.held });
        }
    }
}

fn resolved_pieces(
    policy: &Policy,
    incident: &mut IncidentRow,
    at: usize,
    just_now: bool,
    now: Timestamp,
    pieces: &mut Vec<Piece>,
) {
    let targets = policy.targets(incident, now);
    let quiet = |notifier: &str| targets.iter().any(|target| target.notifier == notifier && target.quiet);
    for (notifier, told) in &mut incident.told {
        let known = told.severity.is_some();
        if !(told.held || (just_now && known)) {
            continue;
        }
        if quiet(notifier) {
            told.held = true;
            continue;
        }
        let news = if known { News::Resolved } else { News::Passed };
        pieces.push(Piece { at, news, due: true, notifier: notifier.clone(), held: told.held });
    }
}

// Groups the pieces: what quiet hours held back in one summary for each notifier, the rest by notifier and channel.
fn write(policy: &Policy, incidents: &mut [IncidentRow], pieces: Vec<Piece>, now: Timestamp) -> Vec<NewNotification> {
    let mut groups: BTreeMap<(String, bool, Option<ChannelId>), Vec<Piece>> = BTreeMap::new();
    for piece in pieces {
        let channel = if piece.held { None } else { incidents[piece.at].channel.clone() };
        groups.entry((piece.notifier.clone(), piece.held, channel)).or_default().push(piece);
    }
    let mut notifications = Vec::new();
    for ((notifier, summary, _), mut group) in groups {
        if !group.iter().any(|piece| piece.due) {
            continue;
        }
        // The worst first, what ended last.
        group.sort_by_key(|piece| {
            let incident = &incidents[piece.at];
            (incident.state == IncidentState::Resolved, std::cmp::Reverse(effective(incident)), incident.id)
        });
        for chunk in group.chunks(MOST_ITEMS) {
            let items = chunk.iter().map(|piece| item(&incidents[piece.at], piece.news, now)).collect();
            let key = uuid::Uuid::new_v4().to_string();
            notifications.push(NewNotification { key, notifier: notifier.clone(), summary, items, at: now });
        }
        for piece in group {
            let incident = &mut incidents[piece.at];
            let (severity, escalation) = (effective(incident), incident.escalation);
            let told = incident.told.entry(piece.notifier).or_default();
            let first_at = told.first_at.or(Some(now));
            *told = Told { at: Some(now), first_at, severity: Some(severity), escalation, held: false };
        }
    }
    debug_assert!(notifications.iter().all(|row| policy.notifiers.contains(&row.notifier)));
    notifications
}

/// An incident as it is told now.
pub(crate) fn item(incident: &IncidentRow, news: News, now: Timestamp) -> NotificationItem {
    NotificationItem {
        incident_id: incident.id,
        news,
        code: incident.code.clone(),
        channel: incident.channel.clone(),
        subject: incident.subject.clone(),
        severity: effective(incident),
        count: incident.count,
        since: incident.since,
        opened_at: incident.opened_at.unwrap_or(now),
        resolved_at: incident.resolved_at,
        facts: incident.facts.clone(),
        acknowledged_by: incident.acknowledged_by.clone(),
    }
}
