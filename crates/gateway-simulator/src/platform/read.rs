//! Reading (section 3 of the wire contract): listing, listing by event window, query by number, manifest, receipts.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::lies::Asked;
use super::server::Answer;
use super::{Platform, lies, lock, torn, tricks};
use crate::book::Book;
use crate::book::entry::{Entry, Operation};
use crate::clock;
use crate::digest::Dataset;
use crate::dress::Parameters;
use crate::faults::FaultKind;

/// Largest page, and largest number of orders in one query, by contract.
const MAX_PAGE: usize = 200;
const MAX_QUERY: usize = 100;

/// Which part of a listing is asked for.
struct Part {
    offset: usize,
    size: usize,
    /// Only what comes after this place, the two words by which a listing is ordered, where a dress asks by places; empty = from the beginning.
    after: Option<String>,
}

impl Part {
    fn is_after(&self, first: &str, second: &str) -> bool {
        let place = self.after.as_deref().and_then(|after| after.split_once('\u{1f}'));
        place.is_none_or(|place| (first, second) > place)
    }

    /// The answer; where the next part begins is told only to who asks by places.
    fn answer(&self, total: usize, page: usize, records: Value, next: Option<String>) -> Value {
        let mut answer = json!({"total": total, "page": page, "records": records});
        if self.after.is_some() {
            answer["next"] = json!(next);
        }
        answer
    }
}

impl Platform {
    /// `GET /gateway/orders`
    pub(super) fn list(&self, query: &Parameters) -> Answer {
        let number = |name: &str| query.get(name).map_or(Some(0), |text| text.parse::<usize>().ok());
        let (Some(page), Some(size), Some(offset)) = (number("page"), number("pageSize"), number("offset")) else {
            return Answer::invalid("page, pageSize");
        };
        let size = if size == 0 { MAX_PAGE } else { size };
        if size > MAX_PAGE {
            return Answer::invalid("pageSize");
        }
        let part = Part { offset: offset + (page.max(1) - 1) * size, size, after: query.get("after").cloned() };
        if query.contains_key("dataset") { self.list_by_event(query, &part) } else { self.list_by_update(query, &part) }
    }

    fn list_by_update(&self, query: &Parameters, part: &Part) -> Answer {
        let Part { offset, size, .. } = *part;
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
        for held in book
            .listed(&clock::sort_time(from), to.map(String::as_str))
            .filter(|held| !late.contains_key(&held.key) && part.is_after(&held.order.update_time, &held.key))
        {
            if (offset..offset + size).contains(&total) {
                keys.push(held.key.clone());
            }
            total += 1;
        }
        drop(late);
        let more = total > offset + size;
        let page = offset / size + 1;
        if more && self.inject(&mut book, FaultKind::PageDrift, now) {
            let records = self.records(&book, &keys);
            let next = next(&book, &keys, more);
            self.shown(&mut book, keys.iter(), false, now);
            let answer = part.answer(total, page, records, next);
            tricks::drift(self, &mut book, &keys.iter().take(3).cloned().collect::<Vec<_>>(), now);
            return Answer::data(answer);
        }
        if let Some(torn) = torn::tear(self, &mut book, &keys, now) {
            total -= torn.len();
            keys.retain(|key| !torn.contains(key));
        }
        let next = next(&book, &keys, more);
        if keys.len() > 1 && self.inject(&mut book, FaultKind::Duplicate, now) {
            keys.push(keys[keys.len() / 2].clone());
        }
        self.shown(&mut book, keys.iter(), false, now);
        Answer::data(part.answer(total, page, self.records(&book, &keys), next))
    }

    fn records(&self, book: &Book, keys: &[String]) -> Value {
        json!(keys.iter().filter_map(|key| book.order(key)).map(|held| held.order.told()).collect::<Vec<_>>())
    }

    fn list_by_event(&self, query: &Parameters, part: &Part) -> Answer {
        let Part { offset, size, .. } = *part;
        let Some(dataset) = query.get("dataset").and_then(|word| Dataset::parse(word)) else {
            return Answer::invalid("dataset");
        };
        let Some((from, to)) = range(query, "eventFrom", "eventTo") else {
            return Answer::invalid("eventFrom, eventTo");
        };
        let mut book = self.ledger.lock();
        let orders: Vec<(String, String)> = book.account.orders(dataset, &from, &to).into_iter().collect();
        let orders: Vec<_> = orders.iter().filter(|(number, day)| part.is_after(number, day)).collect();
        let asked = orders.iter().skip(offset).take(size);
        let last = asked.clone().next_back().filter(|_| orders.len() > offset + size);
        let next = last.map(|(number, day)| format!("{number}\u{1f}{day}"));
        let asked: Vec<String> = asked.filter_map(|(number, day)| book.key_of(number, day)).cloned().collect();
        self.reveal(&mut book, &asked);
        Answer::data(part.answer(orders.len(), offset / size + 1, self.records(&book, &asked), next))
    }

    /// `POST /gateway/orders/query`
    pub(super) fn query(&self, order_nos: &[String]) -> Answer {
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

/// The place where a part of the listing by update time ends, where more comes.
fn next(book: &Book, keys: &[String], more: bool) -> Option<String> {
    let held = keys.iter().filter_map(|key| book.order(key)).map(|held| (&held.order.update_time, &held.key));
    held.max().filter(|_| more).map(|(update, key)| format!("{update}\u{1f}{key}"))
}

/// A range of event times; both ends must be given.
fn range(query: &Parameters, from: &str, to: &str) -> Option<(String, String)> {
    let time =
        |name: &str| query.get(name).filter(|text| clock::wire_ms(text).is_some()).map(|text| clock::sort_time(text));
    Some((time(from)?, time(to)?))
}
