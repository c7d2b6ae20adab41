//! A platform in the default dress, small and obedient, over a real socket. It checks every signature that it is sent.

use crate::account::account;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use connector_web_12328::{KIND, shipped};
use gateway_connector::conformance::{ChannelUnderTest, Fault};
use gateway_connector::profile::MacScheme;
use gateway_connector::sign::mac_hex;
use gateway_connector::wire::{ProfileSource, connect};
use gateway_connector::{Connector, Credentials, OutboundDelivery, Secret, WebhookRequest};
use gateway_model::{
    ChannelId, Clock, Dataset, DeliveryId, EventId, Field, FieldValue, Fields, ManualClock, Operation, OrderId,
    OrderNumber, Part, SourceNumber, Timestamp, parse_moment,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const NOW: &str = "2026-11-23T10:00:00+08:00";
const PICTURE: &[u8] = b"\xff\xd8\xff\xe0 {\"code\":1404} \xff\xd9";
pub(crate) const SECRETS: [&str; 3] = ["hook-one", "hook-two", "hook-dead"];

/// What the platform holds.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) records: Vec<Value>,
    pub(crate) given_out: VecDeque<String>,
    pub(crate) moves: i64,
    pub(crate) fault: Option<Fault>,
    /// A whole answer for the next request.
    pub(crate) canned: Option<Vec<u8>>,
    pub(crate) receipts: BTreeMap<String, Value>,
    /// Method, target and body of every request.
    pub(crate) requests: Vec<(String, String, String)>,
}

pub(crate) type Shared = Arc<Mutex<Book>>;

pub(crate) fn at(text: &str) -> Timestamp {
    parse_moment(text).unwrap().start()
}

pub(crate) fn credentials() -> Credentials {
    Credentials {
        app_id: "gateway".to_owned(),
        request_secret: Secret::new("ask"),
        webhook_secrets: SECRETS[..2].iter().map(|secret| Secret::new(*secret)).collect(),
    }
}

/// The text of a shipped profile.
pub(crate) fn profile(name: &str) -> ProfileSource {
    ProfileSource::Text(shipped(name).unwrap().to_owned())
}

pub(crate) struct Fake {
    pub(crate) book: Shared,
    pub(crate) connector: Arc<dyn Connector>,
    unreachable: Arc<dyn Connector>,
    name: &'static str,
    clock: Arc<ManualClock>,
}

impl Fake {
    /// In the dress of a shipped profile.
    pub(crate) async fn start(name: &'static str) -> Self {
        let profile = profile(name);
        let book = Shared::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&book));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = format!("http://{}", closed.local_addr().unwrap());
        drop(closed);
        let clock = Arc::new(ManualClock::new(at(NOW)));
        let link = |base: &str| {
            let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
            connect(KIND, ChannelId::new("web").unwrap(), &profile, base, credentials(), clock).unwrap()
        };
        Self { book, connector: link(&base), unreachable: link(&nobody), name, clock }
    }

    pub(crate) fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }
}

fn ok(data: Value) -> Vec<u8> {
    json!({"code": 0, "message": "ok", "data": data}).to_string().into_bytes()
}

fn business(code: u32) -> Vec<u8> {
    json!({"code": code, "message": "不允许", "data": null}).to_string().into_bytes()
}

fn check_signature(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) {
    let header = |name: &str| headers[name].to_str().unwrap();
    let target = uri.path_and_query().unwrap().as_str();
    let digest = hex::encode(Sha256::digest(body));
    let message = format!("{method}\n{target}\n{}\n{}\n{digest}", header("x-timestamp"), header("x-nonce"));
    assert_eq!(header("x-app-id"), "gateway");
    let mac = |scheme| mac_hex(scheme, &Secret::new("ask"), message.as_bytes());
    let sign = header("x-sign");
    assert!(sign == mac(MacScheme::HmacSha256) || sign == mac(MacScheme::HmacSm3), "the request is not signed");
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    let url = format!("http://x{}", uri.path_and_query().unwrap());
    axum::extract::Query::<BTreeMap<String, String>>::try_from_uri(&url.parse().unwrap()).unwrap().0
}

