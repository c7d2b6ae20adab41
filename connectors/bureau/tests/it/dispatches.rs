//! Dispatches: what is sent for each item of an order, under which number, and what each answer means.

use crate::fake::{Fake, assignment, dispatches};
use gateway_connector::Outcome;
use gateway_model::{Dataset, EventId, Field, Operation, Part};
use serde_json::{Value, json};

#[tokio::test]
async fn bodies_are_as_the_contract_says() {
    let fake = Fake::start().await;
    let sink = fake.connector.sink().unwrap();
    for (_, delivery) in dispatches() {
        let outcome = sink.deliver(&delivery).await;
        assert!(matches!(outcome, Outcome::Acknowledged(_)), "{outcome:?}");
    }
    let expected = [
        json!({
            "createTime": "2026-11-23 09:00:01", "orderType": "04", "category": "交通运输/出租车管理/拒载", "title": "举报拒载",
            "content": "第一行\n第二行\t制表", "sourceType": "phone", "occurTime": "2026-11-22", "urgency": "1", "isSecret": "0", "isAnonymous": "1",
        }),
        json!({"time": "2026-11-23 09:00:01", "state": "20", "unit": "市交通运输局", "deadline": "2026-12-14 23:59:59", "round": 1}),
        json!({"eventId": "E17", "kind": "urge", "time": "2026-11-23 09:10:00", "text": "请尽快"}),
        json!({"visitNo": 2, "round": 1, "visitTime": "2026-11-25 09:20:00", "connected": "1", "satisfaction": "4", "isSolved": "0"}),
    ];
    let book = fake.book();
    assert_eq!(book.requests.len(), expected.len());
    for (((_, target, body), (path, _)), expected) in book.requests.iter().zip(dispatches()).zip(expected) {
        assert_eq!(*target, format!("/gateway/orders/municipal-12345-GZ20261123000001/{path}"));
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected, "{path}");
    }
}

#[tokio::test]
async fn addresses_of_pictures_are_sent_as_they_were_granted_and_are_no_part_of_the_item() {
    let fake = Fake::start().await;
    let sink = fake.connector.sink().unwrap();
    let (_, mut delivery) = dispatches().swap_remove(0);
    let without = sink.prepare(&delivery).unwrap().item;
    let addresses = "https://gw.example.cn/attachments/1?to=bureau,https://gw.example.cn/attachments/2?to=bureau";
    delivery.fields.set(Field::Pictures, addresses.into());
    assert_eq!(sink.prepare(&delivery).unwrap().item, without);
    assert!(matches!(sink.deliver(&delivery).await, Outcome::Acknowledged(_)));
    let (_, _, body) = &fake.book().requests[0];
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["pictures"], addresses);
}

#[tokio::test]
async fn replies_are_not_dispatched_and_nothing_is_commanded() {
    let fake = Fake::start().await;
    let sink = fake.connector.sink().unwrap();
    let event = Part::Event(EventId::new("E1").unwrap());
    for dataset in [Dataset::Acceptance, Dataset::Handling, Dataset::Evaluation] {
        assert!(sink.forwards(dataset, &Part::Cycle(0)), "{dataset}");
    }
    assert!(sink.forwards(Dataset::Handling, &event) && !sink.forwards(Dataset::Completion, &Part::Cycle(0)));
    assert!(Operation::COMMANDS.into_iter().all(|operation| !sink.takes(operation)));
    assert_eq!(Operation::REQUESTS.map(|operation| sink.takes(operation)), [false, false, true], "but a further unit");
}

#[tokio::test]
async fn a_further_unit_is_assigned_and_assists_unless_it_is_said_otherwise() {
    let fake = Fake::start().await;
    let sink = fake.connector.sink().unwrap();
    let mut delivery = assignment();
    assert!(matches!(sink.deliver(&delivery).await, Outcome::Acknowledged(_)));
    delivery.fields.0.remove(&Field::UnitRole);
    assert!(matches!(sink.deliver(&delivery).await, Outcome::Acknowledged(_)));
    let expected = json!({
        "assignTime": "2026-11-23 10:00:00", "unit": "客运管理处", "role": "2", "note": "请协助核查行程", "operator": "王工",
    });
    for (_, target, body) in &fake.book().requests {
        assert_eq!(target, "/gateway/orders/municipal-12345-GZ20261123000001/assign");
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
    }
    delivery.fields.0.remove(&Field::HandlingUnit);
    assert_eq!(sink.prepare(&delivery).unwrap_err().code, "missing_field");
}

#[tokio::test]
async fn business_codes_by_class() {
    let fake = Fake::start().await;
    let sink = fake.connector.sink().unwrap();
    for (path, delivery) in dispatches() {
        for (code, expected) in [(1001, "already_submitted"), (1002, "unknown_order"), (1003, "state_refused")] {
            fake.book().canned = Some(format!(r#"{{"code":{code},"message":"m","data":null}}"#).into_bytes());
            let code = match sink.deliver(&delivery).await {
                Outcome::Rejected(reason) | Outcome::Ambiguous(reason) => reason.code,
                other => panic!("{path} {code}: {other:?}"),
            };
            assert_eq!(code, expected, "{path}");
        }
    }
    let (_, mut unknown) = dispatches().remove(1);
    unknown.fields.set(Field::State, "raw:25".into());
    assert_eq!(sink.prepare(&unknown).unwrap_err().code, "unmapped_code");
    let (_, mut other) = dispatches().remove(0);
    other.fields.set(Field::OrderType, "raw:07".into());
    assert!(sink.prepare(&other).is_ok(), "what fits no type is `09`");
}
