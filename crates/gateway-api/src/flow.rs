//! The flow book as an account: what came in and what went out, and where every change is now.
//!
//! Captured is not counted a second time: it is what has ended plus what is in flight, and in flight is what waits for its order (parked) plus
//! what stands on the bus beyond the accounted positions. So the identity holds by construction, and a leak would show as a change that the
//! source has and this account lacks.

use crate::Problem;
use crate::state::Channels;
use axum::Json;
use axum::extract::State;
use gateway_bus::{Bus, BusError, TopicName};
use gateway_model::{ChannelId, Dataset, DeliveryState};
use gateway_store::{FlowOutcome, FlowPosition, FlowTally, OutboundTally, Store};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Default, Serialize, PartialEq, Eq)]
struct Inbound {
    captured: u64,
    duplicate: u64,
    applied: u64,
    dead_lettered: u64,
    in_flight: u64,
}

#[derive(Debug, Default, Serialize, PartialEq, Eq)]
struct Outbound {
    owed: u64,
    delivered: u64,
    acknowledged: u64,
    superseded: u64,
    rejected: u64,
    dead_lettered: u64,
    waived: u64,
    in_flight: u64,
}

type Lines<T> = BTreeMap<(ChannelId, Option<Dataset>), T>;

/// `GET /api/v1/flow`
pub(crate) async fn flow(
    State(store): State<Arc<dyn Store>>,
    State(bus): State<Arc<dyn Bus>>,
    State(channels): State<Channels>,
) -> Result<Json<Value>, Problem> {
    let inbound = inbound(&*store, &*bus, &channels).await?;
    let outbound = outbound(store.outbound_tallies().await?);
    Ok(Json(json!({"inbound": rows(inbound), "outbound": rows(outbound)})))
}

fn rows<T: Serialize>(lines: Lines<T>) -> Vec<Value> {
    let row = |((channel, dataset), line): ((ChannelId, Option<Dataset>), T)| {
        let mut row = serde_json::Map::new();
        row.insert("channel".to_owned(), json!(channel));
        row.insert("dataset".to_owned(), dataset.map_or("unknown", Dataset::as_str).into());
        if let Value::Object(line) = json!(line) {
            row.extend(line);
        }
        Value::Object(row)
    };
    lines.into_iter().map(row).collect()
}

async fn inbound(store: &dyn Store, bus: &dyn Bus, channels: &Channels) -> Result<Lines<Inbound>, Problem> {
    let mut positions = store.flow_positions().await?;
    // The three are read one after the other; when the pipeline committed in between, a change would be counted twice or not at all. Under
    // steady load the last look is taken as it is: the account is then off by one batch, and right again at the next.
    for _ in 0..4 {
        let ends = lag(bus, channels, &positions).await?;
        let tallies = store.flow_tallies().await?;
        let parked = store.parked_changes().await?;
        let again = store.flow_positions().await?;
        if again == positions {
            return Ok(account(tallies, parked, ends));
        }
        positions = again;
    }
    let ends = lag(bus, channels, &positions).await?;
    Ok(account(store.flow_tallies().await?, store.parked_changes().await?, ends))
}

