//! Pushes to the gateway's webhook (section 5 of the wire contract): a durable queue, signed, retried a few times, then given up.
//!
//! Waiting pushes of whole records go out together, up to 50 in one body; what the record says is read when it goes out. A nonce
//! belongs to one push of one process: after a restart the body may be newer, and the same nonce with another body is a fault that
//! only the plan may commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{Platform, lock};
use crate::book::entry::{Edit, Entry, Push};
use crate::book::{Book, QueuedPush};
use crate::error::SimError;
use crate::faults::FaultKind;
use crate::http;
use crate::invent;
use crate::record::Order;

const BATCH: usize = 50;
const ATTEMPTS: u32 = 5;
/// A stepped platform tries again after so many milliseconds of its clock, doubled each time.
const AGAIN_MS: i64 = 30_000;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One request, ready to be signed.
struct Outgoing {
    ids: Vec<u64>,
    nonce: String,
    body: Vec<u8>,
    /// The order of a push of one whole record, on which faults can play.
    alone: Option<String>,
    /// The places of the orders whose whole records it holds, with the version of each.
    whole: Vec<(String, u64)>,
    /// The order of a push of one event, and the version that the event made.
    event: Option<(String, u64)>,
}

/// Pushes until the platform is shut down.
pub(super) async fn run(platform: Arc<Platform>) {
    if !platform.pushes() {
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
        mischief_before(&platform, &outgoing).await;
        let taken = send_until_taken(&platform, &outgoing).await;
        finish(&platform, &outgoing, taken);
        if taken {
            mischief_after(&platform, &outgoing).await;
        }
    }
}

/// What a stepped platform remembers of its pushes between steps.
#[derive(Default)]
pub(super) struct Retries {
    /// Not taken: when to try again, how often tried, what.
    again: Vec<(i64, u32, Outgoing)>,
    /// Queued, but not to be sent before a moment.
    held_back: HashMap<u64, i64>,
}

impl Retries {
    /// Keeps a queued push back.
    pub(super) fn hold_back(&mut self, push: u64, until_ms: i64) {
        self.held_back.insert(push, until_ms);
    }

    /// The platform went back to a state in which none of this was queued.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn waits(&self, push: u64, now: i64) -> bool {
        self.held_back.get(&push).is_some_and(|until| *until > now)
            || self.again.iter().any(|(_, _, outgoing)| outgoing.ids.contains(&push))
    }

    /// The next one to try again.
    fn due(&mut self, now: i64) -> Option<(u32, Outgoing)> {
        let place = self.again.iter().position(|(at, ..)| *at <= now)?;
        let (_, attempt, outgoing) = self.again.remove(place);
        Some((attempt, outgoing))
    }
}

/// When a push is due.
pub(super) fn next_due(platform: &Platform) -> Option<i64> {
    if !platform.pushes() {
        return None;
    }
    let now = platform.now();
    let book = platform.ledger.lock();
    let retries = lock(&platform.retries);
    let waiting = book.pushes.keys().any(|push| !retries.waits(*push, now)).then_some(now);
    let held_back = retries.held_back.iter().filter(|(push, _)| book.pushes.contains_key(push)).map(|(_, at)| *at);
    waiting.into_iter().chain(retries.again.iter().map(|(at, ..)| *at)).chain(held_back).min()
}

/// Pushes everything that is due at the clock's now, each once, and returns when all were answered.
pub(super) async fn drain(platform: &Platform) -> Result<(), SimError> {
    let now = platform.now();
    if !platform.pushes() || platform.is_out(now) {
        return Ok(());
    }
    loop {
        let again = lock(&platform.retries).due(now);
        let Some((attempt, outgoing)) = again.or_else(|| next(platform).map(|outgoing| (0, outgoing))) else {
            let book = platform.ledger.lock();
            lock(&platform.retries).held_back.retain(|push, _| book.pushes.contains_key(push));
            return Ok(());
        };
        platform.ledger.settled().await?;
        if attempt == 0 {
            mischief_before(platform, &outgoing).await;
        }
        let sent = send(platform, &outgoing.nonce, &outgoing.body).await;
        if matches!(sent, Sent::Failed) && attempt + 1 < ATTEMPTS {
            lock(&platform.retries).again.push((now + (AGAIN_MS << attempt), attempt + 1, outgoing));
            continue;
        }
        let taken = matches!(sent, Sent::Taken);
        finish(platform, &outgoing, taken);
        if taken {
            mischief_after(platform, &outgoing).await;
        }
    }
}

