//! The gaps of a channel that are not over, in memory for one round, and every step that is written to them.
//!
//! They are read when they are first needed and again only after something was written to them here: a round asks for them many times, and mostly
//! there are none. What others write meanwhile (a person, the audit) is seen at the latest in the next round.

use crate::error::ReconcileError;
use crate::tour::Context;
use gateway_model::{
    ChannelId, DeliveryId, GapEvidence, GapGroupId, GapId, GapKind, GapState, ItemKey, Timestamp, Window,
};
use gateway_store::{GapFilter, GapRow, NewGap, Store};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

const PAGE: u32 = 1_000;

/// What was read of them; nothing where something was written since.
#[derive(Default)]
pub(crate) struct ActiveGaps(Mutex<Option<Arc<Vec<GapRow>>>>);

impl ActiveGaps {
    fn known(&self) -> Option<Arc<Vec<GapRow>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, rows: Option<Arc<Vec<GapRow>>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rows;
    }

    /// What was read is out of date.
    pub(crate) fn changed(&self) {
        self.keep(None);
    }
}

impl Context {
    /// The gaps that are not over, ascending by id.
    pub(crate) async fn active_gaps(&self) -> Result<Arc<Vec<GapRow>>, ReconcileError> {
        if let Some(known) = self.gaps.known() {
            return Ok(known);
        }
        let mut all: Vec<GapRow> = Vec::new();
        loop {
            let page = self.store.active_gaps(&self.channel, all.last().map(|gap| gap.id), PAGE).await?;
            let full = page.len() >= PAGE as usize;
            all.extend(page);
            if !full {
                break;
            }
        }
        let all = Arc::new(all);
        self.gaps.keep(Some(all.clone()));
        Ok(all)
    }

    /// Writes suspicions down; returns their ids.
    pub(crate) async fn suspect_gaps(&self, gaps: &[NewGap]) -> Result<Vec<GapId>, ReconcileError> {
        self.gaps.changed();
        Ok(self.writer().suspect(gaps).await?)
    }

    /// A suspicion begins anew.
    pub(crate) async fn suspect_again(
        &self,
        id: GapId,
        kind: GapKind,
        evidence: GapEvidence,
    ) -> Result<(), ReconcileError> {
        self.gaps.changed();
        Ok(self.writer().suspect_again(id, kind, evidence, self.now()).await?)
    }

    /// Forgets suspicions.
    pub(crate) async fn forget_gaps(&self, ids: &[GapId]) -> Result<(), ReconcileError> {
        self.gaps.changed();
        Ok(self.writer().forget(ids).await?)
    }

    /// Confirms suspicions; returns their groups.
    pub(crate) async fn open_gaps(
        &self,
        confirmed: &[(GapId, GapEvidence)],
    ) -> Result<Vec<GapGroupId>, ReconcileError> {
        self.gaps.changed();
        Ok(self.writer().open_gaps(confirmed, self.config.group_within_ms, self.now()).await?)
    }

    /// Moves a gap on.
    pub(crate) async fn move_gap(
        &self,
        id: GapId,
        to: GapState,
        evidence: Option<GapEvidence>,
        reason: Option<&str>,
        at: Timestamp,
    ) -> Result<(), ReconcileError> {
        self.gaps.changed();
        Ok(self.writer().move_gap(id, to, evidence, reason, None, at).await?)
    }
}

/// All gaps of a channel in a state, ascending by id.
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
        // As they are now: while the channel was asked, a person may have decided on some.
        context.gaps.changed();
        for gap in context.active_gaps().await?.iter() {
            if gap.state != GapState::Suspected {
                known.deliveries.extend(gap.delivery_id);
            }
            match &gap.key {
                // What is more than a suspicion says more of a key.
                Some(key) if gap.state == GapState::Suspected => {
                    known.by_key.entry(key.clone()).or_insert_with(|| gap.clone());
                }
                Some(key) => {
                    known.by_key.insert(key.clone(), gap.clone());
                }
                None if gap.kind == GapKind::CountMismatch => {
                    known.by_window.insert((gap.dataset, gap.window), gap.id);
                }
                None if gap.kind == GapKind::ManifestUnreliable => known.unreliable.push(gap.clone()),
                None => {}
            }
        }
        for gap in all_in_state(&*context.store, &context.channel, GapState::Waived).await? {
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
