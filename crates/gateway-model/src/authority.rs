//! Composition: the canonical record from the facets of all channels.
//!
//! The authority table is data: for each field, whose word counts before whose. A state is different: no side's word simply outranks the
//! other's, since each learns of the other's step later; the furthest step (highest round, then furthest state) is the order's state. Both
//! rules ignore arrival order, so the same facets always compose to the same record.

use crate::{ChannelId, Dataset, FacetRow, Field, FieldValue, Fields, OrderState, Part};
use serde::{Deserialize, Serialize};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

impl<'de> Deserialize<'de> for ConflictingValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            channel: ChannelId,
            value: serde_json::Value,
        }
        let wire = Wire::deserialize(deserializer)?;
        let value = match wire.value {
            serde_json::Value::Bool(flag) => FieldValue::Flag(flag),
            serde_json::Value::Number(number) => FieldValue::Number(number.as_i64().unwrap_or_default()),
            serde_json::Value::String(text) => {
                crate::parse_moment(&text).map_or(FieldValue::Text(text), FieldValue::Time)
            }
            other => FieldValue::Text(other.to_string()),
        };
        Ok(Self { channel: wire.channel, value })
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
    let mut composed = Composed::default();
    if let Some((round, state)) = facets.iter().filter_map(stage).max() {
        composed.state = Some(state);
        composed.round = round;
    }
    for ((_, part, field), mut values) in said {
        values.sort_by(|a, b| authority.rank(field, a.0).cmp(&authority.rank(field, b.0)));
        if values.iter().any(|(_, value)| *value != values[0].1) {
            let values = values
                .iter()
                .map(|(channel, value)| ConflictingValue { channel: (*channel).clone(), value: (*value).clone() })
                .collect();
            composed.conflicts.push(Conflict { field, part, values });
        }
        // Parts come in ascending order, so the latest cycle's word stays.
        composed.fields.set(field, values[0].1.clone());
    }
    if let Some(state) = composed.state {
        composed.fields.set(Field::State, state.as_str().into());
        composed.fields.set(Field::Round, FieldValue::Number(i64::from(composed.round)));
    }
    composed
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
