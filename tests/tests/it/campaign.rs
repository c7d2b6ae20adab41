//! The detection campaign, short: its whole size is `make campaign`.

use gateway_e2e::campaign::{CampaignOptions, run};

#[tokio::test(flavor = "multi_thread")]
async fn every_observable_fault_of_some_days_is_found_and_repaired_and_no_gap_is_false() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        CampaignOptions { seed: 7, days: 3, orders_per_day: 150.0, faults: 150, upheavals: false, progress: false };
    let outcome = run(dir.path(), &options).await.unwrap();
    println!("{outcome}");
    assert!(outcome.lost.is_empty(), "{}", outcome.lost.join("\n"));
    assert!(outcome.score.kinds.values().map(|row| row.found).sum::<u64>() >= 30);
}
