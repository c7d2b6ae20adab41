//! Orders that may be one: listed with what speaks for it, and what a person says of them is written once, with a reason, and not over what somebody else said.

use crate::gateway::{ADMIN, DESK, Gateway, JUDGE, at};
use crate::seed::{order_id, orders, write};
use gateway_model::{Likeness, OrderPair, PairState};
use gateway_store::{IdentityStore, MatchRound};
use serde_json::{Value, json};

/// Orders 1 to `count`, known as `GZ00000001` and so on, and candidates among them.
async fn seeded(count: u64, candidates: &[(u64, u64)]) -> (Gateway, Vec<String>) {
    let gateway = Gateway::start().await;
    let numbered: Vec<(u64, u64)> = (1..=count).map(|n| (n, n)).collect();
    orders(gateway.store(), &numbered).await;
    let offer = |(place, (one, other)): (i64, &(u64, u64))| {
        let (one, other) = (order_id(*one), order_id(*other));
        let likeness = vec![
            Likeness { what: "requester".into(), points: 35 },
            Likeness { what: "time".into(), points: 20 },
            Likeness { what: "plate".into(), points: -5 },
        ];
        let pair = OrderPair::new(one, other, PairState::Candidate, "likeness", at(10 + place));
        OrderPair { score: Some(50), likeness, ..pair }
    };
    let offers: Vec<OrderPair> = (0..).zip(candidates).map(offer).collect();
    let ids = offers.iter().map(|pair| pair.id().to_string()).collect();
    gateway.store.save_matches(&MatchRound { from: 0, to: 1, offers, ..MatchRound::default() }).await.unwrap();
    (gateway, ids)
}

fn saying(reason: &str) -> Value {
    json!({"reason": reason, "by": "王"})
}

#[tokio::test]
async fn candidates_are_listed_with_what_speaks_for_them_and_no_person() {
    let (gateway, ids) = seeded(4, &[(1, 2), (3, 4)]).await;
    let list = gateway.get(DESK, "/api/v1/duplicates").await;
    let list = list.ok(200);
    assert_eq!((list["duplicates"].as_array().unwrap().len(), &list["more"]), (2, &json!(false)));
    let first = &list["duplicates"][0];
    assert_eq!(
        *first,
        json!({
            "id": ids[0], "orders": [order_id(1), order_id(2)], "state": "candidate",
            "by": "likeness", "reason": null, "score": 50, "pending": false, "at": "2026-11-23T09:00:10+08:00",
            "likeness": [
                {"what": "requester", "points": 35}, {"what": "time", "points": 20}, {"what": "plate", "points": -5},
            ],
            "numbers": [
                [{"channel": "municipal-12345", "number": "GZ00000001", "day": "2026-11-24"}],
                [{"channel": "municipal-12345", "number": "GZ00000002", "day": "2026-11-25"}],
            ],
        })
    );
    // Page by page it is the same list.
    let page = gateway.get(DESK, "/api/v1/duplicates?limit=1").await;
    assert_eq!((&page.ok(200)["duplicates"][0]["id"], &page.body["more"]), (&json!(ids[0]), &json!(true)));
    let page = gateway.get(DESK, &format!("/api/v1/duplicates?limit=1&after={}", ids[0])).await;
    assert_eq!((&page.ok(200)["duplicates"][0]["id"], &page.body["more"]), (&json!(ids[1]), &json!(false)));
    assert_eq!(gateway.get(DESK, "/api/v1/duplicates?state=joined").await.ok(200)["duplicates"], json!([]));
    for wrong in ["state=perhaps", "after=no-pair", "limit=0", "limit=501", "states=joined"] {
        gateway.get(DESK, &format!("/api/v1/duplicates?{wrong}")).await.problem(400, "invalid_parameter");
    }

    let one = gateway.get(DESK, &format!("/api/v1/duplicates/{}", ids[0])).await;
    let one = one.ok(200);
    assert_eq!((&one["steps"], one["sides"].as_array().unwrap().len()), (&json!([]), 2));
    assert_eq!(one["sides"][1]["fields"]["title"], "路灯\t不亮");
    assert!(!one.to_string().contains("张三"), "{one}");
    for wrong in ["0000000000000000", "no-pair", "%00"] {
        let unknown = gateway.get(DESK, &format!("/api/v1/duplicates/{wrong}")).await;
        let detail = unknown.problem(404, "not_found")["detail_zh"].as_str().unwrap().to_owned();
        assert!(detail.contains("没有疑似重复"), "{detail}");
    }
}

