//! The municipal connector against a fake platform, golden records, and the shared conformance suite.
#![allow(clippy::unwrap_used)]

mod digests;
mod dresses;
mod fake;
mod golden;
mod manifest;
mod push;
mod sink;
mod source;

use fake::Fake;

/// The text of a record under `tests/fixtures`.
fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test]
async fn conforms() {
    gateway_connector::conformance::run(&Fake::start().await).await;
}
