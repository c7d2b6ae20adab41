//! The two invented dresses: their profiles are valid, and what odd records in them state. Every fixture is invented.

use crate::fake::{NOW, at};
use crate::golden::shown;
use connector_municipal_12345::{CANGHAI, KIND, YUNJING};
use gateway_connector::wire::{ProfileSource, normalizer};
use gateway_connector::{NormalizeError, Normalizer};
use gateway_model::Change;
use serde_json::Value;

fn read(profile: &str, body: &[u8]) -> Result<Vec<Change>, NormalizeError> {
    normalizer(KIND.load(&ProfileSource::Text(profile.to_owned())).unwrap()).normalize(body, at(NOW))
}

fn golden(profile: &str, file: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/{file}", env!("CARGO_MANIFEST_DIR"));
    let body = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    read(profile, &body).unwrap().iter().map(shown).collect()
}

#[test]
fn canghai_with_oddities() {
    insta::assert_json_snapshot!(golden(CANGHAI, "canghai_odd.json"));
}

#[test]
fn canghai_partial_push() {
    insta::assert_json_snapshot!(golden(CANGHAI, "canghai_event.json"));
}

#[test]
fn canghai_grants_an_extension() {
    insta::assert_json_snapshot!(golden(CANGHAI, "canghai_decided.json"));
}

#[test]
fn yunjing_notes_an_extension() {
    insta::assert_json_snapshot!(golden(YUNJING, "yunjing_extension.xml"));
}

#[test]
fn yunjing_with_oddities_in_gb18030() {
    insta::assert_json_snapshot!(golden(YUNJING, "yunjing_odd.xml"));
}

#[test]
fn yunjing_with_a_torn_timeline() {
    insta::assert_json_snapshot!(golden(YUNJING, "yunjing_torn.xml"));
}

/// Computed by Python's hashlib from section 6 of the pages.
#[test]
fn digests_are_what_anyone_computes() {
    let digest = |profile: &str, file: &str, key: &str| {
        let all = golden(profile, file);
        let change = all.iter().find(|change| change["key"].as_str().is_some_and(|all| all.ends_with(key))).unwrap();
        change["digest"].clone()
    };
    for (profile, file, key, expected) in [
        (
            CANGHAI,
            "canghai_event.json",
            "handling e:E18",
            "3f37af781f47ef78d496b5e1de2a7126f7b931a2dfe49cb8b22b7b2387926814",
        ),
        (
            CANGHAI,
            "canghai_odd.json",
            "completion c0",
            "ba9cb588c8e1bde07da7bb24974ec189aa20a7420ebc2986417280b8e78644f9",
        ),
        (
            YUNJING,
            "yunjing_odd.xml",
            "completion c0",
            "75fc2e23fbbe9ff949b9ded50af681008e943690f3cb57b564845a4482d6a356",
        ),
        (
            YUNJING,
            "yunjing_odd.xml",
            "handling e:E1",
            "25b382a6c8306ef76ed392da205759a1b136472d6e1e612f50b4650eeca41c1f",
        ),
    ] {
        assert_eq!(digest(profile, file, key), expected, "{file} {key}");
    }
}

#[test]
fn damage_is_told_without_the_content() {
    for (profile, body) in [
        (CANGHAI, &b"{\"jcxx\": {\"gdbh\": \"secret"[..]),
        (CANGHAI, b"\xff\xfe"),
        (YUNJING, b"<WorkOrder><CallerName>secret"),
        (YUNJING, b"<!DOCTYPE a [<!ENTITY e \"secret\">]><WorkOrder>&e;</WorkOrder>"),
        (YUNJING, b"<WorkOrder><OrderNum>\xff</OrderNum></WorkOrder>"),
    ] {
        let error = read(profile, body).unwrap_err();
        assert_eq!(error.code(), "undecodable", "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