async fn answer(
    State(book): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    check_signature(&method, &uri, &headers, &body);
    let mut book = book.lock().unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    book.requests.push((method.to_string(), uri.to_string(), text.clone()));
    let fault = book.fault.take();
    let reply = |status: u16, body: Vec<u8>| Response::builder().status(status).body(Body::from(body)).unwrap();
    match fault {
        Some(Fault::Status(status)) => return reply(status, Vec::new()),
        Some(Fault::Throttle(seconds)) => {
            let mut answer = reply(429, Vec::new());
            answer.headers_mut().insert("retry-after", seconds.into());
            return answer;
        }
        Some(Fault::Unauthorized) => return reply(401, br#"{"code":401,"message":"no"}"#.to_vec()),
        Some(Fault::Truncated | Fault::HangUp) | None => {}
    }
    let canned = book.canned.take();
    let mut body = canned.unwrap_or_else(|| respond(&mut book, &method, &uri, &headers, &text));
    match fault {
        Some(Fault::Truncated) => {
            body.truncate(body.len() / 2);
            reply(200, body)
        }
        Some(Fault::HangUp) => {
            let broken = Body::from_stream(futures_once(std::io::Error::other("hung up")));
            Response::builder().status(200).header("content-length", "100").body(broken).unwrap()
        }
        _ => reply(200, body),
    }
}

fn futures_once(error: std::io::Error) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    futures::stream::once(async { Err(error) })
}

fn respond(book: &mut Book, method: &Method, uri: &Uri, headers: &HeaderMap, text: &str) -> Vec<u8> {
    let query = query(uri);
    match (method.as_str(), uri.path()) {
        ("GET", "/gateway/orders") => listing(book, &query),
        ("POST", "/gateway/orders/query") => {
            let asked: Value = serde_json::from_str(text).unwrap();
            let asked = asked["orderNos"].as_array().unwrap();
            let records: Vec<_> = book.records.iter().filter(|record| asked.contains(&record["orderNo"])).collect();
            ok(json!({"records": records}))
        }
        ("GET", path) if path.starts_with("/gateway/files/") => match path.strip_prefix("/gateway/files/p/") {
            Some("%E7%85%A7%E7%89%87%201.jpg") => PICTURE.to_vec(),
            _ => business(1404),
        },
        ("GET", "/gateway/manifest") => ok(account(&book.records, &query)),
        ("GET", "/gateway/receipts") => ok(book.receipts.get(&query["requestId"]).cloned().unwrap_or(Value::Null)),
        ("POST", path) => {
            let key = headers["x-request-id"].to_str().unwrap().to_owned();
            let operation = path.rsplit('/').next().unwrap();
            if operation == "complete" && book.receipts.contains_key(&key) {
                return business(1003);
            }
            let number = book.receipts.len() + 1;
            let receipt = json!({"receiptNo": format!("R{number}"), "requestId": key, "operation": operation, "receivedAt": "2026-11-23 10:00:00"});
            ok(book.receipts.entry(key).or_insert(receipt).clone())
        }
        _ => business(1004),
    }
}

fn listing(book: &mut Book, query: &BTreeMap<String, String>) -> Vec<u8> {
    let mut records: Vec<_> = book.records.clone();
    let text = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
    if query.contains_key("dataset") {
        let window = query["eventFrom"].clone()..query["eventTo"].clone();
        records.retain(|record| window.contains(&text(record, "createTime")));
        records.sort_by_key(|record| text(record, "orderNo"));
    } else {
        records.retain(|record| {
            let at = text(record, "updateTime");
            query.get("updatedFrom").is_none_or(|from| *from <= at) && query.get("updatedTo").is_none_or(|to| at <= *to)
        });
        records.sort_by_key(|record| (text(record, "updateTime"), text(record, "orderNo")));
    }
    let (page, size): (usize, usize) = (query["page"].parse().unwrap(), query["pageSize"].parse().unwrap());
    let total = records.len();
    let records: Vec<_> = records.into_iter().skip((page - 1) * size).take(size).collect();
    for record in &records {
        let number = text(record, "orderNo");
        if !book.given_out.contains(&number) {
            book.given_out.push_back(number);
        }
    }
    ok(json!({"total": total, "page": page, "records": records}))
}

