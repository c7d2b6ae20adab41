//! An order as `docs/api.md` shows it.
//!
//! Person fields come only in `persons`, which the store gives only when asked. What no profile names (`unmapped`) may hold anything, so it is
//! shown only to those who may see person fields.

use crate::views::ChinaTime;
use gateway_model::{
    ChannelId, ChannelState, Conflict, Dataset, DeliveryState, Digest, EventRow, FacetRow, Field, Fields, Moment,
    Operation, OrderId, OrderNumber, OrderPair, OrderState, Overlay, Part, RawId, RegistryKind, Revision, Verification,
    channel_states, overlays,
};
use gateway_store::{DeliveryRow, NumberReading, OrderView, PersonRow, VerificationRow};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What of an order is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// Person fields, as `persons`.
    pub(crate) persons: bool,
    /// What no profile names.
    pub(crate) unmapped: bool,
}

#[derive(Serialize)]
pub(crate) struct OrderJson<'a> {
    id: OrderId,
    seq: u64,
    created_at: ChinaTime,
    changed_at: ChinaTime,
    numbers: Vec<NumberJson<'a>>,
    state: Option<OrderState>,
    round: u32,
    fields: &'a Fields,
    conflicts: Vec<ConflictJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    states: Vec<ChannelState>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<OrderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    joined_into: Option<OrderId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    duplicates: Vec<serde_json::Value>,
    facets: Vec<FacetJson<'a>>,
    events: Vec<EventJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    overlays: Vec<Overlay>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    verifications: Vec<VerificationJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    persons: Option<Vec<PersonJson<'a>>>,
}

/// How a channel's word compares with the operating data.
#[derive(Serialize)]
struct VerificationJson<'a> {
    channel: &'a ChannelId,
    #[serde(flatten)]
    result: &'a Verification,
    raw_id: RawId,
    registry_seq: u64,
    at: ChinaTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    looked_up: Option<LookedUpJson<'a>>,
}

/// Where the question at the operating-data service stands.
#[derive(Serialize)]
struct LookedUpJson<'a> {
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_at: Option<ChinaTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<ChinaTime>,
    kinds: &'a BTreeSet<RegistryKind>,
}

/// `None` where it was not asked and is not to be.
fn looked_up(row: &VerificationRow) -> Option<LookedUpJson<'_>> {
    const NONE: &BTreeSet<RegistryKind> = &BTreeSet::new();
    let asked = row.looked_up.as_ref().filter(|asked| asked.raw_id == row.raw_id);
    (asked.is_some() || row.look_up_at.is_some()).then(|| LookedUpJson {
        attempts: asked.map_or(0, |asked| asked.attempts),
        error: asked.and_then(|asked| asked.error.as_deref()),
        answered_at: asked.and_then(|asked| asked.answered_at).map(ChinaTime),
        next_at: row.look_up_at.map(ChinaTime),
        kinds: asked.map_or(NONE, |asked| &asked.kinds),
    })
}

/// A field of which channels say different things: whose word counts, and each one's.
#[derive(Serialize)]
struct ConflictJson<'a> {
    #[serde(flatten)]
    conflict: &'a Conflict,
    #[serde(skip_serializing_if = "Option::is_none")]
    counted: Option<&'a ChannelId>,
}

#[derive(Serialize)]
struct NumberJson<'a> {
    #[serde(flatten)]
    number: &'a OrderNumber,
    #[serde(skip_serializing_if = "Option::is_none")]
    absent_since: Option<ChinaTime>,
}

#[derive(Serialize)]
struct FacetJson<'a> {
    channel: &'a ChannelId,
    dataset: Dataset,
    part: &'a Part,
    revision: Option<Revision>,
    event_time: Moment,
    digest: Digest,
    echo: bool,
    received_at: ChinaTime,
    raw_id: RawId,
    #[serde(skip_serializing_if = "Option::is_none")]
    gone_at: Option<ChinaTime>,
    fields: &'a Fields,
    #[serde(skip_serializing_if = "Option::is_none")]
    unmapped: Option<&'a BTreeMap<String, serde_json::Value>>,
}

#[derive(Serialize)]
struct EventJson<'a> {
    channel: &'a ChannelId,
    dataset: Dataset,
    event_id: &'a str,
    kind: Option<&'a str>,
    event_time: Moment,
    digest: Digest,
    echo: bool,
    received_at: ChinaTime,
    raw_id: RawId,
    #[serde(skip_serializing_if = "Option::is_none")]
    gone_at: Option<ChinaTime>,
    fields: BTreeMap<&'static str, &'a gateway_model::FieldValue>,
}

#[derive(Serialize)]
struct PersonJson<'a> {
    channel: &'a ChannelId,
    dataset: Dataset,
    part: &'a Part,
    fields: &'a Fields,
}

