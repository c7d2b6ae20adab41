//! What a repair would do, the list for the other side, and repairs that wait for a person.

use crate::books::{jobs, suspicion};
use crate::gateway::{ADMIN, DESK, Gateway, JUDGE, at, municipal};
use gateway_model::{Dataset, DeliveryId, GapId, GapKind, GapState};
use gateway_store::{GapGroupStore, GapStore, NewGap, RepairStop, RepairStopStore};
use serde_json::{Value, json};

/// One gap of each sort, all of one opening.
async fn gaps(gateway: &Gateway) -> Vec<GapId> {
    let of = |n: u64, kind: GapKind| NewGap { kind, ..suspicion(n) };
    let whole = |n: u64, kind: GapKind| NewGap { key: None, ..of(n, kind) };
    let wanted = [
        of(1, GapKind::MissingOrder),
        NewGap { delivery_id: Some(DeliveryId(7)), ..of(2, GapKind::NotHeldByDestination) },
        whole(3, GapKind::CountMismatch),
        whole(4, GapKind::ManifestUnreliable),
        of(5, GapKind::Differing),
        whole(6, GapKind::BookDamaged),
    ];
    let ids = gateway.store.suspect(&wanted).await.unwrap();
    let confirmed: Vec<_> = ids.iter().zip(&wanted).map(|(id, gap)| (*id, gap.evidence)).collect();
    gateway.store.open_gaps(&confirmed, 1_000, at(5)).await.unwrap();
    ids
}

async fn stop(gateway: &Gateway) {
    let stop = RepairStop {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        since: at(8),
        gaps: 6,
        ours: 10,
        theirs: 16,
        approved_at: None,
        approved_by: None,
    };
    gateway.store.stop_repair(&stop).await.unwrap();
}

fn rows<'a>(answer: &'a Value, list: &str, key: &str) -> Vec<&'a Value> {
    answer[list].as_array().unwrap().iter().map(|row| &row[key]).collect()
}

#[tokio::test]
async fn a_plan_says_what_a_repair_would_do_and_does_nothing() {
    let gateway = Gateway::start().await;
    assert_eq!(
        *gateway.get(JUDGE, "/api/v1/gaps/repair-plan").await.ok(200),
        json!({"plan": [], "more": false, "last_id": null})
    );
    let ids = gaps(&gateway).await;
    let left = Some("the channel does not answer for it");
    gateway.store.move_gap(ids[4], GapState::Open, None, left, None, at(6)).await.unwrap();
    let answer = gateway.get(JUDGE, "/api/v1/gaps/repair-plan").await;
    let plan = answer.ok(200);
    assert_eq!(
        rows(plan, "plan", "step"),
        ["read_again", "send_again", "fetch_again", "nothing", "read_again", "add_up_again"]
    );
    assert_eq!(rows(plan, "plan", "by_itself"), [true, true, true, false, false, true]);
    let subjects = rows(plan, "plan", "subject");
    assert_eq!((subjects[0], subjects[1]), (&json!("GZ00000001"), &json!("delivery 7")));
    assert_eq!(subjects[2], "2026-11-23T09:00:00+08:00 .. 2026-11-23T09:10:00+08:00");
    assert!(plan["plan"][3]["why"].as_str().unwrap().contains("only the other side"), "{plan}");
    assert!(plan["plan"][4]["why"].as_str().unwrap().contains("the channel does not answer"), "{plan}");
    // Neither a job nor a wake-up came of it.
    assert_eq!((jobs(&gateway).await, gateway.waker.0.lock().unwrap().len()), (Vec::new(), 0));

    // Page by page it is the same plan.
    let mut steps = Vec::new();
    let mut after = 0;
    loop {
        let page = gateway.get(JUDGE, &format!("/api/v1/gaps/repair-plan?limit=2&after={after}")).await;
        let page = page.ok(200).clone();
        steps.extend(rows(&page, "plan", "id").into_iter().cloned());
        after = page["last_id"].as_i64().unwrap();
        if page["more"] != true {
            break;
        }
    }
    assert_eq!(steps, ids.iter().map(|id| json!(id)).collect::<Vec<_>>());

    stop(&gateway).await;
    let held = gateway.get(JUDGE, &format!("/api/v1/gaps/repair-plan?gap={}", ids[0])).await;
    let held = &held.ok(200)["plan"][0];
    assert_eq!(held["by_itself"], false);
    assert!(held["why"].as_str().unwrap().contains("until a person approves"), "{held}");
    gateway.store.move_gap(ids[0], GapState::Closed, None, None, None, at(9)).await.unwrap();
    let over = gateway.get(JUDGE, &format!("/api/v1/gaps/repair-plan?gap={}", ids[0])).await;
    assert!(over.ok(200)["plan"][0]["why"].as_str().unwrap().contains("nothing to repair"), "{over:?}");
    gateway.get(JUDGE, "/api/v1/gaps/repair-plan?gap=99").await.problem(404, "not_found");
}

