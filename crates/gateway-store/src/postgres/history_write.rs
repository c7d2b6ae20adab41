//! Writing history: beside the rows that it is the history of, in their transaction. A handful of rows a batch, since it is kept by day.

use super::Result;
use super::batch::{last_of_each, write_rows};
use super::ingest::FlowLine;
use crate::{GapRow, IncidentRow, Latency, LatencyDay, Leg};
use gateway_model::{ChannelId, IncidentState, Timestamp, day_of};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Lines of the flow book, each once, by the day on which they were written.
pub(super) async fn flow(connection: &mut PgConnection, lines: &[(FlowLine<'_>, u64)], at: Timestamp) -> Result<()> {
    let day = day_of(at);
    write_rows(connection, sql!("flow_day/add"), lines, |values, ((channel, dataset, outcome), changes)| {
        values.text(*channel).text(*dataset).show(day).text(*outcome).count(*changes);
    })
    .await
}

/// How long legs took that ended now.
pub(super) async fn latencies(connection: &mut PgConnection, legs: &[Latency], at: Timestamp) -> Result<()> {
    let mut buckets: BTreeMap<(&ChannelId, Leg, u32), (u64, u64)> = BTreeMap::new();
    for leg in legs {
        let (count, max_ms) = buckets.entry((&leg.channel, leg.leg, LatencyDay::bucket_of(leg.ms))).or_default();
        *count += 1;
        *max_ms = (*max_ms).max(leg.ms);
    }
    let day = day_of(at);
    let rows: Vec<_> = buckets.into_iter().collect();
    write_rows(connection, sql!("latency_day/add"), &rows, |values, ((channel, leg, bucket), (count, max_ms))| {
        values.text(channel.as_str()).text(leg.as_str()).show(day).int(i64::from(*bucket)).count(*count).count(*max_ms);
    })
    .await
}

/// A step of a gap, unless only its evidence is newer.
pub(super) async fn gap_step(
    connection: &mut PgConnection,
    before: &GapRow,
    gap: &GapRow,
    at: Timestamp,
) -> Result<()> {
    let what = |gap: &GapRow| (gap.state, gap.generation, gap.reason.clone(), gap.by.clone());
    if what(before) == what(gap) {
        return Ok(());
    }
    gap_steps(connection, &[gap], at).await
}

/// Writes down where gaps stand from now on.
pub(super) async fn gap_steps(connection: &mut PgConnection, gaps: &[&GapRow], at: Timestamp) -> Result<()> {
    write_rows(connection, sql!("gap_step/insert"), gaps, |values, gap| {
        values
            .int(gap.id.0)
            .text(gap.channel.as_str())
            .time(at)
            .text(gap.state.as_str())
            .int(i64::from(gap.generation))
            .text(gap.reason.as_deref())
            .text(gap.by.as_deref());
    })
    .await
}

/// When incidents opened and were resolved.
pub(super) async fn incidents(connection: &mut PgConnection, incidents: &[IncidentRow]) -> Result<()> {
    let opened = incidents.iter().filter(|incident| incident.state != IncidentState::Suspected);
    let opened: Vec<_> = opened.filter_map(|incident| Some((incident, incident.opened_at?))).collect();
    let opened = last_of_each(&opened, |(incident, _)| incident.id);
    write_rows(connection, sql!("incident_life/upsert"), &opened, |values, (incident, opened_at)| {
        values
            .int(incident.id.0)
            .text(incident.channel.as_ref().map_or("", ChannelId::as_str))
            .text(incident.code.as_str())
            .time(*opened_at)
            .maybe_time(incident.resolved_at);
    })
    .await
}
