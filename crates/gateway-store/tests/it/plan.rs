//! No statement that runs often reads a whole table.

use crate::place::Place;
use gateway_store::conformance::StoreUnderTest;
use sqlx::{AssertSqlSafe, Row};
use std::path::Path;

/// Statements that read all of a small table, or are asked for by a person.
const WHOLE: &[&str] = &[
    "anomaly_tally/list",
    "flow_position/list",
    "flow_tally/list",
    "parked_record/tally",
    "work_order/count",
    "delivery_tally/list",
    "gap/tally",
    "repair_stop/list",
    "comparison_total/sum",
    "job/tally",
    "ingest/next_ids",
    "incident/live",
    "notification_incident/owed",
    "notifier/list",
    "node/list",
    "registry_import/list",
    "verification/tally",
    "attachment/tally",
    // Its index holds nothing but what is asked for.
    "order_pair/pending",
    // A row for each job that one process does at a time; once, when a process ends.
    "lease/release_all",
];

#[tokio::test]
async fn every_statement_is_served_by_an_index() {
    let place = Place::new();
    let store = place.open().await;
    let mut connection = place.connect().await;
    let mut checked = 0;
    let mut scans = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
    for table in std::fs::read_dir(&root).unwrap() {
        for file in std::fs::read_dir(table.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().with_extension("").display().to_string();
            let sql = std::fs::read_to_string(&path).unwrap();
            // The other engine's own texts and tables are not for this one.
            let others = ["schema_migration/", "moving/", "moving_table/"].iter().any(|table| name.starts_with(table));
            if WHOLE.contains(&name.as_str()) || others || name.ends_with(".postgres") {
                continue;
            }
            let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(&mut connection).await;
            for step in plan.unwrap_or_else(|error| panic!("{name}: {error}")) {
                let detail: String = step.get("detail");
                // A list that came with the statement, the few rows that an index has found, or a row for each channel.
                let harmless = ["json_each", "wanted", "referring", "CONSTANT ROW", "sqlite_sequence", "match_channel"];
                let harmless = harmless.iter().any(|word| detail.contains(word));
                if detail.starts_with("SCAN") && !harmless {
                    scans.push(format!("{name}: {detail}"));
                }
            }
            checked += 1;
        }
    }
    assert!(scans.is_empty(), "{scans:#?}");
    assert!(checked > 50, "only {checked} statements were found");
    store.close().await;
}
