//! The fake counterparty's account of itself: section 6 of the municipal page, for orders without events, replies and visits. Worked out without the model.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const STATE: [&str; 4] = ["state", "unit", "deadline", "round"];

struct Item {
    number: String,
    time: String,
    digest: [u8; 32],
    element: [u8; 32],
}

/// The data of an answer to `GET /gateway/manifest`.
pub(super) fn account(records: &[Value], acceptance: &[&str], query: &BTreeMap<String, String>) -> Value {
    let (from, to) = (&query["from"], &query["to"]);
    let dataset = query["dataset"].as_str();
    let names: &[&str] = match dataset {
        "acceptance" => acceptance,
        "handling" => &STATE,
        _ => &[],
    };
    // An order without a state has no item of it.
    let speaks = |record: &&Value| !names.is_empty() && (dataset != "handling" || record["state"].is_string());
    let items = records.iter().filter(speaks).map(|record| item(dataset, record, names));
    let items: Vec<Item> = items.filter(|item| *from <= item.time && item.time < *to).collect();
    let as_of = "2026-11-23 10:00:00";
    // How much of a local time tells the bucket, and what completes it.
    let (length, rest) = match query["grain"].as_str() {
        "total" => (0, from.as_str()),
        "month" => (7, "-01 00:00:00"),
        "day" => (10, " 00:00:00"),
        "hour" => (13, ":00:00"),
        "tenMinutes" => (15, "0:00"),
        _ => {
            let item = |item: &Item| json!({"orderNo": item.number, "day": item.time[..10], "part": "c0", "eventTime": item.time, "digest": hex::encode(item.digest)});
            return json!({"asOf": as_of, "items": items.iter().map(item).collect::<Vec<_>>()});
        }
    };
    let mut buckets: BTreeMap<String, (u64, [u8; 32])> = BTreeMap::new();
    for item in &items {
        let bucket = buckets.entry(format!("{}{rest}", &item.time[..length])).or_default();
        *bucket = (bucket.0 + 1, added(bucket.1, item.element));
    }
    let bucket = |(start, (count, sum)): (String, (u64, [u8; 32]))| json!({"start": start, "count": count, "sum": hex::encode(sum)});
    json!({"asOf": as_of, "buckets": buckets.into_iter().map(bucket).collect::<Vec<_>>()})
}

fn item(dataset: &str, record: &Value, names: &[&str]) -> Item {
    let mut normal = Vec::new();
    for name in names {
        let value = match &record[*name] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        normal.extend(format!("{name}\x1f{value}\x1e").bytes());
    }
    let digest: [u8; 32] = Sha256::digest(&normal).into();
    let (number, time) =
        (record["orderNo"].as_str().unwrap().to_owned(), record["createTime"].as_str().unwrap().to_owned());
    let mut key = format!("{dataset}\x1f{number}\x1f{}\x1fc0", &time[..10]).into_bytes();
    key.extend(digest);
    Item { number, time, digest, element: Sha256::digest(&key).into() }
}

fn added(mut sum: [u8; 32], element: [u8; 32]) -> [u8; 32] {
    let mut carry = 0;
    for (digit, other) in sum.iter_mut().zip(element).rev() {
        let both = u16::from(*digit) + u16::from(other) + carry;
        *digit = (both % 256) as u8;
        carry = both / 256;
    }
    sum
}