impl<'a> OrderJson<'a> {
    pub(crate) fn new(view: &'a OrderView, shown: Shown) -> Self {
        let all = &view.aggregate;
        Self {
            id: all.order.id,
            seq: all.order.seq,
            created_at: ChinaTime(all.order.created_at),
            changed_at: ChinaTime(all.order.changed_at),
            numbers: all.numbers.iter().map(|number| number_json(number, &all.readings)).collect(),
            state: all.order.state,
            round: all.order.round,
            fields: &all.order.fields,
            conflicts: all.order.conflicts.iter().map(conflict).collect(),
            states: channel_states(&all.facets),
            aliases: Vec::new(),
            joined_into: None,
            duplicates: Vec::new(),
            facets: all.facets.iter().map(|row| facet(row, shown)).collect(),
            events: all.events.iter().filter_map(event).collect(),
            overlays: overlays(&all.events, |event| was_not_taken(event, &all.deliveries)),
            verifications: Vec::new(),
            attachments: Vec::new(),
            persons: shown.persons.then(|| view.persons.iter().map(person).collect()),
        }
    }

    /// With the orders that are one with it.
    pub(crate) fn grouped(mut self, groups: &BTreeMap<OrderId, OrderId>) -> Self {
        let Some(lead) = groups.get(&self.id) else { return self };
        if *lead == self.id {
            let members = groups.iter().filter(|(member, of)| *of == lead && *member != lead);
            self.aliases = members.map(|(member, _)| *member).collect();
        } else {
            self.joined_into = Some(*lead);
        }
        self
    }

    /// With the orders that may be one with it, and what was said of them.
    pub(crate) fn paired(mut self, pairs: &[OrderPair]) -> Self {
        self.duplicates = pairs.iter().map(crate::duplicates::show).collect();
        self
    }

    /// With the files that its records refer to.
    pub(crate) fn attached(mut self, attachments: Vec<serde_json::Value>) -> Self {
        self.attachments = attachments;
        self
    }

    /// With how it compares with the operating data.
    pub(crate) fn verified(mut self, rows: &'a [VerificationRow]) -> Self {
        self.verifications = rows
            .iter()
            .map(|row| VerificationJson {
                channel: &row.channel,
                result: &row.result,
                raw_id: row.raw_id,
                registry_seq: row.registry_seq,
                at: ChinaTime(row.at),
                looked_up: looked_up(row),
            })
            .collect();
        self
    }
}

/// Whether the newest delivery by which an event was asked of a platform ended without being taken.
fn was_not_taken(event: &EventRow, deliveries: &[DeliveryRow]) -> bool {
    let asked = deliveries.iter().filter(|row| {
        matches!(row.operation, Operation::Extend | Operation::Appeal)
            && row.from == event.channel
            && row.part == event.part
    });
    let newest = asked.max_by_key(|row| row.id);
    newest.is_some_and(|row| !row.state.is_in_flight() && row.state != DeliveryState::Acknowledged)
}

fn conflict(conflict: &Conflict) -> ConflictJson<'_> {
    ConflictJson { conflict, counted: conflict.values.first().map(|word| &word.channel) }
}

fn number_json<'a>(number: &'a OrderNumber, readings: &[NumberReading]) -> NumberJson<'a> {
    let reading = readings.iter().find(|reading| reading.number == *number);
    NumberJson { number, absent_since: reading.and_then(|reading| reading.absent_since).map(ChinaTime) }
}

fn facet(row: &FacetRow, shown: Shown) -> FacetJson<'_> {
    FacetJson {
        channel: &row.channel,
        dataset: row.dataset,
        part: &row.part,
        revision: row.revision,
        event_time: row.event_time,
        digest: row.digest,
        echo: row.echo,
        received_at: ChinaTime(row.received_at),
        raw_id: row.raw_id,
        gone_at: row.gone_at.map(ChinaTime),
        fields: &row.fields,
        unmapped: shown.unmapped.then_some(&row.unmapped),
    }
}

fn event(row: &EventRow) -> Option<EventJson<'_>> {
    let Part::Event(id) = &row.part else { return None };
    Some(EventJson {
        channel: &row.channel,
        dataset: row.dataset,
        event_id: id.as_str(),
        kind: row.fields.text(Field::EventKind),
        event_time: row.event_time,
        digest: row.digest,
        echo: row.echo,
        received_at: ChinaTime(row.received_at),
        raw_id: row.raw_id,
        gone_at: row.gone_at.map(ChinaTime),
        fields: row
            .fields
            .iter()
            .filter(|(field, _)| *field != Field::EventKind)
            .map(|(field, value)| (field.as_str(), value))
            .collect(),
    })
}

fn person(row: &PersonRow) -> PersonJson<'_> {
    PersonJson { channel: &row.channel, dataset: row.dataset, part: &row.part, fields: &row.fields }
}
