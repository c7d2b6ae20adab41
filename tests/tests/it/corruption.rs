//! The judge is no yes-man: one altered value, in our store or in the platform's book, and the run fails.

use crate::demo::Demo;
use crate::program::{Scratch, alone, sql, wait_for};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(300);
const JUDGE_ONLY: [&str; 6] = ["--faults", "none", "--orders", "0", "--settle-seconds", "8"];

#[tokio::test]
async fn a_corrupted_field_of_the_store_is_seen() {
    let _machine = alone().await;
    let scratch = Scratch::new();
    let life = ["--faults", "none", "--seconds", "6", "--seed", "5"];
    Demo::run(&scratch, &life, PATIENCE).await.balanced();
    // Judged again without more life: that alone changes nothing.
    Demo::run(&scratch, &JUDGE_ONLY, PATIENCE).await.balanced();

    let store = scratch.path("demo").join("gateway/store.db");
    let table = |name: &str, field: &str, dataset: &str| {
        let row = format!(
            "(select rowid from {name} where channel = 'municipal-12345' and dataset = '{dataset}'
              and json_extract(fields, '$.{field}') <> '' order by rowid limit 1)"
        );
        let changed = sql(
            &store,
            &format!(
                "update {name} set fields = json_set(fields, '$.{field}', 'damaged') where rowid = {row}; select changes();"
            ),
        );
        assert_eq!(changed, "1", "{name}.{field}");
    };
    table("work_order_person", "requester_phone", "acceptance");
    let kinds = Demo::run(&scratch, &JUDGE_ONLY, PATIENCE).await.unbalanced();
    assert_eq!(kinds, ["person:requester_phone"]);

    table("facet", "title", "acceptance");
    let kinds = Demo::run(&scratch, &JUDGE_ONLY, PATIENCE).await.unbalanced();
    assert_eq!(kinds, ["field:title", "person:requester_phone"]);
}

#[tokio::test]
async fn a_corrupted_row_of_the_platforms_book_is_seen() {
    let _machine = alone().await;
    let scratch = Scratch::new();
    let life = ["--faults", "none", "--without-reconcile", "--seconds", "25", "--rate", "5", "--settle-seconds", "8"];
    let mut demo = Demo::start(&scratch, &life);
    // An order that nothing touches any more and that no overlap reads again: finished, and well older than the newest.
    let number = wait_for("a finished order", Duration::from_secs(60), async || {
        let orders = demo.platform("/sim/book/orders?limit=1000", None).await;
        let orders = orders["orders"].as_array().expect("rows").clone();
        let time = |order: &serde_json::Value| {
            gateway_simulator::clock::wire_ms(order["record"]["updateTime"].as_str().unwrap_or_default())
        };
        let newest = orders.iter().filter_map(time).max()?;
        let finished = |order: &&serde_json::Value| {
            matches!(order["record"]["state"].as_str(), Some("70" | "80" | "90"))
                && time(order).is_some_and(|at| at + 11_000 < newest)
        };
        orders.iter().find(finished).map(|order| order["record"]["orderNo"].as_str().unwrap_or_default().to_owned())
    });
    let number = number.await;
    let answer = demo.platform("/sim/book/corrupt", Some(&format!(r#"{{"orderNo":"{number}"}}"#))).await;
    assert_eq!(answer["corrupted"], number);
    let ended = demo.ended(PATIENCE).await;
    // The province was told what stood there before.
    assert_eq!(ended.unbalanced(), ["digest", "field:title", "forward_differs"]);
    let verdict = ended.verdict();
    assert!(verdict["mismatches"].as_array().expect("rows").iter().all(|one| one["number"] == number), "{verdict}");
}
