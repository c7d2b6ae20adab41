//! The connector of 12328微信, website and 出租微信 against a fake platform, golden records, and the shared conformance suite.
#![allow(clippy::unwrap_used)]

mod digests;
mod fake;
mod golden;
mod inquiry;
mod sink;

use fake::Fake;

/// The text of a record under `tests/fixtures`.
fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test]
async fn wechat_conforms() {
    gateway_connector::conformance::run(&Fake::start("wechat").await).await;
}

#[tokio::test]
async fn the_website_conforms() {
    gateway_connector::conformance::run(&Fake::start("website").await).await;
}

#[tokio::test]
async fn taxi_wechat_conforms() {
    gateway_connector::conformance::run(&Fake::start("taxi-wechat").await).await;
}
