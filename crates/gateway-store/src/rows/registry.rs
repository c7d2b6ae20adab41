//! Operating data, and how orders compare with it.

use gateway_model::{ChannelId, LookedUp, OrderId, RawId, RegistryKind, Timestamp, Verification, VerificationSubject};

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RegistryChange {
    /// Entries that were not there.
    pub added: u64,
    /// Entries that say something else now.
    pub changed: u64,
    /// Entries that were there just so.
    pub unchanged: u64,
    /// Entries that the whole registry has no more.
    pub removed: u64,
}

impl RegistryChange {
    /// Whether anything is other than before.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.added + self.changed + self.removed > 0
    }
}

/// What is there of a kind, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryImport {
    /// The kind.
    pub kind: RegistryKind,
    /// The number of the last import that changed something; ascends over all kinds.
    pub seq: u64,
    /// How many entries there are.
    pub entries: u64,
    /// When that import was.
    pub imported_at: Timestamp,
}

/// How what a channel says of an order compares with the operating data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationRow {
    /// The order.
    pub order_id: OrderId,
    /// Who said what was compared.
    pub channel: ChannelId,
    /// The record in which it was said.
    pub raw_id: RawId,
    /// What was compared; persons as keyed hashes.
    pub subject: VerificationSubject,
    /// What came of it.
    pub result: Verification,
    /// After which import it was judged; 0 = before any.
    pub registry_seq: u64,
    /// When it was judged.
    pub at: Timestamp,
    /// What the operating-data service was asked and answered; `None` where it was never asked.
    pub looked_up: Option<LookedUp>,
    /// When it is asked next; `None` where nothing is owed.
    pub look_up_at: Option<Timestamp>,
}
