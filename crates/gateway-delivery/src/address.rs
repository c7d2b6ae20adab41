//! What stands in a delivery in the place of a reference: an address of ours, under which the destination gets the file for as long as it may.
//!
//! The end of an address is reckoned from when its delivery was decided, so that every attempt and every generation says the same text.

use gateway_model::{AddressKey, AttachmentAddress, AttachmentId, ChannelId, OrderId, attachment_references};
use gateway_store::DeliveryRow;
use std::time::Duration;

/// How addresses of attachments are made.
#[derive(Debug, Clone)]
pub struct AttachmentAddresses {
    key: AddressKey,
    base: String,
    valid: Duration,
}

impl AttachmentAddresses {
    /// Addresses below the public address (relative ones without it) that are valid for so long.
    #[must_use]
    pub fn new(key: AddressKey, public_url: Option<&str>, valid: Duration) -> Self {
        let base = public_url.unwrap_or_default().trim_end_matches('/').to_owned();
        Self { key, base, valid }
    }

    /// The addresses of the files that a channel's record of an order refers to, for a delivery's destination.
    pub(crate) fn of(&self, references: &str, order: OrderId, from: &ChannelId, delivery: &DeliveryRow) -> String {
        let valid = i64::try_from(self.valid.as_secs()).unwrap_or(i64::MAX);
        let until = delivery.created_at.as_second().saturating_add(valid);
        let address = |reference| AttachmentAddress {
            id: AttachmentId::of(order, from, reference),
            to: delivery.destination.clone(),
            until,
        };
        let references = attachment_references(references).into_iter();
        let addresses: Vec<String> =
            references.map(|reference| self.key.address(&self.base, &address(reference))).collect();
        addresses.join(",")
    }
}
