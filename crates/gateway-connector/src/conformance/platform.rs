//! A counterparty in the default dress, small and obedient, over a real socket: what the fakes of connectors share whose contract is "as on the municipal
//! page". It checks every signature that it is sent. What differs — the compared fields of acceptance, records, files — its channel's test says.
//!
//! Written from the contract's page (`docs/channels/municipal-12345.md`) and not from profiles, codecs or the model's sums: a mistake there must show here. For
//! the same reason it speaks HTTP by hand, as simply as its one client needs, and not by a server that is as polite as real ones are not.

use super::Fault;
use super::account;
use crate::profile::MacScheme;
use crate::sign::mac_hex;
use crate::wire::{Kind, ProfileSource, connect};
use crate::{Connector, Credentials, Secret, WebhookRequest};
use gateway_model::{ChannelId, Clock, ManualClock, SourceNumber, Timestamp, parse_moment};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What its clock and ours show.
pub const NOW: &str = "2026-11-23T10:00:00+08:00";

/// The secrets of what it sends us: two that are live while one replaces the other, and one that is not.
pub const SECRETS: [&str; 3] = ["hook-one", "hook-two", "hook-dead"];

const APPLICATION: &str = "gateway";
const REQUEST_SECRET: &str = "ask";

/// What it holds.
#[derive(Default)]
pub struct Book {
    /// Its records, as its listing shows them.
    pub records: Vec<Value>,
    /// Numbers in the order in which a listing gave them out.
    pub given_out: VecDeque<String>,
    /// How often a record moved.
    pub moves: i64,
    /// What the next request meets.
    pub fault: Option<Fault>,
    /// A whole answer for the next request.
    pub canned: Option<Vec<u8>>,
    /// Receipts, by the request that they are of.
    pub receipts: BTreeMap<String, Value>,
    /// Method, target and body of every request.
    pub requests: Vec<(String, String, String)>,
}

/// What one kind of counterparty has of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Contract {
    /// The wire fields that the digest of acceptance covers, in order.
    pub acceptance: &'static [&'static str],
    /// Files, by the end of their path below `/gateway/files/` as it is asked for, percent-encoded.
    pub files: &'static [(&'static str, &'static [u8])],
}

/// The counterparty.
pub struct Platform {
    book: Arc<Mutex<Book>>,
    url: String,
    clock: Arc<ManualClock>,
}

/// An instant.
///
/// # Panics
/// Where the text is none.
#[must_use]
pub fn at(text: &str) -> Timestamp {
    parse_moment(text).unwrap().start()
}

/// What the gateway signs with, and what is signed with towards it.
#[must_use]
pub fn credentials() -> Credentials {
    Credentials {
        app_id: APPLICATION.to_owned(),
        request_secret: Secret::new(REQUEST_SECRET),
        webhook_secrets: SECRETS[..2].iter().map(|secret| Secret::new(*secret)).collect(),
    }
}

/// A push of a channel, signed with one of [`SECRETS`], received at [`NOW`].
#[must_use]
pub fn push(channel: &str, secret: usize, signed_at: Timestamp, nonce: &str, body: &[u8]) -> WebhookRequest {
    let target = format!("/webhooks/{channel}");
    let timestamp = signed_at.as_millisecond().to_string();
    let message = format!("POST\n{target}\n{timestamp}\n{nonce}\n{}", hex::encode(Sha256::digest(body)));
    let sign = mac_hex(MacScheme::HmacSha256, &Secret::new(SECRETS[secret]), message.as_bytes());
    let headers = [("x-app-id", APPLICATION), ("x-timestamp", &timestamp), ("x-nonce", nonce), ("x-sign", &sign)];
    WebhookRequest {
        method: "POST".to_owned(),
        target,
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: body.to_vec().into(),
        received_at: at(NOW),
    }
}

/// The headers that a push must have.
#[must_use]
pub fn push_headers() -> Vec<String> {
    ["x-app-id", "x-timestamp", "x-nonce", "x-sign"].map(str::to_owned).to_vec()
}

impl Platform {
    /// Starts it.
    pub async fn start(contract: Contract) -> Self {
        let book: Arc<Mutex<Book>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::clone(&book);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&shared), contract));
            }
        });
        Self { book, url, clock: Arc::new(ManualClock::new(at(NOW))) }
    }

    /// A connector to it, and one of the same kind to where nobody listens.
    pub async fn connect(
        &self,
        kind: Kind,
        channel: &str,
        profile: &ProfileSource,
        credentials: &Credentials,
    ) -> [Arc<dyn Connector>; 2] {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = format!("http://{}", closed.local_addr().unwrap());
        drop(closed);
        [&self.url, &nobody].map(|base| {
            let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
            connect(kind, ChannelId::new(channel).unwrap(), profile, base, credentials.clone(), clock).unwrap()
        })
    }

    /// What it holds.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// What the connectors' clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets it hold exactly `count` orders, `together` of them updated in one same second. `record` makes each, of its place, its number and its time; numbers
    /// run against the times, so that no order by number hides a mistake.
    pub fn fill(
        &self,
        prefix: &str,
        count: usize,
        together: usize,
        record: impl Fn(usize, &str, &str) -> Value,
    ) -> Vec<SourceNumber> {
        let mut book = self.book();
        *book = Book::default();
        let first = count.saturating_sub(together) / 2;
        for place in 0..count {
            let second = if place < first { place } else { first + place.saturating_sub(first + together.max(1) - 1) };
            let number = format!("{prefix}{:06}", 900_000 - place);
            book.records.push(record(place, &number, &at_second(second as i64)));
        }
        book.records.iter().map(|record| SourceNumber::new(text(record, "orderNo")).unwrap()).collect()
    }

    /// Lets the order that was given out first and has not moved yet move to the end of the listing, as an edit does.
    pub fn drift(&self) {
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

    /// Lets it spoil the next request.
    pub fn fail_next(&self, fault: Fault) {
        self.book().fault = Some(fault);
    }
}

