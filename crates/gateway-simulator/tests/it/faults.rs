//! Every kind of fault can be injected, is counted over restarts, and leaves the platform's own book consistent.

use std::time::{Duration, Instant};

use gateway_simulator::record::Order;
use gateway_simulator::{FaultKind, FaultPlan, PlatformEnd, PlatformKind, digest, start_platform};
use serde_json::{Value, json};

use crate::pushes::Webhook;
use crate::support::{Peer, options};

#[test]
fn plans_are_parsed() {
    assert_eq!(
        "heavy".parse::<FaultPlan>().expect("plan").kinds(PlatformKind::Municipal).len(),
        FaultKind::heavy().len()
    );
    let mild = "default".parse::<FaultPlan>().expect("plan").kinds(PlatformKind::Municipal);
    for kind in [FaultKind::MissedRecord, FaultKind::SilentEdit, FaultKind::LostReply, FaultKind::PlatformRestart] {
        assert!(!mild.contains(&kind));
    }
    assert_eq!("aba_edit, hang".parse::<FaultPlan>(), Ok(FaultPlan::Kinds(vec![FaultKind::AbaEdit, FaultKind::Hang])));
    assert!("abba".parse::<FaultPlan>().is_err());
    assert_eq!(
        "late:50,hang:1".parse::<FaultPlan>(),
        Ok(FaultPlan::Rates(vec![(FaultKind::Late, 50), (FaultKind::Hang, 1)]))
    );
    for wrong in ["late:0", "late:101", "late:", "late:50,hang"] {
        assert!(wrong.parse::<FaultPlan>().is_err(), "{wrong}");
    }
}

/// A crude gateway: reads, asks for manifests, signs and replies, and does not mind what goes wrong.
async fn crude_round(peer: &Peer) {
    let now = gateway_simulator::clock::wire_time(gateway_simulator::clock::now_ms());
    let list = "/gateway/orders?updatedFrom=2000-01-01%2000:00:00&page=1&pageSize=5";
    let _ = peer
        .send(
            "GET",
            "/gateway/manifest?dataset=handling&from=2000-01-01%2000:00:00&to=2100-01-01%2000:00:00&grain=day",
            "",
            vec![],
        )
        .await;
    let Ok((200, answer)) = peer.send("GET", list, "", vec![]).await else { return };
    for record in answer["data"]["records"].as_array().into_iter().flatten() {
        let number = record["orderNo"].as_str().unwrap_or_default();
        let body = json!({"signTime": now, "round": record["round"], "replyContent": "好", "replyTime": now, "completeTime": now});
        let operation = match record["state"].as_str() {
            Some("20") => "sign",
            Some("30") => "reply",
            Some("40") => "complete",
            _ => continue,
        };
        let _ = peer
            .send(
                "POST",
                &format!("/gateway/orders/{number}/{operation}"),
                &format!("{number}-{operation}-{}", record["round"]),
                body.to_string().into_bytes(),
            )
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heavy_plan_injects_every_kind_and_the_book_stays_right() {
    let (webhook, url) = Webhook::start().await;
    let dir = tempfile::tempdir().expect("dir");
    let mut options = options(dir.path(), u64::MAX);
    options.orders = None;
    options.seconds = Some(16);
    options.rate = 40.0;
    options.gateway_url = Some(url);
    options.faults = FaultPlan::Heavy;
    options.overlap = Duration::from_millis(500);
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut restarts = 0;
    let mut platform = start_platform(options.clone()).await.expect("platform");
    let injected = loop {
        assert!(Instant::now() < deadline, "not every kind in time");
        if platform.shutdown().is_cancelled() {
            assert_eq!(platform.ended().await.expect("ended"), PlatformEnd::RestartWanted);
            restarts += 1;
            platform = start_platform(options.clone()).await.expect("restarted");
        }
        let peer = Peer::of(&platform);
        crude_round(&peer).await;
        let request = peer.client.get(format!("{}/sim/life", peer.url)).bearer_auth(&peer.token);
        if let Ok((200, life)) = gateway_simulator::http::send("life", request).await
            && life["settled"] == true
        {
            break peer.sim("/sim/faults").await["injected"].clone();
        }
    };
    for kind in FaultKind::heavy() {
        assert!(injected[kind.as_str()].as_u64() > Some(0), "{}: {injected}", kind.as_str());
    }
    assert!(restarts > 0);

    let peer = Peer::of(&platform);
    let book = peer.sim("/sim/book/orders?limit=1000").await;
    let rows = book["orders"].as_array().expect("orders");
    for row in rows {
        let order: Order = serde_json::from_value(row["record"].clone()).expect("record");
        let items: Vec<String> = digest::items(&order).iter().map(|item| hex::encode(item.digest)).collect();
        let told: Vec<&str> =
            row["items"].as_array().expect("items").iter().filter_map(|item| item["digest"].as_str()).collect();
        assert_eq!(items, told);
        let rounds: Vec<&Value> =
            row["replies"].as_array().expect("replies").iter().map(|reply| &reply["round"]).collect();
        assert!(rounds.windows(2).all(|pair| pair[0] != pair[1]), "one kept reply per round");
    }
    // Life is over: no fault any more, and everything that was hidden from the listing can be asked for.
    crude_round(&peer).await;
    assert_eq!(peer.sim("/sim/faults").await["injected"], injected);
    assert!(rows.iter().any(|row| row["hidden"] == true));
    let bodies = webhook.bodies.lock().expect("lock");
    let changed = bodies
        .iter()
        .enumerate()
        .any(|(index, (nonce, body))| bodies[..index].iter().any(|(n, b)| n == nonce && b != body));
    assert!(changed, "same nonce, other body");
}
