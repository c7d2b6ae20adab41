//! Reading: by update time, by event time, by number.
//!
//! Paging is by *seek*: after a full page the next request starts at the last update time seen, page 1, so that a record that moves to the end
//! while pages are read can't push an unread one out of sight. Only where one second fills a whole page are pages of that second counted,
//! closed on both ends; when its total changes meanwhile, that second is read again from its first page. The price is that
//! records of the boundary second come twice; downstream knows duplicates. A peer that gives cursors, or is asked for what comes after a record,
//! seeks itself.

use super::open::{below, embedded};
use super::request::Parameter;
use super::{answer, json, request};
use crate::http::HttpClient;
use crate::profile::{Endpoint, Paging, Profile};
use crate::{Cursor, Page, RawRecord, RequestError, Source};
use async_trait::async_trait;
use bytes::Bytes;
use gateway_model::{Dataset, SourceNumber, Timestamp, Window};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;

/// How often a run of pages is begun again because it shifted; after that the next poll's overlap and the accounts have to find the rest.
const MOST_RESTARTS: u8 = 5;

pub(super) struct RecordSource {
    http: Arc<HttpClient>,
}

/// Where reading by update time stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PollCursor {
    /// The earliest update time asked for, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from_ms: Option<i64>,
    /// Whether only that very instant is asked for.
    #[serde(default)]
    pub(super) within: bool,
    pub(super) page: u32,
    pub(super) size: u32,
    /// How many there were when page 1 was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
    #[serde(default)]
    pub(super) restarts: u8,
}

/// What a page showed.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) count: usize,
    pub(super) total: Option<u64>,
    /// The update time of the last record.
    pub(super) last_ms: Option<i64>,
    /// Where the peer, or its last record, says that the next page begins.
    pub(super) after: Option<String>,
}

impl Seen {
    fn is_last(&self, page: u32, size: u32) -> bool {
        let through = u64::from(page) * u64::from(size);
        self.count == 0 || (self.count < size as usize && self.total.is_none_or(|total| total <= through))
    }
}

impl PollCursor {
    pub(super) fn start(from_ms: Option<i64>, size: u32) -> Self {
        Self { from_ms, within: false, page: 1, size, total: None, restarts: 0 }
    }

    /// Where to go on; `after` gives the next instant that can be told apart.
    pub(super) fn next(self, seen: Seen, after: impl Fn(i64) -> i64) -> Option<Self> {
        let fresh = |from_ms: i64, within: bool| Self { within, ..Self::start(Some(from_ms), self.size) };
        match (self.within, self.from_ms) {
            (true, Some(from)) => {
                let shifted = self.page > 1 && seen.total != self.total;
                if shifted && self.restarts < MOST_RESTARTS {
                    return Some(Self { restarts: self.restarts + 1, ..fresh(from, true) });
                }
                if seen.is_last(self.page, self.size) {
                    return Some(fresh(after(from), false));
                }
                Some(Self { page: self.page.saturating_add(1), total: seen.total, ..self })
            }
            _ if seen.is_last(self.page, self.size) => None,
            _ => match (seen.last_ms, self.from_ms) {
                (Some(last), None) => Some(fresh(last, false)),
                (Some(last), Some(from)) if last > from => Some(fresh(last, false)),
                (Some(last), Some(from)) if last == from && self.page == 1 => Some(fresh(from, true)),
                // Without an order to seek by, pages are all there is.
                _ => Some(Self { page: self.page.saturating_add(1), ..self }),
            },
        }
    }
}

/// Where reading by event time stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowCursor {
    pub(super) page: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
    #[serde(default)]
    pub(super) restarts: u8,
}

impl WindowCursor {
    pub(super) fn next(self, seen: Seen, size: u32) -> Option<Self> {
        // Records that came in only push others back, which repeats them; one that left pulls an unread one forward.
        let left = matches!((self.total, seen.total), (Some(before), Some(now)) if now < before);
        if left && self.restarts < MOST_RESTARTS {
            return Some(Self { page: 1, total: None, restarts: self.restarts + 1 });
        }
        if seen.is_last(self.page, size) {
            return None;
        }
        Some(Self { page: self.page.saturating_add(1), total: seen.total, restarts: self.restarts })
    }
}

