//! Golden records: one fixture, one snapshot of what it states. Every fixture is invented.

use crate::fake::{NOW, at};
use crate::fixture;
use connector_provincial_12328::KIND;
use gateway_connector::wire::{ProfileSource, normalizer};
use gateway_connector::{NormalizeError, Normalizer};
use gateway_model::Change;
use serde_json::{Value, json};

fn read(text: &str) -> Result<Vec<Change>, NormalizeError> {
    normalizer(KIND.load(&ProfileSource::Default).unwrap()).normalize(text.as_bytes(), at(NOW))
}

fn shown(change: &Change) -> Value {
    json!({
        "key": format!("{} {} {} {}", change.number, change.day.map_or("-".to_owned(), |day| day.to_string()), change.dataset, change.part),
        "revision": change.revision, "event_time": change.event_time, "digest": change.digest,
        "fields": change.fields, "person": change.person, "unmapped": change.unmapped, "oddities": change.oddities,
    })
}

fn golden(name: &str) -> Vec<Value> {
    read(&fixture(name)).unwrap().iter().map(shown).collect()
}

#[test]
fn an_uploaded_record() {
    insta::assert_json_snapshot!(golden("uploaded"));
}

#[test]
fn an_uploaded_record_without_a_state_says_nothing_of_one() {
    insta::assert_json_snapshot!(golden("without_state"));
}

#[test]
fn a_spot_check_of_the_provinces_own() {
    insta::assert_json_snapshot!(golden("spot_check"));
}

#[test]
fn codes_of_the_municipal_platform_mean_nothing_here() {
    insta::assert_json_snapshot!(golden("odd_codes"));
}

#[test]
fn the_three_types_of_business_are_the_provinces() {
    let told = |code: &str| {
        let record = format!(r#"{{"orderNo": "GD1", "createTime": "2026-11-23", "orderType": "{code}"}}"#);
        let changes = read(&record).unwrap();
        changes[0].fields.text(gateway_model::Field::OrderType).map(str::to_owned).unwrap()
    };
    let words = ["1", "2", "3", "9", "03"].map(told);
    assert_eq!(words, ["consultation", "complaint", "suggestion", "other", "raw:03"]);
}
