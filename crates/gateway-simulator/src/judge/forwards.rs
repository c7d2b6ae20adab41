//! Forwarding 转送: what the books of the municipal platform and the fronts say, as it stands, must be in the province's book, and nothing else, and
//! nothing twice. The books are compared with each other; the gateway is asked only where they differ, for deliveries that
//! ended in a named exit: waived, dead-lettered, or rejected, which the province's own book must confirm.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use super::held::print;
use super::verdict::{ForwardBalance, Verdict};
use super::{ControlPoint, Reader, accounts, books};
use crate::digest::{self, Dataset};
use crate::dress::Dress;
use crate::error::SimError;
use crate::http;
use crate::record::Order;

/// What the routes owe to whom.
#[derive(Clone, Debug)]
pub struct ForwardOptions {
    /// The channel by which the gateway knows the province.
    pub channel: String,
    /// The province's control surface.
    pub platform: ControlPoint,
    /// The datasets that are owed to it.
    pub datasets: Vec<Dataset>,
    /// The dress in which it speaks with the gateway.
    pub dress: Dress,
}

/// One item as it must stand at the province: fingerprints of event time, digest and what no digest covers.
#[derive(PartialEq)]
struct Stands {
    event_time: u64,
    digest: u64,
    besides: u64,
}

type Items = BTreeMap<(Dataset, String), Stands>;

/// The channel where an order began, and its number there.
type Origin = (String, String);

/// The orders that are owed, by their number and day at the province.
type Owed = HashMap<(String, String), (Origin, Items)>;

