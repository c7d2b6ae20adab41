//! All channels at once: what comes in at the municipal platform, the taxi code, WeChat, the website and 出租微信 goes to the bureau's own system and to the
//! province, what the bureau does goes back, and whatever goes wrong on each of these ways, the counterparties' own books agree at the end.

use crate::demo::{Demo, count};
use crate::program::{Scratch, alone, program, seed, together, wait_for};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
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
    assert!(count(&bureau["asked"], "extension") > 0, "{bureau}");
    assert_eq!(count(&verdict["gaps"], "false"), 0, "{}", verdict["gaps"]);
    // Every car's verdict is the one of the operating-data service's own book.
    let verified: u64 = verdict["verified"].as_object().expect("verdicts").values().filter_map(Value::as_u64).sum();
    assert_eq!(verified, count(&bureau["orders"], "taxi-qr"), "{}", verdict["verified"]);
    assert!(count(&verdict["verified"], "match") > 0, "{}", verdict["verified"]);
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

/// Runs a command on a demo's gateway; what it prints, and whether it went well.
fn command(demo: &Demo, arguments: &[&str]) -> (bool, Value) {
    let mut command = Command::new(program());
    let output = command.args(arguments).args(["--json", "--dir"]).arg(demo.dir.join("gateway")).output();
    let output = output.expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{arguments:?}: {text}{output:?}"));
    (output.status.success(), told)
}

/// The numbers at the platform of the gateway's orders that are as wanted.
async fn numbers(demo: &mut Demo, wanted: impl Fn(&Value) -> bool) -> Vec<String> {
    let feed = demo.ask("admin", "judge_token", "/api/v1/orders?limit=500", None).await;
    let orders = feed["orders"].as_array().into_iter().flatten().filter(|order| wanted(order));
    let numbers = orders.flat_map(|order| order["numbers"].as_array().cloned().unwrap_or_default());
    let own = numbers.filter(|number| number["channel"] == "municipal-12345");
    own.filter_map(|number| number["number"].as_str().map(str::to_owned)).collect()
}

/// What a channel said in an order's events that is as wanted.
async fn said(demo: &mut Demo, number: &str, channel: &str, wanted: impl Fn(&Value) -> bool) -> bool {
    let path = format!("/api/v1/orders/{number}");
    let order = demo.ask("admin", "judge_token", &path, None).await;
    let mut events = order["events"].as_array().into_iter().flatten().filter(|event| event["channel"] == channel);
    events.any(wanted)
}

/// A person's requests go where they concern, come back as the other side's own word, and leave the books balanced.
#[tokio::test]
async fn a_person_assigns_a_further_unit_asks_for_more_time_and_appeals() {
    const UNIT: &str = "客运管理三所";
    let _machine = together().await;
    let scratch = Scratch::new();
    let arguments = ["--handler", "bureau", "--seconds", "60", "--rate", "3", "--seed", "77", "--faults", "none"];
    let mut demo = Demo::start(&scratch, &arguments);
    let at_work = |order: &Value| {
        order["state"] == "signed"
            && order["facets"].as_array().into_iter().flatten().any(|facet| {
                facet["channel"] == "bureau" && facet["dataset"] == "handling" && facet["fields"]["state"] == "signed"
            })
    };
    // The order may move on between the look and the request: then the next one is asked for.
    let asked = async |demo: &mut Demo, arguments: &[&str]| {
        wait_for("an order at work", PATIENCE, async || {
            for number in numbers(demo, at_work).await {
                let request = [&arguments[..2], &[number.as_str()], &arguments[2..]].concat();
                let (went_well, told) = command(demo, &request);
                if went_well && told["state"] == "applied" {
                    return Some((number, told));
                }
            }
            None
        })
        .await
    };
    // The bureau may have replied meanwhile, and refuses then.
    let assigned = wait_for("a further unit that is taken", PATIENCE, async || {
        let request = ["order", "assign", "--unit", UNIT, "--note", "请协助核查行程"];
        let (number, told) = asked(&mut demo, &request).await;
        let delivery = &told["deliveries"][0];
        assert_eq!(delivery["destination"], "bureau", "{told}");
        let path = format!("/api/v1/deliveries/{}", delivery["id"]);
        let state = wait_for("the bureau's answer", PATIENCE, async || {
            let state = demo.ask("admin", "judge_token", &path, None).await["delivery"]["state"].clone();
            matches!(state.as_str(), Some("acknowledged" | "rejected")).then_some(state)
        })
        .await;
        (state == "acknowledged").then_some(number)
    })
    .await;
    let (extended, told) = asked(&mut demo, &["order", "extend", "--days", "5", "--reason", "需会同外单位核查"]).await;
    assert_eq!(told["deliveries"][0]["destination"], "municipal-12345", "{told}");
    let (refused, told) = asked(&mut demo, &["order", "appeal", "--ground", "overdue", "--reason", "未超期"]).await;
    assert_eq!(told["deliveries"][0]["destination"], "municipal-12345", "{told}");

    let of_unit =
        |event: &Value| event["fields"]["handling_unit"] == UNIT && event["fields"]["unit_role"] == "assisting";
    wait_for("the unit among the bureau's words", PATIENCE, async || {
        said(&mut demo, &assigned, "bureau", of_unit).await.then_some(())
    })
    .await;
    let mut show = Command::new(program());
    let shown = show.args(["order", "show", &assigned, "--dir"]).arg(demo.dir.join("gateway")).output();
    let shown = String::from_utf8_lossy(&shown.expect("the program starts").stdout).into_owned();
    assert!(shown.contains("承办单位 units") && shown.contains("协办 assisting") && shown.contains(UNIT), "{shown}");
    wait_for("the platform's decision", PATIENCE, async || {
        let order = demo.ask("admin", "judge_token", &format!("/api/v1/orders/{extended}"), None).await;
        let mut overlays = order["overlays"].as_array()?.iter();
        let extension = overlays.find(|overlay| overlay["kind"] == "extension")?;
        matches!(extension["state"].as_str(), Some("granted" | "denied" | "not_taken")).then_some(())
    })
    .await;
    wait_for("the platform's refusal", PATIENCE, async || {
        let order = demo.ask("admin", "judge_token", &format!("/api/v1/orders/{refused}"), None).await;
        let mut overlays = order["overlays"].as_array()?.iter();
        (overlays.find(|overlay| overlay["kind"] == "appeal")?["state"] == "not_taken").then_some(())
    })
    .await;
    let verdict = demo.ended(PATIENCE).await.balanced();
    assert!(count(&verdict["bureau"]["asked"], "extension") > 0, "{}", verdict["bureau"]);
}
