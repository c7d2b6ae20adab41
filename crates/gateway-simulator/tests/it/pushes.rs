//! Pushes: signed, retried, durable.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use gateway_simulator::sign::{SignatureMethod, Signed, Signer};
use gateway_simulator::{SimClock, start_platform};
use serde_json::Value;

use crate::support::{Peer, WEBHOOK_SECRET, eventually, options};

#[derive(Default)]
pub struct Webhook {
    pub refuse: Mutex<bool>,
    pub refused: Mutex<usize>,
    pub clock: Mutex<SimClock>,
    /// (nonce, body) of everything that was authentic.
    pub bodies: Mutex<Vec<(String, Vec<u8>)>>,
}

impl Webhook {
    pub async fn start() -> (Arc<Self>, String) {
        let webhook = Arc::new(Self::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let app = Router::new().route("/webhooks/{channel}", post(take)).with_state(webhook.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (webhook, url)
    }

    pub fn numbers(&self) -> BTreeSet<String> {
        let bodies = self.bodies.lock().expect("lock");
        let parsed = bodies.iter().filter_map(|(_, body)| serde_json::from_slice::<Value>(body).ok());
        parsed
            .flat_map(|body| body["records"].as_array().cloned().unwrap_or_default())
            .filter_map(|record| record["orderNo"].as_str().map(str::to_owned))
            .collect()
    }
}

async fn take(
    State(webhook): State<Arc<Webhook>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let text = |name: &str| headers[name].to_str().expect("text");
    let message = Signed {
        method: "POST",
        target: uri.path(),
        app_id: text("x-app-id"),
        timestamp: text("x-timestamp"),
        nonce: text("x-nonce"),
        sign: text("x-sign"),
        body: &body,
    };
    let signer = Signer::new("transport-bureau", SignatureMethod::HmacSha256, WEBHOOK_SECRET.as_bytes());
    assert!(signer.verify(&message, webhook.clock.lock().expect("lock").now_ms()), "every push is signed");
    if *webhook.refuse.lock().expect("lock") {
        *webhook.refused.lock().expect("lock") += 1;
        return (StatusCode::SERVICE_UNAVAILABLE, r#"{"code":503}"#.to_owned());
    }
    webhook.bodies.lock().expect("lock").push((text("x-nonce").to_owned(), body.to_vec()));
    if serde_json::from_slice::<Value>(&body).is_err() {
        return (StatusCode::BAD_REQUEST, r#"{"code":1004}"#.to_owned());
    }
    (StatusCode::OK, r#"{"code":0,"message":"ok"}"#.to_owned())
}

#[tokio::test]
async fn what_was_not_taken_is_pushed_again_even_by_the_next_process() {
    let (webhook, url) = Webhook::start().await;
    *webhook.refuse.lock().expect("lock") = true;
    let dir = tempfile::tempdir().expect("dir");
    let mut options = options(dir.path(), 30);
    options.gateway_url = Some(url);
    let platform = start_platform(options.clone()).await.expect("platform");
    Peer::of(&platform).lived().await;
    eventually("refused once", || async { *webhook.refused.lock().expect("lock") > 0 }).await;
    platform.shutdown().cancel();
    platform.ended().await.expect("ended");

    *webhook.refuse.lock().expect("lock") = false;
    let platform = start_platform(options).await.expect("platform");
    let peer = Peer::of(&platform);
    eventually("all pushed", || async { webhook.numbers().len() == 30 }).await;
    eventually("settled", || async { peer.sim("/sim/life").await["settled"] == true }).await;
}
