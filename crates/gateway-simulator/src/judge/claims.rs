//! What the gateway says that the platform refused must not be in the platform's book: a gateway that takes a done thing for a refused one does it
//! again, or tells a person that it was not done.
//!
//! The events that the platform notes for our operations carry our idempotency keys, so this needs no guessing.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::Reader;
use super::verdict::Verdict;
use crate::error::SimError;
use crate::record::Order;

/// Operations that the platform notes as events under our key.
pub(super) const NOTED: [&str; 5] = ["sign", "refuse", "complete", "extension", "appeal"];

/// The operation that is noted as an event of this kind.
pub(super) fn operation(kind: &str) -> &str {
    if kind == "extension" { "extend" } else { kind }
}

/// What was done, by the platforms' books.
#[derive(Default)]
pub(super) struct Claims {
    done_keys: HashSet<String>,
    orders: BTreeSet<(String, String)>,
}

impl Claims {
    /// Notes what a platform's book shows of our operations on an order.
    pub(super) fn order(&mut self, channel: &str, order: &Order) {
        for event in order.events.iter().filter(|event| NOTED.contains(&event.kind.as_str())) {
            self.done_keys.insert(event.event_id.clone());
            self.orders.insert((channel.to_owned(), order.order_no.clone()));
        }
    }

    /// Asks what the gateway says of every order with something done.
    pub(super) async fn check(&self, reader: &Reader<'_>, verdict: &mut Verdict) -> Result<(), SimError> {
        let refused = |row: &Value| row["rejected"].as_u64().unwrap_or_default() > 0;
        if !verdict.outbound.iter().any(refused) {
            return Ok(());
        }
        for (channel, number) in &self.orders {
            for delivery in reader.deliveries(channel, number).await? {
                let done = delivery["idempotency_key"].as_str().is_some_and(|key| self.done_keys.contains(key));
                if delivery["state"] == "rejected" && done {
                    let operation = delivery["operation"].as_str().unwrap_or_default();
                    verdict.mismatch(channel, "handling", number, format!("done_but_rejected:{operation}"));
                }
            }
        }
        Ok(())
    }
}
