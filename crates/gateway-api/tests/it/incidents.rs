//! Incidents and silences over the API.

use crate::gateway::{ADMIN, DESK, Gateway, JUDGE, at, municipal};
use gateway_model::{IncidentId, IncidentState, News, Severity};
use gateway_store::{AlertRound, AlertStore as _, IncidentRow, LeaseStore as _, NewNotification, NotificationItem};
use serde_json::json;
use std::collections::BTreeMap;

fn incident(id: i64, code: &str, state: IncidentState) -> IncidentRow {
    IncidentRow {
        id: IncidentId(id),
        found_by: "played".into(),
        code: code.into(),
        channel: Some(municipal()),
        subject: "completion".into(),
        state,
        severity: Severity::Warning,
        count: 3,
        facts: BTreeMap::from([("oldest_s".to_owned(), "300".to_owned())]),
        since: at(-60),
        first_seen_at: at(0),
        last_seen_at: at(10),
        absent_since: None,
        opened_at: Some(at(0)),
        resolved_at: None,
        escalation: 0,
        escalated_at: None,
        told: BTreeMap::new(),
        unsettled: false,
        acknowledged_at: None,
        acknowledged_by: None,
    }
}

async fn seeded() -> Gateway {
    let gateway = Gateway::start().await;
    let lease = gateway.store.acquire_lease("alert", "played", at(0), at(9_999)).await.unwrap().unwrap();
    let item = NotificationItem {
        incident_id: IncidentId(1),
        news: News::Opened,
        code: "delivery_stuck".into(),
        channel: Some(municipal()),
        subject: "completion".into(),
        severity: Severity::Warning,
        count: 3,
        since: at(-60),
        opened_at: at(0),
        resolved_at: None,
        facts: BTreeMap::new(),
        acknowledged_by: None,
    };
    let told =
        NewNotification { key: "k".into(), notifier: "mail".into(), summary: false, items: vec![item], at: at(30) };
    let round = AlertRound {
        incidents: vec![
            incident(1, "delivery_stuck", IncidentState::Open),
            incident(2, "disk_low", IncidentState::Resolved),
            incident(3, "pipeline_lag", IncidentState::Suspected),
        ],
        notifications: vec![told],
        forgotten: Vec::new(),
    };
    gateway.store.save_alert_round(&round, &lease).await.unwrap();
    gateway
}

