//! All channels at once: what comes in at the municipal platform, the taxi code, WeChat, the website and 出租微信 goes to the bureau's own system and to the
//! province, what the bureau does goes back, and whatever goes wrong on each of these ways, the counterparties' own books agree at the end.

use crate::demo::{Demo, count};
use crate::program::{Scratch, alone, seed, together};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(500);
const FRONTS: [&str; 4] = ["taxi-qr", "wechat", "website", "taxi-wechat"];

/// Of a channel's row of one side and dataset.
fn of(verdict: &Value, side: &str, channel: &str, dataset: &str, key: &str) -> u64 {
    let mut rows = verdict[side].as_array().into_iter().flatten();
    let row = rows.find(|row| row["channel"] == channel && row["dataset"] == dataset);
    row.map_or(0, |row| count(row, key))
}

/// Each channel took part, both ways.
fn all_took_part(verdict: &Value) {
    let bureau = &verdict["bureau"];
    for origin in ["municipal-12345"].into_iter().chain(FRONTS) {
        let orders = count(&bureau["orders"], origin);
        assert!(orders > 0, "{origin}: {bureau}");
        assert_eq!(of(verdict, "inbound", origin, "acceptance", "at_source"), orders, "{origin}");
        assert!(
            of(verdict, "outbound", origin, "handling", "acknowledged") > 0,
            "the bureau's doing is told {origin}: {bureau}"
        );
        assert!(of(verdict, "outbound", origin, "completion", "acknowledged") > 0, "its reply too: {origin}: {bureau}");
    }
    let orders: u64 = bureau["orders"].as_object().expect("orders").values().filter_map(Value::as_u64).sum();
    assert_eq!(of(verdict, "inbound", "bureau", "acceptance", "at_source"), orders, "each order was dispatched, once");
    assert_eq!(count(&verdict["forwards"], "orders"), orders, "and is owed to the province");
    assert!(count(&bureau["units"], "assisting") > 0 && count(bureau, "replies") > 0, "{bureau}");
    assert_eq!(count(&verdict["gaps"], "false"), 0, "{}", verdict["gaps"]);
}

#[tokio::test]
async fn orders_of_every_channel_reach_the_bureau_and_the_province_and_come_back() {
    let _machine = together().await;
    let scratch = Scratch::new();
    let arguments = ["--handler", "bureau", "--orders", "100", "--seed", "2026", "--faults", "default"];
    let verdict = Demo::run(&scratch, &arguments, PATIENCE).await.balanced();
    all_took_part(&verdict);
}

#[tokio::test]
async fn all_channels_are_balanced_when_everything_goes_wrong_at_once() {
    heavy(&["--rate", "12"]).await;
}

#[tokio::test]
async fn all_channels_are_balanced_on_the_scaled_engines_too() {
    heavy(&["--rate", "8", "--engines", "scaled"]).await;
}

async fn heavy(more: &[&str]) {
    let _machine = alone().await;
    let scratch = Scratch::new();
    // The database runs as another user where this test runs as root.
    std::fs::set_permissions(scratch.path(""), std::fs::Permissions::from_mode(0o711)).expect("its own directory");
    let seed = seed("all channels").to_string();
    let arguments = ["--handler", "bureau", "--faults", "heavy", "--seconds", "60", "--settle-seconds", "300"];
    let arguments = [&arguments[..], &["--seed", &seed], more].concat();
    let verdict = Demo::run(&scratch, &arguments, PATIENCE).await.balanced();
    all_took_part(&verdict);
    for front in FRONTS {
        let faults = &verdict["fronts"][front];
        let injected = faults.as_object().expect("faults").values().filter_map(Value::as_u64);
        assert!(injected.filter(|count| *count > 0).count() > 2, "{front}: {faults}");
    }
    for (whose, faults) in [("bureau", &verdict["bureau"]["faults"]), ("province", &verdict["forwards"]["faults"])] {
        let injected = faults.as_object().expect("faults").values().filter_map(Value::as_u64);
        assert!(injected.clone().count() > 10 && injected.min() > Some(0), "{whose}: {faults}");
    }
}
