//! What the gateway holds for the channel, read once through `/api/v1/orders` and kept as fingerprints.
//!
//! Ten thousand orders with their texts would be tens of megabytes; a 64-bit hash of each value is enough to tell that two values
//! differ, and no citizen's data stays in the judge's memory.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use super::Reader;
use super::canonical::KIND;
use crate::digest::Dataset;
use crate::error::SimError;
use crate::http;

/// A fingerprint of a value.
pub(super) fn print(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        Value::String(text) => text.hash(&mut hasher),
        other => other.to_string().hash(&mut hasher),
    }
    hasher.finish()
}

/// One item as the gateway holds it.
pub(super) struct HeldItem {
    pub(super) event_time: u64,
    pub(super) digest: u64,
    /// (number of the field's name, fingerprint of its value)
    pub(super) fields: Vec<(u32, u64)>,
}

/// One order as the gateway holds it.
#[derive(Default)]
pub(super) struct HeldOrder {
    pub(super) id: String,
    pub(super) items: HashMap<(Dataset, String), HeldItem>,
    pub(super) person: Vec<(u32, u64)>,
}

/// All orders of a channel.
#[derive(Default)]
pub(super) struct Holdings {
    pub(super) orders: HashMap<(String, String), HeldOrder>,
    /// Numbers under which two orders are held.
    pub(super) twice: Vec<String>,
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Holdings {
    /// Reads everything, page by page.
    pub(super) async fn read(reader: &Reader<'_>, channel: &str) -> Result<Self, SimError> {
        let mut holdings = Self::default();
        let mut after: Option<String> = None;
        loop {
            let cursor = after.as_deref().map(|after| format!("&after={}", http::escape(after))).unwrap_or_default();
            let page = reader.gateway(&format!("/api/v1/orders?limit=500&person=true{cursor}")).await?;
            for order in page["orders"].as_array().into_iter().flatten() {
                holdings.take(order, channel);
            }
            let next = page["next"].as_str().map(str::to_owned);
            // A gateway that says "more" and does not move on would keep the judge for ever.
            if page["more"] != true || next.is_none() || next == after {
                return Ok(holdings);
            }
            after = next;
        }
    }

    /// The name of a field's number.
    pub(super) fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", String::as_str)
    }

    /// The number of a field's name.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    fn take(&mut self, order: &Value, channel: &str) {
        let list = |name: &str| order[name].as_array().into_iter().flatten().filter(|part| part["channel"] == channel);
        // What the gateway says that the channel has taken back is not claimed to be held.
        let Some(number) = list("numbers").find(|number| number["absent_since"].is_null()) else { return };
        let key = (text(&number["number"]), text(&number["day"]));
        let mut held = HeldOrder { id: text(&order["id"]), ..HeldOrder::default() };
        let stands = |item: &&Value| item["gone_at"].is_null();
        for facet in list("facets").filter(stands) {
            let Some(dataset) = facet["dataset"].as_str().and_then(Dataset::parse) else { continue };
            let item = self.item(facet, None);
            held.items.insert((dataset, text(&facet["part"])), item);
        }
        for event in list("events").filter(stands) {
            let Some(dataset) = event["dataset"].as_str().and_then(Dataset::parse) else { continue };
            let item = self.item(event, Some(&event["kind"]));
            held.items.insert((dataset, format!("e:{}", text(&event["event_id"]))), item);
        }
        for person in list("persons") {
            let fields = self.fields(&person["fields"]);
            held.person.extend(fields);
        }
        // A number that we gave the order at a channel claims nothing before the channel has said something of it.
        if held.items.is_empty() && held.person.is_empty() {
            return;
        }
        // An order that changed while we read comes again: the later word counts.
        if let Some(earlier) = self.orders.insert(key.clone(), held)
            && self.orders.get(&key).is_some_and(|now| now.id != earlier.id)
        {
            self.twice.push(key.0);
        }
    }

    fn item(&mut self, item: &Value, kind: Option<&Value>) -> HeldItem {
        let mut fields = self.fields(&item["fields"]);
        if let Some(kind) = kind {
            fields.push((self.number(KIND), print(kind)));
        }
        HeldItem { event_time: print(&item["event_time"]), digest: print(&item["digest"]), fields }
    }

    fn fields(&mut self, fields: &Value) -> Vec<(u32, u64)> {
        fields.as_object().into_iter().flatten().map(|(name, value)| (self.number(name), print(value))).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
