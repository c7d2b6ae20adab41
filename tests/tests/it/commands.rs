//! The commands a person types, against a running gateway and a stopped one, and how a demo ends.

use crate::demo::{CHILDREN, Demo};
use crate::gateway::{CHANNEL, Gateway, Push, record};
use crate::program::{Scratch, alone, code, run, runs_in, together, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn check_config_tells_all_mistakes_at_once() {
    let scratch = Scratch::new();
    let dir = scratch.path("gateway");
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(
        dir.join("gateway.toml"),
        r#"
api.admin_address = "0.0.0.0:8081"
topics.retention_days = 30
intake.poll.evry_ms = 5
[bus]
engine = "kafka"
[bus.kafka]
prefix = "our topics"
min_insync = 4
security = { sasl_mechanism = "plain", username = "gateway", password_file = "secrets/kafka.password" }
[[channel]]
id = "municipal-12345"
kind = "telepathy"
base_url = "http://127.0.0.1:1"
[[route]]
from = "desk"
datasets = ["handling"]
to = "nowhere"
[[alert.notifier]]
id = "hook"
kind = "alertmanager"
url = "http://127.0.0.1:1"
[[alert.route]]
channels = ["municipal-12345", "desk", "municipal"]
codes = ["disk_lo"]
to = ["hook"]
[alert.default_route]
codes = ["disk_low"]
"#,
    )
    .expect("written");
    let dir = dir.to_str().expect("UTF-8");
    let (code, out, err) = run(&["check-config", "--dir", dir, "--json"]);
    assert_eq!(code, 1, "{out}{err}");
    let told: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(told["valid"], false);
    let keys: Vec<&str> =
        told["mistakes"].as_array().into_iter().flatten().filter_map(|one| one["key"].as_str()).collect();
    for key in [
        "api.admin_address",
        "topics.retention_days",
        "intake.poll.evry_ms",
        "channel[0].kind",
        "route[0].to",
        "bus.kafka.bootstrap_servers",
        "bus.kafka.prefix",
        "bus.kafka.min_insync",
        "bus.kafka.security.sasl_mechanism",
        "bus.kafka.security.password_file",
        "alert.route[0].channels[2]",
        "alert.route[0].codes[0]",
        "alert.default_route.codes",
    ] {
        assert!(keys.contains(&key), "{key} is not among {keys:?}");
    }
    let (code, out, _) = run(&["check-config", "--dir", dir]);
    assert_eq!(code, 1);
    assert_eq!(out.lines().count(), keys.len(), "one line each: {out}");
    let (code, _, err) = run(&["serve", "--dir", dir]);
    assert!(code == 1 && err.contains("intake.poll.evry_ms"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_names_the_directory_and_overrides_settings() {
    let gateway = Gateway::prepare("").await;
    let check = |name: &str, value: &str| {
        let mut command = std::process::Command::new(crate::program::program());
        command.args(["check-config", "--json"]).env("GATEWAY_DIR", &gateway.dir).env(name, value);
        let output = command.output().expect("the program starts");
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    assert_eq!(check("GATEWAY_NOT_A_SETTING", "1")["valid"], true, "only names with a section are settings");
    assert_eq!(check("GATEWAY_TOPICS__PARTITIONS", "8")["valid"], true);
    let told = check("GATEWAY_TOPICS__PARTITIONS", "300");
    assert_eq!(told["mistakes"][0]["key"], "topics.partitions", "{told}");
    let told = check("GATEWAY_TOPICS__PARTITION", "3");
    assert_eq!(told["mistakes"][0]["key"], "topics.partition", "{told}");
}

/// What every question must answer, whether the gateway runs or not.
fn questions(gateway: &Gateway, running: bool) {
    let status = gateway.json(&["status"]);
    assert_eq!(status["running"], running, "{status}");
    assert_eq!(status["books"]["dead_letters_open"], 1, "{status}");
    let (code, ..) = gateway.command(&["status"]);
    assert_eq!(code == 0, running && status["healthy"] == true, "{status}");

    let shown = gateway.json(&["order", "show", "GZ1"]);
    let order = &shown["order"];
    assert_eq!(order["numbers"][0]["channel"], CHANNEL, "{shown}");
    assert_eq!(order["fields"]["title"], "绕路");
    assert!(shown["timeline"].as_array().is_some_and(|lines| !lines.is_empty()), "{shown}");
    assert_eq!(shown["deliveries"], json!([]));
    assert!(!shown.to_string().contains("13800000000"), "no person field unless asked for: {shown}");
    let persons = gateway.json(&["order", "show", "GZ1", "--person"]);
    assert!(persons.to_string().contains("13800000000"), "{persons}");
    let (code, out, _) = gateway.command(&["order", "show", "GZ1"]);
    assert!(
        code == 0 && out.contains("绕路") && out.contains("时间线 timeline") && out.contains("受理信息 acceptance"),
        "{out}"
    );
    let (code, _, err) = gateway.command(&["order", "show", "GZ404"]);
    assert!(code == 1 && err.contains("there is no order GZ404"), "{err}");

    assert!(err.contains("没有工单 GZ404"), "people at the bureau read Chinese: {err}");
    for (arguments, words) in [
        (&["order", "show", "GZ1", "--channel", "province"][..], "没有配置渠道 province"),
        (&["gaps", "list", "--group", "7"], "没有缺口组 7"),
        (&["gaps", "export", "--group", "7", "--json"], "没有缺口组 7"),
        (&["gaps", "show", "7"], "没有缺口 7"),
        (&["alert", "list", "--channel", "province"], "没有配置渠道 province"),
        (&["alert", "silence", "add", "--code", "disk_lo", "--for", "1h", "--reason", "x"], "没有告警代码 disk_lo"),
        (&["report", "daily", "2026-02-30"], "日历上没有 2026-02-30"),
        (&["report", "daily", "2099-01-01"], "2099-01-01 尚未到来"),
        (&["report", "daily", "2026-11-01", "--format", "csv", "--out", "x.xlsx"], "x.xlsx 表示 xlsx"),
    ] {
        let (code, out, err) = gateway.command(arguments);
        assert!(code == 1 && err.contains(words), "{arguments:?}: {code} {out}{err}");
    }
    let (code, out, _) = gateway.command(&["gaps", "repair", "--all"]);
    assert!(code == 0 && out.contains("there is nothing to repair"), "{out}");
    assert_eq!(gateway.json(&["gaps", "export"])["gaps"], json!([]));

    assert_eq!(gateway.json(&["gaps", "list"])["groups"], json!([]));
    let letters = gateway.json(&["dead-letters", "list", "--state", "open"]);
    assert_eq!(letters["dead_letters"].as_array().map(Vec::len), Some(1), "{letters}");
    let id = letters["dead_letters"][0]["id"].to_string();
    assert_eq!(gateway.json(&["dead-letters", "show", &id])["body"], "not json");
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_by_a_running_and_by_a_stopped_gateway() {
    let _machine = together().await;
    let mut gateway = Gateway::start().await;
    assert_eq!(gateway.push(&Push::records("n1", &[record("GZ1")])).await.status, 200);
    assert_eq!(gateway.push(&Push::body("n2", "not json")).await.status, 400);
    gateway.settled().await;
    wait_for("health", PATIENCE, async || (gateway.json(&["status"])["healthy"] == true).then_some(())).await;
    questions(&gateway, true);
    let (code, _, err) = gateway.command(&["migrate"]);
    assert!(code == 1 && err.contains("stop it first"), "{err}");
    gateway.stop().await;
    questions(&gateway, false);
    let (code, out, err) = gateway.command(&["migrate"]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, _, err) = run(&["status", "--dir", gateway.scratch("elsewhere").to_str().expect("UTF-8")]);
    assert!(code == 1 && err.contains("does not exist"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_poller_never_looks_healthy() {
    let _machine = together().await;
    let mut gateway = Gateway::start().await;
    wait_for("health", PATIENCE, async || (gateway.json(&["status"])["healthy"] == true).then_some(())).await;
    gateway.end_platform().await;
    let status = wait_for("the poller's trouble", PATIENCE, async || {
        let status = gateway.json(&["status"]);
        (status["healthy"] == false).then_some(status)
    })
    .await;
    let tasks = status["tasks"].as_array().expect("tasks");
    assert!(tasks.iter().any(|task| task["health"] != "healthy" && !task["error"].is_null()), "{status}");
    let (code, ..) = gateway.command(&["status"]);
    assert_eq!(code, 1);
    gateway.stop().await;
}

async fn children_end(demo: &Demo, state: &Value) {
    let pids = state["pids"].as_object().expect("pids");
    assert_eq!(pids.len(), CHILDREN.len());
    for (name, pid) in pids {
        let pid = pid.as_u64().expect("it runs");
        let gone = async || (!runs_in(pid, &demo.dir)).then_some(());
        wait_for(&format!("the end of {name}"), PATIENCE, gone).await;
    }
}

/// A demo in the middle of its life, with its processes.
async fn living(scratch: &Scratch) -> (Demo, Value) {
    let mut demo = Demo::start(scratch, &["--seconds", "3600", "--faults", "none"]);
    for name in CHILDREN {
        demo.child(name).await;
    }
    demo.platform("/sim/life", None).await;
    let state = demo.state().expect("it runs");
    (demo, state)
}

#[tokio::test]
async fn an_interrupted_demo_leaves_nothing_behind() {
    let _machine = together().await;
    let scratch = Scratch::new();
    let (mut demo, state) = living(&scratch).await;
    demo.process.signal(Signal::INT);
    let status = demo.process.ended(PATIENCE).await;
    assert_eq!(code(status), 130, "what a shell shows for an interrupted program");
    for (name, pid) in state["pids"].as_object().expect("pids") {
        assert!(!runs_in(pid.as_u64().expect("it ran"), &demo.dir), "{name} still runs");
    }
}

#[tokio::test]
async fn the_children_of_a_killed_demo_end() {
    let _machine = alone().await;
    let scratch = Scratch::new();
    let (mut demo, state) = living(&scratch).await;
    demo.process.kill();
    children_end(&demo, &state).await;
}
