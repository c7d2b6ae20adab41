//! Each defence is needed: with it a run is balanced, without it the same run is not.
//!
//! The faults are injected so often that it needs no luck. `--without-reconcile` where comparing accounts would repair what the defence let through.

use crate::demo::Demo;
use crate::gateway::Gateway;
use crate::program::{Scratch, alone, together};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(300);
const SEED: &str = "20261123";

/// Runs the same life with and without a defence, beside each other; one of `signs` must be among the mismatches of the latter.
async fn is_needed(defence: &str, faults: &[&str], signs: &[&str]) {
    let _machine = alone().await;
    let (guarded, bare) = (Scratch::new(), Scratch::new());
    let life = [&["--seed", SEED, "--seconds", "12"], faults].concat();
    let with = Demo::start(&guarded, &life);
    let without = Demo::start(&bare, &[&life[..], &["--settle-seconds", "25", "--without-defence", defence]].concat());
    let (with, without) = (with.ended(PATIENCE).await, without.ended(PATIENCE).await);
    let kinds = without.unbalanced();
    assert!(signs.iter().any(|sign| kinds.iter().any(|kind| kind == sign)), "none of {signs:?} in {kinds:?}");
    let verdict = with.balanced();
    let injected = verdict["faults"].as_object().expect("faults").values().all(|count| count.as_u64() > Some(0));
    assert!(injected, "{}", verdict["faults"]);
}

/// Records that the listing shows only after others with a later update time.
#[tokio::test]
async fn overlap() {
    is_needed("overlap", &["--without-reconcile", "--faults", "late:50"], &["order_missing"]).await;
}

/// Two edits with one update time.
#[tokio::test]
async fn reread_on_tie() {
    is_needed(
        "reread-on-tie",
        &["--without-reconcile", "--faults", "same_second:50"],
        &["field:title", "field:address"],
    )
    .await;
}

/// Accounts that are some seconds old.
#[tokio::test]
async fn second_look() {
    is_needed("second-look", &["--faults", "stale_manifest:100"], &["gap_false"]).await;
}

/// An operation without a receipt query whose answer came too late: only the record can tell that it was done.
#[tokio::test]
async fn echo() {
    is_needed(
        "echo",
        &["--without-reconcile", "--faults", "late_answer:1"],
        &["done_but_rejected:complete", "in_flight"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_defence_is_told() {
    let _machine = together().await;
    let gateway = Gateway::prepare("").await;
    let (code, _, err) = gateway.command(&["serve", "--without-defence", "luck"]);
    assert!(code == 1 && err.contains("there is no defence luck"), "{err}");
}
