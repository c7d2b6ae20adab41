//! The desk at work: following the orders, sending commands, looking again at what did not come off.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::book::{Command, Entry, Fate, Seen};
use super::{Desk, control, lock};
use crate::error::SimError;
use crate::http;

const IDLE: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_millis(10);
/// A stepped desk sends a command again after so many milliseconds of its clock.
const AGAIN_MS: i64 = 60_000;
/// After this time the desk asks what became of a command whose effect it did not see.
const RELOOK_MS: i64 = 4_000;

/// Works until shut down.
pub(super) async fn run(desk: Arc<Desk>, listener: TcpListener) -> Result<(), SimError> {
    let app = control::routes(desk.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    // Stepped, it works when its handle says so.
    let own = if desk.options.stepped {
        Vec::new()
    } else {
        vec![tokio::spawn(follow(desk.clone())).abort_handle(), tokio::spawn(work(desk.clone())).abort_handle()]
    };
    desk.shutdown.cancelled().await;
    for task in own.into_iter().chain([serving.abort_handle()]) {
        task.abort();
    }
    let _ = serving.await;
    desk.journal.durable(desk.journal.newest()).await
}

/// What is to be done now.
pub(super) async fn step(desk: &Arc<Desk>) -> Result<(), SimError> {
    while look(desk).await == Look::More {}
    let now = desk.now();
    let mut handling = JoinSet::new();
    loop {
        let due = lock(&desk.agenda).take(now);
        let Some(id) = due else { break };
        if handling.len() >= desk.options.parallel.max(1) {
            handling.join_next().await;
        }
        let desk = desk.clone();
        handling.spawn(async move { handle(&desk, &id).await });
    }
    while handling.join_next().await.is_some() {}
    loop {
        let relook = lock(&desk.agenda).take_relook(now);
        let Some(id) = relook else { break };
        look_again(desk, &id).await;
    }
    desk.journal.durable(desk.journal.newest()).await
}

impl Desk {
    /// After a start: every order that was seen gets its place on the agenda.
    pub(super) fn consider_all(&self) {
        let book = lock(&self.book);
        let mut ids: Vec<&String> = book.seen.keys().collect();
        ids.sort();
        ids.into_iter().for_each(|id| self.consider(&book, id));
    }

    fn relook_ms(&self) -> i64 {
        self.options.pace.as_ref().map_or(RELOOK_MS, |pace| pace.relook_ms)
    }

    fn write(&self, entry: &Entry) {
        let mut book = lock(&self.book);
        book.apply(entry);
        self.journal.append(entry);
        self.active_at.store(self.now(), Ordering::SeqCst);
    }

    fn base(&self) -> String {
        let address = self.options.gateway_address_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        match address.map(|text| text.trim().to_owned()) {
            Some(address) if address.starts_with("http") => address,
            Some(address) if !address.is_empty() => format!("http://{address}"),
            _ => self.options.gateway_url.clone().unwrap_or_default(),
        }
    }

    /// Takes over what an order answer of the gateway says; `None` when it is not an order of our channel.
    fn seen(&self, order: &Value) -> Option<Seen> {
        let of_channel = |number: &&Value| number["channel"] == self.options.channel.as_str();
        let number = order["numbers"].as_array()?.iter().find(of_channel)?["number"].as_str()?;
        Some(Seen {
            id: order["id"].as_str()?.to_owned(),
            number: number.to_owned(),
            state: order["state"].as_str().unwrap_or_default().to_owned(),
            round: order["round"].as_u64().unwrap_or_default() as u32,
        })
    }
}

/// Follows the orders.
async fn follow(desk: Arc<Desk>) {
    loop {
        match look(&desk).await {
            Look::More => {}
            Look::CaughtUp => tokio::time::sleep(IDLE).await,
            Look::Failed => tokio::time::sleep(IDLE * 5).await,
        }
    }
}

/// What a look at the orders brought.
#[derive(PartialEq)]
enum Look {
    /// There is more.
    More,
    /// That was all.
    CaughtUp,
    /// The gateway did not answer.
    Failed,
}

/// One look at the orders by cursor; the cursor is durable together with what was seen.
async fn look(desk: &Desk) -> Look {
    let cursor = lock(&desk.book).cursor.clone();
    let path = match &cursor {
        Some(cursor) => format!("/api/v1/orders?limit=500&after={}", http::escape(cursor)),
        None => "/api/v1/orders?limit=500".to_owned(),
    };
    match http::get(&desk.client, &desk.base(), &path, &desk.options.token).await {
        Ok(page) => {
            let orders: Vec<Seen> = page["orders"]
                .as_array()
                .map(|orders| orders.iter().filter_map(|order| desk.seen(order)).collect())
                .unwrap_or_default();
            let more = page["more"] == true;
            if let Some(next) =
                page["next"].as_str().filter(|next| !orders.is_empty() || Some(*next) != cursor.as_deref())
            {
                let ids: Vec<String> = orders.iter().map(|order| order.id.clone()).collect();
                desk.write(&Entry::Look { cursor: next.to_owned(), orders });
                let book = lock(&desk.book);
                ids.iter().for_each(|id| desk.consider(&book, id));
            }
            desk.caught_up.store(!more, Ordering::SeqCst);
            if more { Look::More } else { Look::CaughtUp }
        }
        Err(error) => {
            tracing::debug!(%error, "the gateway does not answer; asking again");
            desk.caught_up.store(false, Ordering::SeqCst);
            Look::Failed
        }
    }
}

/// Turns to the orders that are due, a few at a time.
async fn work(desk: Arc<Desk>) {
    loop {
        let now = desk.now();
        // Counted before the order leaves the agenda, so that `settled` never sees it nowhere.
        desk.in_flight.fetch_add(1, Ordering::SeqCst);
        let due = lock(&desk.agenda).take(now);
        if let Some(id) = due {
            let Ok(slot) = desk.slots.clone().acquire_owned().await else { return };
            let desk = desk.clone();
            tokio::spawn(async move {
                handle(&desk, &id).await;
                desk.in_flight.fetch_sub(1, Ordering::SeqCst);
                drop(slot);
            });
            continue;
        }
        desk.in_flight.fetch_sub(1, Ordering::SeqCst);
        let relook = lock(&desk.agenda).take_relook(now);
        match relook {
            Some(id) => look_again(&desk, &id).await,
            None => tokio::time::sleep(TICK).await,
        }
    }
}

/// Does what an order wants now.
async fn handle(desk: &Desk, id: &str) {
    let command = {
        let mut book = lock(&desk.book);
        let Some(seen) = book.seen.get(id).cloned() else { return };
        let Some((operation, attempt)) = desk.operation(&book, &seen) else { return };
        match book.newest(id, seen.round, operation) {
            Some((command, Fate::Intended, _)) => command.clone(),
            _ if desk.stopped.load(Ordering::SeqCst) => return,
            _ => {
                let command = desk.command(&seen, operation, attempt);
                let entry = Entry::Intend(command.clone());
                book.apply(&entry);
                desk.journal.append(&entry);
                command
            }
        }
    };
    if desk.journal.durable(desk.journal.newest()).await.is_err() {
        desk.shutdown.cancel();
        return;
    }
    submit(desk, &command).await;
}

/// Sends a command until the gateway says yes or no.
async fn submit(desk: &Desk, command: &Command) {
    let mut wait = Duration::from_millis(100);
    loop {
        let url = format!("{}/api/v1/orders/{}/commands", desk.base(), http::escape(&command.order_id));
        let request = desk
            .client
            .post(url)
            .bearer_auth(&desk.options.token)
            .header("idempotency-key", &command.key)
            .json(&command.body);
        match http::send("POST command", request).await {
            Ok((202, answer)) => {
                let command_id = answer["command_id"].as_str().unwrap_or_default().to_owned();
                desk.write(&Entry::Accept { key: command.key.clone(), command_id });
                lock(&desk.agenda).look_again(&command.order_id, desk.now() + desk.relook_ms());
                return;
            }
            Ok((409, answer)) if answer["code"] == "state_does_not_allow" => {
                // The order moved on in the meantime, or the gateway has not seen our last step arrive yet. The same command is
                // sent when its time comes; an order that never comes back to this state leaves it unsent.
                lock(&desk.agenda).look_again(&command.order_id, desk.now() + desk.relook_ms() / 4);
                return;
            }
            Ok((status @ (400 | 401 | 403 | 404 | 409 | 413 | 422), answer)) => {
                let code = answer["code"].as_str().map_or_else(|| status.to_string(), str::to_owned);
                tracing::warn!(status, code, operation = command.operation, "the gateway refuses a command");
                desk.write(&Entry::Refuse { key: command.key.clone(), code });
                return;
            }
            Ok((status, _)) => tracing::debug!(status, "a command was not taken; trying again"),
            Err(error) => tracing::debug!(%error, "a command was not answered; trying again"),
        }
        if desk.options.stepped {
            lock(&desk.agenda).add(&command.order_id, desk.now() + AGAIN_MS);
            return;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
}

/// Looks at an order whose last command showed no effect: was it refused or rejected, another attempt is due.
async fn look_again(desk: &Desk, id: &str) {
    let base = desk.base();
    let token = &desk.options.token;
    let Ok(order) = http::get(&desk.client, &base, &format!("/api/v1/orders/{}", http::escape(id)), token).await else {
        lock(&desk.agenda).look_again(id, desk.now() + desk.relook_ms());
        return;
    };
    let Some(seen) = desk.seen(&order) else { return };
    let waiting = {
        let mut book = lock(&desk.book);
        book.seen.insert(seen.id.clone(), seen.clone());
        let operation = match seen.state.as_str() {
            "dispatched" if book.newest(id, seen.round, "refuse").is_some() => "refuse",
            "dispatched" => "sign",
            "signed" => "reply",
            "replied" => "complete",
            _ => return,
        };
        match book.newest(id, seen.round, operation) {
            Some((command, Fate::Accepted(command_id), false)) => Some((command.key.clone(), command_id.clone())),
            _ => None,
        }
    };
    if let Some((key, command_id)) = waiting {
        match http::get(&desk.client, &base, &format!("/api/v1/commands/{}", http::escape(&command_id)), token).await {
            Ok(command) if came_to_nothing(&command) => desk.write(&Entry::Undone { key }),
            Ok(command) if is_over(&command) => return,
            _ => {
                lock(&desk.agenda).look_again(id, desk.now() + desk.relook_ms());
                return;
            }
        }
    }
    let book = lock(&desk.book);
    desk.consider(&book, id);
}

fn deliveries(command: &Value) -> impl Iterator<Item = &str> {
    command["deliveries"].as_array().into_iter().flatten().filter_map(|delivery| delivery["state"].as_str())
}

fn came_to_nothing(command: &Value) -> bool {
    command["state"] == "refused"
        || (deliveries(command).next().is_some() && deliveries(command).all(|state| state == "rejected"))
}

fn is_over(command: &Value) -> bool {
    deliveries(command)
        .all(|state| matches!(state, "acknowledged" | "superseded" | "rejected" | "dead_lettered" | "waived"))
}