/// Compares the books.
pub(super) async fn compare(
    reader: &Reader<'_>,
    forwards: &ForwardOptions,
    verdict: &mut Verdict,
) -> Result<(), SimError> {
    let mut balance = ForwardBalance { channel: forwards.channel.clone(), ..ForwardBalance::default() };
    let mut owed = owed(reader, forwards).await?;
    balance.orders = owed.len();
    balance.items = owed.values().map(|(_, items)| items.len()).sum();
    let refused = refusals(reader, &forwards.platform).await?;
    let mut differing: Vec<(Origin, Dataset, String, &'static str)> = Vec::new();
    let mut seen = HashSet::new();
    books::each(reader, &forwards.platform, |row, order| {
        if row["uploaded"] != true {
            return;
        }
        let mismatch = |verdict: &mut Verdict, dataset: &str, kind: &str| {
            verdict.mismatch(&forwards.channel, dataset, &order.order_no, kind);
        };
        let day = crate::clock::day_of(&order.create_time).to_owned();
        if !seen.insert((order.order_no.clone(), day.clone())) {
            return mismatch(verdict, "", "forward_twice");
        }
        let persons = [&order.caller_name, &order.caller_phone, &order.contact_phone];
        if persons.into_iter().any(|field| !field.is_empty()) {
            mismatch(verdict, Dataset::Acceptance.as_str(), "forward_person");
        }
        let Some((origin, mut expected)) = owed.remove(&(order.order_no.clone(), day)) else {
            return mismatch(verdict, "", "forward_extra");
        };
        let held = stand(order, &forwards.datasets);
        if held.len() < digest_count(order, &forwards.datasets) {
            mismatch(verdict, "", "forward_twice");
        }
        for ((dataset, part), item) in held {
            match expected.remove(&(dataset, part.clone())) {
                None => mismatch(verdict, dataset.as_str(), "forward_extra"),
                Some(same) if same == item => {}
                Some(_) => differing.push((origin.clone(), dataset, part, "forward_differs")),
            }
        }
        differing
            .extend(expected.into_keys().map(|(dataset, part)| (origin.clone(), dataset, part, "forward_missing")));
    })
    .await?;
    for (origin, items) in owed.into_values() {
        differing.extend(items.into_keys().map(|(dataset, part)| (origin.clone(), dataset, part, "forward_missing")));
    }
    let mut exits = Exits { reader, channel: &forwards.channel, refused, known: HashMap::new() };
    for (origin, dataset, part, kind) in differing {
        // Many differ before all is settled; asking for each of them would say nothing more.
        if verdict.mismatch_count < 50 && exits.has(&origin, dataset, &part).await? {
            balance.excused += 1;
        } else {
            verdict.mismatch(&forwards.channel, dataset.as_str(), &origin.1, kind);
        }
    }
    balance.faults = accounts::faults(reader, &forwards.channel, &forwards.platform, verdict).await?;
    verdict.forwards = Some(balance);
    Ok(())
}

/// What every order of the origins' books must be at the province.
async fn owed(reader: &Reader<'_>, forwards: &ForwardOptions) -> Result<Owed, SimError> {
    let mut owed = Owed::new();
    for source in reader.options.origins() {
        books::each(reader, source.platform, |_, order| {
            let there = at_province(order, source.channel);
            let day = crate::clock::day_of(&there.create_time).to_owned();
            let items = stand(&there, &forwards.datasets);
            owed.insert((there.order_no, day), ((source.channel.to_owned(), order.order_no.clone()), items));
        })
        .await?;
    }
    Ok(owed)
}

/// An order's number where other channels' orders are known by channel, day of acceptance and number.
pub(super) fn number_elsewhere(order: &Order, channel: &str) -> String {
    format!("{channel}-{}-{}", crate::clock::day_of(&order.create_time).replace('-', ""), order.order_no)
}

/// The order without what is told of it where it began alone: persons, car and pictures.
pub(super) fn told_on(order: &Order) -> Order {
    Order {
        caller_name: String::new(),
        caller_phone: String::new(),
        contact_phone: String::new(),
        qr_code_id: String::new(),
        plate_no: String::new(),
        company_name: String::new(),
        pictures: String::new(),
        ..order.clone()
    }
}

/// The order as it must stand at the province, by its page: its number there, its three types, no person.
fn at_province(order: &Order, channel: &str) -> Order {
    let order_type = match order.order_type.as_str() {
        "01" | "02" => "1",
        "03" | "04" => "2",
        "05" | "06" => "3",
        "" => "",
        _ => "9",
    };
    Order { order_no: number_elsewhere(order, channel), order_type: order_type.to_owned(), ..told_on(order) }
}

fn stand(order: &Order, datasets: &[Dataset]) -> Items {
    let item = |item: digest::Item| {
        let unit = (item.key.dataset == Dataset::Completion)
            .then(|| order.completions.iter().find(|done| format!("c{}", done.round) == item.key.part))
            .flatten()
            .map_or("", |done| done.reply_unit.as_str());
        let stands = Stands {
            event_time: print(&json!(item.event_time)),
            digest: print(&json!(hex::encode(item.digest))),
            besides: print(&json!(unit)),
        };
        ((item.key.dataset, item.key.part), stands)
    };
    digest::items(order).into_iter().filter(|item| datasets.contains(&item.key.dataset)).map(item).collect()
}

fn digest_count(order: &Order, datasets: &[Dataset]) -> usize {
    digest::items(order).iter().filter(|item| datasets.contains(&item.key.dataset)).count()
}

/// The request ids of the rows that the province refused, by its own book.
async fn refusals(reader: &Reader<'_>, platform: &ControlPoint) -> Result<HashSet<String>, SimError> {
    let answer = http::get(&reader.client, &platform.url, "/sim/book/refusals", &platform.token).await?;
    let refused = answer["refused"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Ok(refused.map(str::to_owned).collect())
}

/// Which items rightly are not at the province as they stand.
struct Exits<'a> {
    reader: &'a Reader<'a>,
    channel: &'a str,
    refused: HashSet<String>,
    known: HashMap<Origin, Vec<Value>>,
}

impl Exits<'_> {
    /// Whether the newest delivery of an item ended in a named exit.
    async fn has(&mut self, origin: &Origin, dataset: Dataset, part: &str) -> Result<bool, SimError> {
        if !self.known.contains_key(origin) {
            let deliveries = self.reader.deliveries(&origin.0, &origin.1).await?;
            self.known.insert(origin.clone(), deliveries);
        }
        let of_item = |delivery: &&Value| {
            delivery["destination"] == self.channel
                && delivery["dataset"] == dataset.as_str()
                && delivery["part"] == part
        };
        let deliveries = self.known.get(origin).into_iter().flatten();
        let newest = deliveries.filter(of_item).max_by_key(|delivery| delivery["id"].as_i64());
        let Some(newest) = newest else { return Ok(false) };
        let key = newest["idempotency_key"].as_str().unwrap_or_default();
        Ok(match newest["state"].as_str() {
            Some("waived" | "dead_lettered") => true,
            Some("rejected") => self.refused.contains(key),
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Completion;

    #[test]
    fn the_three_types_are_the_provinces_and_no_person_goes_along() {
        let of = |code: &str| {
            let order = Order { order_type: code.to_owned(), caller_name: "李某".to_owned(), ..Order::default() };
            at_province(&order, "c")
        };
        let types: Vec<String> =
            ["01", "02", "03", "04", "05", "06", "07", ""].into_iter().map(|code| of(code).order_type).collect();
        assert_eq!(types, ["1", "1", "2", "2", "3", "3", "9", ""]);
        assert_eq!(of("01").caller_name, "");
    }

    #[test]
    fn what_no_digest_covers_is_compared_too() {
        let by = |unit: &str| Order {
            completions: vec![Completion { reply_unit: unit.to_owned(), ..Completion::default() }],
            ..Order::default()
        };
        let stands = |unit| stand(&by(unit), &[Dataset::Completion]);
        assert!(stands("局") == stands("局") && stands("局") != stands("所"));
    }
}
