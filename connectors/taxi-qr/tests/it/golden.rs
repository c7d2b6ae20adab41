//! Golden records: one fixture, one snapshot of what it states. Every fixture is invented.

use crate::fake::{NOW, at};
use crate::fixture;
use connector_taxi_qr::KIND;
use gateway_connector::Normalizer;
use gateway_connector::wire::{ProfileSource, normalizer};
use gateway_model::{Change, Field};
use serde_json::{Value, json};

/// The ways in which a plate is written, or not.
pub(crate) const PLATES: [&str; 14] = [
    "plate_ordinary",
    "plate_full_width",
    "plate_dots",
    "plate_bullet",
    "plate_lower_case",
    "plate_spaces",
    "plate_invisible_signs",
    "plate_new_energy_large",
    "plate_special",
    "plate_confusable",
    "plate_unreadable",
    "plate_too_long",
    "plate_missing",
    "plate_of_another_kind",
];

fn read(name: &str) -> Vec<Change> {
    let normalizer = normalizer(KIND.load(&ProfileSource::Default).unwrap());
    normalizer.normalize(fixture(name).as_bytes(), at(NOW)).unwrap()
}

fn shown(change: &Change) -> Value {
    json!({
        "key": format!("{} {} {} {}", change.number, change.day.map_or("-".to_owned(), |day| day.to_string()), change.dataset, change.part),
        "revision": change.revision, "event_time": change.event_time, "digest": change.digest,
        "fields": change.fields, "person": change.person, "unmapped": change.unmapped, "oddities": change.oddities,
    })
}

fn golden(name: &str) -> Vec<Value> {
    read(name).iter().map(shown).collect()
}

#[test]
fn a_plain_scan() {
    insta::assert_json_snapshot!(golden("plain"));
}

#[test]
fn plates_as_people_write_them() {
    // What acceptance says of the plate; the raw form is kept byte for byte.
    let acceptances = PLATES.map(|name| {
        let change = read(name).remove(0);
        json!({"fixture": name, "fields": change.fields, "digest": change.digest, "oddities": change.oddities})
    });
    insta::assert_json_snapshot!(acceptances);
}

#[test]
fn unknown_codes_fields_and_shapes() {
    insta::assert_json_snapshot!(golden("odd_codes"));
}

#[test]
fn a_partial_push() {
    insta::assert_json_snapshot!(golden("partial_event"));
}

#[test]
fn a_driver_is_a_person() {
    let acceptance = read("plain").remove(0);
    let persons: Vec<_> = acceptance.person.iter().map(|(field, _)| field).collect();
    assert!(persons.contains(&Field::DriverName) && persons.contains(&Field::DriverLicence));
    let shown = serde_json::to_string(&acceptance.fields).unwrap();
    assert!(!shown.contains("测试乙") && !shown.contains("0000000000000000001"));
}
