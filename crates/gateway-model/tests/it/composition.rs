//! One record from what all channels say.

use gateway_model::{
    AuthorityTable, ChannelId, Conflict, Dataset, Digest, FacetRow, Field, FieldValue, Fields, Moment, OrderState,
    Part, RawId, Timestamp, compose,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

fn facet(name: &str, dataset: Dataset, cycle: u32, fields: &[(Field, FieldValue)]) -> FacetRow {
    FacetRow {
        channel: channel(name),
        dataset,
        part: Part::Cycle(cycle),
        revision: None,
        revision_doubtful: false,
        event_time: Moment::At(Timestamp::UNIX_EPOCH),
        digest: Digest([0; 32]),
        content_hash: [0; 32],
        echo: false,
        fields: fields.iter().cloned().collect(),
        unmapped: BTreeMap::new(),
        read_at: Timestamp::UNIX_EPOCH,
        received_at: Timestamp::UNIX_EPOCH,
        raw_id: RawId(1),
        gone_at: None,
    }
}

fn text(field: Field, value: &str) -> (Field, FieldValue) {
    (field, FieldValue::from(value))
}

fn stage(name: &str, state: &str, round: i64) -> FacetRow {
    facet(name, Dataset::Handling, 0, &[text(Field::State, state), (Field::Round, FieldValue::Number(round))])
}

fn title(name: &str, value: &str) -> FacetRow {
    facet(name, Dataset::Acceptance, 0, &[text(Field::Title, value)])
}

fn table(default: &[&str]) -> AuthorityTable {
    AuthorityTable { default: default.iter().map(|name| channel(name)).collect(), fields: BTreeMap::new() }
}

#[test]
fn the_authority_decides_field_by_field_and_the_difference_is_kept() {
    let mut authority = table(&["platform", "desk"]);
    authority.fields.insert(Field::ReplyText, vec![channel("desk")]);
    let facets = [
        title("desk", "灯坏了"),
        title("platform", "路灯不亮"),
        facet("platform", Dataset::Completion, 0, &[text(Field::ReplyText, "已处理")]),
        facet("desk", Dataset::Completion, 0, &[text(Field::ReplyText, "已修复")]),
    ];
    let composed = compose(&facets, &authority);
    assert_eq!(composed.fields.text(Field::Title), Some("路灯不亮"));
    assert_eq!(composed.fields.text(Field::ReplyText), Some("已修复"));
    let who: Vec<_> = composed.conflicts.iter().map(|one| (one.field, one.values[0].channel.to_string())).collect();
    assert_eq!(who, [(Field::Title, "platform".to_owned()), (Field::ReplyText, "desk".to_owned())]);
}

#[test]
fn a_channel_that_is_not_listed_ranks_last_and_by_name() {
    let facets = [title("b", "b"), title("a", "a"), title("listed", "l")];
    assert_eq!(compose(&facets, &table(&["listed"])).fields.text(Field::Title), Some("l"));
    assert_eq!(compose(&facets[..2], &table(&["listed"])).fields.text(Field::Title), Some("a"));
}

/// A step that one side took later is no contradiction of the other.
#[test]
fn the_furthest_step_is_the_state_and_lag_is_no_conflict() {
    let authority = table(&["platform", "desk"]);
    let furthest = |stages: &[(&str, &str, i64)]| {
        let facets: Vec<_> = stages.iter().map(|(name, state, round)| stage(name, state, *round)).collect();
        let composed = compose(&facets, &authority);
        assert_eq!(composed.conflicts, []);
        assert_eq!(composed.fields.number(Field::Round), Some(i64::from(composed.round)));
        (composed.state.unwrap(), composed.round)
    };
    assert_eq!(furthest(&[("platform", "dispatched", 0), ("desk", "signed", 0)]), (OrderState::Signed, 0));
    assert_eq!(furthest(&[("platform", "dispatched", 1), ("desk", "replied", 0)]), (OrderState::Dispatched, 1));
    assert_eq!(furthest(&[("platform", "completed", 1), ("desk", "replied", 1)]), (OrderState::Completed, 1));
}

#[test]
fn a_state_that_nobody_knows_is_none() {
    let composed = compose(&[stage("platform", "raw:77", 0)], &table(&[]));
    assert_eq!((composed.state, composed.round), (None, 0));
    assert_eq!(composed.fields.text(Field::State), Some("raw:77"), "but it is shown");
}

#[test]
fn of_cycles_the_latest_is_shown_whole() {
    let first = [text(Field::ReplyText, "一"), text(Field::ReplyUnit, "市政所")];
    let facets = [
        facet("platform", Dataset::Completion, 0, &first),
        facet("platform", Dataset::Completion, 10, &[text(Field::ReplyText, "三")]),
        facet("platform", Dataset::Completion, 9, &[text(Field::ReplyText, "二")]),
    ];
    let composed = compose(&facets, &table(&[]));
    assert_eq!(composed.fields.text(Field::ReplyText), Some("三"));
    assert_eq!(composed.fields.get(Field::ReplyUnit), None, "the first round's unit did not give the last reply");
}

#[test]
fn an_echo_leaves_the_word_with_whom_we_had_it_from() {
    let mut echo =
        facet("platform", Dataset::Completion, 0, &[text(Field::ReplyText, "已修复 "), text(Field::ReplyUnit, "市局")]);
    echo.echo = true;
    let said = facet("desk", Dataset::Completion, 0, &[text(Field::ReplyText, "已修复")]);
    let composed = compose(&[echo.clone(), said], &table(&["platform"]));
    assert_eq!(composed.fields.text(Field::ReplyText), Some("已修复"));
    assert_eq!(composed.fields.text(Field::ReplyUnit), Some("市局"), "the rest is the channel's word");
    assert_eq!(composed.conflicts, []);
    assert_eq!(compose(&[echo], &table(&[])).fields.text(Field::ReplyText), Some("已修复 "), "nobody else says it");
}

/// What a title says may look like a day.
#[test]
fn a_conflict_keeps_the_kinds_of_its_values() {
    let facets = [
        facet(
            "a",
            Dataset::Acceptance,
            0,
            &[text(Field::Title, "2026-11-23"), (Field::IsSecret, FieldValue::Flag(true))],
        ),
        facet(
            "b",
            Dataset::Acceptance,
            0,
            &[text(Field::Title, "12"), (Field::IsSecret, FieldValue::Text("raw:9".into()))],
        ),
    ];
    let conflicts = compose(&facets, &table(&[])).conflicts;
    assert_eq!(conflicts.len(), 2);
    let again: Vec<Conflict> = serde_json::from_str(&serde_json::to_string(&conflicts).unwrap()).unwrap();
    assert_eq!(again, conflicts);
}

#[test]
fn a_table_that_names_an_unknown_field_is_refused() {
    assert!(serde_json::from_str::<AuthorityTable>(r#"{"fields":{"tittle":["desk"]}}"#).is_err());
    assert!(serde_json::from_str::<AuthorityTable>(r#"{"defaults":["desk"]}"#).is_err());
    let table: AuthorityTable = serde_json::from_str(r#"{"fields":{"title":["desk"]}}"#).unwrap();
    assert_eq!(serde_json::from_str::<AuthorityTable>(&serde_json::to_string(&table).unwrap()).unwrap(), table);
}

fn any_facet() -> impl Strategy<Value = FacetRow> {
    (0usize..3, 0usize..3, 0u32..3, 0usize..4, 0i64..3, any::<bool>()).prop_map(
        |(who, what, cycle, word, round, echo)| {
            let name = ["platform", "desk", "other"][who];
            let state = ["dispatched", "signed", "replied", "raw:1"][word];
            let mut facet = match what {
                0 => title(name, state),
                1 => stage(name, state, round),
                _ => facet(name, Dataset::Completion, cycle, &[text(Field::ReplyText, state)]),
            };
            facet.echo = echo;
            facet
        },
    )
}

proptest! {
    /// One facet of each place, in any order, is the same record.
    #[test]
    fn the_order_of_facets_does_not_matter(facets in prop::collection::vec(any_facet(), 0..12), keys: [u32; 12]) {
        let mut places = BTreeMap::new();
        for facet in facets {
            places.insert((facet.channel.clone(), facet.dataset, facet.part.clone()), facet);
        }
        let straight: Vec<FacetRow> = places.into_values().collect();
        let mut keyed: Vec<_> = keys.iter().zip(straight.clone()).collect();
        keyed.sort_by_key(|(key, _)| **key);
        let crooked: Vec<FacetRow> = keyed.into_iter().map(|(_, facet)| facet).collect();
        let authority = table(&["desk", "platform"]);
        let composed = compose(&straight, &authority);
        prop_assert_eq!(&compose(&crooked, &authority), &composed);
        // Whatever stands in the record, somebody says.
        for (field, value) in composed.fields.iter().filter(|(field, _)| !matches!(field, Field::State | Field::Round)) {
            prop_assert!(straight.iter().any(|facet| facet.fields.get(field) == Some(value)));
        }
    }
}

#[test]
fn of_nothing_comes_nothing() {
    let composed = compose(&[], &table(&["desk"]));
    assert_eq!((composed.state, composed.fields, composed.conflicts.len()), (None, Fields::new(), 0));
}
