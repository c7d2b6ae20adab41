//! Progress and result on their way back to where the citizen wrote.

use crate::fake::{Fake, forwards};
use gateway_model::{Dataset, EventId, Field, Part};
use serde_json::{Value, json};

#[tokio::test]
async fn progress_and_result_are_sent_as_the_contract_says() {
    for name in connector_web_12328::PROFILES {
        let fake = Fake::start(name).await;
        let sink = fake.connector.sink().unwrap();
        for delivery in forwards() {
            let outcome = sink.deliver(&delivery).await;
            assert!(matches!(outcome, gateway_connector::Outcome::Acknowledged(_)), "{outcome:?}");
        }
        let base = "/gateway/orders/WX20261123000001";
        let expected = [
            (
                format!("{base}/progress"),
                json!({"eventId": "B7", "kind": "sign", "time": "2026-11-23 09:30:00", "text": "已签收"}),
            ),
            (
                format!("{base}/result"),
                json!({"round": 1, "replyContent": "已处理", "replyTime": "2026-11-24", "replyUnit": "市交通运输局"}),
            ),
        ];
        let book = fake.book();
        let sent = book.requests.iter().map(|(_, target, body)| (target.clone(), serde_json::from_str(body).unwrap()));
        assert_eq!(sent.collect::<Vec<(String, Value)>>(), expected, "{name}");
    }
}

#[tokio::test]
async fn only_progress_and_result_go_back() {
    let fake = Fake::start("wechat").await;
    let sink = fake.connector.sink().unwrap();
    assert!(sink.forwards(Dataset::Handling, &Part::Event(EventId::new("B7").unwrap())));
    assert!(sink.forwards(Dataset::Completion, &Part::Cycle(0)));
    for dataset in [Dataset::Acceptance, Dataset::Handling, Dataset::Evaluation] {
        assert!(!sink.forwards(dataset, &Part::Cycle(0)), "{dataset}");
    }
    let [_, mut result] = forwards();
    result.fields.0.remove(&Field::ReplyText);
    assert_eq!(sink.prepare(&result).unwrap_err().code, "missing_field");
}
