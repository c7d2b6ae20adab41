//! The detection campaign, short: its whole size is `make campaign`.

use gateway_e2e::campaign::{CampaignOptions, run};
use std::os::unix::fs::PermissionsExt as _;

async fn nothing_is_missed_and_nothing_false(scaled: bool) {
    let dir = tempfile::tempdir().expect("a directory");
    // The database runs as another user where this test runs as root.
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).expect("its own directory");
    let short = CampaignOptions {
        seed: 7,
        days: 3,
        orders_per_day: 150.0,
        faults: 150,
        // They make the gateway wait in real time; once is enough.
        upheavals: !scaled,
        scaled,
        progress: false,
    };
    let outcome = run(dir.path(), &short).await.expect("it can be run");
    println!("{outcome}");
    assert!(outcome.lost.is_empty(), "{}", outcome.lost.join("\n"));
    assert!(outcome.score.kinds.values().map(|row| row.found).sum::<u64>() >= if scaled { 30 } else { 300 });
}

#[tokio::test(flavor = "multi_thread")]
async fn every_observable_fault_of_some_days_is_found_and_repaired_and_no_gap_is_false() {
    nothing_is_missed_and_nothing_false(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_kafka_and_postgresql_too() {
    nothing_is_missed_and_nothing_false(true).await;
}
