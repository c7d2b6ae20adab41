//! Demos that must end balanced: quiet, mildly disturbed, with everything that goes wrong at once, and with played files.

use crate::demo::{Demo, count, total};
use crate::program::{Scratch, alone, run, seed, together};
use gateway_simulator::FaultKind;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(300);

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The shape that the contract of the demo names, key by key.
fn has_the_agreed_shape(verdict: &Value) {
    let agreed =
        ["balanced", "inbound", "outbound", "gaps", "manifest", "faults", "forwards", "mismatches", "mismatch_count"];
    assert_eq!(keys(verdict), agreed);
    let inbound = ["at_source", "applied", "captured", "channel", "dataset", "dead_lettered", "duplicate", "in_flight"];
    let outbound = [
        "acknowledged",
        "channel",
        "dataset",
        "dead_lettered",
        "delivered",
        "in_flight",
        "owed",
        "rejected",
        "superseded",
        "waived",
    ];
    let rows: [(&str, &[&str]); 2] = [("inbound", &inbound), ("outbound", &outbound)];
    for (side, agreed) in rows {
        let rows = verdict[side].as_array().expect("rows");
        assert!(!rows.is_empty(), "{side}");
        for row in rows {
            assert!(agreed.iter().all(|key| keys(row).contains(key)) && keys(row).len() == agreed.len(), "{row}");
        }
    }
    assert_eq!(keys(&verdict["gaps"]), ["opened", "repaired", "waived", "open", "false", "by_kind"]);
    let manifest = &verdict["manifest"];
    assert!(count(manifest, "calls") > 0 && count(manifest, "bytes") > 0, "{manifest}");
}

async fn short(faults: &[&str]) -> Value {
    let _machine = alone().await;
    let scratch = Scratch::new();
    let seed = seed("short run").to_string();
    let arguments = [&["--seconds", "10", "--seed", &seed], faults].concat();
    let ended = Demo::run(&scratch, &arguments, PATIENCE).await;
    let verdict = ended.balanced();
    has_the_agreed_shape(&verdict);
    assert!(
        ended.stderr.contains(&format!("seed {seed}")) && ended.stderr.contains("orders created"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stdout.lines().count(), 1, "the balance stands alone: {}", ended.stdout);
    assert!(total(&verdict, "inbound", Some("acceptance"), "at_source") > 100, "life at 20 orders a second: {verdict}");
    assert!(total(&verdict, "outbound", Some("completion"), "acknowledged") > 10, "replies went out: {verdict}");
    verdict
}

#[tokio::test]
async fn a_quiet_run_is_balanced() {
    let verdict = short(&["--faults", "none"]).await;
    assert_eq!(verdict["faults"], serde_json::json!({}));
    assert_eq!(count(&verdict["gaps"], "opened"), 0, "where nothing went wrong there is no gap: {}", verdict["gaps"]);
}

#[tokio::test]
async fn a_run_with_the_default_faults_is_balanced() {
    let verdict = short(&[]).await;
    let injected = verdict["faults"].as_object().expect("faults").values().filter_map(Value::as_u64).sum::<u64>();
    assert!(injected > 0, "{}", verdict["faults"]);
}

#[tokio::test]
async fn a_person_reads_the_balance_as_a_table() {
    let _machine = together().await;
    let (code, out, err) = run(&["demo", "--orders", "30", "--faults", "none"]);
    assert_eq!(code, 0, "{out}{err}");
    for word in ["inbound 入站", "outbound 出站", "municipal-12345", "acceptance", "balanced 账实相符"] {
        assert!(out.contains(word), "{word}: {out}");
    }
}

#[tokio::test]
async fn a_heavy_run_is_balanced_and_every_fault_was_there() {
    let _machine = alone().await;
    let scratch = Scratch::new();
    let seed = seed("heavy").to_string();
    let verdict =
        Demo::run(&scratch, &["--faults", "heavy", "--seconds", "60", "--seed", &seed], PATIENCE).await.balanced();
    for kind in FaultKind::heavy() {
        assert!(count(&verdict["faults"], kind.as_str()) >= 1, "{} was not injected", kind.as_str());
    }
    let gaps = &verdict["gaps"];
    assert_eq!(count(gaps, "false"), 0, "{gaps}");
    assert!(count(gaps, "repaired") >= 1, "silent edits and missed records are found by reconciliation alone: {gaps}");
}

/// Plays a file; every row must be held, every reply at the platform once.
async fn played(file: &Path, rows: u64, patience: Duration) {
    let scratch = Scratch::new();
    let file = file.to_str().expect("a path in UTF-8");
    let verdict = Demo::run(&scratch, &["--data", file, "--faults", "none"], patience).await.balanced();
    assert_eq!(total(&verdict, "inbound", Some("acceptance"), "at_source"), rows, "every row was played");
    let replies = total(&verdict, "inbound", Some("completion"), "at_source");
    assert!(replies > 0, "{verdict}");
    assert_eq!(total(&verdict, "outbound", Some("completion"), "acknowledged"), replies, "all replies once: {verdict}");
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/gateway-simulator/fixtures").join(name)
}

#[tokio::test]
async fn complaints_are_played() {
    let _machine = together().await;
    played(&fixture("complaints.jsonl"), 40, PATIENCE).await;
}

#[tokio::test]
async fn service_requests_of_another_shape_are_played() {
    let _machine = together().await;
    played(&fixture("sf311-small.csv"), 40, PATIENCE).await;
}

/// The real files are not part of the repository: `GATEWAY_DATA_DIR` says where they lie.
#[tokio::test]
async fn the_real_files_are_played() {
    let Some(dir) = std::env::var_os("GATEWAY_DATA_DIR").map(PathBuf::from) else {
        println!("GATEWAY_DATA_DIR is not set: only the fixtures are played");
        return;
    };
    let _machine = alone().await;
    played(&dir.join("complaints-with-replies.jsonl"), 2_816, Duration::from_secs(900)).await;
    played(&dir.join("sf311.csv"), 10_000, Duration::from_secs(900)).await;
}
