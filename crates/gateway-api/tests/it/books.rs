//! The flow book, gaps, reconciliation, deliveries, status.

use crate::gateway::{ADMIN, Answer, DESK, Gateway, JUDGE, at, desk, municipal, task};
use crate::seed::{self, number, order_id};
use gateway_bus::{Bus, Envelope, TopicName};
use gateway_model::{
    Dataset, DeliveryState, Digest, GapEvidence, GapId, GapKind, GapState, ItemKey, OrderState, Origin, Part, RawId,
    Severity, Window, day_of,
};
use gateway_runtime::TaskHealth;
use gateway_store::{
    AttemptResult, Comparison, ComparisonKind, FlowOutcome, FlowPosition, FlowTally, GapGroupStore, GapStore, JobKind,
    JobStore, NewGap, NewPark, Store,
};
use serde_json::{Value, json};

async fn append(gateway: &Gateway, topic: TopicName, count: usize) {
    let message = |n: usize| {
        let envelope = Envelope {
            channel: municipal(),
            origin: Origin::Poll,
            number: Some(number(n as u64)),
            received_at: at(0),
            read_at: at(0),
            undecodable: None,
            payload: b"{}".to_vec(),
        };
        envelope.into_message(None)
    };
    gateway.bus.append(&topic, (0..count).map(message).collect()).await.unwrap();
}

fn line(answer: &Answer, side: &str, channel: &str, dataset: &str) -> Value {
    let lines = answer.ok(200)[side].as_array().unwrap();
    let found = lines.iter().find(|line| line["channel"] == channel && line["dataset"] == dataset);
    found.cloned().unwrap_or_else(|| panic!("no line {channel} {dataset} in {answer:?}"))
}

#[tokio::test]
async fn every_change_that_came_in_is_somewhere() {
    let gateway = Gateway::start().await;
    assert_eq!(*gateway.get(JUDGE, "/api/v1/flow").await.ok(200), json!({"inbound": [], "outbound": []}));
    append(&gateway, TopicName::raw(&municipal()), 5).await;
    append(&gateway, TopicName::raw_backfill(&municipal()), 3).await;
    let unread = line(&gateway.get(JUDGE, "/api/v1/flow").await, "inbound", "municipal-12345", "unknown");
    assert_eq!((&unread["captured"], &unread["in_flight"]), (&json!(8), &json!(8)));

    // The pipeline reads the raw topic: two applied changes a record but one duplicate, one dead-lettered, one parked with two changes.
    let ends = gateway.bus.end_positions(&TopicName::raw(&municipal())).await.unwrap();
    seed::write(gateway.store(), |loaded, writes| {
        let tally = |dataset, outcome, changes| FlowTally { channel: municipal(), dataset, outcome, changes };
        writes.tallies.push(tally(Some(Dataset::Acceptance), FlowOutcome::Applied, 3));
        writes.tallies.push(tally(Some(Dataset::Handling), FlowOutcome::Applied, 2));
        writes.tallies.push(tally(Some(Dataset::Handling), FlowOutcome::Duplicate, 1));
        writes.tallies.push(tally(None, FlowOutcome::DeadLettered, 1));
        writes.raws.push(seed::raw(loaded.next_raw_id, municipal(), Origin::Poll, b"{}"));
        let raw_id = RawId(loaded.next_raw_id);
        writes.park.push(NewPark { raw_id, channel: municipal(), number: number(9), since: at(1), changes: 2 });
        writes.positions.extend(ends.iter().map(|end| FlowPosition {
            topic: end.topic.to_string(),
            partition: end.partition,
            next_offset: end.offset,
        }));
    })
    .await;
    let flow = gateway.get(JUDGE, "/api/v1/flow").await;
    let unknown = line(&flow, "inbound", "municipal-12345", "unknown");
    let of = |captured: u64, duplicate: u64, applied: u64, dead: u64, in_flight: u64, dataset: &str| {
        json!({
            "channel": "municipal-12345", "dataset": dataset, "captured": captured, "duplicate": duplicate, "applied": applied,
            "dead_lettered": dead, "in_flight": in_flight,
        })
    };
    assert_eq!(unknown, of(6, 0, 0, 1, 5, "unknown"));
    assert_eq!(line(&flow, "inbound", "municipal-12345", "handling"), of(3, 1, 2, 0, 0, "handling"));
    for line in flow.body["inbound"].as_array().unwrap() {
        let sum: u64 =
            ["duplicate", "applied", "dead_lettered", "in_flight"].iter().map(|key| line[key].as_u64().unwrap()).sum();
        assert_eq!(line["captured"], sum, "{line}");
    }
}

