//! The province against its contract page: uploads, its own orders, and what goes wrong with both.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gateway_simulator::{FaultKind, FaultPlan, PlatformEnd, PlatformKind, PlatformOptions, start_platform};
use serde_json::{Value, json};

use crate::support::{Peer, eventually, options};

pub fn provincial(dir: &std::path::Path, orders: u64) -> PlatformOptions {
    PlatformOptions { kind: PlatformKind::Province, ..options(dir, orders) }
}

const NUMBER: &str = "municipal-12345-GZ20261123000001";

fn acceptance() -> Value {
    json!({
        "createTime": "2026-11-23 09:00:01", "orderType": "2", "title": "投诉\t拒载", "content": "内容\r\n", "urgency": "1",
        "occurTime": "2026-11-22", "isSecret": "0", "isAnonymous": "0",
    })
}

async fn record(peer: &Peer, number: &str) -> Value {
    let asked = json!({"orderNos": [number]}).to_string().into_bytes();
    let (_, answer) = peer.send("POST", "/gateway/orders/query", "", asked).await.expect("query");
    answer["data"]["records"][0].clone()
}

async fn count(peer: &Peer, dataset: &str) -> Value {
    let window = "from=2026-11-01%2000:00:00&to=2026-12-01%2000:00:00&grain=total";
    let account = peer.read(&format!("/gateway/manifest?dataset={dataset}&{window}")).await;
    account["buckets"][0]["count"].clone()
}

#[tokio::test]
async fn uploads_make_an_order_item_by_item() {
    let dir = tempfile::tempdir().expect("dir");
    let platform = start_platform(provincial(dir.path(), 1)).await.expect("platform");
    let peer = Peer::of(&platform);
    peer.lived().await;
    peer.stop_life().await;
    let own = peer.listing(10).await.remove(0);
    let state = json!({"state": "30", "unit": "市交通运输局", "deadline": "2026-12-14 23:59:59", "round": 0});
    assert_eq!(peer.operate(NUMBER, "upload_state", "k0", state.clone()).await.0, 1002, "no order yet");
    let before = count(&peer, "handling").await;

    let (code, first) = peer.operate(NUMBER, "upload_acceptance", "k1", acceptance()).await;
    assert_eq!(code, 0);
    assert_eq!(count(&peer, "handling").await, before, "without a state there is no item of it");
    assert_eq!(peer.operate(NUMBER, "upload_acceptance", "k1", acceptance()).await, (0, first.clone()));
    assert_eq!(peer.operate(NUMBER, "upload_state", "k1", state.clone()).await.0, 1004, "the key is another's");
    assert_eq!(peer.operate("other", "upload_acceptance", "k1", acceptance()).await.0, 1004, "the key is another's");
    assert_eq!(peer.operate(NUMBER, "upload_state", "k2", state).await.0, 0);
    let event = |text: &str| json!({"eventId": "E1", "kind": "urge", "time": "2026-11-23 10:00:00", "text": text});
    assert_eq!(peer.operate(NUMBER, "upload_event", "k3", event("快")).await.0, 0);
    assert_eq!(peer.operate(NUMBER, "upload_event", "k4", event("更快")).await.0, 0);
    let completion = json!({"round": 0, "replyContent": "已处理", "replyTime": "2026-11-24", "replyUnit": "局"});
    assert_eq!(peer.operate(NUMBER, "upload_completion", "k5", completion.clone()).await.0, 0);
    let visit =
        json!({"visitNo": 1, "round": 0, "visitTime": "2026-11-25 09:00:00", "connected": "1", "satisfaction": "2"});
    assert_eq!(peer.operate(NUMBER, "upload_visit", "k6", visit).await.0, 0);
    let mut corrected = acceptance();
    corrected["title"] = "更正".into();
    assert_eq!(peer.operate(NUMBER, "upload_acceptance", "k7", corrected).await.0, 0);

    let stands = record(&peer, NUMBER).await;
    assert_eq!(
        (&stands["title"], &stands["state"], &stands["createTime"]),
        (&json!("更正"), &json!("30"), &json!("2026-11-23 09:00:01"))
    );
    assert_eq!(stands["events"], json!([event("更快")]));
    assert_eq!(stands["completions"], json!([completion]));
    assert_eq!(stands["visits"][0]["satisfaction"], "2");
    assert_eq!(count(&peer, "completion").await, 1);
    let receipt = peer.read("/gateway/receipts?requestId=k1").await;
    assert_eq!((&receipt["receiptNo"], &receipt["operation"]), (&first["receiptNo"], &json!("upload_acceptance")));

    // What a city maps wrongly is refused, and so is a word on what is not its own.
    let wrong = |field: &str, value: Value| {
        let mut body = acceptance();
        body[field] = value;
        body
    };
    for body in [
        wrong("orderType", json!("03")),
        wrong("createTime", json!("soon")),
        wrong("what", json!("?")),
        json!({"orderType": "1"}),
    ] {
        assert_eq!(peer.operate("other", "upload_acceptance", "k8", body).await.0, 1004);
    }
    assert_eq!(peer.operate(NUMBER, "upload_knowledge", "k8", json!({})).await.0, 1004);
    let number = own["orderNo"].as_str().expect("number");
    assert_eq!(peer.operate(number, "upload_state", "k8", json!({"state": "50"})).await.0, 1003, "the province's own");
    assert_eq!(peer.operate(NUMBER, "sign", "k9", json!({"signTime": "2026-11-23 09:00:00"})).await.0, 1003);

    // A restarted province has the same book, and answers a repeated key as before.
    platform.shutdown().cancel();
    platform.ended().await.expect("ended");
    let platform = start_platform(provincial(dir.path(), 1)).await.expect("platform");
    let peer = Peer::of(&platform);
    assert_eq!(record(&peer, NUMBER).await, stands);
    assert_eq!(peer.operate(NUMBER, "upload_acceptance", "k1", acceptance()).await, (0, first));
    assert_eq!(record(&peer, NUMBER).await["title"], "更正", "a repeat changes nothing");
    assert_eq!(peer.sim("/sim/life").await["created"], 1, "uploads are no orders of its life");
}

