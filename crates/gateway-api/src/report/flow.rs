//! The flow book of some days: what came in, what went out.

use gateway_model::DeliveryState;
use gateway_store::{DeliveryDay, FlowDay, FlowOutcome};
use serde::Serialize;

/// Changes by how they ended in the days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Inbound {
    /// All of them.
    pub(crate) ended: u64,
    pub(crate) applied: u64,
    pub(crate) duplicate: u64,
    pub(crate) dead_lettered: u64,
}

impl Inbound {
    pub(crate) fn add(&mut self, row: &FlowDay) {
        let place = match row.outcome {
            FlowOutcome::Applied => &mut self.applied,
            FlowOutcome::Duplicate => &mut self.duplicate,
            FlowOutcome::DeadLettered => &mut self.dead_lettered,
        };
        *place += row.changes;
        self.ended += row.changes;
    }
}

/// Deliveries decided in the days, by where they stood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Outbound {
    /// All of them.
    pub(crate) owed: u64,
    /// Those that were sent at least once.
    pub(crate) delivered: u64,
    pub(crate) acknowledged: u64,
    pub(crate) superseded: u64,
    pub(crate) rejected: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) waived: u64,
    pub(crate) in_flight: u64,
}

impl Outbound {
    pub(crate) fn add(&mut self, row: &DeliveryDay) {
        self.owed += row.deliveries;
        self.delivered += row.sent;
        let place = match row.state {
            DeliveryState::Acknowledged => &mut self.acknowledged,
            DeliveryState::Superseded => &mut self.superseded,
            DeliveryState::Rejected => &mut self.rejected,
            DeliveryState::DeadLettered => &mut self.dead_lettered,
            DeliveryState::Waived => &mut self.waived,
            DeliveryState::Owed
            | DeliveryState::Sending
            | DeliveryState::Pending
            | DeliveryState::Ambiguous
            | DeliveryState::Held => &mut self.in_flight,
        };
        *place += row.deliveries;
    }
}
