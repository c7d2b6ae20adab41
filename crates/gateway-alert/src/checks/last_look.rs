//! What every check found when it last looked, for `status` and `/metrics`: one truth, seen by whoever asks and told by whoever alerts.

use super::finding;
use crate::{CHECK_FAILED, Check, CheckError, Finding};
use async_trait::async_trait;
use gateway_model::{Severity, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the last look of each check found. Cheap to read at any time.
#[derive(Debug, Default)]
pub struct LastLook(Mutex<Looks>);

#[derive(Debug, Default)]
struct Looks {
    found: BTreeMap<&'static str, Vec<Finding>>,
    /// The checks that could not look.
    blind: BTreeMap<&'static str, Finding>,
    /// The gauges that were set, so that they fall to zero.
    gauges: BTreeSet<(&'static str, String)>,
}

impl Looks {
    fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.found.values().flatten().chain(self.blind.values())
    }

    fn measure(&mut self) {
        let mut counts: BTreeMap<(&'static str, String), u32> =
            self.gauges.iter().map(|gauge| (gauge.clone(), 0)).collect();
        for found in self.findings() {
            let channel = found.channel.as_ref().map(ToString::to_string).unwrap_or_default();
            *counts.entry((found.code, channel)).or_default() += 1;
        }
        for ((code, channel), count) in counts {
            metrics::gauge!("gateway_findings", "code" => code, "channel" => channel.clone()).set(f64::from(count));
            self.gauges.insert((code, channel));
        }
    }
}

impl LastLook {
    /// The findings, the worst first. A check that could not look shows what it found before, and `check_failed` with the fact `error`.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut findings: Vec<Finding> = looks.findings().cloned().collect();
        findings.sort_by(|a, b| {
            (b.severity, a.code, &a.channel, &a.subject).cmp(&(a.severity, b.code, &b.channel, &b.subject))
        });
        findings
    }

    /// What these checks last found, and which of them could not look.
    pub(crate) fn of(&self, checks: &[&'static str]) -> Vec<Finding> {
        let looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = checks.iter().filter_map(|check| looks.found.get(check)).flatten();
        found.chain(checks.iter().filter_map(|check| looks.blind.get(check))).cloned().collect()
    }

    /// A check did not answer in time.
    pub(crate) fn late(&self, check: &'static str, patience: Duration, now: Timestamp) {
        let late =
            std::io::Error::new(std::io::ErrorKind::TimedOut, format!("no answer within {} ms", patience.as_millis()));
        self.set(check, &Err(CheckError::Unreadable { what: "what it looks at".to_owned(), source: late }), now);
    }

    fn set(&self, check: &'static str, look: &Result<Vec<Finding>, CheckError>, now: Timestamp) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match look {
            Ok(found) => {
                looks.found.insert(check, found.clone());
                looks.blind.remove(check);
            }
            Err(error) => {
                let since = looks.blind.get(check).map_or(now, |before| before.since);
                let facts = [("error", error.to_string())];
                let blind = finding(CHECK_FAILED, None, check, Severity::Warning, 1, since, facts);
                looks.blind.insert(check, blind);
            }
        }
        looks.measure();
    }
}

/// A check whose looks are remembered.
pub(super) struct Remembered {
    pub(super) check: Box<dyn Check>,
    pub(super) last: Arc<LastLook>,
}

#[async_trait]
impl Check for Remembered {
    fn name(&self) -> &'static str {
        self.check.name()
    }

    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError> {
        let look = self.check.look(now).await;
        self.last.set(self.check.name(), &look, now);
        look
    }
}
