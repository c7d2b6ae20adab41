//! What the status says: the tasks as the driver sees them, and what a person should look at.

use gateway_api::{StatusSource, Warning};
use gateway_intake::WebhookGate;
use gateway_model::{Clock, Timestamp};
use gateway_runtime::{Driver, TaskHealth, TaskStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The status of this process.
pub struct GatewayStatus {
    driver: Option<Arc<Driver>>,
    gate: Option<Arc<WebhookGate>>,
    clock: Arc<dyn Clock>,
    started_at: Timestamp,
    stopping: AtomicBool,
}

impl GatewayStatus {
    /// Of a gateway that runs.
    #[must_use]
    pub fn new(driver: Arc<Driver>, gate: Arc<WebhookGate>, clock: Arc<dyn Clock>) -> Self {
        let started_at = clock.now();
        Self { driver: Some(driver), gate: Some(gate), clock, started_at, stopping: AtomicBool::new(false) }
    }

    /// Of a directory that was only opened for a command.
    #[must_use]
    pub fn idle(clock: Arc<dyn Clock>) -> Self {
        let started_at = clock.now();
        Self { driver: None, gate: None, clock, started_at, stopping: AtomicBool::new(false) }
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
        let now = self.clock.now();
        let refused = self.gate.iter().flat_map(|gate| gate.warnings()).map(|warning| Warning {
            code: "webhooks_all_refused".into(),
            channel: Some(warning.channel.clone()),
            text: warning.to_string(),
            since: warning.since,
        });
        let stalled =
            self.tasks().into_iter().filter(|task| matches!(task.health, TaskHealth::Stalled | TaskHealth::Ended));
        let stalled = stalled.map(|task| {
            let ago = std::time::Duration::from_millis(task.since_success_ms);
            let error = task.error.unwrap_or_else(|| "no error was told".into());
            Warning {
                code: "task_stalled".into(),
                channel: None,
                text: format!("{} has not succeeded for {} s: {error}", task.name, ago.as_secs()),
                since: now.checked_sub(ago).unwrap_or(now),
            }
        });
        refused.chain(stalled).collect()
    }

    fn started_at(&self) -> Timestamp {
        self.started_at
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}
