//! Dispatch 转办: each order of the origins' books must be in the bureau's book as its origin says it, and nothing else; what the bureau did (签收, 退单,
//! 办结) and what it asked (延期, 申诉) must be in the origin's book, once, unless the gateway names its exit. Its replies are judged with a desk's ([`super::replies`]).
//!
//! What an origin notes of the bureau's own doing under our keys is not owed back, so it is not looked for.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::claims::{NOTED, operation};
use super::forwards::{number_elsewhere, told_on};
use super::replies::have_ended;
use super::verdict::{BureauBalance, Verdict};
use super::{Party, Reader, accounts, books};
use crate::clock;
use crate::digest::{self, Dataset, Digest};
use crate::error::SimError;
use crate::record::{Order, Upstream};

/// What is missing is asked for one by one: beyond so many mismatches that would say nothing more.
const ENOUGH: usize = 50;

type Items = BTreeMap<(Dataset, String), Digest>;

/// One thing that the bureau did: channel, number there, kind, time.
type Doing = (String, String, String, String);

/// Compares the books.
pub(super) async fn compare(reader: &Reader<'_>, bureau: &Party, verdict: &mut Verdict) -> Result<(), SimError> {
    let mut balance = BureauBalance { channel: bureau.channel.clone(), ..BureauBalance::default() };
    let mut owed: HashMap<String, Items> = HashMap::new();
    let mut noted: HashMap<Doing, usize> = HashMap::new();
    let mut told_back: HashMap<(String, String), (Digest, String)> = HashMap::new();
    for source in reader.options.origins() {
        let mut orders = 0;
        books::each(reader, source.platform, |_, order| {
            orders += 1;
            owed.insert(number_elsewhere(order, source.channel), dispatched(order));
            told_back.extend(noted_items(order, source.channel));
            for event in order.events.iter().filter(|event| NOTED.contains(&event.kind.as_str())) {
                let doing = (source.channel.to_owned(), order.order_no.clone(), event.kind.clone(), event.time.clone());
                *noted.entry(doing).or_default() += 1;
            }
        })
        .await?;
        balance.orders.insert(source.channel.to_owned(), orders);
    }
    let mut done: HashMap<Doing, u32> = HashMap::new();
    let mut seen = HashSet::new();
    let mut back = Vec::new();
    books::each(reader, &bureau.platform, |_, order| {
        let number = &order.order_no;
        let mut mismatch = |dataset: &str, kind: &str| verdict.mismatch(&bureau.channel, dataset, number, kind);
        balance.replies += order.completions.len() as u64;
        for unit in &order.units {
            let role = if unit.role == "1" { "main" } else { "assisting" };
            *balance.units.entry(role.to_owned()).or_default() += 1;
        }
        if !seen.insert(number.clone()) {
            return mismatch("", "dispatch_twice");
        }
        if !order.caller_name.is_empty() || !order.caller_phone.is_empty() || !order.contact_phone.is_empty() {
            mismatch(Dataset::Acceptance.as_str(), "dispatch_person");
        }
        let Some(mut expected) = owed.remove(number) else { return mismatch("", "dispatch_extra") };
        for ((dataset, part), digest) in told(order) {
            let place = (number.clone(), part);
            match expected.remove(&(dataset, place.1.clone())) {
                Some(same) if same == digest => {}
                Some(_) => mismatch(dataset.as_str(), "dispatch_differs"),
                None if told_back.get(&place).is_some_and(|(same, _)| *same == digest) => back.push(place),
                None => mismatch(dataset.as_str(), "dispatch_extra"),
            }
        }
        for (dataset, _) in expected.into_keys() {
            mismatch(dataset.as_str(), "dispatch_missing");
        }
        let Some((channel, origin)) = origin_of(reader, number) else { return mismatch("", "dispatch_extra") };
        for event in order.events.iter().filter(|event| NOTED.contains(&event.kind.as_str())) {
            let asked = matches!(event.kind.as_str(), "extension" | "appeal");
            // Where citizens write themselves nobody decides of deadlines and ratings, so nobody is asked.
            let Some(round) = event.round.filter(|_| !asked || channel == reader.options.channel) else { continue };
            if asked {
                *balance.asked.entry(event.kind.clone()).or_default() += 1;
            }
            let doing = (channel.to_owned(), origin.to_owned(), event.kind.clone(), event.time.clone());
            done.insert(doing, round);
        }
    })
    .await?;
    for place in back {
        let kind = told_back.get(&place).map(|(_, kind)| kind.as_str()).unwrap_or_default();
        let Some((channel, origin)) = origin_of(reader, &place.0) else { continue };
        // What a person asked there is told to the bureau; what the bureau itself did is not.
        if verdict.mismatch_count >= ENOUGH || !was_commanded(reader, channel, origin, kind).await? {
            verdict.mismatch(&bureau.channel, Dataset::Handling.as_str(), &place.0, "dispatch_extra");
        }
    }
    for number in owed.into_keys() {
        verdict.mismatch(&bureau.channel, "", &number, "dispatch_missing");
    }
    for ((channel, number, kind, time), times) in &noted {
        let doing = (channel.clone(), number.clone(), kind.clone(), time.clone());
        if done.remove(&doing).is_none() {
            if verdict.mismatch_count < ENOUGH && was_commanded(reader, channel, number, kind).await? {
                continue;
            }
            verdict.mismatch(channel, Dataset::Handling.as_str(), number, format!("{kind}_not_ours"));
        } else if *times > 1 {
            verdict.mismatch(channel, Dataset::Handling.as_str(), number, format!("{kind}_twice"));
        }
    }
    for ((channel, number, kind, _), round) in done {
        if verdict.mismatch_count < ENOUGH && has_reason(reader, &channel, &number, &kind, round).await? {
            balance.excused += 1;
        } else {
            verdict.mismatch(&channel, Dataset::Handling.as_str(), &number, format!("{kind}_missing"));
        }
    }
    balance.faults = accounts::faults(reader, &bureau.channel, &bureau.platform, verdict).await?;
    verdict.bureau = Some(balance);
    Ok(())
}

