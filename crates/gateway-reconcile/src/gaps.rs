//! The gaps of a channel that are not over, in memory for one round.

use crate::error::ReconcileError;
use crate::tour::Context;
use gateway_model::{ChannelId, DeliveryId, GapId, GapKind, GapState, ItemKey, Window};
use gateway_store::{GapFilter, GapRow, Store};
use std::collections::{HashMap, HashSet};

const PAGE: u32 = 1_000;

/// All gaps of the channel in a state, ascending by id.
pub(crate) async fn in_state(context: &Context, state: GapState) -> Result<Vec<GapRow>, ReconcileError> {
    all_in_state(&*context.store, &context.channel, state).await
}

/// The same, where there is no channel's account to compare with.
pub(crate) async fn all_in_state(
    store: &dyn Store,
    channel: &ChannelId,
    state: GapState,
) -> Result<Vec<GapRow>, ReconcileError> {
    let mut filter = GapFilter { channel: Some(channel.clone()), state: Some(state), ..GapFilter::default() };
    let mut all = Vec::new();
    loop {
        let page = store.gaps(&filter, PAGE).await?;
        let full = page.len() >= PAGE as usize;
        filter.after = page.last().map(|gap| gap.id);
        all.extend(page);
        if !full {
            return Ok(all);
        }
    }
}

/// What is known already, so that a difference is written down once.
#[derive(Default)]
pub(crate) struct Known {
    by_key: HashMap<ItemKey, GapRow>,
    by_window: HashMap<(gateway_model::Dataset, Window), GapId>,
    deliveries: HashSet<DeliveryId>,
    waived: HashMap<ItemKey, GapRow>,
    unreliable: Vec<GapRow>,
}

impl Known {
    pub(crate) async fn load(context: &Context) -> Result<Self, ReconcileError> {
        let mut known = Known::default();
        for state in [GapState::Suspected, GapState::Open, GapState::Repairing] {
            for gap in in_state(context, state).await? {
                if state != GapState::Suspected {
                    known.deliveries.extend(gap.delivery_id);
                }
                match &gap.key {
                    Some(key) => {
                        known.by_key.insert(key.clone(), gap);
                    }
                    None if gap.kind == GapKind::CountMismatch => {
                        known.by_window.insert((gap.dataset, gap.window), gap.id);
                    }
                    None if gap.kind == GapKind::ManifestUnreliable => known.unreliable.push(gap),
                    None => {}
                }
            }
        }
        for gap in in_state(context, GapState::Waived).await? {
            match &gap.key {
                Some(key) => {
                    known.waived.insert(key.clone(), gap);
                }
                // A person lives with a peer that is like that.
                None if gap.kind == GapKind::ManifestUnreliable => known.unreliable.push(gap),
                None => {}
            }
        }
        Ok(known)
    }

    pub(crate) fn of_key(&self, key: &ItemKey) -> Option<&GapRow> {
        self.by_key.get(key)
    }

    pub(crate) fn of_window(&self, dataset: gateway_model::Dataset, window: Window) -> Option<GapId> {
        self.by_window.get(&(dataset, window)).copied()
    }

    /// The accounts that contradict themselves.
    pub(crate) fn unreliable(&self) -> &[GapRow] {
        &self.unreliable
    }

    /// Whether a gap about this delivery is open or being repaired.
    pub(crate) fn repairs(&self, delivery: DeliveryId) -> bool {
        self.deliveries.contains(&delivery)
    }

    /// The waived gap of a key: a person lives with that difference, as long as it stays the same.
    pub(crate) fn waived(&self, key: &ItemKey) -> Option<&GapRow> {
        self.waived.get(key)
    }
}