async fn one_delivery(gateway: &Gateway) -> String {
    seed::orders(gateway.store(), &[(1, 1)]).await;
    seed::move_order(gateway.store(), 1, 2, OrderState::Signed).await;
    let body = json!({
        "operation": "reply", "round": 0, "at": "2026-11-23", "operator": "王五", "fields": {"reply_text": "一"},
    });
    gateway.command(DESK, &order_id(1).to_string(), "k1", &body).await.ok(202);
    format!("/api/v1/deliveries/{}", seed::process_commands(gateway).await[0])
}

async fn end(gateway: &Gateway, path: &str, state: DeliveryState) {
    let id = path.rsplit('/').next().unwrap().parse().unwrap();
    let result = AttemptResult {
        id: gateway_model::DeliveryId(id),
        state,
        receipt: None,
        reason_code: Some("4001".to_owned()),
        reason: Some("the platform says no".to_owned()),
        unanswered: false,
        next_attempt_at: at(9),
        at: at(9),
    };
    gateway_store::DeliveryStore::end_attempts(gateway.store(), &[result], None).await.unwrap();
}

#[tokio::test]
async fn a_delivery_is_sent_again_or_waived_by_a_person() {
    let gateway = Gateway::start().await;
    let path = one_delivery(&gateway).await;
    let flow = gateway.get(JUDGE, "/api/v1/flow").await;
    let owed = line(&flow, "outbound", "municipal-12345", "completion");
    assert_eq!((&owed["owed"], &owed["in_flight"], &owed["delivered"]), (&json!(1), &json!(1), &json!(0)));
    gateway.post(ADMIN, &format!("{path}/redeliver"), &json!({})).await.problem(409, "wrong_state");
    assert_eq!(gateway.get(DESK, "/api/v1/deliveries").await.ok(200), &json!({"deliveries": [], "more": false}));
    end(&gateway, &path, DeliveryState::Held).await;
    let left = gateway.get(DESK, "/api/v1/deliveries?channel=municipal-12345").await;
    let left = &left.ok(200)["deliveries"];
    assert_eq!((&left[0]["state"], &left[0]["reason_code"]), (&json!("held"), &json!("4001")));
    let beyond = format!("/api/v1/deliveries?after={}", left[0]["id"]);
    assert_eq!(gateway.get(DESK, &beyond).await.ok(200)["deliveries"], json!([]));
    gateway.get(DESK, "/api/v1/deliveries?channel=nowhere").await.problem(404, "unknown_channel");
    let again = gateway.post(ADMIN, &format!("{path}/redeliver"), &json!({})).await;
    let delivery = &again.ok(202)["delivery"];
    assert_eq!((&delivery["state"], &delivery["generation"]), (&json!("owed"), &json!(2)));
    assert_eq!(*gateway.waker.0.lock().unwrap(), ["deliver/municipal-12345"]);

    end(&gateway, &path, DeliveryState::Held).await;
    for body in [
        json!({}),
        json!({"reason": "x"}),
        json!({"reason": "", "by": "李"}),
        json!({"reason": "x", "by": "李", "and": 1}),
    ] {
        gateway.post(ADMIN, &format!("{path}/waive"), &body).await.problem(400, "malformed_body");
    }
    let waived =
        gateway.post(ADMIN, &format!("{path}/waive"), &json!({"reason": "答复已线下送达", "by": "李四"})).await;
    assert_eq!(waived.ok(200)["delivery"]["state"], "waived");
    assert!(waived.body["delivery"]["reason"].as_str().unwrap().contains("李四"), "{waived:?}");
    assert_eq!(gateway.get(DESK, &path).await.ok(200)["delivery"]["state"], "waived");
    gateway.get(DESK, "/api/v1/deliveries/99").await.problem(404, "not_found");
    gateway.post(ADMIN, "/api/v1/deliveries/99/redeliver", &json!({})).await.problem(404, "not_found");
}

