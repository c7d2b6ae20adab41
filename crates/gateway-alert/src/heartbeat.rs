//! The dead-man heartbeat: an outside watcher is called while the gateway is healthy. When the calls stay out, because the gateway is not healthy,
//! not running or cut off, the watcher raises the alarm, as nobody else then can.

use crate::alerter::task_error;
use crate::notifiers::http::{Http, Request};
use crate::{HEARTBEAT, HeartbeatConfig};
use async_trait::async_trait;
use gateway_model::Clock;
use gateway_runtime::{Ran, Round, Schedule, Task, TaskError};
use gateway_store::Store;
use std::sync::Arc;
use std::time::Duration;

/// Calls the watcher.
pub struct Heartbeat {
    pub(crate) http: Http,
    pub(crate) post: bool,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) healthy: Arc<dyn Fn() -> bool + Send + Sync>,
    pub(crate) every: Duration,
}

impl Heartbeat {
    /// When it is due.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule::every(self.every)
    }
}

/// Whether a configuration asks for a heartbeat.
pub(crate) fn wanted(config: &HeartbeatConfig) -> bool {
    !config.url.is_empty() || config.url_file.is_some()
}

#[async_trait]
impl Task for Heartbeat {
    fn name(&self) -> String {
        HEARTBEAT.into()
    }

    async fn run(&mut self, _round: &Round) -> Result<Ran, TaskError> {
        if !(self.healthy)() {
            tracing::warn!("no heartbeat: the gateway is not healthy; see hotline-gateway status");
            metrics::counter!("gateway_heartbeats_total", "outcome" => "withheld").increment(1);
            return Ok(Ran::Idle);
        }
        let request = Request { post: self.post, ..Request::default() };
        let called = self.http.call(request).await.and_then(|answer| answer.ok());
        let outcome = if called.is_ok() { "sent" } else { "failed" };
        metrics::counter!("gateway_heartbeats_total", "outcome" => outcome).increment(1);
        let text = called.as_ref().err().map(ToString::to_string);
        let noted = self.store.note_notifier(HEARTBEAT, text.as_deref(), self.clock.now()).await;
        noted.map_err(|error| task_error(&error))?;
        match called {
            Ok(_) => Ok(Ran::Idle),
            Err(error) => Err(TaskError::new(error.code(), &error).retry_after(error.retry_after())),
        }
    }
}
