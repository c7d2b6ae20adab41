//! A channel's credentials end soon: when they do, everything to and from it is refused at once.

use super::{CheckDeps, WatchedChannel, finding};
use crate::{Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{Moment, Severity, Timestamp, day_of};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// When credentials are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CredentialExpiringConfig {
    /// Whether it is looked at.
    pub enabled: bool,
    /// So many days before: worth knowing.
    pub info_days: u32,
    /// So many days before: a warning.
    pub warn_days: u32,
    /// So many days before, and after: critical.
    pub critical_days: u32,
    /// Where no day is known, a secret older than this is worth knowing.
    pub old_days: u32,
}

impl Default for CredentialExpiringConfig {
    fn default() -> Self {
        Self { enabled: true, info_days: 30, warn_days: 7, critical_days: 1, old_days: 365 }
    }
}

/// `credential_expiring`, by channel. Facts with a day (`expires_on` of the channel): `expires_on`, `days_left` (negative once it is over). Without:
/// subject `age`, facts `age_days` of its oldest secret file; always info. It ends when the day is set anew or the file is replaced.
pub(super) struct CredentialExpiring {
    channels: Vec<WatchedChannel>,
    config: CredentialExpiringConfig,
}

impl CredentialExpiring {
    pub(super) fn new(deps: &CheckDeps, config: CredentialExpiringConfig) -> Self {
        Self { channels: deps.channels.clone(), config }
    }

    fn expiring(&self, channel: &WatchedChannel, expires_on: gateway_model::Day, now: Timestamp) -> Option<Finding> {
        let today = Moment::On(day_of(now)).start();
        let days = |days: u32| DAY * days;
        let ends = Moment::On(expires_on).start();
        let left = ends.duration_since(today).as_secs().div_euclid(86_400);
        let within = |limit: u32| left <= i64::from(limit);
        let config = &self.config;
        let severity = if within(config.critical_days) {
            Severity::Critical
        } else if within(config.warn_days) {
            Severity::Warning
        } else if within(config.info_days) {
            Severity::Info
        } else {
            return None;
        };
        let since = super::latch::ago(ends, days(config.info_days));
        let facts = [("expires_on", expires_on.to_string()), ("days_left", left.to_string())];
        Some(finding("credential_expiring", Some(&channel.id), "", severity, 1, since, facts))
    }

    fn old(&self, channel: &WatchedChannel, now: Timestamp) -> Result<Option<Finding>, CheckError> {
        let mut oldest: Option<Timestamp> = None;
        for file in &channel.secret_files {
            let changed = std::fs::metadata(file).and_then(|metadata| metadata.modified());
            let unreadable =
                |source| CheckError::Unreadable { what: format!("a secret file of {}", channel.id), source };
            let changed = Timestamp::try_from(changed.map_err(unreadable)?).unwrap_or(Timestamp::MIN);
            oldest = oldest.into_iter().chain([changed]).min();
        }
        let old_after = DAY * self.config.old_days;
        let Some(changed) = oldest.filter(|changed| super::latch::elapsed(*changed, now) >= old_after) else {
            return Ok(None);
        };
        let age_days = super::latch::elapsed(changed, now).as_secs() / 86_400;
        let since = changed.checked_add(old_after).unwrap_or(now);
        let facts = [("age_days", age_days.to_string())];
        Ok(Some(finding("credential_expiring", Some(&channel.id), "age", Severity::Info, 1, since, facts)))
    }
}

#[async_trait]
impl Check for CredentialExpiring {
    fn name(&self) -> &'static str {
        "credential_expiring"
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let mut findings = Vec::new();
        for channel in &self.channels {
            match channel.expires_on {
                Some(day) => findings.extend(self.expiring(channel, day, now)),
                None => findings.extend(self.old(channel, now)?),
            }
        }
        Ok(findings)
    }
}
