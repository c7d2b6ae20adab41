//! Reading (section 3 of the wire contract): listing, listing by event window, query by number, manifest, receipts.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::{Value, json};

use super::server::Answer;
use super::{Platform, lock, tricks};
use crate::book::account::Grain;
use crate::book::entry::Entry;
use crate::clock;
use crate::digest::Dataset;
use crate::faults::FaultKind;
use crate::record::Order;

/// Largest page, and largest number of orders in one query, by contract.
const MAX_PAGE: usize = 200;
const MAX_QUERY: usize = 100;

/// The parameters of a query string.
pub(super) type Parameters = HashMap<String, String>;

impl Platform {
    /// `GET /gateway/orders`
    pub(super) fn list(&self, query: &Parameters) -> Answer {
        let number = |name: &str| query.get(name).map_or(Some(0), |text| text.parse::<usize>().ok());
        let (Some(page), Some(size)) = (number("page"), number("pageSize")) else {
            return Answer::invalid("page, pageSize");
        };
        let (page, size) = (page.max(1), if size == 0 { MAX_PAGE } else { size });
        if size > MAX_PAGE {
            return Answer::invalid("pageSize");
        }
        if query.contains_key("dataset") {
            self.list_by_event(query, page, size)
        } else {
            self.list_by_update(query, page, size)
        }
    }

    fn list_by_update(&self, query: &Parameters, page: usize, size: usize) -> Answer {
        let Some(from) = query.get("updatedFrom").filter(|text| clock::wire_ms(text).is_some()) else {
            return Answer::invalid("updatedFrom");
        };
        let to = query.get("updatedTo").filter(|text| !text.is_empty());
        if to.is_some_and(|text| clock::wire_ms(text).is_none()) {
            return Answer::invalid("updatedTo");
        }
        self.page_size.store(size, Ordering::SeqCst);
        let now = self.now();
        let mut book = self.ledger.lock();
        let mut late = lock(&self.late);
        late.retain(|_, until| *until > now);
        let mut total = 0;
        let mut records: Vec<Order> = Vec::new();
        for held in book
            .listed(&clock::sort_time(from), to.map(String::as_str))
            .filter(|held| !late.contains_key(&held.order.order_no))
        {
            if total / size == page - 1 {
                records.push(held.order.clone());
            }
            total += 1;
        }
        drop(late);
        if total > page * size && self.inject(&mut book, FaultKind::PageDrift) {
            let moved: Vec<String> = records.iter().take(3).map(|order| order.order_no.clone()).collect();
            tricks::drift(self, &mut book, &moved, now);
        }
        if records.len() > 1 && self.inject(&mut book, FaultKind::Duplicate) {
            let again = records[records.len() / 2].clone();
            records.push(again);
        }
        Answer::data(json!({"total": total, "page": page, "records": records}))
    }

    fn list_by_event(&self, query: &Parameters, page: usize, size: usize) -> Answer {
        let Some(dataset) = query.get("dataset").and_then(|word| Dataset::parse(word)) else {
            return Answer::invalid("dataset");
        };
        let Some((from, to)) = range(query, "eventFrom", "eventTo") else {
            return Answer::invalid("eventFrom, eventTo");
        };
        let mut book = self.ledger.lock();
        let numbers = book.account.numbers(dataset, &from, &to);
        let asked: Vec<String> = numbers.iter().skip((page - 1) * size).take(size).cloned().collect();
        self.reveal(&mut book, &asked);
        let records: Vec<&Order> =
            asked.iter().filter_map(|number| book.order(number)).map(|held| &held.order).collect();
        Answer::data(json!({"total": numbers.len(), "page": page, "records": records}))
    }

    /// `POST /gateway/orders/query`
    pub(super) fn query(&self, body: &[u8]) -> Answer {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Body {
            order_nos: Vec<String>,
        }
        let Ok(Body { order_nos }) = serde_json::from_slice(body) else { return Answer::invalid("orderNos") };
        if order_nos.len() > MAX_QUERY {
            return Answer::invalid("orderNos");
        }
        let mut book = self.ledger.lock();
        self.reveal(&mut book, &order_nos);
        let records: Vec<&Order> =
            order_nos.iter().filter_map(|number| book.order(number)).map(|held| &held.order).collect();
        Answer::data(json!({"records": records}))
    }

    /// Hidden orders that somebody asks for are ordinary from then on.
    fn reveal(&self, book: &mut std::sync::MutexGuard<'_, crate::book::Book>, asked: &[String]) {
        let hidden = |number: &&String| book.order(number).is_some_and(|held| held.hidden);
        let numbers: Vec<String> = asked.iter().filter(hidden).cloned().collect();
        if !numbers.is_empty() {
            let now = self.now();
            self.ledger.write(book, &Entry::Reveal { numbers: numbers.clone() });
            numbers.iter().for_each(|number| self.plan(book, number, now));
        }
    }

    /// `GET /gateway/manifest`
    pub(super) fn manifest(&self, query: &Parameters) -> Answer {
        let Some(dataset) = query.get("dataset").and_then(|word| Dataset::parse(word)) else {
            return Answer::invalid("dataset");
        };
        let Some((from, to)) = range(query, "from", "to") else { return Answer::invalid("from, to") };
        let grain = query.get("grain").map(String::as_str).unwrap_or_default();
        let now = self.now();
        let mut book = self.ledger.lock();
        let stale = self.inject(&mut book, FaultKind::StaleManifest).then_some(now - 400 - now % 1_600);
        let as_of = clock::wire_time(stale.unwrap_or(now));
        let account = &book.account;
        match grain {
            "count" => {
                let count = account.tally(dataset, &from, &to, stale);
                Answer::data(json!({"asOf": as_of, "buckets": [{"start": from, "count": count}]}))
            }
            "ids" => {
                let item = |(key, digest, time): (&crate::digest::ItemKey, crate::digest::Digest, &str)| json!({"orderNo": key.number, "day": key.day, "part": key.part, "eventTime": time, "digest": hex::encode(digest)});
                let items: Vec<Value> = account.items(dataset, &from, &to, stale).into_iter().map(item).collect();
                Answer::data(json!({"asOf": as_of, "items": items}))
            }
            word => {
                let Some(grain) = Grain::parse(word) else { return Answer::invalid("grain") };
                let buckets = account.buckets(dataset, (&from, &to), grain, stale);
                let bucket = |(start, (count, sum)): (String, (usize, crate::digest::Digest))| json!({"start": start, "count": count, "sum": hex::encode(sum)});
                Answer::data(json!({"asOf": as_of, "buckets": buckets.into_iter().map(bucket).collect::<Vec<_>>()}))
            }
        }
    }

    /// `GET /gateway/receipts`
    pub(super) fn receipt(&self, query: &Parameters) -> Answer {
        let Some(request) = query.get("requestId") else { return Answer::invalid("requestId") };
        let book = self.ledger.lock();
        let found = book.operations.get(request).filter(|operation| operation.operation != "complete");
        Answer::data(found.map_or(Value::Null, |operation| {
            json!({
                "receiptNo": operation.receipt_no, "requestId": operation.request_id, "operation": operation.operation,
                "orderNo": operation.order_no, "receivedAt": operation.received_at,
            })
        }))
    }
}

/// A range of event times; both ends must be given.
fn range(query: &Parameters, from: &str, to: &str) -> Option<(String, String)> {
    let time =
        |name: &str| query.get(name).filter(|text| clock::wire_ms(text).is_some()).map(|text| clock::sort_time(text));
    Some((time(from)?, time(to)?))
}
