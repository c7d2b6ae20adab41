//! The echo: what a channel says back equal to what we delivered to it is an acknowledgement, not a change.
//!
//! "Equal" is equal in the digest over the compared fields of the same item: those are the fields that a delivery writes, and the digest was
//! worked out before the first attempt. It is the only proof for an operation whose receipt was lost and can't be asked for.
//!
//! What was acknowledged must be held: as long as the channel has not said something of its own *after* it, the sent side of the book keeps our
//! newest acknowledged item, so that its loss at the channel shows as a gap instead of passing for the channel's word.

use gateway_model::{AskBy, ChannelId, DeliveryState, Digest, ItemKey, Timestamp};
use gateway_store::DeliveryRow;

/// What a statement of a channel means for what we delivered to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    /// We delivered nothing there, or they say something else: it is their own word.
    OwnWord,
    /// It proves a delivery that is in flight; the index into the order's deliveries.
    Proves(usize),
    /// It repeats the newest delivery (the index) that was proved before.
    Repeats(usize),
    /// It is what an earlier delivery of ours said, while a newer one (the index) has been acknowledged: that one must be held.
    Stale(usize),
    /// It is their own word, read before the delivery (the index) that was acknowledged: that one must be held by now.
    Overtaken(usize),
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
    let in_flight = |(_, delivery): &(usize, &DeliveryRow)| {
        let said_before = ours().any(|(_, earlier)| earlier.id < delivery.id && equal(earlier));
        equal(delivery) && delivery.state.is_in_flight() && proves(delivery, said_before, read_at)
    };
    if let Some((at, _)) = ours().find(in_flight) {
        return Echo::Proves(at);
    }
    let newest = ours().rfind(|(_, delivery)| delivery.state == DeliveryState::Acknowledged);
    match newest {
        Some((at, delivery)) if equal(delivery) => Echo::Repeats(at),
        Some((at, _)) if ours().any(|(_, delivery)| equal(delivery)) => Echo::Stale(at),
        Some((at, delivery)) if delivery.last_attempt_ended_at.is_some_and(|ended| read_at < ended) => {
            Echo::Overtaken(at)
        }
        _ => Echo::OwnWord,
    }
}

// A second generation is sent because the peer lost the first: only what was read after an attempt of it had ended proves it. While its first
// attempt is under way, the last end is still that of the generation before. The same holds where an earlier delivery said the very same
// (`said_before`; A, B and A again are three): what was read may be the earlier one.
fn proves(delivery: &DeliveryRow, said_before: bool, read_at: Timestamp) -> bool {
    let first_under_way = delivery.state == DeliveryState::Sending && delivery.attempts == 1;
    let read_after = || delivery.last_attempt_ended_at.is_some_and(|ended| read_at >= ended);
    let only_word = delivery.generation == 1 && !said_before;
    delivery.attempts > 0 && (only_word || (!first_under_way && read_after()))
}

/// Deliveries without an answer that an authoritative read of the order, begun after the attempt had time to land, contradicts. One that is held for a
/// person too: what is held is what nobody could tell yet, as after a long standstill.
pub(crate) fn contradicted<'a>(
    deliveries: &'a [DeliveryRow],
    channel: &'a ChannelId,
    read_at: Timestamp,
    settle_ms: i64,
) -> impl Iterator<Item = &'a DeliveryRow> {
    deliveries.iter().filter(move |delivery| {
        delivery.destination == *channel
            && matches!(delivery.state, DeliveryState::Ambiguous | DeliveryState::Held)
            && delivery.ask_by == Some(AskBy::Record)
            && delivery
                .last_attempt_ended_at
                .is_some_and(|ended| read_at.as_millisecond() >= ended.as_millisecond().saturating_add(settle_ms))
    })
}
