//! Where citizens write themselves: an order from a simulated counterparty with its own book, followed to the province, to who handles it and back to the
//! citizen, who asks how far it is and rates the result.

use crate::gateway::{APP, Gateway, REQUEST_SECRET, WEBHOOK_SECRET};
use crate::program::{Scratch, program, wait_for};
use gateway_simulator::clock::{api_time, now_ms, wire_time};
use gateway_simulator::record::Order;
use gateway_simulator::sign::{SignatureMethod, Signer};
use gateway_simulator::{PlatformHandle, PlatformKind, PlatformOptions, http, start_platform};
use reqwest::Client;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

/// Gateway, front and province, and who asks.
struct Party {
    gateway: Gateway,
    front: PlatformHandle,
    province: PlatformHandle,
    client: Client,
    channel: &'static str,
}

async fn platform(gateway: &Scratch, name: &str, change: impl FnOnce(&mut PlatformOptions)) -> PlatformHandle {
    let mut options = PlatformOptions::new(gateway.path(name), REQUEST_SECRET, WEBHOOK_SECRET);
    options.seconds = Some(0);
    change(&mut options);
    start_platform(options).await.expect("the platform starts")
}

impl Party {
    async fn start(channel: &'static str, kind: PlatformKind) -> Self {
        let scratch = Scratch::new();
        let dir = scratch.path("gateway");
        let province = platform(&scratch, "province", |options| options.kind = PlatformKind::Province).await;
        let front = platform(&scratch, "front", |options| {
            options.kind = kind;
            options.channel = channel.to_owned();
            options.gateway_address_file = Some(dir.join("public.address"));
            (options.seconds, options.orders, options.rate) = (None, Some(1_000), 0.5);
        })
        .await;
        let (front_url, province_url) = (front.url(), province.url());
        let more = format!(
            r#"
[delivery]
every_ms = 200
retry = {{ min_ms = 50, max_ms = 500 }}
[[channel]]
id = "{channel}"
kind = "{channel}"
base_url = "{front_url}"
app_id = "{APP}"
request_secret_file = "secrets/request.secret"
webhook_secret_files = ["secrets/webhook.secret"]
[[channel]]
id = "provincial-12328"
kind = "provincial-12328"
base_url = "{province_url}"
app_id = "{APP}"
request_secret_file = "secrets/request.secret"
[[route]]
from = "desk"
datasets = ["handling", "completion"]
to = "{channel}"
[[route]]
from = "{channel}"
datasets = ["acceptance", "handling", "completion", "evaluation"]
to = "provincial-12328"
[[route]]
from = "municipal-12345"
datasets = ["handling", "completion"]
to = "{channel}"
"#
        );
        let mut gateway = Gateway::prepare_in(scratch, &more).await;
        gateway.launch(Command::new(program())).await;
        let client = http::client(Duration::from_secs(20)).expect("a client");
        Self { gateway, front, province, client, channel }
    }

    /// An order of the front's own book.
    fn in_book(&self, number: &str) -> Option<Order> {
        self.front.orders().into_iter().find(|order| order.order_no == number)
    }

    fn at_province(&self, number: &str) -> Option<Order> {
        self.province.orders().into_iter().find(|order| order.order_no.ends_with(number))
    }

    /// Asks after an order as its front end does.
    async fn ask(&self, number: &str, secret: &str) -> (u16, Value) {
        let target = format!("/webhooks/{}/orders/{number}", self.channel);
        let timestamp = now_ms().to_string();
        let sign = Signer::new(APP, SignatureMethod::HmacSha256, secret.as_bytes())
            .sign("GET", &target, &timestamp, "n-ask", b"");
        let address = std::fs::read_to_string(self.gateway.dir.join("public.address")).expect("it runs");
        let request = self.client.get(format!("http://{}{target}", address.trim())).header("x-app-id", APP);
        let request = request.header("x-timestamp", timestamp).header("x-nonce", "n-ask").header("x-sign", sign);
        http::send("inquiry", request).await.expect("an answer")
    }

    /// What the bureau does, by the desk; whether the order's state allowed it.
    async fn command(&self, order: &str, operation: &str, fields: Value) -> bool {
        let token = std::fs::read_to_string(self.gateway.dir.join("tokens/desk.token")).expect("the token");
        let admin = std::fs::read_to_string(self.gateway.dir.join("admin.address")).expect("it runs");
        let at = api_time(&wire_time(now_ms()));
        let body = json!({"operation": operation, "round": 0, "at": at, "operator": "王工", "fields": fields});
        wait_for(&format!("the desk's {operation}"), PATIENCE, async || {
            let request = self.client.post(format!("http://{}/api/v1/orders/{order}/commands", admin.trim()));
            let request = request
                .bearer_auth(token.trim())
                .header("content-type", "application/json")
                .header("idempotency-key", format!("{operation}-{order}"));
            let (status, answer) = http::send("command", request.body(body.to_string())).await.ok()?;
            assert!(matches!(status, 202 | 409 | 503), "{operation}: {status} {answer}");
            (status != 503).then_some(status == 202)
        })
        .await
    }