fn encode<T: Serialize>(cursor: &T) -> Option<Cursor> {
    serde_json::to_string(cursor).ok().map(Cursor)
}

// A cursor that is not ours starts from the beginning: that reads too much, never too little.
fn decode<T: for<'de> Deserialize<'de>>(cursor: Option<&Cursor>) -> Option<T> {
    cursor.and_then(|cursor| serde_json::from_str(&cursor.0).ok())
}

/// Where reading stands at a peer that says itself how to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenCursor {
    /// The earliest update time asked for, in ms; of a poll only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from_ms: Option<i64>,
    pub(super) token: String,
}

/// One record of a page or push, its bytes as they came.
pub(super) fn raw_record(profile: &Profile, raw: &RawValue, body: Bytes) -> RawRecord {
    let embedded = embedded(profile, raw);
    let Ok(object) = json::object(embedded.as_deref().unwrap_or_else(|| raw.get())) else {
        let undecodable = Some("the record is not an object".to_owned());
        return RawRecord { number: None, body, updated_at: None, undecodable };
    };
    let object = json::opened(object, &profile.record.containers);
    let number = json::field(&object, &profile.record.number);
    let number = if number.simple { SourceNumber::new(number.text).ok() } else { None };
    let updated_at = if profile.record.revision_is_time {
        profile.times.read(&json::field(&object, &profile.record.revision).text).map(gateway_model::Moment::start)
    } else {
        None
    };
    RawRecord { number, body, updated_at, undecodable: None }
}

impl RecordSource {
    pub(super) fn new(http: Arc<HttpClient>) -> Self {
        Self { http }
    }

    fn profile(&self) -> &Profile {
        self.http.profile()
    }

    async fn read(&self, endpoint: &Endpoint, parameters: Vec<Parameter>) -> Result<(Page, Seen), RequestError> {
        let answer = self.http.send(request::question(&self.http, endpoint, parameters)).await?.ok()?;
        let body = answer::body(self.profile(), &answer.body)?;
        let data = answer::some_data(self.profile(), &body)?;
        let rule = &self.profile().read;
        let path = below(&self.profile().answer.data, &rule.records);
        let listed = body.list(&path).ok_or_else(|| RequestError::Undecodable {
            what: format!("there is no list `{}` in the answer's data", rule.records),
        })?;
        let after = match &rule.paging {
            Paging::Cursor { next } => Some(json::scalar(json::lookup(data, next)).text),
            Paging::After { field } => listed.last().map(|(raw, _)| json::scalar(json::lookup(raw, field)).text),
            Paging::Page { .. } | Paging::Offset => None,
        };
        let records: Vec<_> = listed.into_iter().map(|(raw, body)| raw_record(self.profile(), raw, body)).collect();
        let total = if rule.total.is_empty() { None } else { Some(json::scalar(json::lookup(data, &rule.total)).text) };
        let total = total.and_then(|total| total.parse().ok());
        let last_ms = records.iter().rev().find_map(|record| record.updated_at).map(Timestamp::as_millisecond);
        let seen = Seen { count: records.len(), total, last_ms, after };
        let datasets = self.profile().datasets.datasets().collect();
        Ok((Page { records, next: None, datasets, read_at: answer.sent_at }, seen))
    }

    fn paging(&self, page: u32, size: u32) -> [Parameter; 2] {
        let rule = &self.profile().read;
        let page = rule.paging.parameter(page, size);
        [(rule.page_param.clone(), page.into()), (rule.page_size_param.clone(), size.into())]
    }

    // How to go on at a peer that says so itself.
    fn going_on(&self, token: &str, size: u32) -> Vec<Parameter> {
        let rule = &self.profile().read;
        let token = (!token.is_empty()).then(|| request::text(&rule.page_param, token));
        token.into_iter().chain([(rule.page_size_param.clone(), size.into())]).collect()
    }

