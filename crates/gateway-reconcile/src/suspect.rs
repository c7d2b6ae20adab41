//! First looks: what a sweep found becomes suspicions. A suspicion is not a gap and is not counted as one.

use crate::classify::{Found, Sent, kind_of, known_orders, sent_by};
use crate::compare::item_window;
use crate::doubt::suspect_doubts;
use crate::error::ReconcileError;
use crate::gaps::Known;
use crate::sweep::{Findings, Sweep, Unnamed};
use crate::tour::{Context, Tour};
use gateway_model::{GapEvidence, GapKind, GapState, SourceNumber};
use gateway_store::NewGap;

/// Writes suspicions of what was found and is not known yet.
pub(crate) async fn suspect(
    tour: &mut Tour<'_>,
    sweeps: &mut [Sweep],
    findings: &Findings,
) -> Result<(), ReconcileError> {
    if findings.items.is_empty() && findings.unnamed.is_empty() && tour.doubts.is_empty() {
        return Ok(());
    }
    let context = tour.context;
    let known = Known::load(context).await?;
    let doubted = suspect_doubts(tour, &known).await?;
    let lacking = |found: &&Found| found.difference.ours.is_none() && found.difference.theirs.is_some();
    let mut numbers: Vec<SourceNumber> =
        findings.items.values().filter(lacking).map(|found| found.difference.key.number.clone()).collect();
    numbers.dedup();
    let orders = known_orders(context, &numbers).await?;

    let (mut new, mut saw, mut moved) = (Vec::new(), Vec::new(), Vec::new());
    for found in findings.items.values() {
        let key = &found.difference.key;
        if let Some(gap) = known.of_key(key) {
            // Seen at another place now: the suspicion begins anew, where the channel says that the item is.
            let place = gap.evidence.theirs.is_none() && found.theirs().is_some();
            if gap.state != GapState::Suspected || !place {
                saw.push(gap.id);
                continue;
            }
            moved.push(gap.id);
        }
        if known
            .waived(key)
            .is_some_and(|gap| gap.evidence.theirs == found.theirs() && gap.evidence.ours == found.ours())
        {
            continue;
        }
        // What the channel has and we lack is looked up at the second look only: nearly all of it vanishes until then.
        let sent = if found.difference.ours.is_some() { sent_by(context, &found.difference).await? } else { Sent::Not };
        let delivery_id = match sent {
            Sent::InFlight => continue,
            Sent::By(delivery) => delivery,
            Sent::Not => None,
        };
        if delivery_id.is_some_and(|delivery| known.repairs(delivery)) {
            continue;
        }
        let kind = kind_of(&found.difference, sent, orders.contains(&(key.number.clone(), key.day)));
        new.extend(new_gap(context, found, kind, delivery_id));
    }
    for bucket in &findings.unnamed {
        match known.of_window(bucket.dataset, bucket.window) {
            Some(id) => saw.push(id),
            None => new.push(unnamed_gap(context, bucket)),
        }
    }
    if !moved.is_empty() {
        context.forget_gaps(&moved).await?;
        tour.vanished += moved.len() as u64;
    }
    let ids = if new.is_empty() { Vec::new() } else { context.suspect_gaps(&new).await? };
    if !context.defences.second_look {
        for (id, gap) in ids.iter().zip(&new) {
            context.move_gap(*id, GapState::Open, Some(gap.evidence), None, context.now()).await?;
        }
    }
    for sweep in sweeps {
        sweep.saw.extend(saw.iter().chain(&ids).chain(&doubted));
    }
    Ok(())
}

fn new_gap(
    context: &Context,
    found: &Found,
    kind: GapKind,
    delivery_id: Option<gateway_model::DeliveryId>,
) -> Option<NewGap> {
    let difference = &found.difference;
    let ours = difference.ours.as_ref().map(|held| &held.item);
    let place = difference.theirs.as_ref().or(ours)?.event_time;
    Some(NewGap {
        channel: context.channel.clone(),
        dataset: difference.key.dataset,
        kind,
        key: Some(difference.key.clone()),
        window: item_window(place),
        delivery_id,
        evidence: found.evidence(),
        detail: None,
        at: found.compared_at,
    })
}

fn unnamed_gap(context: &Context, bucket: &Unnamed) -> NewGap {
    NewGap {
        channel: context.channel.clone(),
        dataset: bucket.dataset,
        kind: GapKind::CountMismatch,
        key: None,
        window: bucket.window,
        delivery_id: None,
        evidence: GapEvidence {
            theirs: Some(bucket.theirs),
            ours: Some(bucket.ours),
            as_of: bucket.as_of,
            compared_at: bucket.compared_at,
        },
        detail: None,
        at: bucket.compared_at,
    }
}