#[tokio::test]
async fn what_a_person_says_is_written_once_and_not_over_what_another_said() {
    let (gateway, ids) = seeded(4, &[(1, 2), (3, 4)]).await;
    let confirm = format!("/api/v1/duplicates/{}/confirm", ids[0]);
    let reject = format!("/api/v1/duplicates/{}/reject", ids[0]);
    let confirmed = gateway.post(ADMIN, &confirm, &saying("同一乘客来电")).await;
    let pair = confirmed.ok(200);
    assert_eq!((&pair["state"], &pair["pending"], &pair["score"]), (&json!("joined"), &json!(true), &json!(50)));
    assert_eq!((&pair["by"], &pair["reason"]), (&json!("王"), &json!("同一乘客来电")));
    assert_eq!(pair["likeness"].as_array().unwrap().len(), 3, "what spoke for it stays");
    let steps = pair["steps"].as_array().unwrap();
    assert_eq!((steps.len(), &steps[0]["state"], &steps[0]["reason"]), (1, &json!("joined"), &json!("同一乘客来电")));
    // The one asks again after an answer that was lost.
    gateway.clock.advance_to(at(3_700));
    let again = gateway.post(ADMIN, &confirm, &saying("同一乘客来电")).await;
    assert_eq!(again.ok(200)["state"], "joined");
    let (joined, left) = ("/api/v1/duplicates?state=joined", "/api/v1/duplicates");
    assert_eq!(gateway.get(DESK, joined).await.ok(200)["duplicates"].as_array().unwrap().len(), 1);
    assert_eq!(gateway.get(DESK, left).await.ok(200)["duplicates"].as_array().unwrap().len(), 1);

    // Separated, and offered to nobody again.
    gateway.clock.advance_to(at(3_800));
    let rejected = gateway.post(ADMIN, &reject, &saying("两辆车")).await;
    assert_eq!(rejected.ok(200)["state"], "rejected");
    let steps = rejected.body["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["reason"], "两辆车");
    let position = gateway.store.match_position().await.unwrap();
    let one = gateway.store.pair(&ids[0].parse().unwrap()).await.unwrap().unwrap();
    let offers = vec![OrderPair { state: PairState::Candidate, by: "likeness".into(), ..one }];
    let round = MatchRound { from: position, to: position + 1, offers, ..MatchRound::default() };
    gateway.store.save_matches(&round).await.unwrap();
    assert_eq!(gateway.get(DESK, "/api/v1/duplicates?state=rejected").await.ok(200)["duplicates"][0]["id"], ids[0]);

    let order = gateway.get(DESK, "/api/v1/orders/GZ00000001").await;
    assert_eq!(order.ok(200)["duplicates"][0]["state"], "rejected", "an order shows its pairs");
    for body in [json!({"reason": "", "by": "王"}), json!({"reason": "x", "by": " "}), json!({"reason": "x"})] {
        gateway.post(ADMIN, &reject, &body).await.problem(400, "malformed_body");
    }
    gateway.post(ADMIN, "/api/v1/duplicates/0000000000000000/confirm", &saying("x")).await.problem(404, "not_found");
    for (token, path) in [(DESK, &*confirm), (JUDGE, &*reject), (DESK, "/api/v1/duplicates")] {
        gateway.post(token, path, &saying("x")).await.problem(403, "role_not_allowed");
    }
}

#[tokio::test]
async fn of_two_who_decide_at_once_the_later_is_told() {
    let (gateway, ids) = seeded(2, &[(1, 2)]).await;
    for _ in 0..20 {
        let (confirm, reject) =
            ["confirm", "reject"].map(|verb| format!("/api/v1/duplicates/{}/{verb}", ids[0])).into();
        let (one, other) = (saying("一"), saying("二"));
        let both = tokio::join!(gateway.post(ADMIN, &confirm, &one), gateway.post(ADMIN, &reject, &other));
        for answer in [&both.0, &both.1] {
            if answer.status != 200 {
                answer.problem(409, "wrong_state");
            }
        }
        assert!(both.0.status == 200 || both.1.status == 200);
        let pair = gateway.store.pair(&ids[0].parse().unwrap()).await.unwrap().unwrap();
        assert!(matches!(pair.state, PairState::Joined | PairState::Rejected) && pair.pending, "{pair:?}");
    }
}

#[tokio::test]
async fn two_orders_that_nobody_offered_are_joined_by_any_number() {
    let (gateway, _) = seeded(3, &[]).await;
    let joining =
        |order: &str, other: &str| json!({"order": order, "other": other, "reason": "来电人说是同一件", "by": "王"});
    let id = order_id(2).to_string();
    let joined = gateway.post(ADMIN, "/api/v1/duplicates", &joining("GZ00000001", &id)).await;
    let pair = joined.ok(200);
    assert_eq!((&pair["state"], &pair["score"], &pair["pending"]), (&json!("joined"), &Value::Null, &json!(true)));
    assert_eq!(pair["orders"], json!([order_id(1), order_id(2)]));
    gateway.post(ADMIN, "/api/v1/duplicates", &joining("GZ00000001", "GZ404")).await.problem(404, "not_found");
    let same = gateway.post(ADMIN, "/api/v1/duplicates", &joining("GZ00000003", "GZ00000003")).await;
    same.problem(409, "wrong_state");

    // What the task shows: one order, found by every number.
    write(gateway.store(), |_, writes| {
        writes.aliases.extend([1, 2].map(|n| (order_id(n), order_id(1))));
    })
    .await;
    let whole = gateway.get(DESK, "/api/v1/orders/GZ00000002").await;
    assert_eq!((&whole.ok(200)["id"], &whole.body["aliases"]), (&json!(order_id(1)), &json!([id])));
    assert_eq!(whole.body["numbers"].as_array().unwrap().len(), 2);
    let one = gateway.post(ADMIN, "/api/v1/duplicates", &joining("GZ00000001", "GZ00000002")).await;
    assert!(one.problem(409, "wrong_state")["detail_zh"].as_str().unwrap().contains("同一工单"));
    let feed = gateway.get(DESK, "/api/v1/orders").await;
    let into: Vec<&Value> = feed.ok(200)["orders"].as_array().unwrap().iter().map(|one| &one["joined_into"]).collect();
    assert_eq!(into, [&Value::Null, &json!(order_id(1)), &Value::Null]);
}

#[tokio::test]
async fn a_group_has_an_end() {
    let (gateway, _) = seeded(17, &[]).await;
    write(gateway.store(), |_, writes| {
        writes.aliases.extend((1..=16).map(|n| (order_id(n), order_id(1))));
    })
    .await;
    let body = json!({"order": "GZ00000003", "other": "GZ00000017", "reason": "x", "by": "王"});
    let refused = gateway.post(ADMIN, "/api/v1/duplicates", &body).await;
    assert!(refused.problem(409, "wrong_state")["detail"].as_str().unwrap().contains("more than 16"));
    assert!(gateway.store.pending_pairs(9).await.unwrap().is_empty());
}
