//! The platform against its contract page.

use std::collections::BTreeMap;

use gateway_simulator::digest::{Dataset, ItemKey, add, element};
use gateway_simulator::sign::{SignatureMethod, Signer};
use gateway_simulator::start_platform;
use serde_json::{Value, json};

use crate::data::fixture;
use crate::support::{Peer, eventually, options};

#[tokio::test]
async fn listing_pages_every_record_once_in_order() {
    let dir = tempfile::tempdir().expect("dir");
    let platform = start_platform(options(dir.path(), 45)).await.expect("platform");
    let peer = Peer::of(&platform);
    peer.lived().await;
    let records = peer.listing(10).await;
    let keys: Vec<(String, String)> =
        records.iter().map(|record| (record["updateTime"].to_string(), record["orderNo"].to_string())).collect();
    assert_eq!(keys.len(), 45);
    assert!(keys.is_sorted());
    let to = records[20]["updateTime"].as_str().expect("time").replace(' ', "%20");
    let bounded = peer.read(&format!("/gateway/orders?updatedFrom={to}&updatedTo={to}&page=1&pageSize=200")).await;
    assert!(
        bounded["records"]
            .as_array()
            .expect("records")
            .iter()
            .any(|record| record["orderNo"] == records[20]["orderNo"]),
        "inclusive"
    );
    let asked = json!({"orderNos": [records[0]["orderNo"], "unknown"]}).to_string().into_bytes();
    let (_, answer) = peer.send("POST", "/gateway/orders/query", "", asked).await.expect("query");
    assert_eq!(answer["data"]["records"], json!([records[0]]));
    let (_, answer) =
        peer.send("GET", "/gateway/orders?updatedFrom=x&page=1&pageSize=10", "", Vec::new()).await.expect("bad");
    assert_eq!(answer["code"], 1004);
}

#[tokio::test]
async fn only_signed_and_fresh_calls_are_answered() {
    let dir = tempfile::tempdir().expect("dir");
    let mut options = options(dir.path(), 1);
    options.signature = SignatureMethod::HmacSm3;
    let platform = start_platform(options).await.expect("platform");
    let peer = Peer::at(&platform, SignatureMethod::HmacSm3);
    peer.lived().await;
    assert_eq!(peer.listing(10).await.len(), 1);
    let target = "/gateway/orders?updatedFrom=2000-01-01%2000:00:00&page=1&pageSize=10";
    let mut wrong = peer.clone();
    wrong.signer = Signer::new("transport-bureau", SignatureMethod::HmacSm3, "other");
    assert_eq!(wrong.send("GET", target, "", Vec::new()).await.expect("answer").0, 401);
    let stale = (gateway_simulator::clock::now_ms() - 301_000).to_string();
    let sign = peer.signer.sign("GET", target, &stale, "n", b"");
    let request = peer.client.get(format!("{}{target}", peer.url)).header("x-app-id", "transport-bureau");
    let request = request.header("x-timestamp", stale).header("x-nonce", "n").header("x-sign", sign);
    assert_eq!(request.send().await.expect("answer").status(), 401);
    let unarmed = peer.client.get(format!("{}/sim/life", peer.url)).send().await.expect("answer");
    assert_eq!(unarmed.status(), 401);
}

