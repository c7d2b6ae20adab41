//! Pushes to the gateway's webhook (section 5 of the wire contract): a durable queue, signed, retried a few times, then given up.
//!
//! Waiting pushes of whole records go out together, up to 50 in one body; what the record says is read when it goes out. A nonce
//! belongs to one push of one process: after a restart the body may be newer, and the same nonce with another body is a fault that
//! only the plan may commit.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use serde_json::json;

use super::Platform;
use super::server::damage;
use crate::book::entry::{Edit, Entry, Push};
use crate::book::{Book, QueuedPush};
use crate::clock;
use crate::faults::FaultKind;
use crate::http;
use crate::invent;
use crate::record::Order;

const BATCH: usize = 50;
const ATTEMPTS: u32 = 5;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One request, ready to be signed.
struct Outgoing {
    ids: Vec<u64>,
    nonce: String,
    body: Vec<u8>,
    /// The order of a push of one whole record, on which faults can play.
    alone: Option<String>,
}

/// Pushes until the platform is shut down.
pub(super) async fn run(platform: Arc<Platform>) {
    let wait = platform.options.client_timeout;
    let Ok(client) = http::client(wait) else { return };
    if platform.options.gateway_url.is_none() && platform.options.gateway_address_file.is_none() {
        return;
    }
    loop {
        let Some(outgoing) = next(&platform) else {
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        };
        // What is pushed must be in the book for good: a platform never tells what it may forget.
        if platform.ledger.settled().await.is_err() {
            return;
        }
        mischief_before(&platform, &client, &outgoing).await;
        let taken = send_until_taken(&platform, &client, &outgoing).await;
        platform.ledger.write(&mut platform.ledger.lock(), &Entry::Pushed { pushes: outgoing.ids.clone() });
        if taken {
            mischief_after(&platform, &client, &outgoing).await;
        }
    }
}

fn next(platform: &Platform) -> Option<Outgoing> {
    let mut book = platform.ledger.lock();
    let (&first, queued) = book.pushes.first_key_value()?;
    let QueuedPush { number, push } = queued.clone();
    match push {
        Push::Record => {
            let waiting = book.pushes.iter().take_while(|(_, queued)| queued.push == Push::Record).take(BATCH);
            let (ids, numbers): (Vec<u64>, Vec<String>) =
                waiting.map(|(id, queued)| (*id, queued.number.clone())).unzip();
            let mut records: Vec<Order> =
                numbers.iter().filter_map(|number| book.order(number)).map(|held| held.order.clone()).collect();
            if platform.inject(&mut book, FaultKind::Duplicate) {
                records.extend(records.first().cloned());
            }
            let alone = (ids.len() == 1).then(|| number.clone());
            Some(outgoing(platform, ids, &records, alone))
        }
        Push::Stale(order) => Some(outgoing(platform, vec![first], &[*order], None)),
        Push::Event(id) => {
            let event = book.order(&number)?.order.events.iter().find(|event| event.event_id == id).cloned();
            let nonce = nonce(platform, first);
            let body = json!({"pushId": nonce, "kind": "event", "orderNo": number, "event": event});
            Some(Outgoing { ids: vec![first], nonce, body: serde_json::to_vec(&body).unwrap_or_default(), alone: None })
        }
        // Never queued; taken out so that the queue can't stand still.
        Push::None => Some(outgoing(platform, vec![first], &[], None)),
    }
}

fn outgoing(platform: &Platform, ids: Vec<u64>, records: &[Order], alone: Option<String>) -> Outgoing {
    let nonce = nonce(platform, ids.first().copied().unwrap_or_default());
    let body = record_body(&nonce, records);
    Outgoing { ids, nonce, body, alone }
}

fn record_body(nonce: &str, records: &[Order]) -> Vec<u8> {
    serde_json::to_vec(&json!({"pushId": nonce, "kind": "order", "records": records})).unwrap_or_default()
}

fn nonce(platform: &Platform, id: u64) -> String {
    format!("P{id}-{}", platform.incarnation)
}

