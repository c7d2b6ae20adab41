//! From a push to the row that the API shows.

use crate::against;
use crate::generator::{quantile, steady};
use crate::process::{Gateway, scaled, text};
use crate::wire::{Connection, singles};
use serde_json::Value;
use std::collections::HashMap;
use std::time::{Duration, Instant};

const RATE: f64 = 200.0;
const COUNT: u64 = 4_000;
/// Between two looks at the feed where there was nothing new; half of it is in the median.
const PAUSE: Duration = Duration::from_millis(1);
/// Orders only this one pushes.
const NAME: &str = "seen";

pub async fn measure(gateway: &Gateway) {
    let mut feed = Feed::open(gateway).await;
    while !feed.next().await.is_empty() {}
    let warm = steady(gateway.address("public"), RATE, Instant::now(), singles("warm", 400));
    warm.await;
    gateway.settled().await;
    while !feed.next().await.is_empty() {}
    let requests = singles(NAME, COUNT);
    let began = Instant::now() + Duration::from_millis(100);
    let sending = tokio::spawn(steady(gateway.address("public"), RATE, began, requests));
    let mut seen: HashMap<u64, Duration> = HashMap::new();
    while (seen.len() as u64) < COUNT {
        assert!(began.elapsed() < Duration::from_secs(120), "only {} of {COUNT} came to be seen", seen.len());
        let orders = feed.next().await;
        let now = Instant::now();
        if orders.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
        for at in orders {
            seen.entry(at).or_insert_with(|| now - (began + Duration::from_secs_f64(at as f64 / RATE)));
        }
    }
    let answered = sending.await.expect("the generator ends");
    println!("pushes at {RATE}/s: {}", answered.told());
    let mut took: Vec<Duration> = seen.into_values().collect();
    took.sort_unstable();
    let ms = |part| quantile(&took, part).as_secs_f64() * 1e3;
    let (p50, p99) = if scaled() { (20.0, 100.0) } else { (10.0, 50.0) };
    against(&format!("webhook to visible row, p50 at {RATE}/s"), ms(0.5), "ms", p50);
    against(&format!("webhook to visible row, p99 at {RATE}/s"), ms(0.99), "ms", p99);
}

/// The API's feed of changed orders.
struct Feed {
    connection: Connection,
    token: String,
    after: Option<String>,
}

impl Feed {
    async fn open(gateway: &Gateway) -> Self {
        let connection = Connection::open(gateway.address("admin")).await;
        Self { connection, token: gateway.token(), after: None }
    }

    /// Which of the orders that are pushed here changed since the last look; others count as none.
    async fn next(&mut self) -> Vec<u64> {
        let after = self.after.as_ref().map(|after| format!("&after={after}")).unwrap_or_default();
        let request = format!(
            "GET /api/v1/orders?limit=500{after} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\n\r\n",
            self.token
        );
        let (status, body) = self.connection.exchange(request.as_bytes()).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
        let page: Value = serde_json::from_slice(body).expect("JSON");
        self.after = Some(text(&page, "next").to_owned());
        let orders = page["orders"].as_array().into_iter().flatten();
        let numbers = orders.flat_map(|order| order["numbers"].as_array().into_iter().flatten());
        numbers
            .filter_map(|number| text(number, "number").strip_prefix("GZ")?.strip_prefix(NAME)?.parse().ok())
            .collect()
    }
}
