//! A peer that speaks the gateway's side of the wire, and waiting.

use std::path::Path;
use std::time::{Duration, Instant};

use gateway_simulator::record::Order;
use gateway_simulator::sign::{SignatureMethod, Signer};
use gateway_simulator::{PlatformHandle, PlatformOptions, SimClock, http};
use reqwest::Client;
use serde_json::{Value, json};

pub const API_SECRET: &str = "api-秘密";
pub const WEBHOOK_SECRET: &str = "webhook-秘密";

/// A quick, fault-free platform with `orders` orders.
pub fn options(dir: &Path, orders: u64) -> PlatformOptions {
    let mut options = PlatformOptions::new(dir, API_SECRET, WEBHOOK_SECRET);
    options.rate = 500.0;
    options.orders = Some(orders);
    options.life = Some("test".to_owned());
    options.client_timeout = Duration::from_millis(300);
    options
}

/// Waits until `done` says so.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

/// The gateway's side.
#[derive(Clone)]
pub struct Peer {
    pub client: Client,
    pub url: String,
    pub token: String,
    pub signer: Signer,
    pub clock: SimClock,
}

impl Peer {
    pub fn of(platform: &PlatformHandle) -> Self {
        Self::at(platform, SignatureMethod::HmacSha256)
    }

    pub fn at(platform: &PlatformHandle, method: SignatureMethod) -> Self {
        Self {
            client: http::client(Duration::from_millis(300)).expect("client"),
            url: platform.url(),
            token: platform.token.clone(),
            signer: Signer::new("transport-bureau", method, API_SECRET.as_bytes()),
            clock: platform.clock(),
        }
    }

    pub async fn send(
        &self,
        method: &str,
        target: &str,
        request_id: &str,
        body: Vec<u8>,
    ) -> Result<(u16, Value), String> {
        let timestamp = self.clock.now_ms().to_string();
        let nonce = format!("n-{timestamp}");
        let sign = self.signer.sign(method, target, &timestamp, &nonce, &body);
        let request = self
            .client
            .request(method.parse().expect("method"), format!("{}{target}", self.url))
            .header("x-app-id", "transport-bureau")
            .header("x-timestamp", timestamp)
            .header("x-nonce", nonce)
            .header("x-sign", sign)
            .header("x-request-id", request_id)
            .body(body);
        http::send("call", request).await.map_err(|error| error.to_string())
    }

    /// A read that must succeed; its data.
    pub async fn read(&self, target: &str) -> Value {
        let (status, answer) = self.send("GET", target, "", Vec::new()).await.expect("answer");
        assert_eq!((status, &answer["code"]), (200, &json!(0)), "{target}: {answer}");
        answer["data"].clone()
    }

    /// An operation; its business code and data.
    pub async fn operate(&self, number: &str, operation: &str, request_id: &str, body: Value) -> (i64, Value) {
        let target = format!("/gateway/orders/{number}/{operation}");
        let (status, answer) =
            self.send("POST", &target, request_id, body.to_string().into_bytes()).await.expect("answer");
        assert_eq!(status, 200, "{answer}");
        (answer["code"].as_i64().expect("code"), answer["data"].clone())
    }

    /// The control surface: no fault delays it, only the machine does.
    pub async fn sim(&self, path: &str) -> Value {
        let patient = http::client(Duration::from_secs(30)).expect("client");
        http::get(&patient, &self.url, path, &self.token).await.expect("control")
    }

    pub async fn stop_life(&self) {
        let request = self.client.post(format!("{}/sim/stop", self.url)).bearer_auth(&self.token);
        assert_eq!(http::send("stop", request).await.expect("stop").0, 200);
    }

    pub async fn lived(&self) {
        eventually("life is over", || async { self.sim("/sim/life").await["stopped"] == true }).await;
    }

    /// Every record that the listing shows.
    pub async fn listing(&self, size: usize) -> Vec<Value> {
        let mut records = Vec::new();
        for page in 1.. {
            let target = format!("/gateway/orders?updatedFrom=2000-01-01%2000:00:00&page={page}&pageSize={size}");
            let data = self.read(&target).await;
            let these = data["records"].as_array().expect("records").clone();
            records.extend(these.iter().cloned());
            if these.is_empty() || records.len() as u64 >= data["total"].as_u64().expect("total") {
                break;
            }
        }
        records
    }
}

/// What of a record an acceptance tells to a system that takes other systems' orders, but for the type, whose codes are each system's own.
pub const ACCEPTANCE: [&str; 10] = [
    "createTime",
    "category",
    "title",
    "content",
    "sourceType",
    "address",
    "occurTime",
    "urgency",
    "isSecret",
    "isAnonymous",
];

/// What of a record the state tells.
pub const STATE: [&str; 4] = ["state", "unit", "deadline", "round"];

/// These fields of a record; what it does not know is left out.
pub fn pick(record: &Value, fields: &[&str]) -> Value {
    let picked = fields.iter().filter(|field| !record[**field].is_null());
    Value::Object(picked.map(|field| ((*field).to_owned(), record[*field].clone())).collect())
}

/// The order's number where other systems' orders are known by channel, day and number, as their pages say.
pub fn number_there(order: &Order) -> String {
    let day: String = order.create_time[..10].split('-').collect();
    format!("municipal-12345-{day}-{}", order.order_no)
}