pub fn suspicion(n: u64) -> NewGap {
    let key = ItemKey { dataset: Dataset::Acceptance, number: number(n), day: day_of(at(0)), part: Part::Cycle(0) };
    NewGap {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        kind: GapKind::MissingOrder,
        key: Some(key),
        window: Window::new(at(0), at(600)),
        delivery_id: None,
        evidence: GapEvidence { theirs: Some(Digest([1; 32])), ours: None, as_of: at(1), compared_at: at(2) },
        detail: None,
        at: at(2),
    }
}

pub async fn jobs(gateway: &Gateway) -> Vec<String> {
    let claimed = gateway.store.claim_jobs(JobKind::Reconcile, &municipal(), at(9999), at(10_000), 10).await.unwrap();
    claimed.into_iter().map(|job| job.subject).collect()
}

#[tokio::test]
async fn a_gap_is_listed_shown_repaired_and_waived() {
    let gateway = Gateway::start().await;
    let ids = gateway.store.suspect(&[suspicion(1), suspicion(2), suspicion(3)]).await.unwrap();
    let open = |id: GapId| gateway.store.move_gap(id, GapState::Open, None, None, None, at(5));
    open(ids[0]).await.unwrap();
    open(ids[2]).await.unwrap();
    let page = gateway.get(JUDGE, "/api/v1/gaps?limit=2").await;
    assert_eq!((page.ok(200)["gaps"].as_array().unwrap().len(), &page.body["more"]), (2, &json!(true)));
    let rest = gateway.get(JUDGE, &format!("/api/v1/gaps?limit=1&after={}", ids[1])).await;
    assert_eq!((&rest.ok(200)["gaps"][0]["id"], &rest.body["more"]), (&json!(ids[2]), &json!(false)));
    assert_eq!(gateway.get(JUDGE, "/api/v1/gaps?state=open").await.ok(200)["gaps"].as_array().unwrap().len(), 2);
    gateway.get(JUDGE, "/api/v1/gaps?state=forgotten").await.problem(400, "invalid_parameter");
    let gap = gateway.get(JUDGE, &format!("/api/v1/gaps/{}", ids[0])).await;
    let gap = gap.ok(200);
    assert_eq!((&gap["number"], &gap["day"], &gap["part"]), (&json!("GZ00000001"), &json!("2026-11-23"), &json!("c0")));
    let evidence = json!({
        "theirs": "01".repeat(32), "ours": null, "as_of": "2026-11-23T09:00:01+08:00", "compared_at": "2026-11-23T09:00:02+08:00",
    });
    assert_eq!((&gap["kind"], &gap["state"], &gap["evidence"]), (&json!("missing_order"), &json!("open"), &evidence));
    assert_eq!((&gap["opened_at"], &gap["closed_at"]), (&json!("2026-11-23T09:00:05+08:00"), &Value::Null));

    gateway.post(ADMIN, &format!("/api/v1/gaps/{}/repair", ids[1]), &json!({})).await.problem(409, "wrong_state");
    gateway.post(ADMIN, "/api/v1/gaps/99/repair", &json!({})).await.problem(404, "not_found");
    let asked = gateway.post(ADMIN, &format!("/api/v1/gaps/{}/repair", ids[0]), &json!({})).await;
    assert_eq!(asked.ok(202)["gap_id"], json!(ids[0]));
    assert_eq!(jobs(&gateway).await, [format!("gap {}", ids[0])]);
    let why = json!({"reason": "测试数据", "by": "李四"});
    let waived = gateway.post(ADMIN, &format!("/api/v1/gaps/{}/waive", ids[2]), &why).await;
    assert_eq!((&waived.ok(200)["state"], &waived.body["by"]), (&json!("waived"), &json!("李四")));
    gateway.post(ADMIN, &format!("/api/v1/gaps/{}/waive", ids[2]), &why).await.problem(409, "wrong_state");
}

