//! What a citizen's front end is told of an order: only to who signs for it, and nobody's person data.

use crate::fake::{Fake, SECRETS, at};
use connector_web_12328::{KIND, PROFILES};
use gateway_connector::conformance::ChannelUnderTest;
use gateway_connector::profile::MacScheme;
use gateway_connector::sign::mac_hex;
use gateway_connector::wire::ProfileSource;
use gateway_connector::{InquiryOutcome, Progress, Secret, VerifyError, WebhookRequest};
use gateway_model::{ChannelId, Field, FieldValue, Fields, OrderNumber, SourceNumber, Timestamp, parse_moment};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

const TARGET: &str = "/webhooks/web/orders/WX20261123000001";

fn question(secret: &str, at: Timestamp, target: &str) -> WebhookRequest {
    let timestamp = at.as_millisecond().to_string();
    let message = format!("GET\n{target}\n{timestamp}\nn1\n{}", hex::encode(Sha256::digest(b"")));
    let sign = mac_hex(MacScheme::HmacSha256, &Secret::new(secret), message.as_bytes());
    let headers = [("x-app-id", "gateway"), ("x-timestamp", &timestamp), ("x-nonce", "n1"), ("x-sign", &sign)];
    WebhookRequest {
        method: "GET".to_owned(),
        target: target.to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: Vec::new().into(),
        received_at: self::at(crate::fake::NOW),
    }
}

fn progress() -> Progress {
    let mut fields = Fields::new();
    fields.set(Field::State, "replied".into());
    fields.set(Field::HandlingUnit, "市交通运输局".into());
    fields.set(Field::DeadlineAt, FieldValue::Time(parse_moment("2026-12-07").unwrap()));
    fields.set(Field::ReplyText, "已处理".into());
    fields.set(Field::RepliedAt, FieldValue::Time(parse_moment("2026-11-24T08:00:00+08:00").unwrap()));
    // Whatever else is known is not asked for.
    fields.set(Field::RequesterPhone, "00000000001".into());
    fields.set(Field::Content, "不该说的".into());
    let number = OrderNumber {
        channel: ChannelId::new("web").unwrap(),
        number: SourceNumber::new("WX20261123000001").unwrap(),
        day: "2026-11-23".parse().unwrap(),
    };
    Progress { number, round: 1, fields }
}

#[tokio::test]
async fn it_is_told_in_the_channels_dress_and_nothing_else() {
    for name in PROFILES {
        let fake = Fake::start(name).await;
        let reply = fake.connector.inquiry().unwrap().reply(&InquiryOutcome::Found(progress()));
        let told: Value = serde_json::from_slice(&reply.body).unwrap();
        let expected = json!({"code": 0, "message": "ok", "data": {
            "orderNo": "WX20261123000001", "state": "40", "unit": "市交通运输局", "deadline": "2026-12-07", "round": 1,
            "replyContent": "已处理", "replyTime": "2026-11-24 08:00:00", "replyUnit": null,
        }});
        assert_eq!((reply.status, told), (200, expected), "{name}");
    }
}

#[tokio::test]
async fn only_who_signs_is_answered() {
    for name in PROFILES {
        let fake = Fake::start(name).await;
        let inquiry = fake.connector.inquiry().unwrap();
        let now = fake.now();
        for secret in &SECRETS[..2] {
            assert_eq!(inquiry.verify(&question(secret, now, TARGET)), Ok(()));
        }
        assert_eq!(inquiry.verify(&question(SECRETS[2], now, TARGET)), Err(VerifyError::BadSignature));
        let mut moved = question(SECRETS[0], now, TARGET);
        moved.target = TARGET.replace("0001", "0002");
        assert_eq!(inquiry.verify(&moved), Err(VerifyError::BadSignature), "another order");
        let mut other = question(SECRETS[0], now, TARGET);
        other.method = "POST".to_owned();
        assert_eq!(inquiry.verify(&other), Err(VerifyError::BadSignature));
        let mut unsigned = question(SECRETS[0], now, TARGET);
        unsigned.headers.retain(|(header, _)| header != "x-sign");
        assert!(matches!(inquiry.verify(&unsigned), Err(VerifyError::MissingHeader(_))));
        let stale = question(SECRETS[0], now - Duration::from_secs(600), TARGET);
        assert!(matches!(inquiry.verify(&stale), Err(VerifyError::ClockSkew { .. })));
    }
}

#[tokio::test]
async fn everything_else_is_told_without_data() {
    let fake = Fake::start("website").await;
    let inquiry = fake.connector.inquiry().unwrap();
    let told = |outcome: InquiryOutcome| {
        let reply = inquiry.reply(&outcome);
        (reply.status, serde_json::from_slice::<Value>(&reply.body).unwrap()["code"].clone(), reply.retry_after_s)
    };
    assert_eq!(told(InquiryOutcome::Unknown), (200, json!(1002), None));
    assert_eq!(told(InquiryOutcome::Refused(VerifyError::BadSignature)), (401, json!(401), None));
    assert_eq!(told(InquiryOutcome::Unavailable { retry_after_s: 2 }), (503, json!(503), Some(2)));
}

#[test]
fn a_persons_field_is_no_progress() {
    let text =
        KIND.default_profile.replace("unit = \"handling_unit\"\ndeadline", "unit = \"requester_name\"\ndeadline");
    assert_ne!(text, KIND.default_profile);
    let errors = KIND.load(&ProfileSource::Text(text)).unwrap_err().to_string();
    assert!(errors.contains("inquiry.body.unit") && errors.contains("person"), "{errors}");
}