    fn token(&self, before: &TokenCursor, seen: &Seen, size: u32) -> Option<Cursor> {
        let token = seen.after.clone().filter(|token| !token.is_empty() && *token != before.token)?;
        // Without a word of the peer's a page that is not full is the last.
        let is_last = matches!(self.profile().read.paging, Paging::After { .. }) && seen.count < size as usize;
        if is_last { None } else { encode(&TokenCursor { token, ..before.clone() }) }
    }

    async fn poll_by_token(&self, from: Timestamp, cursor: Option<&Cursor>, size: u32) -> Result<Page, RequestError> {
        let (rule, times) = (&self.profile().read, &self.profile().times);
        let start = || TokenCursor { from_ms: Some(times.floor(from).as_millisecond()), token: String::new() };
        let cursor: TokenCursor = decode(cursor).unwrap_or_else(start);
        let at = cursor.from_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(from);
        let mut parameters = vec![request::text(&rule.poll.from, times.write_instant(at))];
        parameters.extend(self.going_on(&cursor.token, size));
        let (mut page, seen) = self.read(&rule.poll.endpoint, parameters).await?;
        page.next = self.token(&cursor, &seen, size);
        Ok(page)
    }

    /// One harmless request.
    pub(super) async fn check(&self) -> Result<(), RequestError> {
        let rule = &self.profile().read;
        let now = self.profile().times.write_instant(self.http.now());
        let mut parameters = vec![request::text(&rule.poll.from, now)];
        if rule.paging.is_counted() {
            parameters.extend(self.paging(1, 1));
        } else {
            parameters.extend(self.going_on("", 1));
        }
        self.read(&rule.poll.endpoint, parameters).await.map(drop)
    }
}

#[async_trait]
impl Source for RecordSource {
    async fn poll(&self, from: Option<Timestamp>, cursor: Option<&Cursor>, limit: u32) -> Result<Page, RequestError> {
        let rule = &self.profile().read;
        let times = &self.profile().times;
        let size = limit.clamp(1, rule.page_size);
        // Platforms ask for a beginning; no order is older than this.
        let from = from.unwrap_or(Timestamp::UNIX_EPOCH);
        if !rule.paging.is_counted() {
            return self.poll_by_token(from, cursor, size).await;
        }
        let start = || PollCursor::start(Some(times.floor(from).as_millisecond()), size);
        let cursor: PollCursor = decode(cursor).unwrap_or_else(start);
        let mut parameters = Vec::with_capacity(4);
        if let Some(at) = cursor.from_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()) {
            let at = times.write_instant(at);
            parameters.push(request::text(&rule.poll.from, at.clone()));
            if cursor.within {
                parameters.push(request::text(&rule.poll.to, at));
            }
        }
        parameters.extend(self.paging(cursor.page, cursor.size));
        let (mut page, mut seen) = self.read(&rule.poll.endpoint, parameters).await?;
        let floor = |ms: i64| Timestamp::from_millisecond(ms).map_or(ms, |at| times.floor(at).as_millisecond());
        seen.last_ms = seen.last_ms.map(floor);
        let after = |ms: i64| Timestamp::from_millisecond(ms).map_or(ms, |at| times.next(at).as_millisecond());
        page.next = cursor.next(seen, after).and_then(|next| encode(&next));
        Ok(page)
    }

    async fn fetch_window(
        &self,
        dataset: Dataset,
        window: Window,
        cursor: Option<&Cursor>,
    ) -> Result<Page, RequestError> {
        let rule = &self.profile().read;
        let times = &self.profile().times;
        let name = self.profile().datasets.wire(dataset).ok_or_else(|| no_such_dataset(dataset))?;
        let mut parameters = vec![
            request::text(&rule.window.dataset, name),
            request::text(&rule.window.from, times.write_instant(times.floor(window.start))),
            request::text(&rule.window.to, times.write_end(times.ceil(window.end), rule.window.to_inclusive)),
        ];
        if !rule.paging.is_counted() {
            let cursor: TokenCursor = decode(cursor).unwrap_or(TokenCursor { from_ms: None, token: String::new() });
            parameters.extend(self.going_on(&cursor.token, rule.page_size));
            let (mut page, seen) = self.read(&rule.window.endpoint, parameters).await?;
            page.next = self.token(&cursor, &seen, rule.page_size);
            return Ok(page);
        }
        let cursor: WindowCursor = decode(cursor).unwrap_or(WindowCursor { page: 1, total: None, restarts: 0 });
        parameters.extend(self.paging(cursor.page, rule.page_size));
        let (mut page, seen) = self.read(&rule.window.endpoint, parameters).await?;
        page.next = cursor.next(seen, rule.page_size).and_then(|next| encode(&next));
        Ok(page)
    }

    async fn fetch_ids(&self, numbers: &[SourceNumber]) -> Result<Page, RequestError> {
        let rule = &self.profile().read.ids;
        if numbers.len() > rule.most {
            let message = format!("{} numbers asked, {} allowed", numbers.len(), rule.most);
            return Err(RequestError::Business { code: "too_many_numbers".to_owned(), message });
        }
        let parameters = vec![(rule.numbers.clone(), request::numbers(&rule.style, numbers))];
        self.read(&rule.endpoint, parameters).await.map(|(page, _)| page)
    }

    fn ids_per_fetch(&self) -> usize {
        self.profile().read.ids.most
    }

    fn ids_tell_every_day(&self) -> bool {
        self.profile().read.ids.every_day
    }
}