#[tokio::test]
async fn one_outage_is_one_line_with_severity_and_owner() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.get(JUDGE, "/api/v1/gap-groups").await.ok(200), &json!({"groups": [], "more": false}));
    let suspicions: Vec<_> = (0..60).map(suspicion).collect();
    let ids = gateway.store.suspect(&suspicions).await.unwrap();
    let confirmed: Vec<_> = ids.iter().zip(&suspicions).map(|(id, gap)| (*id, gap.evidence)).collect();
    gateway.store.open_gaps(&confirmed, 1_000, at(5)).await.unwrap();
    let move_to = |id: GapId, state, reason| gateway.store.move_gap(id, state, None, reason, None, at(6));
    move_to(ids[0], GapState::Repairing, None).await.unwrap();
    move_to(ids[1], GapState::Open, Some("it can't be repaired")).await.unwrap();
    move_to(ids[2], GapState::Closed, None).await.unwrap();
    let page = gateway.get(JUDGE, "/api/v1/gap-groups").await;
    let group = &page.ok(200)["groups"][0];
    assert_eq!((&group["channel"], &group["direction"]), (&json!("municipal-12345"), &json!("inbound")));
    assert_eq!((&group["gaps"], &group["unfinished"]), (&json!(60), &json!(59)));
    assert_eq!(group["kinds"], json!({"missing_order": 60}));
    assert_eq!(group["states"], json!({"open": 58, "repairing": 1, "closed": 1}));
    assert_eq!(group["owners"], json!({"gateway": 58, "person": 1}));
    assert_eq!((&group["owner"], &group["datasets"]), (&json!("person"), &json!(["acceptance"])));
    assert_eq!(group["opened_at"], "2026-11-23T09:00:05+08:00");
    assert!(["warning", "critical"].contains(&group["severity"].as_str().unwrap()), "{group}");
    let rows = gateway.get(JUDGE, &format!("/api/v1/gaps?group={}&state=closed", group["id"])).await;
    assert_eq!((&rows.ok(200)["gaps"][0]["id"], &rows.body["gaps"][0]["owner"]), (&json!(ids[2]), &Value::Null));
    for id in ids.iter().filter(|id| **id != ids[2]) {
        move_to(*id, GapState::Closed, None).await.unwrap();
    }
    assert_eq!(gateway.get(JUDGE, "/api/v1/gap-groups").await.ok(200)["groups"], json!([]));
    let all = gateway.get(JUDGE, "/api/v1/gap-groups?state=all").await;
    assert_eq!((&all.ok(200)["groups"][0]["owner"], &all.body["groups"][0]["severity"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_comparison_is_asked_for_and_accounted_for() {
    let gateway = Gateway::start().await;
    let whole = Comparison {
        channel: municipal(),
        started_at: at(10),
        ended_at: at(11),
        kind: ComparisonKind::Whole,
        in_step: true,
        calls: 3,
        bytes: 900,
        vanished: 2,
    };
    let before = gateway.get(JUDGE, "/api/v1/reconcile").await;
    assert_eq!(before.ok(200)["channels"][0]["last_whole_comparison"], Value::Null);
    gateway.store.save_comparison(&whole).await.unwrap();
    let after = gateway.get(JUDGE, "/api/v1/reconcile").await;
    assert_eq!(after.ok(200)["manifest"], json!({"calls": 3, "bytes": 900}));
    assert_eq!(after.body["suspicions_vanished"], 2);
    let last =
        json!({"started_at": "2026-11-23T09:00:10+08:00", "ended_at": "2026-11-23T09:00:11+08:00", "in_step": true});
    assert_eq!(after.body["channels"][0]["last_whole_comparison"], last);
    let unverifiable = json!({
        "channel": "desk", "verifiable": false, "last_whole_comparison": null, "last_recent_comparison": null,
        "last_outage_comparison": null, "allowance_ms": null, "watermark": null, "unfinished_by_severity": {}, "repair_stops": [],
    });
    assert_eq!(after.body["channels"][1], unverifiable);

    for path in ["gaps", "gap-groups", "gaps/repair-plan", "gaps/export", "comparisons", "dead-letters", "incidents"] {
        // Nothing wrong at a channel that there is not would be a lie.
        gateway.get(ADMIN, &format!("/api/v1/{path}?channel=nobody")).await.problem(404, "unknown_channel");
    }
    gateway.post(ADMIN, "/api/v1/reconcile", &json!({"channel": "nobody"})).await.problem(404, "unknown_channel");
    gateway.post(ADMIN, "/api/v1/reconcile", &json!({"channel": "desk"})).await.problem(409, "unverifiable_channel");
    gateway.post(ADMIN, "/api/v1/exports", &json!({"channel": "desk"})).await.problem(409, "no_files");
    gateway.post(ADMIN, "/api/v1/reconcile", &json!({"chanel": "desk"})).await.problem(400, "malformed_body");
    gateway.post(ADMIN, "/api/v1/reconcile", &json!({"channel": "municipal-12345"})).await.ok(202);
    gateway.post(ADMIN, "/api/v1/reconcile", &json!({"scope": "recent"})).await.ok(202);
    let mut asked = jobs(&gateway).await;
    asked.sort();
    assert_eq!(asked, ["recent", "whole"]);
    assert_eq!(*gateway.waker.0.lock().unwrap(), ["reconcile/municipal-12345", "reconcile/municipal-12345"]);
}

#[tokio::test]
async fn the_status_is_truthful_and_answers_also_without_the_store() {
    let gateway = Gateway::start().await;
    seed::orders(gateway.store(), &[(1, 1)]).await;
    append(&gateway, TopicName::raw(&municipal()), 2).await;
    *gateway.status.tasks.lock().unwrap() =
        vec![task("poll/municipal-12345", TaskHealth::Stalled), task("pipeline", TaskHealth::Healthy)];
    gateway.status.warnings.lock().unwrap().push(gateway_api::Warning {
        code: "webhooks_all_refused".to_owned(),
        channel: Some(municipal()),
        subject: String::new(),
        severity: Severity::Critical,
        count: 12,
        facts: [("codes".to_owned(), "bad_signature 12".to_owned())].into(),
        text: "12 of 12 pushes were refused".to_owned(),
        since: at(0),
    });
    let status = gateway.get(JUDGE, "/api/v1/status").await;
    let status = status.ok(200);
    assert_eq!(
        (&status["healthy"], &status["health"], &status["ready"]),
        (&json!(false), &json!("stalled"), &json!(true))
    );
    assert_eq!((&status["channels"][0]["health"], &status["channels"][1]["health"]), (&json!("stalled"), &Value::Null));
    assert_eq!(
        status["warnings"][0],
        json!({
            "code": "webhooks_all_refused", "channel": "municipal-12345", "subject": "", "severity": "critical", "count": 12,
            "facts": {"codes": "bad_signature 12"}, "text": "12 of 12 pushes were refused", "since": "2026-11-23T09:00:00+08:00",
        })
    );
    assert_eq!(status["books"]["orders"], 1);
    assert_eq!(status["books"]["records_on_bus"], json!([{"channel": "municipal-12345", "count": 2}]));

    gateway.status.tasks.lock().unwrap()[0].health = TaskHealth::Healthy;
    assert_eq!(gateway.get(JUDGE, "/api/v1/status").await.ok(200)["healthy"], true);
    gateway.store.close().await;
    let status = gateway.get(JUDGE, "/api/v1/status").await;
    let status = status.ok(200);
    assert_eq!((&status["healthy"], &status["ready"], &status["books"]), (&json!(false), &json!(false), &Value::Null));
    assert!(
        status["warnings"].as_array().unwrap().iter().any(|warning| warning["code"] == "unready_store"),
        "{status}"
    );
    assert_eq!(desk().as_str(), status["channels"][1]["channel"]);
}
