//! The echo: what a channel says back equal to what we delivered to it is an acknowledgement, not a change.
//!
//! "Equal" is equal in the digest over the compared fields of the same item: those are the fields that a delivery writes, and the digest was
//! worked out before the first attempt. It is the only proof for an operation whose receipt was lost and can't be asked for.

use gateway_model::{AskBy, ChannelId, DeliveryState, Digest, ItemKey, Timestamp};
use gateway_store::DeliveryRow;

/// What a statement of a channel means for what we delivered to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    /// We delivered nothing there, or they say something else: it is their own word.
    OwnWord,
    /// It proves a delivery that is in flight; the index into the order's deliveries.
    Proves(usize),
    /// It repeats a delivery that was proved before.
    Repeats,
    /// It is what an earlier delivery of ours said; a newer one has been acknowledged since.
    Stale,
}

/// Finds what we delivered under this key with this content.
pub(crate) fn find(
    deliveries: &[DeliveryRow],
    channel: &ChannelId,
    key: &ItemKey,
    digest: Digest,
    read_at: Timestamp,
) -> Echo {
    let ours = || {
        deliveries.iter().enumerate().filter(|(_, delivery)| {
            delivery.destination == *channel && delivery.item.as_ref().is_some_and(|item| item.key == *key)
        })
    };
    let equal = |delivery: &DeliveryRow| delivery.item.as_ref().is_some_and(|item| item.digest == digest);
    if let Some((at, _)) =
        ours().find(|(_, delivery)| equal(delivery) && delivery.state.is_in_flight() && proves(delivery, read_at))
    {
        return Echo::Proves(at);
    }
    let newest = ours().filter(|(_, delivery)| delivery.state == DeliveryState::Acknowledged).next_back();
    match newest {
        Some((_, delivery)) if equal(delivery) => Echo::Repeats,
        Some(_) if ours().any(|(_, delivery)| equal(delivery)) => Echo::Stale,
        _ => Echo::OwnWord,
    }
}

// A second generation is sent because the peer lost the first: only what was read after it was sent proves it.
fn proves(delivery: &DeliveryRow, read_at: Timestamp) -> bool {
    delivery.attempts > 0
        && (delivery.generation == 1 || delivery.last_attempt_ended_at.is_some_and(|ended| read_at >= ended))
}

/// Deliveries without an answer that an authoritative read of the order, begun after the attempt had time to land, contradicts.
pub(crate) fn contradicted<'a>(
    deliveries: &'a [DeliveryRow],
    channel: &'a ChannelId,
    read_at: Timestamp,
    settle_ms: i64,
) -> impl Iterator<Item = (usize, &'a DeliveryRow)> {
    deliveries.iter().enumerate().filter(move |(_, delivery)| {
        delivery.destination == *channel
            && delivery.state == DeliveryState::Ambiguous
            && delivery.ask_by == Some(AskBy::Record)
            && delivery
                .last_attempt_ended_at
                .is_some_and(|ended| read_at.as_millisecond() >= ended.as_millisecond() + settle_ms)
    })
}
