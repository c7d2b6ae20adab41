//! Verification 核查: an acceptance of a channel that is to be verified is compared with the operating data, in the transaction that makes it the head; and
//! again when the registry changed, as long as the order is open. What the registry does not say, an operating-data service may: then the verdict is
//! [`Verdict::Pending`](gateway_model::Verdict::Pending) at first, and asking is the [`LookUps`](crate::LookUps)' business.
//!
//! Trade-off: the comparison is pure and part of the decision, so a verdict is never older than what it stands beside; the price is one look-up for each
//! batch that has such an acceptance, and none for others.

use crate::decide::batch::Decision;
use crate::{Normalized, Statement};
use async_trait::async_trait;
use gateway_model::{
    Change, ChannelId, Clock, Dataset, OrderId, OrderState, PersonKey, RawId, RegistryKind, RegistryLookup,
    Verification, VerificationSubject,
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
    /// What an operating-data service is asked where the registry says nothing; empty where there is no service.
    pub answered: BTreeSet<RegistryKind>,
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
        let (channel, at) = (meta.channel.clone(), self.now);
        // Without a look-up nothing is known, and the next round of the reverifier looks.
        let (result, registry_seq, look_up_at) = match &self.registry {
            Some(registry) if subject.missing(registry, &verifying.answered).is_empty() => {
                (subject.judge(registry), registry.seq, None)
            }
            Some(registry) => (Verification::pending(), registry.seq, Some(at)),
            None => (Verification::default(), 0, None),
        };
        self.writes.verifications.push(VerificationRow {
            order_id,
            channel,
            raw_id,
            subject,
            result,
            registry_seq,
            at,
            looked_up: None,
            look_up_at,
        });
    }
}

/// Judges open orders again after an import. What was judged of a closed one stays as it was when it closed.
pub struct Reverifier {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    answered: BTreeSet<RegistryKind>,
}

impl Reverifier {
    /// A reverifier; `answered` = what an operating-data service is asked where the registry says nothing.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, answered: BTreeSet<RegistryKind>) -> Self {
        Self { store, clock, answered }
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
                let answer = row.looked_up.as_ref().filter(|answer| answer.answers(row.raw_id));
                if answer.is_none() && !row.subject.missing(&registry, &self.answered).is_empty() {
                    // What waits already waits since then.
                    let at = if row.look_up_at.is_some() { row.at } else { now };
                    let look_up_at = row.look_up_at.or(Some(now));
                    return VerificationRow { result: Verification::pending(), look_up_at, at, ..row };
                }
                let result = row.subject.judge_with(&registry, answer);
                VerificationRow { result, at: now, look_up_at: None, ..row }
            })
            .collect();
        self.store.verify_again(&rows).await.map_err(failed)?;
        Ok(Ran::Busy)
    }
}