#[tokio::test]
async fn operations_follow_the_state_rules_and_are_idempotent() {
    let dir = tempfile::tempdir().expect("dir");
    let mut options = options(dir.path(), 1);
    options.data = Some(fixture("complaints.jsonl"));
    let platform = start_platform(options).await.expect("platform");
    let peer = Peer::of(&platform);
    peer.lived().await;
    let number = peer.listing(10).await[0]["orderNo"].as_str().expect("number").to_owned();
    let now = "2026-11-23 09:00:00";
    let reply = json!({"round": 0, "replyContent": "好\t的\n", "replyTime": "2026-11-23", "replyUnit": "局"});
    assert_eq!(peer.operate("nope", "sign", "q0", json!({"signTime": now})).await.0, 1002);
    assert_eq!(peer.operate(&number, "reply", "q1", reply.clone()).await.0, 1003, "not signed yet");
    assert_eq!(peer.operate(&number, "sign", "q2", json!({"signTime": "bad"})).await.0, 1004);
    let (code, first) = peer.operate(&number, "sign", "q2", json!({"signTime": now, "operator": "D"})).await;
    assert_eq!(code, 0);
    assert_eq!(
        peer.operate(&number, "sign", "q2", json!({"signTime": now})).await,
        (0, first.clone()),
        "the same key again"
    );
    assert_eq!(peer.operate(&number, "sign", "q3", json!({"signTime": now})).await.0, 1003);
    assert_eq!(peer.operate(&number, "reply", "q4", reply.clone()).await.0, 0);
    assert_eq!(peer.operate(&number, "reply", "q5", reply.clone()).await.0, 1001, "one reply per order and round");
    assert_eq!(peer.operate(&number, "complete", "q6", json!({"completeTime": now})).await.0, 0);
    assert_eq!(
        peer.operate(&number, "complete", "q6", json!({"completeTime": now})).await.0,
        1003,
        "complete is not idempotent"
    );
    let receipt = peer.read("/gateway/receipts?requestId=q2").await;
    assert_eq!((&receipt["receiptNo"], &receipt["operation"]), (&first["receiptNo"], &json!("sign")));
    assert_eq!(peer.read("/gateway/receipts?requestId=q6").await, Value::Null, "complete has no receipt query");
    let record = peer.listing(10).await.remove(0);
    assert_eq!(record["state"], "50");
    assert_eq!(record["completions"][0]["replyContent"], "好\t的\n");
    assert!(
        record["events"]
            .as_array()
            .expect("events")
            .iter()
            .any(|event| event["eventId"] == "q2" && event["kind"] == "sign")
    );

    // The judge's questions: how often a reply was kept, and what an item was at an earlier moment.
    let book = peer.sim("/sim/book/orders").await;
    assert_eq!(book["orders"][0]["replies"], json!([{"round": 0, "requestId": "q4"}]));
    let history = peer.sim(&format!("/sim/history?dataset=handling&number={number}&part=c0")).await;
    assert_eq!(history["versions"].as_array().expect("versions").len(), 4, "dispatched, signed, replied, completed");

    // A restarted platform has the same book, at the same address, and remembers what it answered.
    let address = platform.address;
    platform.shutdown().cancel();
    platform.ended().await.expect("ended");
    let mut again = options_of_data(dir.path());
    again.orders = Some(1);
    let platform = start_platform(again).await.expect("platform");
    assert_eq!(platform.address, address);
    let peer = Peer::of(&platform);
    assert_eq!(peer.sim("/sim/book/orders").await, book);
    assert_eq!(peer.operate(&number, "sign", "q2", json!({"signTime": now})).await, (0, first));
}

fn options_of_data(dir: &std::path::Path) -> gateway_simulator::PlatformOptions {
    let mut options = options(dir, 1_000);
    options.data = Some(fixture("complaints.jsonl"));
    options
}

