//! Sync gaps that are not closed yet, in the groups in which people meet them.

use super::latch::elapsed;
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{GapKind, GapStanding, GapState, Owner, Severity, Timestamp, gap_severity};
use gateway_store::{GapGroupFilter, GapGroupRow, GapTally, RepairStop, Store};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Groups told at most; more than these are read by nobody.
const GROUPS: u32 = 200;

/// Whether gaps are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GapsConfig {
    /// Whether they are looked at.
    pub enabled: bool,
}

impl Default for GapsConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// By channel, subject = the group's id, from the gaps of a group that are open or being repaired:
/// - `book_damaged` (critical), `manifest_unreliable`: those of these kinds;
/// - `gap_needs_person`: those whose owner is a person or the counterparty;
/// - `gap_group_open`: the others, which the gateway repairs.
///
/// Facts of all four: `kind` (the kinds), `gaps`, `repairing` (of these), `oldest_s`. The severity is that of [`gap_severity`]: it rises with age and
/// count. And `mass_difference` (critical), subject = the dataset, where automatic repair is stopped until a person approves it: facts `gaps`,
/// `ours` and `theirs` (items on both sides). All end when the gaps are closed or waived, the stop when it is approved.
pub(super) struct Gaps {
    store: Arc<dyn Store>,
}

impl Gaps {
    pub(super) fn new(deps: &CheckDeps) -> Self {
        Self { store: deps.store.clone() }
    }
}

/// Whose turn it is; `None` for what is over.
fn owner(group: &GapGroupRow, tally: &GapTally, stops: &[RepairStop]) -> Option<Owner> {
    let stopped =
        |stop: &RepairStop| stop.channel == group.channel && stop.dataset == tally.dataset && stop.is_waiting();
    let standing = GapStanding {
        kind: tally.kind,
        state: tally.state,
        left: tally.left,
        generation: u32::from(tally.tried),
        stopped: stops.iter().any(stopped),
    };
    standing.owner()
}

fn code_of(kind: GapKind, owner: Owner) -> &'static str {
    match (kind, owner) {
        (GapKind::BookDamaged, _) => "book_damaged",
        (GapKind::ManifestUnreliable, _) => "manifest_unreliable",
        (_, Owner::Gateway) => "gap_group_open",
        (_, Owner::Person | Owner::Counterparty) => "gap_needs_person",
    }
}

fn tell(group: &GapGroupRow, code: &'static str, gaps: &[(&GapTally, Owner)], now: Timestamp) -> Option<Finding> {
    let since = gaps.iter().map(|(tally, _)| tally.opened_at).min()?;
    let count: u64 = gaps.iter().map(|(tally, _)| tally.count).sum();
    let repairing: u64 =
        gaps.iter().filter(|(tally, _)| tally.state == GapState::Repairing).map(|(tally, _)| tally.count).sum();
    let age = elapsed(since, now);
    let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    // The worst of them, each by the count of all: an outage is one thing.
    let severity = gaps.iter().map(|(tally, owner)| gap_severity(tally.kind, *owner, count, age_ms)).max()?;
    let kinds: BTreeSet<&str> = gaps.iter().map(|(tally, _)| tally.kind.as_str()).collect();
    let facts = [
        ("kind", kinds.into_iter().collect::<Vec<_>>().join(", ")),
        ("gaps", count.to_string()),
        ("repairing", repairing.to_string()),
        ("oldest_s", age.as_secs().to_string()),
    ];
    Some(finding(code, Some(&group.channel), &group.id.to_string(), severity, count, since, facts))
}

fn stopped(stop: &RepairStop) -> Finding {
    let facts = [("gaps", stop.gaps.to_string()), ("ours", stop.ours.to_string()), ("theirs", stop.theirs.to_string())];
    let (channel, subject, count) = (Some(&stop.channel), stop.dataset.as_str(), stop.gaps.max(1));
    finding("mass_difference", channel, subject, Severity::Critical, count, stop.since, facts)
}

#[async_trait]
impl Check for Gaps {
    fn name(&self) -> &'static str {
        "gaps"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let stops = self.store.repair_stops().await?;
        let unfinished = GapGroupFilter { unfinished: true, count_unfinished: true, ..GapGroupFilter::default() };
        let groups = self.store.gap_groups(&unfinished, GROUPS).await?;
        let mut findings: Vec<Finding> = stops.iter().filter(|stop| stop.is_waiting()).map(stopped).collect();
        for group in &groups {
            let mut by_code: BTreeMap<&'static str, Vec<(&GapTally, Owner)>> = BTreeMap::new();
            for tally in &group.tallies {
                if let Some(owner) = owner(group, tally, &stops) {
                    by_code.entry(code_of(tally.kind, owner)).or_default().push((tally, owner));
                }
            }
            findings.extend(by_code.iter().filter_map(|(code, gaps)| tell(group, code, gaps, now)));
        }
        Ok(findings)
    }
}
