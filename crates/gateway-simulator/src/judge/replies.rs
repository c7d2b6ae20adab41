//! The way out: of every (order, round) the newest reply of the desk, or the bureau's, must be in the book of the platform whose order it is, once, with
//! equal content, unless its command was refused or its delivery ended as rejected, superseded or waived.

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
    said: Said,
}

/// How it was said.
enum Said {
    /// By a command of the desk. `None` = the gateway never confirmed it; then it may be at the platform or not.
    Command(Option<String>),
    /// By the bureau's own record.
    Record,
}

/// Channel, order number and round.
type Place = (String, String, u32);

/// The replies of desk and bureau.
pub(super) struct Replies {
    meant: HashMap<Place, Meant>,
    found: HashSet<Place>,
    accepted: usize,
    /// The operations that are no replies.
    pub(super) claims: Claims,
}

impl Replies {
    /// Reads the books of desk and bureau.
    pub(super) async fn read(reader: &Reader<'_>) -> Result<Self, SimError> {
        let mut replies = Self { meant: HashMap::new(), found: HashSet::new(), accepted: 0, claims: Claims::default() };
        if let Some(bureau) = &reader.options.bureau {
            super::bureau::replies(reader, bureau, |place, text, at| {
                let meant = Meant { text: print(&json!(text)), at: print(&json!(at)), said: Said::Record };
                replies.meant.insert(place, meant);
            })
            .await?;
        }
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
                if command["operation"] == "reply" && command["state"] != "refused" {
                    let number = command["number"].as_str().unwrap_or_default().to_owned();
                    let round = command["round"].as_u64().unwrap_or_default() as u32;
                    let body = &command["body"];
                    let meant = Meant {
                        text: print(&body["fields"]["reply_text"]),
                        at: print(&body["at"]),
                        said: Said::Command(command["command_id"].as_str().map(str::to_owned)),
                    };
                    // In the order in which they were meant: the last is the newest.
                    replies.meant.insert((reader.options.channel.clone(), number, round), meant);
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
        self.claims.order(channel, order);
        let number = &order.order_no;
        let mut times: HashMap<u32, usize> = HashMap::new();
        for reply in kept.as_array().into_iter().flatten() {
            *times.entry(reply["round"].as_u64().unwrap_or_default() as u32).or_default() += 1;
        }
        for (&round, &count) in &times {
            if count > 1 {
                verdict.mismatch(channel, "completion", number, "reply_twice");
            }
            let key = (channel.to_owned(), number.clone(), round);
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
            let (channel, number, round) = key;
            let reason = match &meant.said {
                Said::Command(None) => continue,
                Said::Command(Some(id)) => {
                    match reader.gateway(&format!("/api/v1/commands/{}", http::escape(id))).await {
                        Ok(command) => {
                            command["state"] == "refused"
                                || have_ended(command["deliveries"].as_array().into_iter().flatten())
                        }
                        Err(SimError::Answer { status: 404, .. }) => false,
                        Err(error) => return Err(error),
                    }
                }
                Said::Record => {
                    let deliveries = reader.deliveries(channel, number).await?;
                    have_ended(deliveries.iter().filter(|delivery| {
                        delivery["operation"] == "reply"
                            && delivery["round"] == *round
                            && delivery["destination"] == channel.as_str()
                    }))
                }
            };
            if !reason {
                verdict.mismatch(channel, "completion", number, "reply_missing");
            }
        }
        Ok(())
    }
}

/// Whether deliveries, of which there must be one, all ended as what rightly is absent from a platform's book.
pub(super) fn have_ended<'a>(deliveries: impl Iterator<Item = &'a Value>) -> bool {
    let mut any = false;
    let mut all = true;
    for delivery in deliveries {
        any = true;
        all &= matches!(delivery["state"].as_str(), Some("rejected" | "superseded" | "waived"));
    }
    any && all
}