#[tokio::test]
async fn the_manifest_is_the_sum_of_its_items_at_every_grain() {
    let dir = tempfile::tempdir().expect("dir");
    let platform = start_platform(options_of_data(dir.path())).await.expect("platform");
    let peer = Peer::of(&platform);
    peer.lived().await;
    let records = peer.listing(100).await;
    assert_eq!(records.len(), 40);
    let number = records[0]["orderNo"].as_str().expect("number");
    peer.operate(number, "sign", "s", json!({"signTime": "2026-11-23 09:00:00"})).await;
    let reply = json!({"round": 0, "replyContent": "好", "replyTime": "2018-04-24", "replyUnit": ""});
    assert_eq!(peer.operate(number, "reply", "r", reply).await.0, 0);

    let range = "from=2011-01-01%2000:00:00&to=2100-01-01%2000:00:00";
    for dataset in ["acceptance", "handling", "completion"] {
        let manifest =
            async |grain: &str| peer.read(&format!("/gateway/manifest?dataset={dataset}&{range}&grain={grain}")).await;
        let ids = manifest("ids").await["items"].as_array().expect("items").clone();
        assert_eq!(manifest("count").await["buckets"][0]["count"], ids.len());
        assert!(manifest("count").await["buckets"][0].get("sum").is_none());
        // A total counts date-only items too, and begins where the question begins; of nothing it says nothing.
        let total = manifest("total").await["buckets"].clone();
        assert_eq!((&total[0]["start"], &total[0]["count"]), (&json!("2011-01-01 00:00:00"), &json!(ids.len())));
        let nothing = "from=2010-01-01%2000:00:00&to=2010-02-01%2000:00:00&grain=total";
        let empty = peer.read(&format!("/gateway/manifest?dataset={dataset}&{nothing}")).await;
        assert_eq!(empty["buckets"], json!([]));
        for (grain, cut, pad) in
            [("month", 7, "-01 00:00:00"), ("day", 10, " 00:00:00"), ("hour", 13, ":00:00"), ("tenMinutes", 15, "0:00")]
        {
            let mut expected: BTreeMap<String, (u64, [u8; 32])> = BTreeMap::new();
            for item in &ids {
                let time = item["eventTime"].as_str().expect("time");
                // A date-only time counts at month and day only.
                let Some(start) = time.get(..cut) else { continue };
                let text = |name: &str| item[name].as_str().expect("text").to_owned();
                let dataset = Dataset::parse(dataset).expect("dataset");
                let key = ItemKey { dataset, number: text("orderNo"), day: text("day"), part: text("part") };
                let mut digest = [0; 32];
                hex::decode_to_slice(text("digest"), &mut digest).expect("hex");
                let (count, sum) = expected.entry(format!("{start}{pad}")).or_default();
                *count += 1;
                add(sum, &element(&key, &digest));
            }
            let expected: Vec<Value> = expected
                .into_iter()
                .map(|(start, (count, sum))| json!({"start": start, "count": count, "sum": hex::encode(sum)}))
                .collect();
            assert_eq!(manifest(grain).await["buckets"], json!(expected), "{dataset} by {grain}");
        }
    }
    let day = "from=2018-04-24%2000:00:00&to=2018-04-25%2000:00:00";
    let found = peer.read(&format!("/gateway/manifest?dataset=completion&{day}&grain=ids")).await;
    assert_eq!(found["items"][0]["eventTime"], "2018-04-24");
    let window = "eventFrom=2018-04-24%2000:00:00&eventTo=2018-04-25%2000:00:00";
    let listed = peer.read(&format!("/gateway/orders?dataset=completion&{window}&page=1&pageSize=10")).await;
    assert_eq!(listed["records"][0]["orderNo"], number);
}

#[tokio::test]
async fn invented_lives_run_their_course_and_stop() {
    let dir = tempfile::tempdir().expect("dir");
    let mut options = options(dir.path(), 1_000_000);
    options.rate = 50.0;
    let platform = start_platform(options).await.expect("platform");
    let peer = Peer::of(&platform);
    // A desk of its own, so that lives go beyond the dispatch.
    let mut turn = 0;
    eventually("somebody was visited and some order given back", || {
        turn += 1;
        let peer = peer.clone();
        async move {
            let records = peer.listing(200).await;
            let now = gateway_simulator::clock::wire_time(gateway_simulator::clock::now_ms());
            for record in records.iter().take(60) {
                let (number, round) = (record["orderNo"].as_str().expect("number"), &record["round"]);
                match record["state"].as_str() {
                    Some("20") if turn % 7 == 0 => drop(
                        peer.operate(number, "refuse", &format!("{number}-f{round}"), json!({"refuseTime": now})).await,
                    ),
                    Some("20") => drop(
                        peer.operate(number, "sign", &format!("{number}-s{round}"), json!({"signTime": now})).await,
                    ),
                    Some("30") => {
                        let body = json!({"round": round, "replyContent": "已处理", "replyTime": now});
                        drop(peer.operate(number, "reply", &format!("{number}-r{round}"), body).await);
                    }
                    Some("40") if turn % 3 == 0 => drop(
                        peer.operate(number, "complete", &format!("{number}-c{round}"), json!({"completeTime": now}))
                            .await,
                    ),
                    _ => {}
                }
            }
            let has = |what: &dyn Fn(&Value) -> bool| records.iter().any(what);
            has(&|record| record["visits"] != json!([])) && has(&|record| record["round"] != 0)
        }
    })
    .await;
    peer.stop_life().await;
    eventually("settled", || async { peer.sim("/sim/life").await["settled"] == true }).await;
    let before = peer.sim("/sim/book/orders?limit=1000").await;
    assert!(before["orders"].as_array().expect("orders").iter().all(|row| row["record"]["round"].as_u64() <= Some(2)));
    assert_eq!(before, peer.sim("/sim/book/orders?limit=1000").await);
}