pub(super) fn no_such_dataset(dataset: Dataset) -> RequestError {
    let message = format!("the channel has no dataset `{dataset}`");
    RequestError::Business { code: "no_such_dataset".to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(count: usize, total: u64, last_ms: i64) -> Seen {
        Seen { count, total: Some(total), last_ms: Some(last_ms), after: None }
    }

    const AFTER: fn(i64) -> i64 = |ms| ms + 1_000;

    #[test]
    fn a_full_page_seeks_to_its_last_time() {
        let next = PollCursor::start(None, 2).next(seen(2, 9, 5_000), AFTER).unwrap();
        assert_eq!(next, PollCursor::start(Some(5_000), 2));
        let next = next.next(seen(2, 7, 6_000), AFTER).unwrap();
        assert_eq!(next, PollCursor::start(Some(6_000), 2));
        assert_eq!(next.next(seen(1, 1, 6_000), AFTER), None);
    }

    #[test]
    fn a_second_that_fills_a_page_is_paged_alone() {
        let within = PollCursor::start(Some(5_000), 2).next(seen(2, 9, 5_000), AFTER).unwrap();
        assert_eq!(within, PollCursor { within: true, ..PollCursor::start(Some(5_000), 2) });
        let second = within.next(seen(2, 3, 5_000), AFTER).unwrap();
        assert_eq!((second.page, second.total), (2, Some(3)));
        assert_eq!(second.next(seen(1, 3, 5_000), AFTER), Some(PollCursor::start(Some(6_000), 2)));
    }

    #[test]
    fn a_shifted_second_is_read_again_but_not_for_ever() {
        let mut cursor = PollCursor { within: true, page: 2, total: Some(4), ..PollCursor::start(Some(5_000), 2) };
        for restarts in 1..=MOST_RESTARTS {
            cursor = cursor.next(seen(1, 3, 5_000), AFTER).unwrap();
            assert_eq!((cursor.page, cursor.restarts), (1, restarts));
            cursor = cursor.next(seen(2, 4, 5_000), AFTER).unwrap();
            assert_eq!(cursor.page, 2);
        }
        assert_eq!(cursor.next(seen(1, 3, 5_000), AFTER), Some(PollCursor::start(Some(6_000), 2)));
    }

    #[test]
    fn a_window_that_lost_a_record_is_read_again() {
        let start = WindowCursor { page: 1, total: None, restarts: 0 };
        let second = start.next(seen(2, 4, 0), 2).unwrap();
        assert_eq!((second.page, second.total), (2, Some(4)));
        assert_eq!(second.next(seen(1, 3, 0), 2), Some(WindowCursor { page: 1, total: None, restarts: 1 }));
        assert_eq!(second.next(seen(2, 4, 0), 2).map(|next| next.page), Some(3));
    }
}
