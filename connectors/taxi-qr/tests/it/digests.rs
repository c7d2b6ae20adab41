//! Digests computed by Python's hashlib from the contract's text, section 6.

use crate::fake::{NOW, at};
use crate::fixture;
use connector_taxi_qr::KIND;
use gateway_connector::Normalizer;
use gateway_connector::wire::{ProfileSource, normalizer};

fn digest(name: &str, key: &str) -> String {
    let normalizer = normalizer(KIND.load(&ProfileSource::Default).unwrap());
    let changes = normalizer.normalize(fixture(name).as_bytes(), at(NOW)).unwrap();
    let change = changes.iter().find(|change| format!("{} {}", change.dataset, change.part) == key).unwrap();
    change.digest.to_string()
}

#[test]
fn digests_are_what_anyone_computes() {
    assert_eq!(digest("plain", "acceptance c0"), "80a35a7636b6c5c0a937d1f45916cb6ce551ff7ac690799d0b581053db4dcfdd");
    assert_eq!(digest("plain", "completion c0"), "d737e70c113951034799aa3d6463ad330b429256eeeda5372391c1575e04062e");
    assert_eq!(digest("plain", "evaluation c1"), "3b54540e444c133c5f212e1d27585c5deb36cb650e92e87c0f9a567bd5d4a5f5");
    // Of the plate as it came, not of its normal form.
    assert_eq!(
        digest("plate_full_width", "acceptance c0"),
        "ebc41eaa3043cc4eda010599cf7fd216eb64237e863859801caf7bef1ccc607a"
    );
}