impl ChannelUnderTest for Fake {
    fn connector(&self) -> &dyn Connector {
        self.connector.as_ref()
    }

    fn unreachable(&self) -> &dyn Connector {
        self.unreachable.as_ref()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn records(&self) -> Vec<Vec<u8>> {
        let pushed = (self.name != "website").then_some("partial_event");
        let fixtures = ["plain", "taxi", "odd_codes"].into_iter().chain(pushed);
        fixtures.map(|name| crate::fixture(name).into_bytes()).collect()
    }

    fn push_body(&self) -> Option<Vec<u8>> {
        if self.name == "website" {
            return None;
        }
        let record: Value = serde_json::from_str(&crate::fixture("plain")).unwrap();
        Some(json!({"pushId": "p1", "kind": "order", "records": [record]}).to_string().into_bytes())
    }

    fn secrets(&self) -> usize {
        2
    }

    fn push(&self, secret: usize, at: Timestamp, nonce: &str, body: &[u8]) -> WebhookRequest {
        let target = "/webhooks/web";
        let timestamp = at.as_millisecond().to_string();
        let message = format!("POST\n{target}\n{timestamp}\n{nonce}\n{}", hex::encode(Sha256::digest(body)));
        let sign = mac_hex(MacScheme::HmacSha256, &Secret::new(SECRETS[secret]), message.as_bytes());
        let headers = [("x-app-id", "gateway"), ("x-timestamp", &timestamp), ("x-nonce", nonce), ("x-sign", &sign)];
        WebhookRequest {
            method: "POST".to_owned(),
            target: target.to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: body.to_vec().into(),
            received_at: self.now(),
        }
    }

    fn required_headers(&self) -> Vec<String> {
        ["x-app-id", "x-timestamp", "x-nonce", "x-sign"].map(str::to_owned).to_vec()
    }

    fn skew(&self) -> Duration {
        Duration::from_secs(300)
    }

    fn deliveries(&self) -> Vec<OutboundDelivery> {
        Operation::COMMANDS.into_iter().map(delivery).chain(forwards()).collect()
    }

    // Written from the contract alone, not from the profile.
    fn record_after(&self, delivery: &OutboundDelivery) -> Vec<u8> {
        let mut record: Value = serde_json::from_str(&crate::fixture("plain")).unwrap();
        record["orderNo"] = delivery.number.number.as_str().into();
        let (list, element) = match delivery.operation {
            Operation::Sign => {
                ("events", json!({"eventId": "d17-1", "kind": "sign", "time": "2026-11-23 09:30:00", "text": null}))
            }
            Operation::Reply => (
                "completions",
                json!({"round": 1, "replyContent": "已责成\t企业整改。\n谢谢", "replyTime": "2026-11-23", "replyUnit": "市交通运输局"}),
            ),
            Operation::Refuse => (
                "events",
                json!({"eventId": "d17-1", "kind": "refuse", "time": "2026-11-23 09:30:00", "text": "不属本单位职责"}),
            ),
            Operation::Complete => {
                ("events", json!({"eventId": "d17-1", "kind": "complete", "time": "2026-11-23 09:30:00"}))
            }
            Operation::Forward if delivery.dataset == Dataset::Completion => (
                "completions",
                json!({"round": 1, "replyContent": "已处理", "replyTime": "2026-11-24", "replyUnit": "市交通运输局"}),
            ),
            Operation::Extend | Operation::Appeal | Operation::Assign => unreachable!("it takes none"),
            Operation::Forward => {
                ("events", json!({"eventId": "B7", "kind": "sign", "time": "2026-11-23 09:30:00", "text": "已签收"}))
            }
        };
        record[list].as_array_mut().unwrap().push(element);
        record.to_string().into_bytes()
    }

    fn fill(&self, count: usize, together: usize) -> Vec<SourceNumber> {
        let mut book = self.book();
        *book = Book::default();
        let first = count.saturating_sub(together) / 2;
        for at in 0..count {
            let second = if at < first { at } else { first + at.saturating_sub(first + together.max(1) - 1) };
            let time = at_second(second as i64);
            // Numbers run against the times, so that no order by number hides a mistake.
            let number = format!("WX{:06}", 900_000 - at);
            book.records
                .push(json!({"orderNo": number, "createTime": time, "updateTime": time, "state": "20", "round": 0}));
        }
        book.records.iter().map(|record| SourceNumber::new(record["orderNo"].as_str().unwrap()).unwrap()).collect()
    }

    fn drift(&self) {
        let mut book = self.book();
        let Some(number) = book.given_out.pop_front() else { return };
        book.moves += 1;
        let time = at_second(3_000 + book.moves);
        for record in &mut book.records {
            if record["orderNo"] == number.as_str() {
                record["updateTime"] = time.clone().into();
            }
        }
    }

    fn fail_next(&self, fault: Fault) {
        self.book().fault = Some(fault);
    }

    fn attachment(&self) -> Option<(String, Vec<u8>)> {
        Some(("p/照片 1.jpg".to_owned(), PICTURE.to_vec()))
    }

    fn requests(&self) -> usize {
        self.book().requests.len()
    }
}

fn at_second(second: i64) -> String {
    format!("2026-11-23 {:02}:{:02}:{:02}", 8 + second / 3_600, second / 60 % 60, second % 60)
}

pub(crate) fn delivery(operation: Operation) -> OutboundDelivery {
    let mut fields = Fields::new();
    fields.set(Field::Operator, "王工".into());
    match operation {
        Operation::Reply => {
            fields.set(Field::ReplyText, "已责成\t企业整改。\n谢谢".into());
            fields.set(Field::ReplyUnit, "市交通运输局".into());
            fields.set(Field::RepliedAt, FieldValue::Time(parse_moment("2026-11-23").unwrap()));
        }
        Operation::Refuse => fields.set(Field::EventText, "不属本单位职责".into()),
        _ => {}
    }
    OutboundDelivery {
        id: DeliveryId(17),
        order_id: OrderId::new(at(NOW)),
        number: OrderNumber {
            channel: ChannelId::new("web").unwrap(),
            number: SourceNumber::new("WX20261123000001").unwrap(),
            day: "2026-11-23".parse().unwrap(),
        },
        from: ChannelId::new("desk").unwrap(),
        operation,
        dataset: if operation == Operation::Reply { Dataset::Completion } else { Dataset::Handling },
        part: Part::Cycle(1),
        round: 1,
        event_time: parse_moment("2026-11-23T09:30:00+08:00").unwrap(),
        fields,
        generation: 1,
        idempotency_key: "d17-1".to_owned(),
    }
}

/// Progress and result, as the bureau's channel says them.
pub(crate) fn forwards() -> [OutboundDelivery; 2] {
    let forward = |dataset, part, at: &str, fields: Vec<(Field, FieldValue)>| OutboundDelivery {
        from: ChannelId::new("bureau").unwrap(),
        dataset,
        part,
        event_time: parse_moment(at).unwrap(),
        fields: fields.into_iter().collect(),
        ..delivery(Operation::Forward)
    };
    let signed = vec![(Field::EventKind, "sign".into()), (Field::EventText, "已签收".into())];
    let replied = vec![
        (Field::ReplyText, "已处理".into()),
        (Field::ReplyUnit, "市交通运输局".into()),
        (Field::RepliedAt, FieldValue::Time(parse_moment("2026-11-24").unwrap())),
    ];
    let event = Part::Event(EventId::new("B7").unwrap());
    [
        forward(Dataset::Handling, event, "2026-11-23T09:30:00+08:00", signed),
        forward(Dataset::Completion, Part::Cycle(1), "2026-11-24", replied),
    ]
}
