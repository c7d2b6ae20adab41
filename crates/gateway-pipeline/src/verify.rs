//! Verification 核查: an acceptance of a channel that is to be verified is compared with the operating data, in the transaction that makes it the head; and
//! again when the registry changed, as long as the order is open.
//!
//! Trade-off: the comparison is pure and part of the decision, so a verdict is never older than what it stands beside; the price is one look-up for each
//! batch that has such an acceptance, and none for others.

use crate::decide::batch::Decision;
use crate::{Normalized, Statement};
use async_trait::async_trait;
use gateway_model::{
    Change, ChannelId, Clock, Dataset, OrderId, OrderState, PersonKey, RawId, RegistryLookup, Verification,
    VerificationSubject,
};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{RawMeta, Store, VerificationRow};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Verifications in one round of the [`Reverifier`].
const BATCH: u32 = 500;

/// Which channels are verified, and how persons are matched.
#[derive(Debug, Clone)]
pub struct Verifying {
    /// The channels.
    pub channels: BTreeSet<ChannelId>,
    /// Matches persons.
    pub person_key: PersonKey,
}

impl Verifying {
    fn subject(&self, channel: &ChannelId, change: &Change) -> Option<VerificationSubject> {
        let wanted = change.dataset == Dataset::Acceptance && self.channels.contains(channel);
        wanted.then(|| VerificationSubject::of(change, &self.person_key))
    }

    /// What of the registry a batch has to see.
    pub(crate) fn lookups(&self, batch: &[Normalized]) -> Vec<RegistryLookup> {
        let mut lookups = BTreeSet::new();
        for record in batch {
            let Statement::Changes(changes) = &record.statement else { continue };
            for change in changes {
                let subject = self.subject(&record.meta.channel, change);
                lookups.extend(subject.iter().flat_map(VerificationSubject::lookups));
            }
        }
        lookups.into_iter().collect()
    }
}

impl Decision<'_> {
    /// Verifies what became the head.
    pub(crate) fn verify(&mut self, order_id: OrderId, change: &Change, meta: &RawMeta, raw_id: RawId) {
        let Some(verifying) = &self.decider.verifying else { return };
        let Some(subject) = verifying.subject(&meta.channel, change) else { return };
        // Without a look-up nothing is known, and the next round of the reverifier looks.
        let (result, registry_seq) = match &self.registry {
            Some(registry) => (subject.judge(registry), registry.seq),
            None => (Verification::default(), 0),
        };
        let (channel, at) = (meta.channel.clone(), self.now);
        self.writes.verifications.push(VerificationRow {
            order_id,
            channel,
            raw_id,
            subject,
            result,
            registry_seq,
            at,
        });
    }
}

/// Judges open orders again after an import. What was judged of a closed one stays as it was when it closed.
pub struct Reverifier {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Reverifier {
    /// A reverifier.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }
}

/// Whether nothing more is expected of an order.
fn is_closed(state: Option<OrderState>) -> bool {
    matches!(
        state,
        Some(
            OrderState::Completed
                | OrderState::Visited
                | OrderState::Archived
                | OrderState::Returned
                | OrderState::Withdrawn
        )
    )
}

#[async_trait]
impl Task for Reverifier {
    fn name(&self) -> String {
        "verification".into()
    }

    async fn run(&mut self, _round: &Round) -> Result<Ran, TaskError> {
        let failed = |error: gateway_store::StoreError| TaskError::new("store", &error);
        let behind = self.store.verifications_behind(BATCH).await.map_err(failed)?;
        if behind.is_empty() {
            return Ok(Ran::Idle);
        }
        let lookups: BTreeSet<_> = behind.iter().flat_map(|(row, _)| row.subject.lookups()).collect();
        let registry = self.store.look_up(&lookups.into_iter().collect::<Vec<_>>()).await.map_err(failed)?;
        let now = self.clock.now();
        let rows: Vec<_> = behind
            .into_iter()
            .map(|(row, state)| {
                let row = VerificationRow { registry_seq: registry.seq, ..row };
                if is_closed(state) {
                    return row;
                }
                VerificationRow { result: row.subject.judge(&registry), at: now, ..row }
            })
            .collect();
        self.store.verify_again(&rows).await.map_err(failed)?;
        Ok(Ran::Busy)
    }
}
