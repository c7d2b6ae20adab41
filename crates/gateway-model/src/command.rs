//! A command of a person or system at the bureau: a record of a channel like any other, only that the channel is the bureau.

use crate::dataset::UnknownWord;
use crate::delivery::words;
use crate::{CommandId, Fields, Moment, Operation, OrderId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// What is asked, as it stands on the bus and in `raw_record`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Identity; the same for a repeated request.
    pub id: CommandId,
    /// The order.
    pub order_id: OrderId,
    /// What to do.
    pub operation: Operation,
    /// The round that the sender speaks of.
    pub round: u32,
    /// When it was done, as the sender says.
    pub at: Moment,
    /// Who did it.
    pub operator: String,
    /// What is said with it.
    #[serde(default)]
    pub fields: Fields,
    /// When the gateway took it.
    pub received_at: Timestamp,
}

words!(
    /// What became of a command.
    CommandState, "command state",
    /// It is part of the order; its deliveries tell the rest.
    Applied "applied",
    /// The order's state did not allow it any more.
    Refused "refused",
);

/// The identity of a command: its sender and its idempotency key decide, nothing else, so a repeat needs no look-up.
#[must_use]
pub fn command_id(sender: &str, idempotency_key: &str) -> CommandId {
    let mut hash = Sha256::new();
    hash.update(sender.as_bytes());
    hash.update([0x1f]);
    hash.update(idempotency_key.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    CommandId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}
