//! The task by which a process tells of itself.

use super::stored;
use crate::alerter::task_error;
use crate::checks::LastLook;
use crate::{Check, NodeConfig};
use async_trait::async_trait;
use gateway_model::{Clock, Timestamp};
use gateway_runtime::{Ran, Round, Schedule, Task, TaskError};
use gateway_store::{NodeRow, NodeSpool, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// What a spool holds of each channel; nothing where there is no spool.
pub type SpoolReading = Arc<dyn Fn() -> Vec<NodeSpool> + Send + Sync>;

/// What a process is.
#[derive(Clone)]
pub struct NodeSelf {
    /// Its name.
    pub name: String,
    /// This start of it.
    pub holder: String,
    /// The parts of the work that it does.
    pub roles: Vec<String>,
    /// The program's version.
    pub version: String,
    /// Tells content keys apart without telling the key.
    pub key_print: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// What it holds that is not on the bus yet.
    pub spool: SpoolReading,
}

impl NodeSelf {
    fn row(&self, now: Timestamp, stopped_at: Option<Timestamp>, findings: String) -> NodeRow {
        let spool = (self.spool)();
        NodeRow {
            name: self.name.clone(),
            holder: self.holder.clone(),
            roles: self.roles.clone(),
            version: self.version.clone(),
            key_print: self.key_print.clone(),
            started_at: self.started_at,
            seen_at: now,
            stopped_at,
            spool_messages: spool.iter().map(|held| held.messages).sum(),
            spool_oldest_at: spool.iter().filter_map(|held| held.oldest_at).min(),
            spool,
            findings,
        }
    }

    /// Says that it ends: its silence is none from now on, and its leases are free.
    ///
    /// # Errors
    /// When the store can't be written; the leases then run out, and the silence is told.
    pub async fn end(&self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        store.release_leases(&self.holder, now).await?;
        store.tell_node(&self.row(now, Some(now), "[]".to_owned())).await
    }
}

/// Looks at what only this process can see, and tells it with the rest.
pub struct NodeTeller {
    node: NodeSelf,
    checks: Vec<Box<dyn Check>>,
    found: Arc<LastLook>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    config: NodeConfig,
}

impl NodeTeller {
    /// Tells of `node` what `checks` find; they are of those that write what they found into `found`.
    #[must_use]
    pub fn new(
        node: NodeSelf,
        checks: Vec<Box<dyn Check>>,
        found: Arc<LastLook>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        config: NodeConfig,
    ) -> Self {
        Self { node, checks, found, store, clock, config }
    }

    /// When it is due.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule::every(Duration::from_millis(self.config.tell_every_ms))
    }
}

#[async_trait]
impl Task for NodeTeller {
    fn name(&self) -> String {
        "node".into()
    }

    async fn run(&mut self, _round: &Round) -> Result<Ran, TaskError> {
        let now = self.clock.now();
        // For all checks together: a disk that hangs must not make the process look silent.
        let patience = Duration::from_millis(self.config.tell_every_ms);
        let until = tokio::time::Instant::now() + patience;
        let mut names = Vec::new();
        for check in &mut self.checks {
            names.push(check.name());
            // What it found, or that it could not look, is remembered by the check itself.
            if tokio::time::timeout_at(until, check.look(now)).await.is_err() {
                self.found.late(check.name(), patience, now);
            }
        }
        let findings = stored::write(&self.found.of(&names)).map_err(|error| TaskError::new("node", &error))?;
        self.store.tell_node(&self.node.row(now, None, findings)).await.map_err(|error| task_error(&error))?;
        Ok(Ran::Idle)
    }
}
