//! Digests computed by Python's hashlib from the contract's text, section 6.

use crate::fake::{NOW, at};
use crate::fixture;
use connector_provincial_12328::KIND;
use gateway_connector::Normalizer;
use gateway_connector::wire::{ProfileSource, normalizer};

#[test]
fn digests_are_what_anyone_computes() {
    let normalizer = normalizer(KIND.load(&ProfileSource::Default).unwrap());
    let changes = normalizer.normalize(fixture("uploaded").as_bytes(), at(NOW)).unwrap();
    let told: Vec<(String, String)> = changes
        .iter()
        .map(|change| (format!("{} {}", change.dataset, change.part), change.digest.to_string()))
        .collect();
    let expected = [
        ("acceptance c0", "ae077defdfb4a25075b1379bcf2ed4416b94e7f79128223bf52f5baae06c0246"),
        ("handling c0", "8d6473d39f93b2d56277e47d479f0c1e3842a91f25dfea48d3a38373bdd5f9b5"),
        ("handling e:d17-1", "e06ff6d28b894da9ffc9958044817f9bfaef61da8546e2732227188d6e67d065"),
        ("completion c0", "d737e70c113951034799aa3d6463ad330b429256eeeda5372391c1575e04062e"),
        ("evaluation c1", "3b54540e444c133c5f212e1d27585c5deb36cb650e92e87c0f9a567bd5d4a5f5"),
    ];
    assert_eq!(told, expected.map(|(item, digest)| (item.to_owned(), digest.to_owned())));
}