#[tokio::test]
async fn it_has_orders_of_its_own_and_leaves_uploaded_ones_alone() {
    let dir = tempfile::tempdir().expect("dir");
    let mut options = provincial(dir.path(), 60);
    options.rate = 60.0;
    let platform = start_platform(options).await.expect("platform");
    let peer = Peer::of(&platform);
    peer.operate(NUMBER, "upload_acceptance", "k1", acceptance()).await;
    peer.operate(NUMBER, "upload_state", "k2", json!({"state": "10", "round": 0})).await;
    let uploaded = record(&peer, NUMBER).await;
    eventually("its own orders are dispatched", || async {
        let records = peer.listing(200).await;
        let own: Vec<&Value> = records.iter().filter(|record| record["orderNo"] != NUMBER).collect();
        own.len() == 60 && own.iter().any(|record| record["state"] == "20")
    })
    .await;
    let records = peer.listing(200).await;
    let spot_checks: Vec<&Value> = records.iter().filter(|record| record["sourceType"] == "spot_check").collect();
    assert!((8..30).contains(&spot_checks.len()), "{}", spot_checks.len());
    assert!(spot_checks.iter().all(|order| order["deadline"].is_string()));
    assert!(records.iter().all(|record| ["1", "2", "3", "9"].contains(&record["orderType"].as_str().expect("code"))));
    assert_eq!(record(&peer, NUMBER).await, uploaded);
    assert_eq!(peer.sim("/sim/life").await["pushes_queued"], 0, "it pushes nothing");
}

