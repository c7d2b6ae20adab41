//! A channel says things that its wire profile has no words for: a new code, a new field. They are kept and counted; a person maps them.

use super::latch::ago;
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{ChannelId, Severity, Timestamp};
use gateway_store::{AnomalyTally, Store};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The anomalies that a mapping would end.
const KINDS: [&str; 3] = ["unknown_code", "unknown_field", "unreadable_value"];
/// Names told at most.
const NAMES: usize = 8;

/// When unmapped codes are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnmappedCodesConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// It ends when none came for this long.
    pub keep_s: u64,
}

impl Default for UnmappedCodesConfig {
    fn default() -> Self {
        Self { enabled: true, keep_s: 86_400 }
    }
}

/// `unmapped_codes`, by channel: info. Count = different ones. Facts: `names` (as `unknown_code statusCode, …`, eight at most, the most frequent
/// first), `records` (how often, ever), `more` (different ones not named).
pub(super) struct UnmappedCodes {
    store: Arc<dyn Store>,
    keep: Duration,
    since: BTreeMap<ChannelId, Timestamp>,
}

impl UnmappedCodes {
    pub(super) fn new(deps: &CheckDeps, config: &UnmappedCodesConfig) -> Self {
        Self { store: deps.store.clone(), keep: Duration::from_secs(config.keep_s), since: BTreeMap::new() }
    }
}

#[async_trait]
impl Check for UnmappedCodes {
    fn name(&self) -> &'static str {
        "unmapped_codes"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let mut by_channel: BTreeMap<ChannelId, Vec<AnomalyTally>> = BTreeMap::new();
        for tally in self.store.anomalies().await? {
            if KINDS.contains(&tally.kind.as_str()) && tally.last_at >= ago(now, self.keep) {
                by_channel.entry(tally.channel.clone()).or_default().push(tally);
            }
        }
        self.since.retain(|channel, _| by_channel.contains_key(channel));
        let mut findings = Vec::new();
        for (channel, mut tallies) in by_channel {
            tallies.sort_by_key(|tally| std::cmp::Reverse(tally.count));
            // Seen first by this look, or before it by another run: the last of its first day is the best that is known.
            let seen = tallies.iter().map(|tally| tally.last_at).min().unwrap_or(now);
            let since = *self.since.entry(channel.clone()).or_insert(seen);
            let names: Vec<String> =
                tallies.iter().take(NAMES).map(|tally| format!("{} {}", tally.kind, tally.subject)).collect();
            let facts = [
                ("names", names.join(", ")),
                ("records", tallies.iter().map(|tally| tally.count).sum::<u64>().to_string()),
                ("more", tallies.len().saturating_sub(NAMES).to_string()),
            ];
            let count = tallies.len() as u64;
            findings.push(finding("unmapped_codes", Some(&channel), "", Severity::Info, count, since, facts));
        }
        Ok(findings)
    }
}
