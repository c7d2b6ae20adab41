//! Gives up on records whose order never came.

use async_trait::async_trait;
use gateway_model::Clock;
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{FlowOutcome, FlowTally, NewDeadLetter, Parked, Store};
use std::sync::Arc;
use std::time::Duration;

use crate::Decider;

const BATCH: u32 = 200;

/// Turns records that have waited too long for their order into dead letters.
pub struct ParkedSweeper {
    store: Arc<dyn Store>,
    decider: Arc<Decider>,
    clock: Arc<dyn Clock>,
    patience: Duration,
}

impl ParkedSweeper {
    /// A sweeper with this patience.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, decider: Arc<Decider>, clock: Arc<dyn Clock>, patience: Duration) -> Self {
        Self { store, decider, clock, patience }
    }

    /// A parked record was readable when it came, so its changes are known again.
    fn tallies(&self, parked: &Parked) -> Vec<FlowTally> {
        let channel = &parked.raw.meta.channel;
        let body = parked.raw.body.as_deref().unwrap_or_default();
        let changes =
            self.decider.normalizers.normalize(channel, body, parked.raw.meta.received_at).unwrap_or_default();
        let line =
            |dataset| FlowTally { channel: channel.clone(), dataset, outcome: FlowOutcome::DeadLettered, changes: 1 };
        if changes.is_empty() {
            return vec![line(None)];
        }
        changes.iter().map(|change| line(Some(change.dataset))).collect()
    }
}

#[async_trait]
impl Task for ParkedSweeper {
    fn name(&self) -> String {
        "parked".into()
    }

    async fn run(&mut self, _round: &Round) -> Result<Ran, TaskError> {
        let now = self.clock.now();
        let before = now.checked_sub(self.patience).unwrap_or(gateway_model::Timestamp::MIN);
        let failed = |error: gateway_store::StoreError| TaskError::new("store", &error);
        let overdue = self.store.parked_before(before, BATCH).await.map_err(failed)?;
        if overdue.is_empty() {
            return Ok(Ran::Idle);
        }
        let letters = overdue.iter().map(|parked| NewDeadLetter {
            raw_id: parked.raw.id,
            channel: parked.raw.meta.channel.clone(),
            number: Some(parked.number.clone()),
            code: "orphan".into(),
            reason: "no order with this number came in time".into(),
            at: now,
        });
        let tallies = overdue.iter().flat_map(|parked| self.tallies(parked)).collect();
        self.store.bury_parked(letters.collect(), tallies).await.map_err(failed)?;
        Ok(Ran::Busy)
    }
}
