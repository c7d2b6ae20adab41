//! Golden records: one fixture, one snapshot of what it states. Every fixture is invented.

use crate::fake::{NOW, at, profile};
use crate::fixture;
use connector_web_12328::{KIND, PROFILES, shipped};
use gateway_connector::wire::{ProfileSource, normalizer};
use gateway_connector::{Normalizer, Profile};
use gateway_model::{Change, Field};
use serde_json::{Value, json};

fn read(name: &str, record: &str) -> Vec<Change> {
    let normalizer = normalizer(KIND.load(&profile(name)).unwrap());
    normalizer.normalize(fixture(record).as_bytes(), at(NOW)).unwrap()
}

fn golden(name: &str, record: &str) -> Vec<Value> {
    let shown = |change: &Change| {
        json!({
            "key": format!("{} {} {} {}", change.number, change.day.map_or("-".to_owned(), |day| day.to_string()), change.dataset, change.part),
            "revision": change.revision, "event_time": change.event_time, "digest": change.digest,
            "fields": change.fields, "person": change.person, "unmapped": change.unmapped, "oddities": change.oddities,
        })
    };
    read(name, record).iter().map(shown).collect()
}

#[test]
fn a_plain_record_of_wechat() {
    insta::assert_json_snapshot!(golden("wechat", "plain"));
}

#[test]
fn a_record_of_the_taxi_account() {
    insta::assert_json_snapshot!(golden("taxi-wechat", "taxi"));
}

#[test]
fn unknown_codes_fields_and_shapes_of_the_website() {
    insta::assert_json_snapshot!(golden("website", "odd_codes"));
}

#[test]
fn a_partial_push() {
    insta::assert_json_snapshot!(golden("wechat", "partial_event"));
}

#[test]
fn the_account_of_who_wrote_and_the_driver_are_nobodys_business() {
    for change in read("wechat", "plain") {
        assert!(change.unmapped.is_empty(), "{:?}", change.unmapped);
    }
    let acceptance = read("taxi-wechat", "taxi").remove(0);
    assert!(acceptance.person.iter().any(|(field, _)| field == Field::DriverName));
    assert!(!serde_json::to_string(&acceptance.fields).unwrap().contains("测试乙"));
}

#[test]
fn each_shipped_profile_has_its_name() {
    for name in PROFILES {
        let profile: Profile = KIND.load(&ProfileSource::Text(shipped(name).unwrap().to_owned())).unwrap();
        assert_eq!((profile.identity.name.as_str(), profile.inquiry.is_some()), (name, true));
        assert_eq!(profile.push.is_some(), name != "website");
    }
    assert_eq!(shipped("default"), None);
}
