//! What kind of difference it is, and by which delivery we sent the item.
//!
//! We sent an item when our book holds it on the sent side, or when a delivery of it was acknowledged with the content that the book holds: an
//! item that the channel once said back to us is on the source side, and yet it is ours to send again when the channel loses it.

use crate::compare::Difference;
use crate::error::ReconcileError;
use crate::tour::Context;
use gateway_model::{
    BookSide, Dataset, Day, DeliveryId, DeliveryState, Digest, GapEvidence, GapKind, SourceNumber, Timestamp,
};
use gateway_store::DeliveryRow;
use std::collections::HashSet;

/// A difference with the times of the accounts that show it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) difference: Difference,
    pub(crate) as_of: Timestamp,
    pub(crate) compared_at: Timestamp,
}

impl Found {
    pub(crate) fn theirs(&self) -> Option<Digest> {
        self.difference.theirs.as_ref().map(|item| item.digest)
    }

    pub(crate) fn ours(&self) -> Option<Digest> {
        self.difference.ours.as_ref().map(|held| held.item.digest)
    }

    pub(crate) fn evidence(&self) -> GapEvidence {
        GapEvidence { theirs: self.theirs(), ours: self.ours(), as_of: self.as_of, compared_at: self.compared_at }
    }
}

/// What is known of the deliveries of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// One is in flight: the difference is not a gap but work under way.
    InFlight,
    /// This one was acknowledged with what our book holds (or is the newest, when the book says we sent it).
    By(Option<DeliveryId>),
    /// We did not send it.
    Not,
}

/// The kind of a difference.
pub(crate) fn kind_of(difference: &Difference, sent: Sent, order_known: bool) -> GapKind {
    let ours_sent = matches!(sent, Sent::By(_));
    match (&difference.theirs, &difference.ours) {
        (Some(_), None) if order_known => GapKind::MissingItem,
        (Some(_), None) => GapKind::MissingOrder,
        (Some(_), Some(_)) if ours_sent => GapKind::HeldDifferently,
        (Some(_), Some(_)) => GapKind::Differing,
        (None, _) if ours_sent => GapKind::NotHeldByDestination,
        (None, _) => GapKind::DeniedBySource,
    }
}

/// Looks the deliveries of a difference's item up.
pub(crate) async fn sent_by(context: &Context, difference: &Difference) -> Result<Sent, ReconcileError> {
    let deliveries = context.store.deliveries_of_item(&context.channel, &difference.key).await?;
    Ok(judge_sent(difference, &deliveries))
}

fn judge_sent(difference: &Difference, newest_first: &[DeliveryRow]) -> Sent {
    if newest_first.iter().any(|delivery| delivery.state.is_in_flight()) {
        return Sent::InFlight;
    }
    let Some(ours) = &difference.ours else { return Sent::Not };
    let acknowledged = |delivery: &&DeliveryRow| delivery.state == DeliveryState::Acknowledged;
    let same = |delivery: &&DeliveryRow| delivery.item.as_ref().is_some_and(|item| item.digest == ours.item.digest);
    let proven = newest_first.iter().filter(acknowledged).find(same);
    match (proven, ours.side) {
        (Some(delivery), _) => Sent::By(Some(delivery.id)),
        (None, BookSide::Sent) => Sent::By(newest_first.first().map(|delivery| delivery.id)),
        (None, BookSide::Source) => Sent::Not,
    }
}

/// Which of these orders we hold: those with an acceptance item.
pub(crate) async fn known_orders(
    context: &Context,
    numbers: &[SourceNumber],
) -> Result<HashSet<(SourceNumber, Day)>, ReconcileError> {
    let mut known = HashSet::new();
    for numbers in numbers.chunks(500) {
        let held = context.store.items_of(&context.channel, Dataset::Acceptance, numbers).await?;
        known.extend(held.into_iter().map(|held| (held.item.key.number, held.item.key.day)));
    }
    Ok(known)
}
