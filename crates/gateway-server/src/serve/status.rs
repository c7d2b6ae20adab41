//! What the status says: the tasks as the driver sees them, and what the checks last found.

use gateway_alert::checks::LastLook;
use gateway_alert::{Language, texts};
use gateway_api::{StatusSource, Warning};
use gateway_model::{Clock, Timestamp};
use gateway_runtime::{Driver, TaskStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The status of this process.
pub struct GatewayStatus {
    driver: Option<Arc<Driver>>,
    /// What the checks last found, and the language that it is told in.
    found: Option<(Arc<LastLook>, Language)>,
    started_at: Timestamp,
    stopping: AtomicBool,
}

impl GatewayStatus {
    /// Of a gateway that runs.
    #[must_use]
    pub fn new(driver: Arc<Driver>, last: Arc<LastLook>, language: Language, clock: Arc<dyn Clock>) -> Self {
        Self { driver: Some(driver), ..Self::stepped(last, language, clock) }
    }

    /// Of a gateway on a driven clock, whose tasks are seen by whoever drives it.
    #[must_use]
    pub fn stepped(last: Arc<LastLook>, language: Language, clock: Arc<dyn Clock>) -> Self {
        Self { found: Some((last, language)), ..Self::idle(clock) }
    }

    /// Of a directory that was only opened for a command.
    #[must_use]
    pub fn idle(clock: Arc<dyn Clock>) -> Self {
        Self { driver: None, found: None, started_at: clock.now(), stopping: AtomicBool::new(false) }
    }

    /// From now on the gateway is not ready.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

impl StatusSource for GatewayStatus {
    fn tasks(&self) -> Vec<TaskStatus> {
        self.driver.as_ref().map(|driver| driver.statuses()).unwrap_or_default()
    }

    fn warnings(&self) -> Vec<Warning> {
        let findings = self.found.iter().flat_map(|(last, language)| {
            last.findings().into_iter().map(|finding| Warning {
                text: texts::sentence(&finding, *language),
                code: finding.code.to_owned(),
                channel: finding.channel,
                subject: finding.subject,
                severity: finding.severity,
                count: finding.count,
                facts: finding.facts.into_iter().map(|(name, value)| (name.into_owned(), value)).collect(),
                since: finding.since,
            })
        });
        findings.collect()
    }

    fn started_at(&self) -> Timestamp {
        self.started_at
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}