async fn send_until_taken(platform: &Platform, client: &Client, outgoing: &Outgoing) -> bool {
    for attempt in 0..ATTEMPTS {
        match send(platform, client, &outgoing.nonce, &outgoing.body).await {
            Sent::Taken => return true,
            // Another body came under this nonce before: to send it again can't help.
            Sent::Conflict => return false,
            Sent::Failed => tokio::time::sleep(Duration::from_millis(200 << attempt)).await,
        }
    }
    tracing::warn!(pushes = outgoing.ids.len(), "the gateway does not take a push; given up");
    false
}

enum Sent {
    Taken,
    Conflict,
    Failed,
}

async fn send(platform: &Platform, client: &Client, nonce: &str, body: &[u8]) -> Sent {
    let options = &platform.options;
    let address = options.gateway_address_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    let base = match address.map(|text| text.trim().to_owned()) {
        Some(address) if address.starts_with("http") => address,
        Some(address) if !address.is_empty() => format!("http://{address}"),
        _ => options.gateway_url.clone().unwrap_or_default(),
    };
    let Ok(url) = format!("{}/webhooks/{}", base.trim_end_matches('/'), options.channel).parse::<reqwest::Url>() else {
        return Sent::Failed;
    };
    let timestamp = clock::now_ms().to_string();
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let sign = platform.outgoing.sign("POST", &target, &timestamp, nonce, body);
    let request = client
        .post(url)
        .header("content-type", "application/json; charset=utf-8")
        .header("x-app-id", &platform.outgoing.app_id)
        .header("x-timestamp", timestamp)
        .header("x-nonce", nonce)
        .header("x-sign", sign)
        .body(body.to_vec());
    match http::send("POST webhook", request).await {
        Ok((200, answer)) if answer["code"] == 0 => Sent::Taken,
        Ok((409, _)) => Sent::Conflict,
        Ok((status, _)) => {
            tracing::debug!(status, "push refused");
            Sent::Failed
        }
        Err(_) => Sent::Failed,
    }
}

/// A copy of the push damaged before it is signed, under a nonce of its own: the MAC is right, the JSON is not.
async fn mischief_before(platform: &Platform, client: &Client, outgoing: &Outgoing) {
    if platform.inject(&mut platform.ledger.lock(), FaultKind::MalformedBody) {
        let _ = platform.ledger.settled().await;
        let mut body = outgoing.body.clone();
        damage(&mut body);
        let _ = send(platform, client, &format!("{}-x", outgoing.nonce), &body).await;
    }
}

/// The same push again, with the same or with a newer body.
async fn mischief_after(platform: &Platform, client: &Client, outgoing: &Outgoing) {
    if platform.inject(&mut platform.ledger.lock(), FaultKind::RepeatedPush) {
        let _ = platform.ledger.settled().await;
        let _ = send(platform, client, &outgoing.nonce, &outgoing.body).await;
    }
    let Some(number) = &outgoing.alone else { return };
    let Some(newer) = changed(platform, number, &mut platform.ledger.lock()) else { return };
    if platform.ledger.settled().await.is_ok() {
        let _ = send(platform, client, &outgoing.nonce, &record_body(&outgoing.nonce, &[newer])).await;
    }
}

/// Edits an order without a push of its own, for a push under a used nonce.
fn changed(platform: &Platform, number: &str, book: &mut std::sync::MutexGuard<'_, Book>) -> Option<Order> {
    if book.order(number)?.hidden || !platform.inject(book, FaultKind::ChangedPush) {
        return None;
    }
    let held = book.order(number)?;
    let now = clock::now_ms();
    let mut rng = invent::rng_for(platform.options.seed, number, held.version * 2 + 2);
    let update = Some(super::life::next_update(held, now));
    let edits = vec![Edit::Title(invent::retitle(&mut rng, &held.order.title))];
    platform.ledger.write(
        book,
        &Entry::Change { at: now, no: number.to_owned(), update, edits, operation: None, push: Push::None },
    );
    platform.plan(book, number);
    Some(book.order(number)?.order.clone())
}
