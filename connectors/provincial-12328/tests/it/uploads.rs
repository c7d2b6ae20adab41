//! Uploads: what is sent for each item of another channel, under which number, and what each answer means.

use crate::fake::{Fake, command, uploads};
use connector_provincial_12328::KIND;
use gateway_connector::wire::ProfileSource;
use gateway_connector::{OutboundDelivery, Outcome};
use gateway_model::{
    AskBy, ChannelId, Dataset, EventId, Field, Operation, OrderNumber, Part, ReceiptSource, SourceNumber,
};
use serde_json::{Value, json};

#[tokio::test]
async fn bodies_are_as_the_contract_says() {
    let fake = Fake::start().await;
    let sink = fake.connector.sink().unwrap();
    for (_, delivery) in uploads() {
        let outcome = sink.deliver(&delivery).await;
        assert!(matches!(outcome, Outcome::Acknowledged(_)), "{outcome:?}");
    }
    let expected = [
        json!({
            "createTime": "2026-11-23 09:00:01", "orderType": "2", "category": "交通运输/出租车管理/拒载", "title": "举报拒载",
            "content": "第一行\n第二行\t制表", "sourceType": "phone", "occurTime": "2026-11-22", "urgency": "1", "isSecret": "0", "isAnonymous": "1",
        }),
        json!({"state": "30", "unit": "市交通运输局", "deadline": "2026-12-14 23:59:59", "round": 1}),
        json!({"eventId": "E17", "kind": "urge", "time": "2026-11-23 09:10:00", "text": "请尽快"}),
        json!({"round": 1, "replyContent": "已处理", "replyTime": "2026-11-24", "replyUnit": "市交通运输局"}),
        json!({"visitNo": 2, "round": 1, "visitTime": "2026-11-25 09:20:00", "connected": "1", "satisfaction": "4", "isSolved": "0"}),
    ];
    let book = fake.book();
    assert_eq!(book.requests.len(), expected.len());
    for (((_, target, body), (path, _)), expected) in book.requests.iter().zip(uploads()).zip(expected) {
        assert_eq!(*target, format!("/gateway/orders/municipal-12345-GZ20261123000001/{path}"));
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected, "{path}");
    }
}

fn sent_type(canonical: &str) -> Value {
    // Which code is written shows in the item that is prepared: its digest covers it.
    let profile = KIND.load(&ProfileSource::Default).unwrap();
    profile.codes.wire("order_type", canonical, None).map_or(Value::Null, Value::from)
}

#[test]
fn the_types_of_12345_go_into_the_three_of_12328() {
    let words = ["consultation", "help", "complaint", "report", "suggestion", "praise", "raw:07"];
    assert_eq!(words.map(sent_type), ["1", "1", "2", "2", "3", "3", "9"].map(Value::from));
}

#[tokio::test]
async fn everything_of_an_order_is_taken_and_nothing_else() {
    let fake = Fake::start().await;
    let sink = fake.connector.sink().unwrap();
    let event = Part::Event(EventId::new("E1").unwrap());
    for dataset in [Dataset::Acceptance, Dataset::Handling, Dataset::Completion, Dataset::Evaluation] {
        assert!(sink.forwards(dataset, &Part::Cycle(0)), "{dataset}");
    }
    assert!(sink.forwards(Dataset::Handling, &event));
    assert!(!sink.forwards(Dataset::Knowledge, &Part::Cycle(0)) && !sink.forwards(Dataset::Completion, &event));
    let origin = OrderNumber {
        channel: ChannelId::new("taxi-qr").unwrap(),
        number: SourceNumber::new("{day}/7").unwrap(),
        day: "2026-11-23".parse().unwrap(),
    };
    assert_eq!(
        sink.forward_number(&origin).unwrap().as_str(),
        "taxi-qr-20261123-{day}/7",
        "what a number holds is no template"
    );
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
    let sink = fake.connector.sink().unwrap();
    for (code, kind, reason) in [
        ("1001", "ambiguous", "already_submitted"),
        ("1002", "rejected", "unknown_order"),
        ("1003", "rejected", "state_refused"),
        ("1004", "rejected", "invalid"),
        ("2001", "rejected", "business_2001"),
        ("0", "acknowledged", "answer"),
    ] {
        for (path, delivery) in uploads() {
            fake.book().canned = Some(format!(r#"{{"code":{code},"message":"m","data":null}}"#).into_bytes());
            assert_eq!(name(sink.deliver(&delivery).await), (kind, reason.to_owned()), "{path} {code}");
        }
    }
}

#[tokio::test]
async fn an_upload_is_asked_for_by_its_receipt() {
    let fake = Fake::start().await;
    let sink = fake.connector.sink().unwrap();
    for (_, delivery) in uploads() {
        assert_eq!(sink.prepare(&delivery).unwrap().ask_by, AskBy::Receipt);
        assert_eq!(sink.find_outcome(&delivery).await.unwrap(), None);
    }
    let (_, acceptance) = uploads().remove(0);
    assert!(matches!(sink.deliver(&acceptance).await, Outcome::Acknowledged(_)));
    let receipt = sink.find_outcome(&acceptance).await.unwrap().unwrap();
    assert_eq!((receipt.receipt_number.as_deref(), receipt.source), (Some("R1"), ReceiptSource::Query));
    assert_eq!(sink.prepare(&command(Operation::Complete)).unwrap().ask_by, AskBy::Record);
}

#[tokio::test]
async fn what_lacks_the_needed_is_refused_before() {
    let fake = Fake::start().await;
    let sink = fake.connector.sink().unwrap();
    let needed = [Field::AcceptedAt, Field::State, Field::EventKind, Field::ReplyText, Field::VisitedAt];
    for ((path, mut delivery), field) in uploads().into_iter().zip(needed) {
        delivery.fields.0.remove(&field);
        let reason = sink.prepare(&delivery).unwrap_err();
        assert_eq!(reason.code, "missing_field", "{path}");
    }
    let (_, mut unknown) = uploads().remove(1);
    unknown.fields.set(Field::State, "raw:25".into());
    assert_eq!(sink.prepare(&unknown).unwrap_err().code, "unmapped_code", "a state has no code for all others");
    let odd = OutboundDelivery { idempotency_key: "a b".to_owned(), ..uploads().remove(0).1 };
    assert_eq!(sink.prepare(&odd).unwrap_err().code, "invalid_key");
    assert!(fake.book().requests.is_empty(), "nothing was sent");
}
