//! Digests computed by Python's hashlib from the contract's text, section 6.

use crate::fake::{NOW, at};
use crate::fixture;
use connector_municipal_12345::KIND;
use gateway_connector::Normalizer;
use gateway_connector::wire::{ProfileSource, normalizer};

#[test]
fn digests_are_what_anyone_computes() {
    let plain = fixture("plain").replace("\"isAnonymous\": \"1\"", "\"isAnonymous\": \"0\"");
    let normalizer = normalizer(KIND.load(&ProfileSource::Default).unwrap());
    let changes = normalizer.normalize(plain.as_bytes(), at(NOW)).unwrap();
    let digest = |key: &str| {
        let change = changes.iter().find(|change| format!("{} {}", change.dataset, change.part) == key).unwrap();
        change.digest.to_string()
    };
    assert_eq!(digest("acceptance c0"), "c934e7be75b427731b92234ec52de5d39091c7fcafacf3c3f2b525695857e9c8");
    assert_eq!(digest("completion c0"), "d737e70c113951034799aa3d6463ad330b429256eeeda5372391c1575e04062e");
}