/// The records of each channel that stand on the bus beyond the accounted positions.
pub(crate) async fn lag(
    bus: &dyn Bus,
    channels: &Channels,
    positions: &[FlowPosition],
) -> Result<Vec<(ChannelId, u64)>, Problem> {
    let accounted: BTreeMap<(&str, u32), u64> = positions
        .iter()
        .map(|position| ((position.topic.as_str(), position.partition), position.next_offset))
        .collect();
    let mut lags = Vec::new();
    for info in channels.0.iter() {
        let mut waiting = 0u64;
        for topic in [TopicName::raw(&info.channel), TopicName::raw_backfill(&info.channel)] {
            let ends = match bus.end_positions(&topic).await {
                Ok(ends) => ends,
                // A channel that is never fetched again has no such topic.
                Err(BusError::UnknownTopic(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            for end in ends {
                let done = accounted.get(&(topic.as_str(), end.partition)).copied().unwrap_or(0);
                waiting += end.offset.saturating_sub(done);
            }
        }
        lags.push((info.channel.clone(), waiting));
    }
    Ok(lags)
}

fn account(tallies: Vec<FlowTally>, parked: Vec<(ChannelId, u64)>, lags: Vec<(ChannelId, u64)>) -> Lines<Inbound> {
    let mut lines: Lines<Inbound> = BTreeMap::new();
    for tally in tallies {
        let line = lines.entry((tally.channel, tally.dataset)).or_default();
        match tally.outcome {
            FlowOutcome::Applied => line.applied += tally.changes,
            FlowOutcome::Duplicate => line.duplicate += tally.changes,
            FlowOutcome::DeadLettered => line.dead_lettered += tally.changes,
        }
    }
    for (channel, changes) in parked.into_iter().chain(lags).filter(|(_, changes)| *changes > 0) {
        lines.entry((channel, None)).or_default().in_flight += changes;
    }
    for line in lines.values_mut() {
        line.captured = line.duplicate + line.applied + line.dead_lettered + line.in_flight;
    }
    lines
}

fn outbound(tallies: Vec<OutboundTally>) -> Lines<Outbound> {
    let mut lines: Lines<Outbound> = BTreeMap::new();
    for tally in tallies {
        let line = lines.entry((tally.destination, Some(tally.dataset))).or_default();
        line.owed += tally.deliveries;
        line.delivered += tally.sent;
        let place = match tally.state {
            DeliveryState::Acknowledged => &mut line.acknowledged,
            DeliveryState::Superseded => &mut line.superseded,
            DeliveryState::Rejected => &mut line.rejected,
            DeliveryState::DeadLettered => &mut line.dead_lettered,
            DeliveryState::Waived => &mut line.waived,
            DeliveryState::Owed
            | DeliveryState::Sending
            | DeliveryState::Pending
            | DeliveryState::Ambiguous
            | DeliveryState::Held => &mut line.in_flight,
        };
        *place += tally.deliveries;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> ChannelId {
        ChannelId::new("municipal-12345").unwrap()
    }

    #[test]
    fn every_captured_change_is_in_exactly_one_place() {
        let tally = |dataset, outcome, changes| FlowTally { channel: channel(), dataset, outcome, changes };
        let lines = account(
            vec![
                tally(Some(Dataset::Acceptance), FlowOutcome::Applied, 5),
                tally(Some(Dataset::Acceptance), FlowOutcome::Duplicate, 2),
                tally(None, FlowOutcome::DeadLettered, 1),
            ],
            vec![(channel(), 3)],
            vec![(channel(), 4)],
        );
        let known = Inbound { captured: 7, duplicate: 2, applied: 5, ..Inbound::default() };
        let unknown = Inbound { captured: 8, dead_lettered: 1, in_flight: 7, ..Inbound::default() };
        assert_eq!(lines[&(channel(), Some(Dataset::Acceptance))], known);
        assert_eq!(lines[&(channel(), None)], unknown);
    }

    #[test]
    fn owed_is_the_sum_of_where_deliveries_are() {
        let tallies = DeliveryState::ALL.iter().map(|state| OutboundTally {
            destination: channel(),
            dataset: Dataset::Completion,
            state: *state,
            deliveries: 1,
            sent: u64::from(*state != DeliveryState::Owed),
        });
        let lines = outbound(tallies.collect());
        let line = &lines[&(channel(), Some(Dataset::Completion))];
        assert_eq!((line.owed, line.delivered, line.in_flight), (10, 9, 5));
        assert_eq!(
            line.owed,
            line.acknowledged + line.superseded + line.rejected + line.dead_lettered + line.waived + line.in_flight
        );
    }
}
