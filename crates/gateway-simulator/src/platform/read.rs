//! Reading (section 3 of the wire contract): listing, listing by event window, query by number, manifest, receipts.

use std::collections::HashMap;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::{Value, json};

use super::lies::Asked;
use super::server::Answer;
use super::{Platform, lies, lock, torn, tricks};
use crate::book::Book;
use crate::book::entry::{Entry, Operation};
use crate::clock;
use crate::digest::Dataset;
use crate::faults::FaultKind;

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
        let mut keys: Vec<String> = Vec::new();
        for held in
            book.listed(&clock::sort_time(from), to.map(String::as_str)).filter(|held| !late.contains_key(&held.key))
        {
            if total / size == page - 1 {
                keys.push(held.key.clone());
            }
            total += 1;
        }
        drop(late);
        if total > page * size && self.inject(&mut book, FaultKind::PageDrift, now) {
            let records = self.records(&book, &keys);
            self.shown(&mut book, keys.iter(), false, now);
            let answer = json!({"total": total, "page": page, "records": records});
            tricks::drift(self, &mut book, &keys.iter().take(3).cloned().collect::<Vec<_>>(), now);
            return Answer::data(answer);
        }
        if let Some(torn) = torn::tear(self, &mut book, &keys, now) {
            total -= torn.len();
            keys.retain(|key| !torn.contains(key));
        }
        if keys.len() > 1 && self.inject(&mut book, FaultKind::Duplicate, now) {
            keys.push(keys[keys.len() / 2].clone());
        }
        self.shown(&mut book, keys.iter(), false, now);
        Answer::data(json!({"total": total, "page": page, "records": self.records(&book, &keys)}))
    }

    fn records(&self, book: &Book, keys: &[String]) -> Value {
        json!(keys.iter().filter_map(|key| book.order(key)).map(|held| &held.order).collect::<Vec<_>>())
    }

    fn list_by_event(&self, query: &Parameters, page: usize, size: usize) -> Answer {
        let Some(dataset) = query.get("dataset").and_then(|word| Dataset::parse(word)) else {
            return Answer::invalid("dataset");
        };
        let Some((from, to)) = range(query, "eventFrom", "eventTo") else {
            return Answer::invalid("eventFrom, eventTo");
        };
        let mut book = self.ledger.lock();
        let orders = book.account.orders(dataset, &from, &to);
        let asked = orders.iter().skip((page - 1) * size).take(size);
        let asked: Vec<String> = asked.filter_map(|(number, day)| book.key_of(number, day)).cloned().collect();
        self.reveal(&mut book, &asked);
        Answer::data(json!({"total": orders.len(), "page": page, "records": self.records(&book, &asked)}))
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
        let asked: Vec<String> = order_nos.iter().flat_map(|number| book.keys(number)).cloned().collect();
        self.reveal(&mut book, &asked);
        // Who asks for an order that is gone is told so.
        let gone: Vec<String> = order_nos
            .iter()
            .flat_map(|number| book.injections.open_of(number))
            .filter(|key| !asked.contains(key))
            .collect();
        if !gone.is_empty() {
            let entry = Entry::Shown { at: self.now(), orders: gone, fetched: true };
            self.ledger.write(&mut book, &entry);
        }
        Answer::data(json!({"records": self.records(&book, &asked)}))
    }

    /// Hidden orders that somebody asks for are ordinary from then on.
    fn reveal(&self, book: &mut MutexGuard<'_, Book>, asked: &[String]) {
        let now = self.now();
        self.shown(book, asked.iter(), true, now);
        let hidden = |number: &&String| book.order(number).is_some_and(|held| held.hidden);
        let numbers: Vec<String> = asked.iter().filter(hidden).cloned().collect();
        if !numbers.is_empty() {
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
        let Some(grain) = Asked::parse(grain) else { return Answer::invalid("grain") };
        let now = self.now();
        let mut book = self.ledger.lock();
        let stale = self.inject(&mut book, FaultKind::StaleManifest, now).then_some(now - 400 - now % 1_600);
        let lie = lies::lie(self, &mut book, dataset, (&from, &to), now);
        Answer::data(lies::tell(lie, &book.account, dataset, (&from, &to), grain, stale, |at| {
            clock::wire_time(self.shown_ms(at.unwrap_or(now)))
        }))
    }

    /// `GET /gateway/receipts`
    pub(super) fn receipt(&self, query: &Parameters) -> Answer {
        let Some(request) = query.get("requestId") else { return Answer::invalid("requestId") };
        let now = self.now();
        let book = self.ledger.lock();
        let known = |operation: &&Operation| {
            operation.operation != "complete"
                && !operation.refused
                && operation.receipt_from.is_none_or(|from| from <= now)
        };
        let found = book.operations.get(request).filter(known);
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
