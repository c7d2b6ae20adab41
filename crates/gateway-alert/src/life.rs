//! An incident's life: what is found opens it, what is found no more ends it, and in between it is one and the same.

use crate::policy::Policy;
use gateway_model::{ChannelId, IncidentId, IncidentState, Severity, Timestamp};
use gateway_store::IncidentRow;
use std::collections::{BTreeMap, BTreeSet};

/// What all checks saw in one round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// What is wrong, by cause.
    pub(crate) found: BTreeMap<Cause, Found>,
    /// The checks that could not look, or not at everything: what they found before is neither there nor gone.
    pub(crate) blind: BTreeSet<String>,
}

/// Two findings of one cause are one incident.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cause {
    pub(crate) code: String,
    pub(crate) channel: Option<ChannelId>,
    pub(crate) subject: String,
}

/// What is found of a cause.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) by: String,
    pub(crate) severity: Severity,
    pub(crate) count: u64,
    pub(crate) since: Timestamp,
    pub(crate) facts: BTreeMap<String, String>,
}

/// The incidents after a look.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// Those that live on, or ended in this round.
    pub(crate) incidents: Vec<IncidentRow>,
    /// Those of them that ended in this round.
    pub(crate) ended: BTreeSet<IncidentId>,
    /// Suspected ones that were not found again.
    pub(crate) forgotten: Vec<IncidentId>,
}

/// Whether at least so much time has passed.
pub(crate) fn passed(from: Timestamp, ms: u64, now: Timestamp) -> bool {
    i128::from(now.as_millisecond()) - i128::from(from.as_millisecond()) >= i128::from(ms)
}

/// Takes a look into the incidents.
pub(crate) fn follow(
    policy: &Policy,
    incidents: Vec<IncidentRow>,
    next_id: IncidentId,
    mut seen: Seen,
    now: Timestamp,
) -> Followed {
    let mut followed = Followed::default();
    for mut incident in incidents {
        // Only its end has still to be told; the same cause found again is another incident.
        if incident.state == IncidentState::Resolved {
            followed.incidents.push(incident);
            continue;
        }
        let cause =
            Cause { code: incident.code.clone(), channel: incident.channel.clone(), subject: incident.subject.clone() };
        if let Some(found) = seen.found.remove(&cause) {
            see(policy, &mut incident, found, now);
            followed.incidents.push(incident);
        } else if seen.blind.contains(&incident.found_by) {
            followed.incidents.push(incident);
        } else if incident.state == IncidentState::Suspected {
            followed.forgotten.push(incident.id);
        } else {
            let absent_since = *incident.absent_since.get_or_insert(now);
            if passed(absent_since, policy.pace(incident.severity).resolve_after_ms, now) {
                incident.state = IncidentState::Resolved;
                incident.resolved_at = Some(now);
                followed.ended.insert(incident.id);
            }
            followed.incidents.push(incident);
        }
    }
    for (id, (cause, found)) in (next_id.0..).zip(seen.found) {
        let mut incident = IncidentRow {
            id: IncidentId(id),
            found_by: found.by.clone(),
            code: cause.code,
            channel: cause.channel,
            subject: cause.subject,
            state: IncidentState::Suspected,
            severity: found.severity,
            count: found.count,
            facts: BTreeMap::new(),
            since: found.since,
            first_seen_at: now,
            last_seen_at: now,
            absent_since: None,
            opened_at: None,
            resolved_at: None,
            escalation: 0,
            escalated_at: None,
            told: BTreeMap::new(),
            unsettled: false,
            acknowledged_at: None,
            acknowledged_by: None,
        };
        see(policy, &mut incident, found, now);
        followed.incidents.push(incident);
    }
    followed
}

fn see(policy: &Policy, incident: &mut IncidentRow, found: Found, now: Timestamp) {
    incident.found_by = found.by;
    // It may get worse while it lasts; that it is a little better is no news.
    incident.severity = incident.severity.max(found.severity);
    incident.count = found.count;
    incident.since = incident.since.min(found.since);
    incident.facts = found.facts;
    incident.last_seen_at = now;
    incident.absent_since = None;
    let long_enough = passed(incident.first_seen_at, policy.pace(incident.severity).open_after_ms, now);
    if incident.state == IncidentState::Suspected && long_enough {
        incident.state = IncidentState::Open;
        incident.opened_at = Some(now);
    }
}