fn at_second(second: i64) -> String {
    format!("2026-11-23 {:02}:{:02}:{:02}", 8 + second / 3_600, second / 60 % 60, second % 60)
}

fn text(record: &Value, name: &str) -> String {
    record[name].as_str().unwrap().to_owned()
}

/// A request as it came.
struct Request {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    /// The next one of a connection; `None` where it ended.
    async fn read(socket: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if socket.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let mut words = lines[0].split(' ').map(str::to_owned);
        let (method, target) = (words.next()?, words.next()?);
        let header = |line: &String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        let headers: BTreeMap<_, _> = lines[1..].iter().filter_map(header).collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.ok()?;
        Some(Self { method, target, headers, body })
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    fn query(&self) -> BTreeMap<String, String> {
        let url = reqwest::Url::parse(&format!("http://x{}", self.target)).unwrap();
        url.query_pairs().into_owned().collect()
    }

    fn check_signature(&self) {
        let header = |name: &str| self.headers[name].as_str();
        let digest = hex::encode(Sha256::digest(&self.body));
        let (timestamp, nonce) = (header("x-timestamp"), header("x-nonce"));
        let message = format!("{}\n{}\n{timestamp}\n{nonce}\n{digest}", self.method, self.target);
        assert_eq!(header("x-app-id"), APPLICATION);
        let mac = |scheme| mac_hex(scheme, &Secret::new(REQUEST_SECRET), message.as_bytes());
        let sign = header("x-sign");
        assert!(sign == mac(MacScheme::HmacSha256) || sign == mac(MacScheme::HmacSm3), "the request is not signed");
    }
}

async fn serve(socket: TcpStream, book: Arc<Mutex<Book>>, contract: Contract) {
    let mut socket = BufReader::new(socket);
    while let Some(request) = Request::read(&mut socket).await {
        request.check_signature();
        let (head, body, hangs_up) = answer(&mut book.lock().unwrap(), &contract, &request);
        let length = if hangs_up { body.len() + 100 } else { body.len() };
        let whole = [format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n").as_bytes(), &body].concat();
        if socket.write_all(&whole).await.is_err() || hangs_up {
            return;
        }
    }
}

/// Status and headers, body, and whether it hangs up in the middle of it.
fn answer(book: &mut Book, contract: &Contract, request: &Request) -> (String, Vec<u8>, bool) {
    let body = String::from_utf8(request.body.clone()).unwrap();
    book.requests.push((request.method.clone(), request.target.clone(), body.clone()));
    let fault = book.fault.take();
    match fault {
        Some(Fault::Status(status)) => return (format!("{status} X"), Vec::new(), false),
        Some(Fault::Throttle(seconds)) => return (format!("429 X\r\nretry-after: {seconds}"), Vec::new(), false),
        Some(Fault::Unauthorized) => {
            return ("401 X".to_owned(), br#"{"code":401,"message":"no"}"#.to_vec(), false);
        }
        Some(Fault::Truncated | Fault::HangUp) | None => {}
    }
    let canned = book.canned.take();
    let mut body = canned.unwrap_or_else(|| respond(book, contract, request, &body));
    if fault == Some(Fault::Truncated) {
        body.truncate(body.len() / 2);
    }
    if fault == Some(Fault::HangUp) {
        body.clear();
    }
    ("200 OK".to_owned(), body, fault == Some(Fault::HangUp))
}

fn ok(data: Value) -> Vec<u8> {
    json!({"code": 0, "message": "ok", "data": data}).to_string().into_bytes()
}

fn business(code: u32) -> Vec<u8> {
    json!({"code": code, "message": "不允许", "data": null}).to_string().into_bytes()
}

fn respond(book: &mut Book, contract: &Contract, request: &Request, body: &str) -> Vec<u8> {
    let query = request.query();
    match (request.method.as_str(), request.path()) {
        ("GET", "/gateway/orders") => listing(book, &query),
        ("POST", "/gateway/orders/query") => {
            let asked: Value = serde_json::from_str(body).unwrap();
            let asked = asked["orderNos"].as_array().unwrap();
            let records: Vec<_> = book.records.iter().filter(|record| asked.contains(&record["orderNo"])).collect();
            ok(json!({"records": records}))
        }
        ("GET", "/gateway/manifest") => ok(account::account(&book.records, contract.acceptance, &query)),
        ("GET", "/gateway/receipts") => ok(book.receipts.get(&query["requestId"]).cloned().unwrap_or(Value::Null)),
        ("GET", path) => {
            let name = path.strip_prefix("/gateway/files/");
            let Some(name) = name.filter(|_| !contract.files.is_empty()) else { return business(1004) };
            let file = contract.files.iter().find(|(known, _)| *known == name);
            file.map_or_else(|| business(1404), |(_, bytes)| bytes.to_vec())
        }
        ("POST", path) => {
            let key = request.headers["x-request-id"].clone();
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
