//! What stands in a delivery in the place of a reference: an address of ours, under which the destination gets the file for as long as it may.
//!
//! The end of an address is reckoned from when its delivery was decided, so that every attempt and every generation says the same text.

use gateway_model::{
    AddressKey, AttachmentAddress, AttachmentId, ChannelId, DeliveryId, OrderId, attachment_references,
};
use gateway_store::{AttachmentRow, DeliveryRow, DeliveryWork, Store, StoreError};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The orders whose records deliveries bring, where they are not those that the deliveries are of.
pub type Elsewhere = BTreeMap<DeliveryId, OrderId>;

/// How addresses of attachments are made.
#[derive(Clone)]
pub struct AttachmentAddresses {
    key: AddressKey,
    base: String,
    valid: Duration,
    store: Arc<dyn Store>,
}

impl fmt::Debug for AttachmentAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachmentAddresses")
            .field("base", &self.base)
            .field("valid", &self.valid)
            .finish_non_exhaustive()
    }
}

impl AttachmentAddresses {
    /// Addresses below the public address (relative ones without it) that are valid for so long.
    #[must_use]
    pub fn new(key: AddressKey, public_url: Option<&str>, valid: Duration, store: Arc<dyn Store>) -> Self {
        let base = public_url.unwrap_or_default().trim_end_matches('/').to_owned();
        Self { key, base, valid, store }
    }

    /// Where the records of deliveries belong: of orders that are one, what one's channel states is owed for the one that the destination knows, and its
    /// files are those of the former all the same.
    pub(crate) async fn elsewhere(&self, works: &[&DeliveryWork]) -> Result<Elsewhere, StoreError> {
        let mut elsewhere = Elsewhere::new();
        let mut orders: Vec<OrderId> = works.iter().map(|work| work.delivery.order_id).collect();
        orders.sort_unstable();
        orders.dedup();
        if orders.is_empty() {
            return Ok(elsewhere);
        }
        let groups = self.store.groups_of(&orders).await?;
        let mut files: BTreeMap<OrderId, Vec<AttachmentRow>> = BTreeMap::new();
        for work in works {
            let own = work.delivery.order_id;
            let Some(lead) = groups.get(&own) else { continue };
            let members: Vec<OrderId> =
                groups.iter().filter(|(_, of)| *of == lead).map(|(member, _)| *member).collect();
            for member in &members {
                if !files.contains_key(member) {
                    files.insert(*member, self.store.attachments(*member).await?);
                }
            }
            let channel = &work.raw.meta.channel;
            let has = |member: &OrderId, is_it: &dyn Fn(&AttachmentRow) -> bool| {
                files.get(member).is_some_and(|rows| rows.iter().any(|row| row.channel == *channel && is_it(row)))
            };
            // The record itself may have been said again since; then it is the one order that has files of the channel, the delivery's own before others.
            let named = members.iter().find(|member| has(member, &|row| row.raw_id == work.raw.id));
            let any = || std::iter::once(&own).chain(&members).find(|member| has(member, &|_| true));
            let owner = named.or_else(any).copied();
            if let Some(owner) = owner.filter(|owner| *owner != own) {
                elsewhere.insert(work.delivery.id, owner);
            }
        }
        Ok(elsewhere)
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
