//! What strangers and faulty peers push: refused, counted and told, and nothing of it kept; or kept with its reason, and the rest goes on.

use crate::gateway::{CHANNEL, Gateway, Push, codes, record};
use crate::program::{together, wait_for};
use serde_json::json;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_authentic_is_refused_and_told() {
    let _machine = together().await;
    let gateway = Gateway::start().await;
    let good = Push::records("n1", &[record("GZ1")]);

    let unsigned = gateway.push_unsigned(&json!({"kind": "order", "records": [record("GZ1")]})).await;
    assert_eq!((unsigned.status, &unsigned.body["code"]), (401, &json!(401)), "{unsigned:?}");
    let forged = gateway.push(&Push { secret: "a stranger's secret", ..good.clone() }).await;
    assert_eq!(forged.status, 401, "{forged:?}");
    let stale = gateway.push(&Push { skew_ms: -400_000, ..good.clone() }).await;
    assert_eq!((stale.status, &stale.body["code"]), (401, &json!(401)), "{stale:?}");
    let large = gateway.push(&Push::body("n2", vec![b' '; (1 << 20) + 1])).await;
    assert!(large.status == 413 && large.body["code"] == 1004, "in the peer's dress: {large:?}");

    // Counted by reason, with the measured offset of their clock.
    for (code, at_least) in [("clock_skew", 1.0), ("too_large", 1.0)] {
        let refused = gateway.metric(&["gateway_webhook_refused_total", CHANNEL, &format!("code=\"{code}\"")]).await;
        assert!(refused.is_some_and(|refused| refused >= at_least), "{code}: {refused:?}");
    }
    let all = gateway.metrics().await;
    let refused: f64 = all
        .lines()
        .filter(|line| line.starts_with("gateway_webhook_refused_total"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert_eq!(refused, 4.0, "{all}");
    let offset = gateway.metric(&["gateway_webhook_clock_offset_milliseconds", CHANNEL]).await.expect("an offset");
    assert!((-460_000.0..=-400_000.0).contains(&offset), "{offset}");

    // Nothing is kept.
    assert_eq!(gateway.inbound("captured").await, 0);
    assert_eq!(gateway.api("/api/v1/orders").await["orders"], json!([]));
    let status = gateway.json(&["status"]);
    let kept = status["books"]["records_on_bus"].as_array().into_iter().flatten();
    assert_eq!(kept.filter_map(|row| row["count"].as_u64()).sum::<u64>(), 0, "{status}");

    // Nothing but refusals: a warning, a metric, and one line.
    let warned = async || {
        let status = gateway.json(&["status"]);
        let warnings = status["warnings"].as_array().cloned().unwrap_or_default();
        warnings.into_iter().find(|one| one["code"] == "webhooks_all_refused" && one["count"] == 4)
    };
    let warning = wait_for("the warning", PATIENCE, warned).await;
    assert_eq!((&warning["channel"], &warning["severity"]), (&json!(CHANNEL), &json!("critical")));
    let fact = |name: &str| warning["facts"][name].as_str().unwrap_or_default().to_owned();
    assert!(fact("codes").contains("clock_skew 1") && fact("clock_offset_ms").starts_with("-4"), "{warning}");
    let text = warning["text"].as_str().expect("text");
    assert!(text.contains("clock_skew 1"), "{text}");
    assert!(gateway.metric(&["gateway_warnings"]).await >= Some(1.0));
    let found = ["gateway_findings", "code=\"webhooks_all_refused\"", CHANNEL];
    assert_eq!(gateway.metric(&found).await, Some(1.0));
    let log = gateway.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("every push of")).collect();
    assert!(lines.len() == 1 && lines[0].contains("WARN"), "{log}");

    // The first good push ends it.
    assert_eq!(gateway.push(&good).await.status, 200);
    wait_for("the end of the warning", PATIENCE, async || {
        (!codes(&gateway.json(&["status"])["warnings"]).contains(&"webhooks_all_refused")).then_some(())
    })
    .await;
    assert_eq!(gateway.metric(&found).await, Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_dead_lettered_and_the_rest_goes_on() {
    let _machine = together().await;
    let gateway = Gateway::start().await;
    let malformed = gateway.push(&Push::body("m1", "{\"pushId\": \"m1\", \"kind\": \"order\", \"reco\u{0}")).await;
    assert_eq!((malformed.status, &malformed.body["code"]), (400, &json!(1004)), "{malformed:?}");
    assert!(malformed.body["message"].is_string(), "in the peer's own dress: {malformed:?}");
    let mixed = gateway.push(&Push::records("m2", &[record("GZ1"), json!("no record"), record("GZ2")])).await;
    assert_eq!((mixed.status, &mixed.body["code"]), (400, &json!(1004)), "{mixed:?}");
    gateway.settled().await;

    for number in ["GZ1", "GZ2"] {
        assert_eq!(gateway.api(&format!("/api/v1/orders/{number}")).await["fields"]["title"], "绕路");
    }
    let letters = gateway.json(&["dead-letters", "list"]);
    let letters = letters["dead_letters"].as_array().expect("letters");
    assert_eq!(letters.len(), 2, "{letters:?}");
    for letter in letters {
        assert!(
            letter["state"] == "open" && letter["reason"].as_str().is_some_and(|reason| !reason.is_empty()),
            "{letter}"
        );
    }
    let first = gateway.api(&format!("/api/v1/dead-letters/{}", letters[0]["id"])).await;
    assert!(first["body"].as_str().is_some_and(|body| body.contains("m1")), "the bytes are kept: {first}");
    let flow = gateway.api("/api/v1/flow").await;
    let unknown = flow["inbound"].as_array().into_iter().flatten().find(|row| row["dataset"] == "unknown");
    assert_eq!(unknown.map(|row| row["dead_lettered"].clone()), Some(json!(2)), "{flow}");

    // A person corrects the record, and it goes the ordinary way.
    let corrected = gateway.scratch("corrected.json");
    std::fs::write(&corrected, record("GZ3").to_string()).expect("written");
    let id = letters[1]["id"].to_string();
    let (code, out, err) =
        gateway.command(&["dead-letters", "retry", &id, "--body", corrected.to_str().expect("UTF-8")]);
    assert_eq!(code, 0, "{out}{err}");
    wait_for("the corrected order", PATIENCE, async || {
        let orders = gateway.api("/api/v1/orders").await;
        orders["orders"].as_array()?.iter().any(|order| order["numbers"][0]["number"] == "GZ3").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_profile_knows_is_kept_raw_and_counted() {
    let _machine = together().await;
    let gateway = Gateway::start().await;
    let mut odd = record("GZ1");
    odd["orderType"] = json!("77");
    odd["gridNo"] = json!("网格 12");
    assert_eq!(gateway.push(&Push::records("u1", &[odd])).await.status, 200);
    gateway.settled().await;
    let order = gateway.api("/api/v1/orders/GZ1").await;
    assert_eq!(order["fields"]["order_type"], "raw:77", "{order}");
    let facets = order["facets"].as_array().expect("facets");
    assert!(facets.iter().any(|facet| facet["unmapped"]["gridNo"] == "网格 12"), "{order}");
    let anomalies = gateway.json(&["status"])["books"]["anomalies"].to_string();
    for kind in ["unknown_code", "unknown_field"] {
        assert!(anomalies.contains(kind), "{kind}: {anomalies}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_belongs_to_one_body() {
    let _machine = together().await;
    let mut gateway = Gateway::start().await;
    let first = Push::records("once", &[record("GZ1")]);
    let answer = gateway.push(&first).await;
    assert_eq!(answer.status, 200);
    let again = gateway.push(&first).await;
    assert_eq!((again.status, &again.body), (200, &answer.body), "a repeat is answered as the first time");
    let mut changed = record("GZ1");
    changed["title"] = json!("另一个标题");
    let other = Push::records("once", &[changed]);
    let conflict = gateway.push(&other).await;
    assert_eq!((conflict.status, &conflict.body["code"]), (409, &json!(1001)), "{conflict:?}");
    gateway.settled().await;
    let order = gateway.api("/api/v1/orders/GZ1").await;
    assert_eq!(order["fields"]["title"], "绕路", "neither body is believed over the other: the order is read again");
    let conflicts = gateway.metric(&["gateway_webhook_requests_total", "nonce_conflict"]).await;
    assert_eq!(conflicts, Some(1.0));

    // The nonce is as durable as the record.
    gateway.kill();
    gateway.launch(std::process::Command::new(crate::program::program())).await;
    assert_eq!(gateway.push(&first).await.status, 200);
    assert_eq!(gateway.push(&other).await.status, 409);
}
