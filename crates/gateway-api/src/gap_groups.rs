//! Gap groups: what a person reads first. One outage is one line, with how much it matters and whose turn it is.

use crate::Problem;
use crate::extract::{PageSize, Params};
use crate::refusals::unknown_group;
use crate::state::Channels;
use crate::views::ChinaTime;
use axum::Json;
use axum::extract::State;
use gateway_model::{
    ChannelId, Clock, Dataset, GapGroupId, GapStanding, GapState, Owner, Severity, Timestamp, gap_severity,
};
use gateway_store::{GapGroupFilter, GapGroupRow, GapRow, GapTally, RepairStop, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupParams {
    channel: Option<ChannelId>,
    /// `unfinished` by default, or `all`.
    state: Option<Which>,
    after: Option<GapGroupId>,
    limit: Option<u32>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
enum Which {
    #[default]
    Unfinished,
    All,
}

/// What decides whose turn it is, besides the gaps themselves.
pub(crate) struct Stops(BTreeSet<(ChannelId, Dataset)>);

impl Stops {
    pub(crate) async fn load(store: &dyn Store) -> Result<Self, Problem> {
        let waiting = store.repair_stops().await?.into_iter().filter(RepairStop::is_waiting);
        Ok(Self(waiting.map(|stop| (stop.channel, stop.dataset)).collect()))
    }

    pub(crate) fn holds(&self, channel: &ChannelId, dataset: Dataset) -> bool {
        self.0.contains(&(channel.clone(), dataset))
    }

    /// Whose turn one gap is, and how much it matters; nothing when it is over.
    pub(crate) fn standing(&self, gap: &GapRow, now: Timestamp) -> Option<(Owner, Severity)> {
        let owner = GapStanding {
            kind: gap.kind,
            state: gap.state,
            left: gap.state == GapState::Open && gap.reason.is_some(),
            generation: gap.generation,
            stopped: self.holds(&gap.channel, gap.dataset),
        }
        .owner()?;
        Some((owner, gap_severity(gap.kind, owner, 1, age_ms(gap.opened_at.unwrap_or(now), now))))
    }

    fn owner(&self, group: &GapGroupRow, tally: &GapTally) -> Option<Owner> {
        GapStanding {
            kind: tally.kind,
            state: tally.state,
            left: tally.left,
            generation: u32::from(tally.tried),
            stopped: self.holds(&group.channel, tally.dataset),
        }
        .owner()
    }
}

fn age_ms(since: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond() - since.as_millisecond()).unwrap_or(0)
}

fn show(group: &GapGroupRow, stops: &Stops, now: Timestamp) -> Value {
    let (mut kinds, mut states, mut owners) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut datasets = BTreeSet::new();
    let (mut gaps, mut unfinished) = (0u64, 0u64);
    let (mut start, mut end, mut since): (Option<Timestamp>, Option<Timestamp>, Option<Timestamp>) = (None, None, None);
    for tally in &group.tallies {
        gaps += tally.count;
        *states.entry(tally.state).or_insert(0) += tally.count;
        *kinds.entry(tally.kind).or_insert(0) += tally.count;
        datasets.insert(tally.dataset);
        start = Some(start.map_or(tally.window.start, |known| known.min(tally.window.start)));
        end = Some(end.map_or(tally.window.end, |known| known.max(tally.window.end)));
        if let Some(owner) = stops.owner(group, tally) {
            unfinished += tally.count;
            *owners.entry(owner).or_insert(0) += tally.count;
            since = Some(since.map_or(tally.opened_at, |known| known.min(tally.opened_at)));
        }
    }
    let severity = group.tallies.iter().filter_map(|tally| {
        let owner = stops.owner(group, tally)?;
        Some(gap_severity(tally.kind, owner, unfinished, age_ms(tally.opened_at, now)))
    });
    // The one without whom nothing moves.
    let owner =
        [Owner::Person, Owner::Counterparty, Owner::Gateway].into_iter().find(|owner| owners.contains_key(owner));
    json!({
        "id": group.id, "channel": group.channel, "direction": group.direction, "severity": severity.max(), "owner": owner,
        "gaps": gaps, "unfinished": unfinished, "kinds": counts(&kinds), "states": counts(&states), "owners": counts(&owners),
        "datasets": datasets, "window": {"start": start.map(ChinaTime), "end": end.map(ChinaTime)},
        "opened_at": ChinaTime(group.opened_at), "last_opened_at": ChinaTime(group.last_opened_at),
        "since": since.map(ChinaTime), "ended_at": group.ended_at.map(ChinaTime),
    })
}

/// How many unfinished gaps there are by severity; the whole group matters as much as its worst.
pub(crate) fn unfinished_by_severity(groups: &[GapGroupRow], stops: &Stops, now: Timestamp) -> BTreeMap<Severity, u64> {
    let mut counted = BTreeMap::new();
    for group in groups {
        let unfinished: u64 =
            group.tallies.iter().filter(|tally| stops.owner(group, tally).is_some()).map(|tally| tally.count).sum();
        for tally in &group.tallies {
            if let Some(owner) = stops.owner(group, tally) {
                let severity = gap_severity(tally.kind, owner, unfinished, age_ms(tally.opened_at, now));
                *counted.entry(severity).or_insert(0) += tally.count;
            }
        }
    }
    counted
}

/// Refuses a group that was never there: an empty answer would look like "nothing wrong".
pub(crate) async fn known_group(store: &dyn Store, group: Option<GapGroupId>) -> Result<(), Problem> {
    let Some(id) = group else { return Ok(()) };
    let filter = GapGroupFilter { after: Some(GapGroupId(id.0.saturating_sub(1))), ..GapGroupFilter::default() };
    let first = store.gap_groups(&filter, 1).await?;
    if first.first().is_some_and(|group| group.id == id) { Ok(()) } else { Err(unknown_group(id)) }
}

fn counts<T: serde::Serialize>(counted: &BTreeMap<T, u64>) -> Value {
    json!(counted)
}

/// `GET /api/v1/gap-groups`
pub(crate) async fn list(
    State(store): State<Arc<dyn Store>>,
    State(clock): State<Arc<dyn Clock>>,
    State(channels): State<Channels>,
    Params(params): Params<GroupParams>,
) -> Result<Json<Value>, Problem> {
    channels.known(params.channel.as_ref())?;
    let page = PageSize::new(params.limit)?;
    let unfinished = params.state.unwrap_or_default() == Which::Unfinished;
    let filter =
        GapGroupFilter { channel: params.channel, unfinished, after: params.after, ..GapGroupFilter::default() };
    let (rows, more) = page.cut(store.gap_groups(&filter, page.and_one()).await?);
    let stops = Stops::load(&*store).await?;
    let now = clock.now();
    let groups: Vec<_> = rows.iter().map(|group| show(group, &stops, now)).collect();
    Ok(Json(json!({"groups": groups, "more": more})))
}