/// Whether what was asked for a doing of the bureau rightly is not at the origin.
async fn has_reason(
    reader: &Reader<'_>,
    channel: &str,
    number: &str,
    kind: &str,
    round: u32,
) -> Result<bool, SimError> {
    let deliveries = reader.deliveries(channel, number).await?;
    Ok(have_ended(deliveries.iter().filter(|delivery| {
        delivery["operation"] == operation(kind) && delivery["round"] == round && delivery["destination"] == channel
    })))
}

/// Whether a person asked it, by a command of the desk.
async fn was_commanded(reader: &Reader<'_>, channel: &str, number: &str, kind: &str) -> Result<bool, SimError> {
    let deliveries = reader.deliveries(channel, number).await?;
    Ok(deliveries.iter().any(|delivery| {
        delivery["operation"] == operation(kind)
            && delivery["destination"] == channel
            && !delivery["command_id"].is_null()
    }))
}

/// Channel and number of a dispatched order at its origin, by its number at the bureau.
fn origin_of<'a>(reader: &'a Reader<'_>, number: &'a str) -> Option<(&'a str, &'a str)> {
    reader.options.origins().find_map(|source| Some((source.channel, number_at_origin(number, source.channel)?)))
}

fn number_at_origin<'a>(number: &'a str, channel: &str) -> Option<&'a str> {
    let rest = number.strip_prefix(channel)?.strip_prefix('-')?;
    let (day, number) = rest.split_at_checked(8)?;
    day.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.strip_prefix('-')).flatten()
}

/// What must stand at the bureau: the acceptance, the state as the origin's, its events that are not the bureau's own, and its visits.
fn dispatched(order: &Order) -> Items {
    const TYPES: [&str; 7] = ["", "01", "02", "03", "04", "05", "06"];
    let upstream = Upstream {
        source: "upstream".to_owned(),
        time: order.create_time.clone(),
        state: order.state.clone(),
        unit: order.unit.clone(),
        deadline: order.deadline.clone(),
        round: order.round,
    };
    let order_type = if TYPES.contains(&order.order_type.as_str()) { order.order_type.as_str() } else { "09" };
    let there = Order {
        order_type: order_type.to_owned(),
        events: order.events.iter().filter(|event| !NOTED.contains(&event.kind.as_str())).cloned().collect(),
        upstream: vec![upstream],
        ..told_on(order)
    };
    told(&there)
}

/// What an origin notes under our keys, as it would stand at the bureau: by number there and part, with its kind.
fn noted_items(order: &Order, channel: &str) -> Vec<((String, String), (Digest, String))> {
    let events = order.events.iter().filter(|event| NOTED.contains(&event.kind.as_str()));
    let kinds: HashMap<String, &str> =
        events.map(|event| (format!("e:{}", event.event_id), event.kind.as_str())).collect();
    let number = number_elsewhere(order, channel);
    let items = digest::items(order).into_iter();
    let noted = items.filter_map(|item| {
        let kind = (*kinds.get(&item.key.part)?).to_owned();
        Some(((number.clone(), item.key.part), (item.digest, kind)))
    });
    noted.collect()
}

/// Of an order at the bureau, what its origin told.
fn told(order: &Order) -> Items {
    let order = Order {
        order_no: String::new(),
        state: String::new(),
        completions: Vec::new(),
        units: Vec::new(),
        events: order.events.iter().filter(|event| event.round.is_none()).cloned().collect(),
        ..order.clone()
    };
    digest::items(&order).into_iter().map(|item| ((item.key.dataset, item.key.part), item.digest)).collect()
}

/// The bureau's replies, as the desk's book tells its own: place at the origin, text and time.
pub(super) async fn replies(
    reader: &Reader<'_>,
    bureau: &Party,
    mut take: impl FnMut((String, String, u32), &str, &str),
) -> Result<(), SimError> {
    books::each(reader, &bureau.platform, |_, order| {
        let Some((channel, number)) = origin_of(reader, &order.order_no) else { return };
        for completion in &order.completions {
            let place = (channel.to_owned(), number.to_owned(), completion.round);
            take(place, &completion.reply_content, &clock::api_time(&completion.reply_time));
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_at_the_bureau_tells_the_one_at_its_origin() {
        let order =
            Order { order_no: "GZ-1".to_owned(), create_time: "2026-11-23 09:00:00".to_owned(), ..Order::default() };
        let there = number_elsewhere(&order, "municipal-12345");
        assert_eq!(there, "municipal-12345-20261123-GZ-1");
        assert_eq!(number_at_origin(&there, "municipal-12345"), Some("GZ-1"));
        assert_eq!(number_at_origin("GZ-1", "municipal-12345"), None);
        assert_eq!(number_at_origin("taxi-qr-20261123-QR1", "taxi"), None);
    }
}
