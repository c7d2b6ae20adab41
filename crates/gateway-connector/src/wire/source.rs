//! Reading: by update time, by event time, by number.
//!
//! Paging is by *seek*: after a full page the next request starts at the last update time seen, page 1, so that a record that moves to the end
//! while pages are read can't push an unread one out of sight. Only where one second fills a whole page are pages of that second counted,
//! closed on both ends; when its total changes meanwhile, that second is read again from its first page. The price is that
//! records of the boundary second come twice; downstream knows duplicates.

use super::answer;
use super::json;
use crate::http::{HttpClient, HttpRequest};
use crate::profile::Profile;
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
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) count: usize,
    pub(super) total: Option<u64>,
    /// The update time of the last record.
    pub(super) last_ms: Option<i64>,
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

/// One record of a page or push, its bytes as they came.
pub(super) fn raw_record(profile: &Profile, raw: &RawValue) -> RawRecord {
    let body = Bytes::copy_from_slice(raw.get().as_bytes());
    let Some(object) = json::as_object(raw) else {
        let undecodable = Some("the record is not an object".to_owned());
        return RawRecord { number: None, body, updated_at: None, undecodable };
    };
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

    async fn read(&self, request: HttpRequest) -> Result<(Page, Seen), RequestError> {
        let answer = self.http.send(request).await?.ok()?;
        let data = answer::some_data(self.profile(), &answer.body)?;
        let rule = &self.profile().read;
        let records: Vec<_> =
            json::list_at(data, &rule.records)?.into_iter().map(|raw| raw_record(self.profile(), raw)).collect();
        let total = json::scalar(json::lookup(data, &rule.total)).text.parse().ok();
        let last_ms = records.iter().rev().find_map(|record| record.updated_at).map(Timestamp::as_millisecond);
        let seen = Seen { count: records.len(), total, last_ms };
        let datasets = self.profile().datasets.datasets().collect();
        Ok((Page { records, next: None, datasets, read_at: answer.sent_at }, seen))
    }

    /// One harmless request.
    pub(super) async fn check(&self) -> Result<(), RequestError> {
        let rule = &self.profile().read;
        let now = self.profile().times.write_instant(self.http.now());
        let query = vec![
            (rule.poll.from.clone(), now),
            (rule.page_param.clone(), "1".to_owned()),
            (rule.page_size_param.clone(), "1".to_owned()),
        ];
        self.read(HttpRequest::get(rule.poll.path.clone(), query)).await.map(drop)
    }
}

#[async_trait]
impl Source for RecordSource {
    async fn poll(&self, from: Option<Timestamp>, cursor: Option<&Cursor>, limit: u32) -> Result<Page, RequestError> {
        let rule = &self.profile().read;
        let times = &self.profile().times;
        let size = limit.clamp(1, rule.page_size);
        // Platforms ask for a beginning; no order is older than this.
        let start =
            || PollCursor::start(Some(times.floor(from.unwrap_or(Timestamp::UNIX_EPOCH)).as_millisecond()), size);
        let cursor: PollCursor = decode(cursor).unwrap_or_else(start);
        let mut query = Vec::with_capacity(4);
        if let Some(at) = cursor.from_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()) {
            let text = times.write_instant(at);
            if cursor.within {
                query.push((rule.poll.to.clone(), text.clone()));
            }
            query.insert(0, (rule.poll.from.clone(), text));
        }
        query.push((rule.page_param.clone(), cursor.page.to_string()));
        query.push((rule.page_size_param.clone(), cursor.size.to_string()));
        let (mut page, mut seen) = self.read(HttpRequest::get(rule.poll.path.clone(), query)).await?;
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
        let cursor: WindowCursor = decode(cursor).unwrap_or(WindowCursor { page: 1, total: None, restarts: 0 });
        let query = vec![
            (rule.window.dataset.clone(), name.to_owned()),
            (rule.window.from.clone(), times.write_instant(times.floor(window.start))),
            (rule.window.to.clone(), times.write_instant(times.ceil(window.end))),
            (rule.page_param.clone(), cursor.page.to_string()),
            (rule.page_size_param.clone(), rule.page_size.to_string()),
        ];
        let (mut page, seen) = self.read(HttpRequest::get(rule.window.path.clone(), query)).await?;
        page.next = cursor.next(seen, rule.page_size).and_then(|next| encode(&next));
        Ok(page)
    }

    async fn fetch_ids(&self, numbers: &[SourceNumber]) -> Result<Page, RequestError> {
        let rule = &self.profile().read.ids;
        if numbers.len() > rule.most {
            let message = format!("{} numbers asked, {} allowed", numbers.len(), rule.most);
            return Err(RequestError::Business { code: "too_many_numbers".to_owned(), message });
        }
        let mut body = serde_json::Map::new();
        let list = numbers.iter().map(|number| number.as_str().into()).collect();
        body.insert(rule.numbers.clone(), serde_json::Value::Array(list));
        let body = serde_json::Value::Object(body).to_string();
        self.read(HttpRequest::post(rule.path.clone(), body)).await.map(|(page, _)| page)
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
        Seen { count, total: Some(total), last_ms: Some(last_ms) }
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
