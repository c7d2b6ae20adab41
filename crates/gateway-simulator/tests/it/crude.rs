//! A crude gateway that keeps what it is shown, and nothing more: no accounts, no repair. What it ends with wrong is what a real one
//! would have had to find.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_simulator::clock::{wire_ms, wire_time};
use gateway_simulator::digest::{self, Item, ItemKey};
use gateway_simulator::record::Order;
use gateway_simulator::{PlatformHandle, SimClock};
use serde_json::{Value, json};

use crate::pushes::Webhook;
use crate::support::Peer;

type Held = BTreeMap<(String, String), Order>;

/// How far before its checkpoint it begins to read; longer than its steps, so that a page that drifts is read again.
pub const OVERLAP: Duration = Duration::from_secs(40 * 60);

/// The gateway.
pub struct Crude {
    pub peer: Peer,
    webhook: Arc<Webhook>,
    taken: Mutex<usize>,
    held: Mutex<Held>,
    items: Mutex<BTreeMap<ItemKey, Item>>,
    checkpoint: Mutex<String>,
    clock: SimClock,
    /// What was answered, whatever came of it.
    done: Mutex<BTreeSet<String>>,
}

impl Crude {
    pub async fn of(platform: &PlatformHandle, webhook: Arc<Webhook>) -> Self {
        let peer = Peer::of(platform);
        let clock = platform.clock();
        let checkpoint = Mutex::new(wire_time(clock.now_ms()));
        Self {
            peer,
            webhook,
            taken: Mutex::default(),
            held: Mutex::default(),
            items: Mutex::default(),
            checkpoint,
            clock,
            done: Mutex::default(),
        }
    }

    fn keep(&self, record: &Value) {
        let order: Order = serde_json::from_value(record.clone()).expect("record");
        let key = (order.order_no.clone(), order.create_time[..10].to_owned());
        let mut held = self.held.lock().expect("lock");
        if held.get(&key).is_none_or(|ours| ours.update_time <= order.update_time) {
            // What a record does not say any more is kept: only an account or a question by number would tell.
            let items = digest::items(&order).into_iter().map(|item| (item.key.clone(), item));
            self.items.lock().expect("lock").extend(items);
            held.insert(key, order);
        }
    }

    /// Takes what was pushed and polls what changed.
    pub async fn read(&self) {
        let pushed: Vec<Vec<u8>> = {
            let bodies = self.webhook.bodies.lock().expect("lock");
            let mut taken = self.taken.lock().expect("lock");
            let new = bodies[*taken..].iter().map(|(_, body)| body.clone()).collect();
            *taken = bodies.len();
            new
        };
        for body in pushed {
            let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
            body["records"].as_array().into_iter().flatten().for_each(|record| self.keep(record));
        }
        let now = wire_time(self.clock.now_ms());
        let from = wire_ms(&self.checkpoint.lock().expect("lock")).expect("time") - OVERLAP.as_millis() as i64;
        let from = wire_time(from);
        for page in 1.. {
            let target = format!("/gateway/orders?updatedFrom={}&page={page}&pageSize=50", from.replace(' ', "%20"));
            let Ok((200, answer)) = self.peer.send("GET", &target, "", vec![]).await else { return };
            let (Some(records), Some(total)) = (answer["data"]["records"].as_array(), answer["data"]["total"].as_u64())
            else {
                return;
            };
            for record in records {
                self.keep(record);
                let update = record["updateTime"].as_str().expect("time");
                let mut checkpoint = self.checkpoint.lock().expect("lock");
                if update > checkpoint.as_str() && update <= now.as_str() {
                    *checkpoint = update.to_owned();
                }
            }
            if page * 50 >= total {
                return;
            }
        }
    }

    /// Does with every order once what its state wants.
    pub async fn work(&self, most: usize) {
        let now = wire_time(self.clock.now_ms());
        let wants = |order: &Order| match order.state.as_str() {
            "20" => Some("sign"),
            "30" => Some("reply"),
            "40" => Some("complete"),
            _ => None,
        };
        let due: Vec<(String, u32, &str)> = {
            let (held, done) = (self.held.lock().expect("lock"), self.done.lock().expect("lock"));
            held.values()
                .filter_map(|order| Some((order.order_no.clone(), order.round, wants(order)?)))
                .filter(|(number, round, operation)| !done.contains(&format!("{number}-{operation}-{round}")))
                .take(most)
                .collect()
        };
        for (number, round, operation) in due {
            let body =
                json!({"signTime": now, "round": round, "replyContent": "好", "replyTime": now, "completeTime": now});
            let target = format!("/gateway/orders/{number}/{operation}");
            let request = format!("{number}-{operation}-{round}");
            if let Ok((200, _)) = self.peer.send("POST", &target, &request, body.to_string().into_bytes()).await {
                self.done.lock().expect("lock").insert(request);
            }
        }
    }

    /// Asks for an account, and does not mind what it says.
    pub async fn ask(&self, dataset: &str, grain: &str, from: &str, to: &str) -> Option<Value> {
        let (from, to) = (from.replace(' ', "%20"), to.replace(' ', "%20"));
        let target = format!("/gateway/manifest?dataset={dataset}&from={from}&to={to}&grain={grain}");
        let answer = self.peer.send("GET", &target, "", vec![]).await;
        answer.ok().filter(|(status, _)| *status == 200).map(|(_, answer)| answer["data"].clone())
    }

    /// The record of an item.
    pub fn record(&self, key: &ItemKey) -> Option<Order> {
        self.held.lock().expect("lock").get(&(key.number.clone(), key.day.clone())).cloned()
    }

    /// What it holds.
    pub fn items(&self) -> BTreeMap<ItemKey, Item> {
        self.items.lock().expect("lock").clone()
    }
}
