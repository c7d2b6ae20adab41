//! Commands: what is sent, and what each answer means.

use crate::fake::{Fake, delivery, taken};
use connector_municipal_12345::KIND;
use gateway_connector::conformance::{ChannelUnderTest, Fault};
use gateway_connector::wire::ProfileSource;
use gateway_connector::{OutboundDelivery, Outcome};
use gateway_model::{AskBy, Field, FieldValue, Operation, ReceiptSource};
use serde_json::{Value, json};

#[tokio::test]
async fn bodies_are_as_the_contract_says() {
    let fake = Fake::start().await;
    let sink = fake.connector().sink().unwrap();
    for operation in taken() {
        let outcome = sink.deliver(&delivery(operation)).await;
        // One key for all: the fake, like the platform, completes a key once.
        assert!(matches!(outcome, Outcome::Acknowledged(_) | Outcome::Rejected(_)), "{outcome:?}");
    }
    let book = fake.book();
    let sent: Vec<(&str, Value)> =
        book.requests.iter().map(|(_, target, body)| (target.as_str(), serde_json::from_str(body).unwrap())).collect();
    let base = "/gateway/orders/GZ20261123000001";
    let expected = [
        (format!("{base}/sign"), json!({"signTime": "2026-11-23 09:30:00", "operator": "王工"})),
        (
            format!("{base}/reply"),
            json!({"round": 1, "replyContent": "已责成\t企业整改。\n谢谢", "replyTime": "2026-11-23", "replyUnit": "市交通运输局"}),
        ),
        (
            format!("{base}/refuse"),
            json!({"refuseTime": "2026-11-23 09:30:00", "reason": "不属本单位职责", "operator": "王工"}),
        ),
        (format!("{base}/complete"), json!({"completeTime": "2026-11-23 09:30:00", "operator": "王工"})),
        (
            format!("{base}/extend"),
            json!({"applyTime": "2026-11-23 09:30:00", "reason": "需会同外单位核查", "days": 5, "operator": "王工"}),
        ),
        (
            format!("{base}/appeal"),
            json!({"appealTime": "2026-11-23 09:30:00", "round": 1, "ground": "1", "reason": "已按规定办理", "operator": "王工"}),
        ),
    ];
    assert_eq!(sent.len(), expected.len());
    for ((target, body), (expected_target, expected_body)) in sent.iter().zip(&expected) {
        assert_eq!((*target, body), (expected_target.as_str(), expected_body));
    }
}

#[tokio::test]
async fn a_receipt_is_the_platforms_own() {
    let fake = Fake::start().await;
    let Outcome::Acknowledged(receipt) = fake.connector().sink().unwrap().deliver(&delivery(Operation::Reply)).await
    else {
        panic!("not acknowledged")
    };
    assert_eq!(
        (receipt.receipt_number.as_deref(), receipt.received_at, receipt.source),
        (Some("R1"), Some(fake.now()), ReceiptSource::Answer)
    );
}

async fn told(fake: &Fake, operation: Operation, answer: &str) -> (&'static str, String) {
    fake.book().canned = Some(answer.as_bytes().to_vec());
    name(fake.connector().sink().unwrap().deliver(&delivery(operation)).await)
}

fn name(outcome: Outcome) -> (&'static str, String) {
    match outcome {
        Outcome::Acknowledged(receipt) => ("acknowledged", receipt.source.as_str().to_owned()),
        Outcome::Pending(tracking) => ("pending", tracking.0),
        Outcome::Rejected(reason) => ("rejected", reason.code),
        Outcome::NotTaken { reason, .. } => ("not_taken", reason.code),
        Outcome::Ambiguous(reason) => ("ambiguous", reason.code),
    }
}

