//! Digests computed by Python's hashlib from the contract's text, section 6 of the municipal page and section 5 of this channel's.

use crate::fake::{NOW, at, profile};
use crate::fixture;
use connector_web_12328::KIND;
use gateway_connector::Normalizer;
use gateway_connector::wire::normalizer;

fn digest(name: &str, record: &str, key: &str) -> String {
    let normalizer = normalizer(KIND.load(&profile(name)).unwrap());
    let changes = normalizer.normalize(fixture(record).as_bytes(), at(NOW)).unwrap();
    let change = changes.iter().find(|change| format!("{} {}", change.dataset, change.part) == key).unwrap();
    change.digest.to_string()
}

#[test]
fn digests_are_what_anyone_computes() {
    assert_eq!(
        digest("wechat", "plain", "acceptance c0"),
        "f767fdbde2689c2a552521226aec502227c0381d8698ea3e2747f4ba75b69785"
    );
    assert_eq!(digest("website", "plain", "acceptance c0"), digest("wechat", "plain", "acceptance c0"));
    assert_eq!(
        digest("taxi-wechat", "taxi", "acceptance c0"),
        "afb5e63a6f5442e417e61f18648242c19a4540e5f2ddef1b2a1939622c051e51"
    );
}