/// Takes a push off the queue; `taken`: the gateway has seen its records.
fn finish(platform: &Platform, outgoing: &Outgoing, taken: bool) {
    let mut book = platform.ledger.lock();
    platform.ledger.write(&mut book, &Entry::Pushed { pushes: outgoing.ids.clone() });
    if taken {
        // What was tried again may be older than what the book says by now.
        let current = |(key, version): &&(String, u64)| book.order(key).is_some_and(|held| held.version == *version);
        let shown: Vec<&String> = outgoing.whole.iter().filter(current).map(|(key, _)| key).collect();
        platform.shown(&mut book, shown.into_iter(), false, platform.now());
        if let Some((key, version)) = &outgoing.event
            && knows_all(platform, &book, key, *version)
        {
            platform.shown(&mut book, std::iter::once(key), false, platform.now());
        }
    }
}

/// Whether who was told the event of this version knows the whole record by it: because all that came since the record was shown were events, and each was
/// told.
fn knows_all(platform: &Platform, book: &Book, key: &str, version: u64) -> bool {
    let Some(seen) = lock(&platform.seen).get(key).map(|seen| seen.version) else { return false };
    let mut told = lock(&platform.told);
    let told = told.entry(key.to_owned()).or_default();
    told.insert(version);
    *told = told.split_off(&(seen + 1));
    let all_told = |to: u64| to > seen && (seen + 1..=to).all(|version| told.contains(&version));
    book.order(key).is_some_and(|held| all_told(held.version))
}

fn next(platform: &Platform) -> Option<Outgoing> {
    let mut book = platform.ledger.lock();
    let now = platform.now();
    let retries = lock(&platform.retries);
    let due = || book.pushes.iter().filter(|(push, _)| !retries.waits(**push, now));
    let (&first, QueuedPush { number, push, version }) = due().next()?;
    let (number, push, version) = (number.clone(), push.clone(), *version);
    let waiting = due().take_while(|(_, queued)| queued.push == Push::Record).take(BATCH);
    let (ids, numbers): (Vec<u64>, Vec<String>) = waiting.map(|(id, queued)| (*id, queued.number.clone())).unzip();
    drop(retries);
    match push {
        Push::Record => {
            let held = || numbers.iter().filter_map(|number| book.order(number));
            let whole = held().map(|held| (held.key.clone(), held.version)).collect();
            let mut records: Vec<Order> = held().map(|held| held.order.told().into_owned()).collect();
            if platform.inject(&mut book, FaultKind::Duplicate, now) {
                records.extend(records.first().cloned());
            }
            let alone = (ids.len() == 1).then(|| number.clone());
            Some(Outgoing { whole, ..outgoing(platform, ids, &records, alone) })
        }
        Push::Stale(order) => Some(outgoing(platform, vec![first], &[*order], None)),
        Push::Event(id) => {
            let order = book.order(&number).map(|held| &held.order);
            let event = order.and_then(|order| order.events.iter().find(|event| event.event_id == id));
            let (Some(order), Some(event)) = (order, event) else {
                // Gone since it was queued: nothing is left to tell.
                platform.ledger.write(&mut book, &Entry::Pushed { pushes: vec![first] });
                drop(book);
                return next(platform);
            };
            let nonce = nonce(platform, first);
            let body = platform.options.dress.push_event(&nonce, &order.order_no, &json!(event));
            let event = book.order(&number).map(|held| (held.key.clone(), version));
            Some(Outgoing { ids: vec![first], nonce, body, alone: None, whole: Vec::new(), event })
        }
        // Never queued; taken out so that the queue can't stand still.
        Push::None => Some(outgoing(platform, vec![first], &[], None)),
    }
}