#[tokio::test]
async fn business_codes_by_class() {
    let fake = Fake::start().await;
    for (code, kind, reason) in [
        ("1001", "ambiguous", "already_submitted"),
        ("1002", "rejected", "unknown_order"),
        ("1003", "rejected", "state_refused"),
        ("1004", "rejected", "invalid"),
        ("1005", "rejected", "business_1005"),
        ("429", "not_taken", "throttled"),
        ("401", "not_taken", "unauthorized"),
        ("9999", "rejected", "business_9999"),
        ("0", "acknowledged", "answer"),
    ] {
        for operation in taken() {
            let answer = format!(r#"{{"code":{code},"message":"m","data":null}}"#);
            assert_eq!(told(&fake, operation, &answer).await, (kind, reason.to_owned()), "{operation} {code}");
        }
    }
    assert_eq!(told(&fake, Operation::Reply, "<html>").await, ("ambiguous", "undecodable".to_owned()));
    assert_eq!(told(&fake, Operation::Reply, r#"{"message":"ok"}"#).await, ("ambiguous", "undecodable".to_owned()));
}

#[tokio::test]
async fn statuses_by_what_may_have_happened() {
    let fake = Fake::start().await;
    let sink = fake.connector().sink().unwrap();
    for (status, kind) in [
        (500, "ambiguous"),
        (503, "ambiguous"),
        (408, "ambiguous"),
        (400, "rejected"),
        (404, "rejected"),
        (403, "not_taken"),
    ] {
        fake.fail_next(Fault::Status(status));
        assert_eq!(name(sink.deliver(&delivery(Operation::Reply)).await), (kind, format!("http_{status}")));
    }
}

#[tokio::test]
async fn a_profile_may_promise_more() {
    let text = KIND
        .default_profile
        .replace("server_error = \"ambiguous\"", "server_error = \"not_taken\"")
        .replace("already_submitted = \"ambiguous\"", "already_submitted = \"acknowledged\"");
    let fake = Fake::start_with(ProfileSource::Text(text)).await;
    fake.fail_next(Fault::Status(503));
    assert_eq!(name(fake.connector().sink().unwrap().deliver(&delivery(Operation::Reply)).await).0, "not_taken");
    let answer = r#"{"code":1001,"message":"m"}"#;
    assert_eq!(told(&fake, Operation::Reply, answer).await, ("acknowledged", "already_submitted".to_owned()));
}

#[tokio::test]
async fn what_can_not_be_sent_is_refused_before() {
    let fake = Fake::start().await;
    let sink = fake.connector().sink().unwrap();
    let code = |delivery: &OutboundDelivery| sink.prepare(delivery).unwrap_err().code;
    let mut without_text = delivery(Operation::Reply);
    without_text.fields.0.remove(&Field::ReplyText);
    assert_eq!(code(&without_text), "missing_field");
    without_text.fields.set(Field::ReplyText, "".into());
    assert_eq!(code(&without_text), "missing_field");
    let long = OutboundDelivery { idempotency_key: "k".repeat(65), ..delivery(Operation::Sign) };
    assert_eq!(code(&long), "invalid_key");
    let odd = OutboundDelivery { idempotency_key: "a b".to_owned(), ..delivery(Operation::Sign) };
    assert_eq!(code(&odd), "invalid_key");
    let mut unreadable = delivery(Operation::Reply);
    unreadable.fields.set(Field::RepliedAt, FieldValue::Text("bald".to_owned()));
    assert_eq!(code(&unreadable), "invalid_item");
    let outcome = sink.deliver(&without_text).await;
    assert!(matches!(outcome, Outcome::Rejected(_)), "{outcome:?}");
    assert!(fake.book().requests.is_empty(), "nothing was sent");
}

#[tokio::test]
async fn each_operation_says_how_to_ask() {
    let fake = Fake::start().await;
    let sink = fake.connector().sink().unwrap();
    for operation in taken() {
        let expected = if operation == Operation::Complete { AskBy::Record } else { AskBy::Receipt };
        assert_eq!(sink.prepare(&delivery(operation)).unwrap().ask_by, expected);
    }
    assert_eq!(sink.find_outcome(&delivery(Operation::Complete)).await.unwrap(), None);
    assert!(fake.book().requests.is_empty());
}

#[tokio::test]
async fn numbers_are_encoded_into_the_path() {
    let fake = Fake::start().await;
    let mut odd = delivery(Operation::Sign);
    odd.number.number = gateway_model::SourceNumber::new("穗/1?x=../2").unwrap();
    let outcome = fake.connector().sink().unwrap().deliver(&odd).await;
    assert!(matches!(outcome, Outcome::Acknowledged(_)), "{outcome:?}");
    assert_eq!(fake.book().requests[0].1, "/gateway/orders/%E7%A9%97%2F1%3Fx%3D..%2F2/sign");
}

#[tokio::test]
async fn a_receipt_for_another_is_none() {
    let fake = Fake::start().await;
    fake.book().canned = Some(br#"{"code":0,"data":{"receiptNo":"R1","requestId":"other"}}"#.to_vec());
    let sink = fake.connector().sink().unwrap();
    let error = sink.find_outcome(&delivery(Operation::Sign)).await.unwrap_err();
    assert_eq!(error.code(), "undecodable");
}