/// Uploads until the answer is final, as the contract wants it: unknown results are asked for by receipt and sent again under the same key.
async fn persist(peer: &Peer, number: &str, operation: &str, key: &str, body: &Value) -> i64 {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        assert!(Instant::now() < deadline, "no end of {operation}");
        let target = format!("/gateway/orders/{number}/{operation}");
        if let Ok((200, answer)) = peer.send("POST", &target, key, body.to_string().into_bytes()).await
            && let Some(code) = answer["code"].as_i64()
        {
            return code;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heavy_plan_befalls_uploads_in_every_way() {
    let dir = tempfile::tempdir().expect("dir");
    let mut options = provincial(dir.path(), u64::MAX);
    options.orders = None;
    options.seconds = Some(12);
    options.rate = 3.0;
    options.faults = FaultPlan::Heavy;
    options.overlap = Duration::from_millis(500);
    let mut platform = start_platform(options.clone()).await.expect("platform");
    let (mut at, mut codes) = (0, BTreeMap::<i64, usize>::new());
    let deadline = Instant::now() + Duration::from_secs(60);
    let injected = loop {
        assert!(Instant::now() < deadline, "life does not end");
        if platform.shutdown().is_cancelled() {
            assert_eq!(platform.ended().await.expect("ended"), PlatformEnd::RestartWanted);
            platform = start_platform(options.clone()).await.expect("restarted");
        }
        let peer = Peer::of(&platform);
        at += 1;
        let number = format!("c-{at}");
        let target = format!("/gateway/orders/{number}/upload_acceptance");
        let sent = peer.send("POST", &target, &format!("a{at}"), acceptance().to_string().into_bytes()).await;
        // Cut off or answered: what counts is the book.
        if let Ok((200, answer)) = sent {
            *codes.entry(answer["code"].as_i64().unwrap_or(-1)).or_default() += 1;
        }
        let state = json!({"state": "10", "round": 0}).to_string().into_bytes();
        if let Ok((200, answer)) =
            peer.send("POST", &format!("/gateway/orders/{number}/upload_state"), &format!("s{at}"), state).await
        {
            *codes.entry(answer["code"].as_i64().unwrap_or(-1)).or_default() += 1;
        }
        let _ =
            peer.send("GET", "/gateway/orders?updatedFrom=2000-01-01%2000:00:00&page=1&pageSize=5", "", vec![]).await;
        let _ = peer
            .send(
                "GET",
                "/gateway/manifest?dataset=handling&from=2000-01-01%2000:00:00&to=2100-01-01%2000:00:00&grain=day",
                "",
                vec![],
            )
            .await;
        let request = peer.client.get(format!("{}/sim/life", peer.url)).bearer_auth(&peer.token);
        if let Ok((200, life)) = gateway_simulator::http::send("life", request).await
            && life["settled"] == true
        {
            break peer.sim("/sim/faults").await["injected"].clone();
        }
    };
    for kind in FaultPlan::Heavy.kinds(PlatformKind::Province) {
        assert!(injected[kind.as_str()].as_u64() > Some(0), "{}: {injected}", kind.as_str());
    }
    for code in [1001, 2001] {
        assert!(codes.contains_key(&code), "{code}: {codes:?}");
    }
    for kind in [FaultKind::LostUpload, FaultKind::RefusedUpload, FaultKind::MissedPush, FaultKind::LostReply] {
        assert_eq!(FaultPlan::Heavy.kinds(PlatformKind::Province).contains(&kind), kind.befalls_uploads());
    }

    // Life is over, and with it the faults: what is sent again under its old key is answered as the first time, and kept once.
    let peer = Peer::of(&platform);
    let refused = peer.sim("/sim/book/refusals").await;
    let key = refused["refused"][0].as_str().expect("a refusal").to_owned();
    let number = format!("c-{}", &key[1..]);
    let state = json!({"state": "10", "round": 0});
    assert_eq!(persist(&peer, &number, "upload_state", &key, &state).await, 2001, "the same key is refused again");
    assert_eq!(persist(&peer, &number, "upload_state", "again", &state).await, 0, "another one is taken");
    assert_eq!(record(&peer, &number).await["state"], "10");
}