fn outgoing(platform: &Platform, ids: Vec<u64>, records: &[Order], alone: Option<String>) -> Outgoing {
    let nonce = nonce(platform, ids.first().copied().unwrap_or_default());
    let body = platform.options.dress.push_records(&nonce, records);
    Outgoing { ids, nonce, body, alone, whole: Vec::new(), event: None }
}

fn nonce(platform: &Platform, id: u64) -> String {
    format!("P{id}-{}", platform.incarnation)
}

async fn send_until_taken(platform: &Platform, outgoing: &Outgoing) -> bool {
    for attempt in 0..ATTEMPTS {
        match send(platform, &outgoing.nonce, &outgoing.body).await {
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

async fn send(platform: &Platform, nonce: &str, body: &[u8]) -> Sent {
    let options = &platform.options;
    let address = options.gateway_address_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    let base = match address.map(|text| text.trim().to_owned()) {
        Some(address) if address.starts_with("http") => address,
        Some(address) if !address.is_empty() => format!("http://{address}"),
        _ => options.gateway_url.clone().unwrap_or_default(),
    };
    let Ok(mut url) = format!("{}/webhooks/{}", base.trim_end_matches('/'), options.channel).parse::<reqwest::Url>()
    else {
        return Sent::Failed;
    };
    let dress = options.dress;
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let signed = dress.sign_push(&platform.outgoing, &target, platform.shown_ms(platform.now()), nonce, body);
    if !signed.query.is_empty() {
        url.set_query(Some(&signed.query));
    }
    let mut request = platform.client.post(url).header("content-type", dress.content_type()).body(body.to_vec());
    for (name, value) in signed.headers {
        request = request.header(name, value);
    }
    match http::send_for_bytes("POST webhook", request).await {
        Ok((200, answer)) if dress.is_taken(&answer) => Sent::Taken,
        Ok((409, _)) => Sent::Conflict,
        Ok((status, _)) => {
            tracing::debug!(status, "push refused");
            Sent::Failed
        }
        Err(_) => Sent::Failed,
    }
}

/// A copy of the push damaged before it is signed, under a nonce of its own: the MAC is right, the JSON is not.
async fn mischief_before(platform: &Platform, outgoing: &Outgoing) {
    if platform.inject(&mut platform.ledger.lock(), FaultKind::MalformedBody, platform.now()) {
        let _ = platform.ledger.settled().await;
        let mut body = outgoing.body.clone();
        platform.options.dress.damage(&mut body);
        let _ = send(platform, &format!("{}-x", outgoing.nonce), &body).await;
    }
}

/// The same push again, with the same or with a newer body.
async fn mischief_after(platform: &Platform, outgoing: &Outgoing) {
    if platform.inject(&mut platform.ledger.lock(), FaultKind::RepeatedPush, platform.now()) {
        let _ = platform.ledger.settled().await;
        let _ = send(platform, &outgoing.nonce, &outgoing.body).await;
    }
    let Some(number) = &outgoing.alone else { return };
    let Some(newer) = changed(platform, number, &mut platform.ledger.lock()) else { return };
    if platform.ledger.settled().await.is_ok() {
        let _ = send(platform, &outgoing.nonce, &platform.options.dress.push_records(&outgoing.nonce, &[newer])).await;
    }
}

/// Edits an order without a push of its own, for a push under a used nonce.
fn changed(platform: &Platform, number: &str, book: &mut std::sync::MutexGuard<'_, Book>) -> Option<Order> {
    if book.order(number)?.hidden || !platform.inject(book, FaultKind::ChangedPush, platform.now()) {
        return None;
    }
    let held = book.order(number)?;
    let now = platform.now();
    let mut rng = invent::rng_for(platform.options.seed, number, held.version * 2 + 2);
    let update = Some(super::life::next_update(platform, held, now));
    let edits = vec![Edit::Title(invent::retitle(&mut rng, &held.order.title))];
    platform.ledger.write(
        book,
        &Entry::Change { at: now, no: number.to_owned(), update, edits, operation: None, push: Push::None },
    );
    platform.plan(book, number, now);
    Some(book.order(number)?.order.clone())
}