#[tokio::test]
async fn the_list_for_the_other_side_names_what_differs_and_nobody() {
    let gateway = Gateway::start().await;
    let ids = gaps(&gateway).await;
    let answer = gateway.get(JUDGE, "/api/v1/gaps/export").await;
    let list = answer.ok(200);
    // Damage of our own book is nothing that they can help with.
    assert_eq!(
        rows(list, "gaps", "id"),
        ids[..5].iter().map(|id| json!(id)).collect::<Vec<_>>().iter().collect::<Vec<_>>()
    );
    let first = &list["gaps"][0];
    assert_eq!(
        (&first["number"], &first["day"], &first["dataset_name"], &first["kind_name"]),
        (&json!("GZ00000001"), &json!("2026-11-23"), &json!("受理信息"), &json!("我方缺少工单"))
    );
    assert_eq!(first["asked"], "请确认该记录可按编号查询，或重新推送该记录");
    assert_eq!(
        (&first["theirs"], &first["ours"], &first["as_of"]),
        (&json!("01".repeat(32)), &Value::Null, &json!("2026-11-23T09:00:01+08:00"))
    );
    assert!(rows(list, "gaps", "asked").iter().all(|asked| asked.as_str().is_some_and(|text| !text.is_empty())));
    // What is over is not sent any more.
    gateway.store.move_gap(ids[0], GapState::Closed, None, None, None, at(9)).await.unwrap();
    gateway.store.move_gap(ids[1], GapState::Waived, None, Some("x"), Some("李"), at(9)).await.unwrap();
    let group = gateway.get(JUDGE, "/api/v1/gap-groups").await.ok(200)["groups"][0]["id"].clone();
    let rest = gateway.get(JUDGE, &format!("/api/v1/gaps/export?group={group}&channel=municipal-12345")).await;
    let numbers = rows(rest.ok(200), "gaps", "number");
    assert!(!numbers.contains(&&json!("GZ00000001")) && !numbers.contains(&&json!("GZ00000002")), "{numbers:?}");
    gateway.get(DESK, "/api/v1/gaps/export").await.problem(403, "role_not_allowed");
}

#[tokio::test]
async fn a_stopped_repair_goes_on_once_a_person_approves() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.get(JUDGE, "/api/v1/repair-stops").await.ok(200), &json!({"repair_stops": []}));
    stop(&gateway).await;
    let stops = gateway.get(JUDGE, "/api/v1/repair-stops").await;
    assert_eq!(
        stops.ok(200)["repair_stops"],
        json!([{
            "channel": "municipal-12345", "dataset": "acceptance", "since": "2026-11-23T09:00:08+08:00", "gaps": 6, "ours": 10,
            "theirs": 16, "waiting": true, "approved_at": null, "approved_by": null,
        }])
    );
    let approval = |channel: &str, dataset: &str, by: &str| json!({"channel": channel, "dataset": dataset, "by": by});
    let path = "/api/v1/repair-stops/approve";
    let approve = async |body: &Value| gateway.post(ADMIN, path, body).await;
    approve(&approval("municipal-12345", "acceptance", " ")).await.problem(400, "malformed_body");
    approve(&approval("municipal-12345", "acceptances", "李工")).await.problem(400, "malformed_body");
    approve(&approval("province", "acceptance", "李工")).await.problem(404, "unknown_channel");
    approve(&approval("municipal-12345", "completion", "李工")).await.problem(404, "not_found");
    gateway
        .post(JUDGE, path, &approval("municipal-12345", "acceptance", "李工"))
        .await
        .problem(403, "role_not_allowed");
    assert!(gateway.waker.0.lock().unwrap().is_empty());
    let approved = approve(&approval("municipal-12345", "acceptance", "李工")).await;
    assert_eq!((&approved.ok(200)["waiting"], &approved.body["approved_by"]), (&json!(false), &json!("李工")));
    assert_eq!(approved.body["approved_at"], "2026-11-23T10:00:00+08:00");
    assert_eq!(*gateway.waker.0.lock().unwrap(), ["reconcile/municipal-12345"]);
    approve(&approval("municipal-12345", "acceptance", "李工")).await.problem(404, "not_found");
}

#[tokio::test]
async fn many_repairs_are_asked_for_at_once_or_none_where_there_is_nothing() {
    let gateway = Gateway::start().await;
    let repair = async |body: Value| gateway.post(ADMIN, "/api/v1/gaps/repair", &body).await;
    assert_eq!(repair(json!({})).await.ok(202), &json!({"jobs": []}));
    repair(json!({"group": 1})).await.problem(404, "not_found");
    repair(json!({"channel": "province"})).await.problem(404, "unknown_channel");
    for path in ["gaps", "gaps/export", "gaps/repair-plan"] {
        let unknown = gateway.get(JUDGE, &format!("/api/v1/{path}?group=1")).await;
        let told = unknown.problem(404, "not_found");
        assert!(told["detail_zh"].as_str().unwrap().starts_with("没有缺口组 1"), "{told}");
    }
    let ids = gaps(&gateway).await;
    let groups = gateway.get(JUDGE, "/api/v1/gap-groups").await.ok(200)["groups"].as_array().unwrap().len();
    assert_eq!(repair(json!({})).await.ok(202)["jobs"].as_array().unwrap().len(), groups);
    assert_eq!(repair(json!({"group": 1})).await.ok(202)["jobs"][0]["subject"], "group 1");
    for id in ids {
        gateway.store.move_gap(id, GapState::Closed, None, None, None, at(9)).await.unwrap();
    }
    // The group is known, and there is nothing left to do in it.
    assert_eq!(repair(json!({"group": 1})).await.ok(202), &json!({"jobs": []}));
    assert_eq!(gateway.get(JUDGE, "/api/v1/gaps?group=1&state=open").await.ok(200)["gaps"], json!([]));
}