#[tokio::test]
async fn incidents_are_listed_shown_and_acknowledged() {
    let gateway = seeded().await;
    let ids = |answer: &crate::gateway::Answer| -> Vec<i64> {
        answer.ok(200)["incidents"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
    };
    let list = async |query: &str| ids(&gateway.get(JUDGE, &format!("/api/v1/incidents{query}")).await);
    assert_eq!(list("").await, [1, 2, 3]);
    assert_eq!(list("?state=open").await, [1]);
    assert_eq!(list("?code=disk_low").await, [2]);
    assert_eq!(list("?after=1&limit=1").await, [2]);
    assert_eq!(list("?channel=desk").await, [0i64; 0]);
    gateway.get(JUDGE, "/api/v1/incidents?state=gone").await.problem(400, "invalid_parameter");
    // None of a code or channel that there is not would read as "nothing is wrong".
    let unknown = gateway.get(JUDGE, "/api/v1/incidents?code=disk_lo").await;
    let told = unknown.problem(400, "invalid_parameter");
    assert!(told["detail"].as_str().unwrap().contains("there are delivery_stuck, disk_low, pipeline_lag"), "{told}");
    let unknown = gateway.get(JUDGE, "/api/v1/incidents?channel=province").await;
    let told = unknown.problem(404, "unknown_channel");
    assert_eq!(told["detail_zh"], "没有配置渠道 province；已配置的有：municipal-12345, desk");
    let one = gateway.get(JUDGE, "/api/v1/incidents/1").await;
    let one = one.ok(200);
    assert_eq!(one["since"], "2026-11-23T08:59:00+08:00");
    assert_eq!(
        (&one["severity"], &one["count"], &one["facts"]["oldest_s"]),
        (&json!("warning"), &json!(3), &json!("300"))
    );
    let told = &one["notifications"][0];
    assert_eq!((&told["notifier"], &told["news"], &told["state"]), (&json!("mail"), &json!("opened"), &json!("owed")));
    let path = "/api/v1/incidents/1/acknowledge";
    gateway.post(ADMIN, path, &json!({"by": " "})).await.problem(400, "malformed_body");
    let done = gateway.post(ADMIN, path, &json!({"by": "李工"})).await;
    assert_eq!(done.ok(200)["acknowledged_by"], "李工");
    gateway.post(ADMIN, path, &json!({"by": "王工"})).await.problem(409, "wrong_state");
    gateway.post(ADMIN, "/api/v1/incidents/2/acknowledge", &json!({"by": "王工"})).await.problem(409, "wrong_state");
    gateway.post(ADMIN, "/api/v1/incidents/9/acknowledge", &json!({"by": "王工"})).await.problem(404, "not_found");
    for token in [DESK, JUDGE] {
        gateway.post(token, path, &json!({"by": "x"})).await.problem(403, "role_not_allowed");
    }
}

#[tokio::test]
async fn silences_are_made_listed_and_ended() {
    let gateway = seeded().await;
    let wanted = json!({
        "channel": "municipal-12345", "ends_at": "2026-11-23T12:00:00+08:00", "reason": "planned work", "by": "李工",
    });
    let made = gateway.post(ADMIN, "/api/v1/silences", &wanted).await;
    let made = made.ok(201);
    // The clock stands at 10:00.
    assert_eq!((&made["id"], &made["state"]), (&json!(1), &json!("active")));
    assert_eq!(made["starts_at"], "2026-11-23T10:00:00+08:00");
    let with = |name: &str, value: serde_json::Value| {
        let mut wanted = wanted.clone();
        wanted[name] = value;
        wanted
    };
    let mut nothing = wanted.clone();
    nothing.as_object_mut().unwrap().remove("channel");
    for wrong in [
        nothing,
        with("ends_at", json!("2026-11-23T09:00:00+08:00")),
        with("ends_at", json!("2029-01-01T00:00:00+08:00")),
        with("ends_at", json!("tomorrow")),
        with("starts_at", json!("2026-11-24T00:00:00+08:00")),
        with("reason", json!("")),
        with("subject", json!("")),
        with("who", json!("x")),
    ] {
        gateway.post(ADMIN, "/api/v1/silences", &wrong).await.problem(400, "malformed_body");
    }
    gateway.post(ADMIN, "/api/v1/silences", &with("code", json!("disk_lo"))).await.problem(400, "malformed_body");
    let nobody = with("channel", json!("province"));
    gateway.post(ADMIN, "/api/v1/silences", &nobody).await.problem(404, "unknown_channel");
    let later = with("starts_at", json!("2026-11-23T11:00:00+08:00"));
    assert_eq!(gateway.post(ADMIN, "/api/v1/silences", &later).await.ok(201)["state"], "planned");
    let ended = gateway.post(ADMIN, "/api/v1/silences/1/end", &json!({"by": "王工"})).await;
    assert_eq!((&ended.ok(200)["state"], &ended.body["ended_by"]), (&json!("over"), &json!("王工")));
    gateway.post(ADMIN, "/api/v1/silences/1/end", &json!({"by": "王工"})).await.problem(409, "wrong_state");
    gateway.post(ADMIN, "/api/v1/silences/9/end", &json!({"by": "王工"})).await.problem(404, "not_found");
    let count = async |query: &str| {
        let answer = gateway.get(JUDGE, &format!("/api/v1/silences{query}")).await;
        answer.ok(200)["silences"].as_array().unwrap().len()
    };
    assert_eq!((count("").await, count("?all=true").await, count("?all=true&after=1").await), (1, 2, 1));
    for path in ["/api/v1/silences", "/api/v1/silences/1/end"] {
        gateway.post(JUDGE, path, &json!({})).await.problem(403, "role_not_allowed");
    }
}

#[tokio::test]
async fn how_the_notifiers_fare_is_told_also_of_those_never_used() {
    let gateway = seeded().await;
    let never = json!({
        "id": "duty-phone", "kind": "wecom", "configured": true, "sent_at": null, "failing_since": null, "failures": 0, "error": null,
    });
    let rows = async || gateway.get(JUDGE, "/api/v1/notifiers").await.ok(200)["notifiers"].clone();
    let before = rows().await;
    assert_eq!((&before[0], before.as_array().unwrap().len()), (&never, 2));
    gateway.store.note_notifier("mail", Some("no answer: timeout"), at(5)).await.unwrap();
    gateway.store.note_notifier("old-phone", None, at(6)).await.unwrap();
    let after = rows().await;
    assert_eq!(after[0], never);
    assert_eq!(
        after[1],
        json!({
            "id": "mail", "kind": "smtp", "configured": true, "sent_at": null, "failing_since": "2026-11-23T09:00:05+08:00",
            "failures": 1, "error": "no answer: timeout",
        })
    );
    assert_eq!((&after[2]["id"], &after[2]["configured"]), (&json!("old-phone"), &json!(false)));
}