    /// An order of the front's that the desk has signed for, in the front's own book; one that its citizen withdrew meanwhile is left alone.
    async fn signed(&self) -> (String, String) {
        loop {
            let (id, number) = self.dispatched().await;
            let signed = self.command(&id, "sign", json!({})).await;
            let told = wait_for("progress in the front's own book", PATIENCE, async || {
                let order = self.in_book(&number)?;
                let signed = order.events.iter().any(|event| event.kind == "sign");
                (signed || order.state == "90").then_some(signed)
            });
            if signed && told.await {
                return (id, number);
            }
        }
    }

    /// An order that the front dispatched last and the gateway knows as dispatched: the gateway's id, and its number.
    async fn dispatched(&self) -> (String, String) {
        wait_for("a dispatched order of the front's at the gateway", PATIENCE, async || {
            let number = self.front.orders().into_iter().rfind(|order| order.state == "20")?.order_no;
            let token = std::fs::read_to_string(self.gateway.dir.join("tokens/admin.token")).ok()?;
            let admin = std::fs::read_to_string(self.gateway.dir.join("admin.address")).ok()?;
            let (base, path) =
                (format!("http://{}", admin.trim()), format!("/api/v1/orders/{number}?channel={}", self.channel));
            let order = http::get(&self.client, &base, &path, token.trim()).await.ok()?;
            (order["state"] == "dispatched").then(|| (order["id"].as_str().unwrap_or_default().to_owned(), number))
        })
        .await
    }

    /// The same, as soon as the state allows it: our books lag the front's by moments.
    async fn do_when_allowed(&self, order: &str, operation: &str, fields: &Value) {
        wait_for(operation, PATIENCE, async || self.command(order, operation, fields.clone()).await.then_some(()))
            .await;
    }

    /// From the citizen to everybody and back.
    async fn follow(mut self) {
        let (id, number) = self.signed().await;
        wait_for("the order at the province", PATIENCE, async || self.at_province(&number).map(|_| ())).await;
        let fields = json!({"reply_text": "经核实，已责成企业整改。", "reply_unit": "市交通运输局"});
        self.do_when_allowed(&id, "reply", &fields).await;
        let replied = async || self.in_book(&number)?.completions.first().cloned();
        let result = wait_for("the result in the front's own book", PATIENCE, replied).await;
        assert_eq!(result.reply_content, "经核实，已责成企业整改。");
        self.do_when_allowed(&id, "complete", &json!({})).await;

        // The citizen asks, and is told by whom it is answered, and nothing of anybody.
        let told = wait_for("the answer to the citizen's question", PATIENCE, async || {
            let (status, told) = self.ask(&number, WEBHOOK_SECRET).await;
            assert_eq!((status, &told["code"]), (200, &json!(0)), "{told}");
            (told["data"]["replyContent"] == "经核实，已责成企业整改。").then_some(told)
        })
        .await;
        assert_eq!(told["data"]["orderNo"], number.as_str());
        assert!(told["data"]["state"].as_str().is_some_and(|state| state >= "40"), "{told}");
        let order = self.in_book(&number).expect("the front's order");
        for person in [&order.caller_name, &order.caller_phone, &order.contact_phone] {
            assert!(person.is_empty() || !told.to_string().contains(person.as_str()), "{told}");
        }
        assert_eq!(self.ask(&number, "another secret").await.0, 401);
        assert_eq!(self.ask("no-such-order", WEBHOOK_SECRET).await.1["code"], 1002);

        // The result is at the province too, and the rating when the citizen gave one.
        let at_province = async || self.at_province(&number).filter(|order| !order.completions.is_empty()).map(|_| ());
        wait_for("the result at the province", PATIENCE, at_province).await;
        let settled = wait_for("the citizen's rating, or the archive without one", PATIENCE, async || {
            self.in_book(&number).filter(|order| !order.visits.is_empty() || order.state == "70")
        })
        .await;
        if let Some(visit) = settled.visits.first().cloned() {
            wait_for("the rating at the province", PATIENCE, async || {
                let there = self.at_province(&number)?.visits.first().cloned()?;
                (there.satisfaction == visit.satisfaction).then_some(())
            })
            .await;
        }
        self.front.stop_life();
        self.gateway.stop().await;
        for platform in [self.front, self.province] {
            platform.shutdown().cancel();
            platform.ended().await.expect("a clean end");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn web_is_followed_to_every_party_and_back() {
    Party::start("web-12328", PlatformKind::Web).await.follow().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taxi_is_followed_to_every_party_and_back() {
    Party::start("taxi-qr", PlatformKind::TaxiQr).await.follow().await;
}
