//! Sync gaps that are not closed yet.

use super::latch::elapsed;
use super::{CheckDeps, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{ChannelId, GapKind, GapState, Severity, Timestamp};
use gateway_store::{Store, WaitingGaps};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// When gaps are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GapsConfig {
    /// Whether they are looked at.
    pub enabled: bool,
    /// A gap that is younger is worth knowing, since its repair may be under way; an older one is a warning.
    pub repair_within_s: u64,
}

impl Default for GapsConfig {
    fn default() -> Self {
        Self { enabled: true, repair_within_s: 1_800 }
    }
}

/// `book_damaged` (critical) and `manifest_unreliable` (a warning), by channel; `gap_group_open` for all other kinds, subject = the kind: info while
/// repair may still end it, then a warning; `lost_offset` is critical at once. Facts: `kind`, `gaps`, `repairing` (of these), `oldest_s`.
/// They end when the gaps are closed or waived.
pub(super) struct Gaps {
    store: Arc<dyn Store>,
    config: GapsConfig,
}

impl Gaps {
    pub(super) fn new(deps: &CheckDeps, config: GapsConfig) -> Self {
        Self { store: deps.store.clone(), config }
    }

    fn tell(&self, channel: &ChannelId, kind: GapKind, gaps: &[WaitingGaps], now: Timestamp) -> Option<Finding> {
        let since = gaps.iter().map(|one| one.oldest).min()?;
        let count = gaps.iter().map(|one| one.count).sum();
        let repairing: u64 = gaps.iter().filter(|one| one.kind.2 == GapState::Repairing).map(|one| one.count).sum();
        let oldest_s = elapsed(since, now).as_secs();
        let (code, subject, severity) = match kind {
            GapKind::BookDamaged => ("book_damaged", "", Severity::Critical),
            GapKind::ManifestUnreliable => ("manifest_unreliable", "", Severity::Warning),
            GapKind::LostOffset => ("gap_group_open", kind.as_str(), Severity::Critical),
            _ if oldest_s < self.config.repair_within_s => ("gap_group_open", kind.as_str(), Severity::Info),
            _ => ("gap_group_open", kind.as_str(), Severity::Warning),
        };
        let facts = [
            ("kind", kind.to_string()),
            ("gaps", u64::to_string(&count)),
            ("repairing", repairing.to_string()),
            ("oldest_s", oldest_s.to_string()),
        ];
        Some(finding(code, Some(channel), subject, severity, count, since, facts))
    }
}

#[async_trait]
impl Check for Gaps {
    fn name(&self) -> &'static str {
        "gaps"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let mut by_kind: BTreeMap<(ChannelId, GapKind), Vec<WaitingGaps>> = BTreeMap::new();
        for gaps in self.store.waiting_gaps().await? {
            by_kind.entry((gaps.kind.0.clone(), gaps.kind.1)).or_default().push(gaps);
        }
        Ok(by_kind.iter().filter_map(|((channel, kind), gaps)| self.tell(channel, *kind, gaps, now)).collect())
    }
}
