//! Golden records: one fixture, one snapshot of what it states. Every fixture is invented.

use crate::fake::{NOW, at};
use crate::fixture;
use connector_municipal_12345::KIND;
use gateway_connector::wire::{ProfileSource, normalizer};
use gateway_connector::{NormalizeError, Normalizer};
use gateway_model::{Change, Oddity};
use serde_json::{Value, json};

fn read(text: &str) -> Result<Vec<Change>, NormalizeError> {
    normalizer(KIND.load(&ProfileSource::Default).unwrap()).normalize(text.as_bytes(), at(NOW))
}

pub fn shown(change: &Change) -> Value {
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
fn a_plain_record() {
    insta::assert_json_snapshot!(golden("plain"));
}

#[test]
fn date_only_future_and_unreadable_times() {
    insta::assert_json_snapshot!(golden("odd_times"));
}

#[test]
fn unknown_codes_fields_and_shapes() {
    insta::assert_json_snapshot!(golden("odd_codes"));
}

#[test]
fn numbers_for_texts_and_texts_for_numbers() {
    insta::assert_json_snapshot!(golden("number_typed"));
}

#[test]
fn a_partial_push() {
    insta::assert_json_snapshot!(golden("partial_event"));
}

#[test]
fn an_extension_that_was_granted() {
    insta::assert_json_snapshot!(golden("decided"));
}

#[test]
fn an_appeal_by_a_ground_that_nobody_knows() {
    insta::assert_json_snapshot!(golden("appealed"));
}

#[test]
fn without_number_or_acceptance_time_nothing_can_be_said() {
    let missing = |wire_field: &str| Err(NormalizeError::MissingField { wire_field: wire_field.to_owned() });
    for number in ["\"\"", "null", "{}", "\"a\\nb\""] {
        assert_eq!(
            read(&format!("{{\"orderNo\": {number}, \"createTime\": \"2026-11-23\"}}")),
            missing("orderNo"),
            "{number}"
        );
    }
    for created in ["\"\"", "null", "\"soon\"", "20261123"] {
        assert_eq!(
            read(&format!("{{\"orderNo\": \"G1\", \"createTime\": {created}}}")),
            missing("createTime"),
            "{created}"
        );
    }
    assert_eq!(read(r#"{"kind": "event", "orderNo": "G1", "event": {"eventId": "E1"}}"#), missing("event.time"));
    assert_eq!(
        read(r#"{"kind": "event", "orderNo": "G1", "event": {"time": "2026-11-23"}}"#),
        missing("event.eventId")
    );
    assert_eq!(read(r#"{"kind": "event", "orderNo": "", "event": {}}"#), missing("orderNo"));
}

#[test]
fn damage_is_told_without_the_content() {
    for text in ["", "{", "[]", "\"secret\"", "{\"callerName\": \"secret", "{\"a\": nul}", "\u{feff}"] {
        let error = read(text).unwrap_err();
        assert_eq!(error.code(), "undecodable", "{text}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert_eq!(
        read(&format!("\u{feff}{}", fixture("plain"))),
        read(&fixture("plain")),
        "a byte order mark says nothing"
    );
}

#[test]
fn a_future_time_is_odd_only_beyond_the_tolerance() {
    let odd = |update: &str| {
        let text = format!(r#"{{"orderNo": "G1", "createTime": "2026-11-23 09:00:00", "updateTime": "{update}"}}"#);
        read(&text).unwrap()[0].oddities.contains(&Oddity::FutureTime { wire_field: "updateTime".to_owned() })
    };
    assert!(!odd("2026-11-23 10:10:00") && odd("2026-11-23 10:10:01"));
}

#[test]
fn a_silent_null_is_another_content() {
    let with = |title: &str| {
        let text = format!(r#"{{"orderNo": "G1", "createTime": "2026-11-23", "title": {title}}}"#);
        let changes = read(&text).unwrap();
        (changes[0].digest, changes[0].fields.clone())
    };
    assert_ne!(with("\"题\""), with("null"));
    assert_eq!(with("\"\""), with("null"));
}
