//! What a forwarded item says: the origin's record, read again by the origin's own connector, without what its destination may not see.
//!
//! Reading again instead of keeping a second copy: the bytes are there, reading them is pure, and erasing them erases what would be sent.

use crate::address::{AttachmentAddresses, Elsewhere};
use gateway_connector::{Connector, Reason};
use gateway_model::{Change, ChannelId, Dataset, Field, FieldValue, Fields, OrderId, Part, Timestamp};
use gateway_store::{DeliveryRow, DeliveryWork, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The channels whose items are forwarded, and which person fields of theirs a destination was granted.
#[derive(Clone, Default)]
pub struct Origins {
    connectors: BTreeMap<ChannelId, Arc<dyn Connector>>,
    grants: BTreeMap<(ChannelId, ChannelId), BTreeSet<Field>>,
    addresses: Option<AttachmentAddresses>,
}

impl Origins {
    /// These channels, nothing granted, no files kept.
    #[must_use]
    pub fn new(connectors: impl IntoIterator<Item = (ChannelId, Arc<dyn Connector>)>) -> Self {
        Self { connectors: connectors.into_iter().collect(), ..Self::default() }
    }

    /// Gives addresses of ours for the files that we fetch; references to others stay as they came.
    #[must_use]
    pub fn addressing(mut self, addresses: AttachmentAddresses) -> Self {
        self.addresses = Some(addresses);
        self
    }

    /// Grants `to` these person fields of what `from` states.
    #[must_use]
    pub fn granting(mut self, from: ChannelId, to: ChannelId, fields: impl IntoIterator<Item = Field>) -> Self {
        self.grants.entry((from, to)).or_default().extend(fields);
        self
    }

    /// The change that a record of `from` states of an item.
    ///
    /// # Errors
    /// Why it can't be said.
    pub(crate) fn change(
        &self,
        from: &ChannelId,
        body: &[u8],
        received_at: Timestamp,
        (dataset, part): (Dataset, &Part),
    ) -> Result<Change, Reason> {
        let connector = self.connectors.get(from).ok_or_else(|| {
            Reason::new(
                "unknown_origin",
                format!("channel `{from}` is not configured any more: its record can't be read"),
            )
        })?;
        let changes = connector.normalizer().normalize(body, received_at);
        let changes = changes.map_err(|error| Reason::new(error.code(), error.to_string()))?;
        let change = changes.into_iter().find(|change| change.dataset == dataset && change.part == *part);
        change.ok_or_else(|| {
            let text = "the record does not state the item any more, as its channel's wire profile reads it now";
            Reason::new("content", text)
        })
    }

    /// What a delivery's destination may see of a change that `origin` states of `order`: person fields and pictures only by grant, and none of a secret or
    /// anonymous order; pictures as addresses of ours.
    pub(crate) fn visible(&self, change: Change, origin: &ChannelId, order: OrderId, delivery: &DeliveryRow) -> Fields {
        let flagged = |field| change.fields.get(field) == Some(&FieldValue::Flag(true));
        let hidden = flagged(Field::IsSecret) || flagged(Field::IsAnonymous);
        let between = (delivery.from.clone(), delivery.destination.clone());
        let granted = self.grants.get(&between).filter(|_| !hidden);
        let seen = |field: &Field| granted.is_some_and(|granted| granted.contains(field));
        let mut fields = change.fields;
        fields.0.retain(|field, _| !field.needs_grant() || seen(field));
        for (field, value) in change.person.iter() {
            if seen(&field) {
                fields.set(field, value.clone());
            }
        }
        if let Some(addresses) = self.addresses_of(origin)
            && let Some(references) = fields.text(Field::Pictures)
        {
            match addresses.of(references, order, origin, delivery) {
                none if none.is_empty() => drop(fields.0.remove(&Field::Pictures)),
                addresses => fields.set(Field::Pictures, FieldValue::Text(addresses)),
            }
        }
        fields
    }

    /// How the files of a channel are addressed, if we fetch them.
    fn addresses_of(&self, origin: &ChannelId) -> Option<&AttachmentAddresses> {
        let fetched = self.connectors.get(origin)?.attachments().is_some();
        self.addresses.as_ref().filter(|_| fetched)
    }

    /// The orders whose files deliveries tell of, where they are others than those that the deliveries are of.
    pub(crate) async fn elsewhere(&self, works: &[DeliveryWork]) -> Result<Elsewhere, StoreError> {
        let Some(addresses) = &self.addresses else { return Ok(Elsewhere::new()) };
        let shows = |work: &&DeliveryWork| {
            let between = (work.delivery.from.clone(), work.delivery.destination.clone());
            self.grants.get(&between).is_some_and(|granted| granted.contains(&Field::Pictures))
                && self.addresses_of(&work.raw.meta.channel).is_some()
        };
        addresses.elsewhere(&works.iter().filter(shows).collect::<Vec<_>>()).await
    }
}
