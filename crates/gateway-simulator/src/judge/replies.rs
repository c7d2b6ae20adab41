//! The way out: of every (order, round) the newest reply of the desk must be in the platform's book, once, with equal content,
//! unless its command was refused or its delivery ended as rejected, superseded or waived.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::Reader;
use super::claims::Claims;
use super::held::print;
use super::verdict::Verdict;
use crate::clock;
use crate::error::SimError;
use crate::http;
use crate::record::Order;

struct Meant {
    text: u64,
    at: u64,
    /// `None` = the gateway never confirmed it; then it may be at the platform or not.
    command_id: Option<String>,
}

/// The desk's replies.
pub(super) struct Replies {
    meant: HashMap<(String, u32), Meant>,
    found: HashSet<(String, u32)>,
    accepted: usize,
    /// The operations that are no replies.
    pub(super) claims: Claims,
}

impl Replies {
    /// Reads the desk's book.
    pub(super) async fn read(reader: &Reader<'_>) -> Result<Self, SimError> {
        let mut replies = Self { meant: HashMap::new(), found: HashSet::new(), accepted: 0, claims: Claims::default() };
        let Some(desk) = &reader.options.desk else { return Ok(replies) };
        let mut after = 0;
        loop {
            let page = http::get(
                &reader.client,
                &desk.url,
                &format!("/sim/book/commands?limit=1000&after={after}"),
                &desk.token,
            )
            .await?;
            for command in page["commands"].as_array().into_iter().flatten() {
                replies.accepted += usize::from(command["state"] == "accepted");
                replies.claims.command(command);
                if command["operation"] == "reply" && command["state"] != "refused" {
                    let number = command["number"].as_str().unwrap_or_default().to_owned();
                    let round = command["round"].as_u64().unwrap_or_default() as u32;
                    let body = &command["body"];
                    let meant = Meant {
                        text: print(&body["fields"]["reply_text"]),
                        at: print(&body["at"]),
                        command_id: command["command_id"].as_str().map(str::to_owned),
                    };
                    // In the order in which they were meant: the last is the newest.
                    replies.meant.insert((number, round), meant);
                }
            }
            match page["next"].as_u64() {
                Some(next) if page["more"] == true => after = next,
                _ => return Ok(replies),
            }
        }
    }

    /// How many commands the gateway accepted.
    pub(super) fn accepted(&self) -> usize {
        self.accepted
    }

    /// Compares the replies that the platform kept for one order.
    pub(super) fn compare(&mut self, order: &Order, kept: &Value, channel: &str, verdict: &mut Verdict) {
        self.claims.order(order);
        let number = &order.order_no;
        let mut times: HashMap<u32, usize> = HashMap::new();
        for reply in kept.as_array().into_iter().flatten() {
            *times.entry(reply["round"].as_u64().unwrap_or_default() as u32).or_default() += 1;
        }
        for (&round, &count) in &times {
            if count > 1 {
                verdict.mismatch(channel, "completion", number, "reply_twice");
            }
            let key = (number.clone(), round);
            let Some(meant) = self.meant.get(&key) else {
                verdict.mismatch(channel, "completion", number, "reply_not_ours");
                continue;
            };
            let completion = order.completions.iter().find(|completion| completion.round == round);
            let equal = completion.is_some_and(|completion| {
                print(&json!(completion.reply_content)) == meant.text
                    && print(&json!(clock::api_time(&completion.reply_time))) == meant.at
            });
            if equal {
                self.found.insert(key);
            }
        }
    }

    /// What is not at the platform must have a reason.
    pub(super) async fn missing(&self, reader: &Reader<'_>, verdict: &mut Verdict) -> Result<(), SimError> {
        for (key, meant) in self.meant.iter().filter(|(key, _)| !self.found.contains(*key)) {
            let Some(command_id) = &meant.command_id else { continue };
            let path = format!("/api/v1/commands/{}", http::escape(command_id));
            let command = match reader.gateway(&path).await {
                Ok(command) => command,
                Err(SimError::Answer { status: 404, .. }) => Value::Null,
                Err(error) => return Err(error),
            };
            if !has_reason(&command) {
                verdict.mismatch(&reader.options.channel, "completion", &key.0, "reply_missing");
            }
        }
        Ok(())
    }
}

/// Whether a command's reply is rightly absent from the platform's book.
fn has_reason(command: &Value) -> bool {
    let deliveries = command["deliveries"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ended = |delivery: &Value| matches!(delivery["state"].as_str(), Some("rejected" | "superseded" | "waived"));
    command["state"] == "refused" || (!deliveries.is_empty() && deliveries.iter().all(ended))
}
