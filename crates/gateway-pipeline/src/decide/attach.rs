//! Attachments: the files that an acceptance refers to are owed with it, where its channel's files can be fetched. Fetching is intake's.

use super::batch::Decision;
use gateway_model::{Change, Dataset, Field, OrderId, RawId, attachment_references};
use gateway_store::{AttachmentRow, AttachmentsNamed, RawMeta};

impl Decision<'_> {
    /// Owes the files of what becomes the head; called before it does.
    pub(super) fn attach(&mut self, order_id: OrderId, change: &Change, meta: &RawMeta, raw_id: RawId) {
        if change.dataset != Dataset::Acceptance || !self.decider.normalizers.has_attachments(&meta.channel) {
            return;
        }
        let named = change.fields.text(Field::Pictures).map(attachment_references).unwrap_or_default();
        let owed = named
            .into_iter()
            .map(|reference| AttachmentRow::owed(order_id, meta.channel.clone(), reference, raw_id, self.now));
        self.writes.attachments.extend(owed);
        let said_before = self.orders.get(&order_id).is_some_and(|working| {
            let mut facets = working.aggregate.facets.iter();
            facets.any(|facet| facet.dataset == Dataset::Acceptance && facet.channel == meta.channel)
        });
        if said_before {
            let channel = meta.channel.clone();
            self.writes.attachments_named.push(AttachmentsNamed { order_id, channel, raw_id });
        }
    }
}
