//! Composition: the canonical record from the facets of all channels.
//!
//! The authority table is data: for each field, whose word counts before whose. A state is different: no side's word simply outranks the
//! other's, since each learns of the other's step later; the furthest step (highest round, then furthest state) is the order's state. Both
//! rules ignore arrival order, so the same facets always compose to the same record.
//!
//! Where an order is completed or rated again, the record shows the latest cycle, whole: a field that the latest cycle does not state is absent, not
//! filled from an earlier one. Differences between channels are kept of every cycle; state and round are none, since one side's lag is no
//! contradiction.

use crate::field::read_value;
use crate::{ChannelId, Dataset, FacetRow, Field, FieldValue, Fields, OrderState, Part};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// Whose word counts for which field. A channel that is not listed ranks after the listed ones, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityTable {
    /// For every field that has no list of its own.
    #[serde(default)]
    pub default: Vec<ChannelId>,
    /// By field.
    #[serde(default)]
    pub fields: BTreeMap<Field, Vec<ChannelId>>,
}

impl AuthorityTable {
    fn rank<'a>(&self, field: Field, channel: &'a ChannelId) -> (usize, &'a ChannelId) {
        let list = self.fields.get(&field).unwrap_or(&self.default);
        (list.iter().position(|listed| listed == channel).unwrap_or(list.len()), channel)
    }
}

/// A field of which channels say different things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The field.
    pub field: Field,
    /// The cycle.
    pub part: Part,
    /// What each says, the word that counts first.
    pub values: Vec<ConflictingValue>,
}

/// One side of a [`Conflict`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConflictingValue {
    /// Who.
    pub channel: ChannelId,
    /// Says what.
    pub value: FieldValue,
}

// A value is read by its field's kind: the text of a title may look like a day.
impl<'de> Deserialize<'de> for Conflict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Value {
            channel: ChannelId,
            value: serde_json::Value,
        }
        #[derive(Deserialize)]
        struct Wire {
            field: Field,
            part: Part,
            values: Vec<Value>,
        }
        let Wire { field, part, values } = Wire::deserialize(deserializer)?;
        let values = values
            .into_iter()
            .map(|said| Ok(ConflictingValue { channel: said.channel, value: read_value(field, said.value)? }));
        Ok(Self { field, part, values: values.collect::<Result<_, D::Error>>()? })
    }
}

/// The canonical record of an order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Composed {
    /// The furthest state that any channel tells; `None` before any does.
    pub state: Option<OrderState>,
    /// The round of that state.
    pub round: u32,
    /// The fields; of a dataset with cycles, those of the latest cycle.
    pub fields: Fields,
    /// Where channels differ.
    pub conflicts: Vec<Conflict>,
}

/// Who says what of a field.
type Word<'a> = (&'a ChannelId, &'a FieldValue);

/// Composes the record. The order of `facets` does not matter.
#[must_use]
pub fn compose(facets: &[FacetRow], authority: &AuthorityTable) -> Composed {
    let mut said: BTreeMap<(Dataset, Part, Field), Vec<Word<'_>>> = BTreeMap::new();
    for facet in facets {
        for (field, value) in facet.fields.iter() {
            // An echo repeats our own delivery; the word stays with whoever we had it from.
            if facet.echo && stated_by_another(facets, facet, field) {
                continue;
            }
            said.entry((facet.dataset, facet.part.clone(), field)).or_default().push((&facet.channel, value));
        }
    }
    let mut latest: BTreeMap<Dataset, &Part> = BTreeMap::new();
    for facet in facets {
        let cycle = latest.entry(facet.dataset).or_insert(&facet.part);
        *cycle = (*cycle).max(&facet.part);
    }
    let mut composed = Composed::default();
    if let Some((round, state)) = facets.iter().filter_map(stage).max() {
        composed.state = Some(state);
        composed.round = round;
    }
    for ((dataset, part, field), mut values) in said {
        values.sort_by(|a, b| authority.rank(field, a.0).cmp(&authority.rank(field, b.0)));
        let decided_by_rank = !matches!(field, Field::State | Field::Round);
        let shown = latest.get(&dataset) == Some(&&part);
        let word = values[0].1.clone();
        if decided_by_rank && values.iter().any(|(_, value)| **value != word) {
            let values = values
                .iter()
                .map(|(channel, value)| ConflictingValue { channel: (*channel).clone(), value: (*value).clone() })
                .collect();
            composed.conflicts.push(Conflict { field, part, values });
        }
        if shown {
            composed.fields.set(field, word);
        }
    }
    if let Some(state) = composed.state {
        composed.fields.set(Field::State, state.as_str().into());
        composed.fields.set(Field::Round, FieldValue::Number(i64::from(composed.round)));
    }
    composed
}

/// Where one channel sees an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChannelState {
    /// Who.
    pub channel: ChannelId,
    /// The furthest state that it tells.
    pub state: OrderState,
    /// The round of that state.
    pub round: u32,
    /// Whether it is the order's state.
    pub counted: bool,
}

/// Where each channel sees the order, the furthest first; empty while all see it alike. No contradiction, since each learns of the other's step later,
/// but what a person asks first when one side shows 办结 and the other 办理中.
#[must_use]
pub fn channel_states(facets: &[FacetRow]) -> Vec<ChannelState> {
    let mut told: BTreeMap<&ChannelId, (u32, OrderState)> = BTreeMap::new();
    for facet in facets.iter().filter(|facet| facet.gone_at.is_none()) {
        if let Some(stage) = stage(facet) {
            let furthest = told.entry(&facet.channel).or_insert(stage);
            *furthest = (*furthest).max(stage);
        }
    }
    let Some(counted) = told.values().copied().max() else { return Vec::new() };
    if told.values().all(|stage| *stage == counted) {
        return Vec::new();
    }
    let mut states: Vec<_> = told.into_iter().collect();
    states.sort_by_key(|(_, stage)| std::cmp::Reverse(*stage));
    let shown = states.into_iter().map(|(channel, stage)| ChannelState {
        channel: channel.clone(),
        state: stage.1,
        round: stage.0,
        counted: stage == counted,
    });
    shown.collect()
}

fn stage(facet: &FacetRow) -> Option<(u32, OrderState)> {
    let state = facet.fields.text(Field::State)?.parse().ok()?;
    let round = facet.fields.number(Field::Round).and_then(|round| u32::try_from(round).ok()).unwrap_or(0);
    Some((round, state))
}

fn stated_by_another(facets: &[FacetRow], echo: &FacetRow, field: Field) -> bool {
    facets.iter().any(|facet| {
        !facet.echo
            && facet.channel != echo.channel
            && facet.dataset == echo.dataset
            && facet.part == echo.part
            && facet.fields.get(field).is_some()
    })
}
