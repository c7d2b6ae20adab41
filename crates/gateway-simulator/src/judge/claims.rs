//! What the gateway says that the platform refused must not be in the platform's book: a gateway that takes a done thing for a refused one does it
//! again, or tells a person that it was not done.
//!
//! The events that the platform notes for our operations carry our idempotency keys, so this needs no guessing.

use std::collections::HashSet;

use serde_json::Value;

use super::Reader;
use super::verdict::Verdict;
use crate::error::SimError;
use crate::http;
use crate::record::Order;

/// Operations that the platform notes as events under our key.
const NOTED: [&str; 3] = ["sign", "refuse", "complete"];

/// What was done, by the platform's book, and by whose command.
#[derive(Default)]
pub(super) struct Claims {
    done_keys: HashSet<String>,
    done: HashSet<(String, String)>,
    commands: Vec<(String, String, String)>,
}

impl Claims {
    /// Notes a command of the desk that the gateway accepted.
    pub(super) fn command(&mut self, command: &Value) {
        let word = |name: &str| command[name].as_str().unwrap_or_default().to_owned();
        if command["state"] == "accepted" && NOTED.contains(&word("operation").as_str()) {
            self.commands.push((word("number"), word("operation"), word("command_id")));
        }
    }

    /// Notes what the platform's book shows of our operations on an order.
    pub(super) fn order(&mut self, order: &Order) {
        for event in order.events.iter().filter(|event| NOTED.contains(&event.kind.as_str())) {
            self.done_keys.insert(event.event_id.clone());
            self.done.insert((order.order_no.clone(), event.kind.clone()));
        }
    }

    /// Asks what the gateway says of every command that may have been done.
    pub(super) async fn check(&self, reader: &Reader<'_>, verdict: &mut Verdict) -> Result<(), SimError> {
        let refused = |row: &Value| row["rejected"].as_u64().unwrap_or_default() > 0;
        if !verdict.outbound.iter().any(refused) {
            return Ok(());
        }
        for (number, operation, command_id) in &self.commands {
            if !self.done.contains(&(number.clone(), operation.clone())) {
                continue;
            }
            let command = reader.gateway(&format!("/api/v1/commands/{}", http::escape(command_id))).await?;
            let denied = |delivery: &Value| {
                delivery["state"] == "rejected"
                    && delivery["idempotency_key"].as_str().is_some_and(|key| self.done_keys.contains(key))
            };
            if command["deliveries"].as_array().into_iter().flatten().any(denied) {
                verdict.mismatch(&reader.options.channel, "handling", number, format!("done_but_rejected:{operation}"));
            }
        }
        Ok(())
    }
}
