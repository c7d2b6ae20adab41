//! The subscription against a real server that keeps what it is sent.
#![allow(clippy::unwrap_used)]

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use connector_subscription::{Signer, connect};
use gateway_connector::{Connector, Credentials, OutboundDelivery, Outcome, Secret};
use gateway_model::{
    AskBy, ChannelId, Clock, Dataset, DeliveryId, Field, FieldValue, ManualClock, Operation, OrderId, OrderNumber,
    Part, SourceNumber, Timestamp, parse_moment,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[derive(Default)]
struct Inbox {
    answers: Vec<(u16, Option<&'static str>)>,
    taken: Vec<(HeaderMap, Bytes)>,
}

type Shared = Arc<Mutex<Inbox>>;

async fn take(State(inbox): State<Shared>, headers: HeaderMap, body: Bytes) -> (StatusCode, HeaderMap) {
    let mut inbox = inbox.lock().unwrap();
    inbox.taken.push((headers, body));
    let (status, retry_after) = inbox.answers.pop().unwrap_or((204, None));
    let mut headers = HeaderMap::new();
    if let Some(seconds) = retry_after {
        headers.insert("retry-after", seconds.parse().unwrap());
    }
    (StatusCode::from_u16(status).unwrap(), headers)
}

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn credentials(secret: &str) -> Credentials {
    Credentials { app_id: String::new(), request_secret: Secret::new(secret), webhook_secrets: Vec::new() }
}

fn connector(base_url: &str) -> Arc<dyn Connector> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now()));
    connect(ChannelId::new("follower").unwrap(), base_url, &credentials(SECRET), clock).unwrap()
}

async fn subscriber() -> (Shared, Arc<dyn Connector>) {
    let inbox = Shared::default();
    let app = Router::new().route("/hooks/orders", post(take)).with_state(inbox.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/hooks/orders", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (inbox, connector(&base_url))
}

fn delivery() -> OutboundDelivery {
    let origin = ChannelId::new("municipal-12345").unwrap();
    let fields = [
        (Field::ReplyText, FieldValue::from("已责成企业整改")),
        (Field::RepliedAt, FieldValue::Time(parse_moment("2026-11-23").unwrap())),
        (Field::Round, FieldValue::Number(0)),
    ];
    OutboundDelivery {
        id: DeliveryId(7),
        order_id: OrderId(Default::default()),
        number: OrderNumber {
            channel: ChannelId::new("follower").unwrap(),
            number: SourceNumber::new("municipal-12345-2026-11-23-GZ1").unwrap(),
            day: "2026-11-23".parse().unwrap(),
        },
        from: origin,
        operation: Operation::Forward,
        dataset: Dataset::Completion,
        part: Part::Cycle(0),
        round: 0,
        event_time: parse_moment("2026-11-23T09:30:00+08:00").unwrap(),
        fields: fields.into_iter().collect(),
        generation: 1,
        idempotency_key: "d7-1-a4b0".to_owned(),
    }
}

fn name(outcome: &Outcome) -> (&'static str, String) {
    match outcome {
        Outcome::Acknowledged(_) => ("acknowledged", String::new()),
        Outcome::Rejected(reason) => ("rejected", reason.code.clone()),
        Outcome::NotTaken { reason, .. } => ("not_taken", reason.code.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_signed_cloud_event_is_sent_and_the_same_bytes_again() {
    let (inbox, connector) = subscriber().await;
    let sink = connector.sink().unwrap();
    for _ in 0..2 {
        assert_eq!(name(&sink.deliver(&delivery()).await).0, "acknowledged");
    }
    let inbox = inbox.lock().unwrap();
    let (headers, body) = &inbox.taken[0];
    assert_eq!(inbox.taken[1].1, body);
    assert_eq!(headers["content-type"], "application/cloudevents+json; charset=utf-8");
    assert_eq!(headers["webhook-id"], "d7-1-a4b0");
    let signed = Signer::new(&credentials(SECRET)).unwrap().headers("d7-1-a4b0", now(), body);
    for (name, value) in signed {
        assert_eq!(headers[name.as_str()], value.as_str());
    }
    let event: Value = serde_json::from_slice(body).unwrap();
    let expected = json!({
        "specversion": "1.0", "id": "d7-1-a4b0", "source": "/channels/municipal-12345",
        "type": "gateway.work_order.completion.v1", "subject": "00000000-0000-0000-0000-000000000000",
        "time": "2026-11-23T01:30:00Z", "datacontenttype": "application/json",
        "sequence": "0000000000000000007",
        "data": {
            "order_id": "00000000-0000-0000-0000-000000000000", "number": "municipal-12345-2026-11-23-GZ1",
            "channel": "municipal-12345", "dataset": "completion", "part": "c0", "round": 0,
            "event_time": event["data"]["event_time"],
            "fields": {"round": 0, "reply_text": "已责成企业整改", "replied_at": "2026-11-23"}
        }
    });
    assert_eq!(event, expected);
    assert!(event["data"]["event_time"].as_str().unwrap().starts_with("2026-11-23T09:30:00"));
}

#[tokio::test]
async fn answers_by_what_follows_from_them() {
    let (inbox, connector) = subscriber().await;
    let sink = connector.sink().unwrap();
    for (status, kind) in [
        (200, "acknowledged"),
        (400, "rejected"),
        (410, "rejected"),
        (422, "rejected"),
        (301, "not_taken"),
        (401, "not_taken"),
        (404, "not_taken"),
        (500, "not_taken"),
    ] {
        inbox.lock().unwrap().answers.push((status, None));
        let outcome = sink.deliver(&delivery()).await;
        let code = if kind == "acknowledged" { String::new() } else { format!("http_{status}") };
        assert_eq!(name(&outcome), (kind, code));
    }
    inbox.lock().unwrap().answers.push((429, Some("30")));
    match sink.deliver(&delivery()).await {
        Outcome::NotTaken { not_before, .. } => assert_eq!(not_before, Timestamp::from_second(1_790_000_030).ok()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nobody_there_is_not_taken_and_no_attempt_is_ambiguous() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It takes the connection and hangs up without a word.
    let hangs_up = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let connector = connector(&format!("http://{address}"));
    let sink = connector.sink().unwrap();
    let outcome = sink.deliver(&delivery()).await;
    hangs_up.join().unwrap();
    assert_eq!(name(&outcome).0, "not_taken");
    assert_eq!(name(&sink.deliver(&delivery()).await), ("not_taken", "unreachable".to_owned()));
}

#[test]
fn preparing_is_pure_and_commands_are_refused() {
    let connector = connector("http://127.0.0.1:9");
    let sink = connector.sink().unwrap();
    let prepared = sink.prepare(&delivery()).unwrap();
    assert_eq!(prepared, sink.prepare(&delivery()).unwrap());
    assert_eq!((prepared.ask_by, prepared.item.key.part), (AskBy::Nothing, Part::Cycle(0)));
    let command = OutboundDelivery { operation: Operation::Sign, ..delivery() };
    assert_eq!(sink.prepare(&command).unwrap_err().code, "unknown_operation");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now()));
    let channel = ChannelId::new("follower").unwrap();
    let errors = connect(channel, "ftp://x", &credentials("short"), clock).err().unwrap();
    let paths: Vec<&str> = errors.0.iter().map(|mistake| mistake.path.as_str()).collect();
    assert_eq!(paths, ["credentials.request_secret", "base_url"]);
}
