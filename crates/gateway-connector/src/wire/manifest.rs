//! The platform's account of itself. An account is whole or an error: a part that can't be read would show as a gap that is none.

use super::answer;
use super::source::no_such_dataset;
use super::{json, request};
use crate::http::HttpClient;
use crate::profile::{ManifestRule, Profile};
use crate::{ManifestSource, RequestError};
use async_trait::async_trait;
use gateway_model::{
    BookItem, Bucket, BucketSum, Dataset, Digest, Grain, ItemKey, Manifest, ManifestBody, Moment, SourceNumber,
    Timestamp, Window,
};
use serde_json::value::RawValue;
use std::sync::Arc;

pub(super) struct AccountSource {
    http: Arc<HttpClient>,
    rule: ManifestRule,
    datasets: Vec<Dataset>,
    grains: Vec<Grain>,
}

fn undecodable(what: impl Into<String>) -> RequestError {
    RequestError::Undecodable { what: what.into() }
}

fn text(raw: &RawValue, path: &str) -> String {
    json::scalar(json::lookup(raw, path)).text
}

impl AccountSource {
    pub(super) fn new(http: Arc<HttpClient>, rule: ManifestRule) -> Self {
        let datasets = http.profile().datasets.datasets().collect();
        let grains = rule.grains.iter().map(|(grain, _)| *grain).collect();
        Self { http, rule, datasets, grains }
    }

    fn profile(&self) -> &Profile {
        self.http.profile()
    }

    fn moment(&self, raw: &RawValue, name: &str) -> Result<Moment, RequestError> {
        let text = text(raw, name);
        self.profile().times.read(&text).ok_or_else(|| undecodable(format!("`{name}` of the account is no time")))
    }

    fn items(&self, data: &RawValue, dataset: Dataset) -> Result<ManifestBody, RequestError> {
        let items = json::list_at(data, &self.rule.items, self.profile().exchange.lists_are_repetition())?;
        items.into_iter().map(|raw| self.item(raw, dataset)).collect::<Result<_, _>>().map(ManifestBody::Items)
    }

    fn item(&self, raw: &RawValue, dataset: Dataset) -> Result<BookItem, RequestError> {
        let rule = &self.rule;
        if json::as_object(raw).is_none() {
            return Err(undecodable("an item of the account is no object"));
        }
        let bad = |name: &str| undecodable(format!("`{name}` of an item of the account is unreadable"));
        let number = SourceNumber::new(text(raw, &rule.number)).map_err(|_| bad(&rule.number))?;
        let part = text(raw, &rule.part).parse().map_err(|_| bad(&rule.part))?;
        let digest: Digest = text(raw, &rule.digest).parse().map_err(|_| bad(&rule.digest))?;
        let day = self.moment(raw, &rule.day)?.day();
        let event_time = self.moment(raw, &rule.event_time)?;
        Ok(BookItem { key: ItemKey { dataset, number, day, part }, event_time, digest })
    }

    // A peer that gives no sums is compared by count.
    fn buckets(&self, data: &RawValue) -> Result<ManifestBody, RequestError> {
        let rule = &self.rule;
        let mut buckets = Vec::new();
        let (mut total, mut counts_only) = (0u64, false);
        for raw in json::list_at(data, &rule.buckets, self.profile().exchange.lists_are_repetition())? {
            if json::as_object(raw).is_none() {
                return Err(undecodable("a bucket of the account is no object"));
            }
            let bad = |name: &str| undecodable(format!("`{name}` of a bucket of the account is unreadable"));
            let count: u64 = text(raw, &rule.count).parse().map_err(|_| bad(&rule.count))?;
            total = total.saturating_add(count);
            let sum = text(raw, &rule.sum);
            if sum.is_empty() {
                counts_only = true;
                continue;
            }
            let sum: BucketSum = sum.parse().map_err(|_| bad(&rule.sum))?;
            buckets.push(Bucket { start: self.moment(raw, &rule.start)?.start(), count, sum });
        }
        if counts_only {
            return Ok(ManifestBody::Count(total));
        }
        buckets.sort_by_key(|bucket| bucket.start);
        if buckets.windows(2).any(|pair| pair[0].start == pair[1].start) {
            return Err(undecodable("the account has a bucket twice"));
        }
        Ok(ManifestBody::Buckets(buckets))
    }
}

#[async_trait]
impl ManifestSource for AccountSource {
    async fn manifest(&self, dataset: Dataset, window: Window, grain: Grain) -> Result<Manifest, RequestError> {
        let rule = &self.rule;
        let times = &self.profile().times;
        let name = self.profile().datasets.wire(dataset).ok_or_else(|| no_such_dataset(dataset))?;
        let grain_name = rule.grains.iter().find(|(this, _)| *this == grain).map(|(_, name)| name.clone());
        let grain_name = grain_name.ok_or_else(|| RequestError::Business {
            code: "no_such_grain".to_owned(),
            message: format!("the channel gives no account by `{grain}`"),
        })?;
        // What is asked is what can be written; the answer's window says so.
        let window = Window::new(times.floor(window.start), times.ceil(window.end));
        let parameters = vec![
            request::text(&rule.dataset, name),
            request::text(&rule.from, times.write_instant(window.start)),
            request::text(&rule.to, times.write_end(window.end, rule.to_inclusive)),
            request::text(&rule.grain, grain_name),
        ];
        let answer = self.http.send(request::question(&self.http, &rule.endpoint, parameters)).await?.ok()?;
        let body = answer::body(self.profile(), &answer.body)?;
        let data = answer::some_data(self.profile(), &body)?;
        if json::as_object(data).is_none() {
            return Err(undecodable("the account is no object"));
        }
        let as_of = self.moment(data, &rule.as_of)?.start();
        let body = if grain == Grain::Ids { self.items(data, dataset)? } else { self.buckets(data)? };
        Ok(Manifest { dataset, window, grain, as_of, body, bytes: answer.bytes })
    }

    fn datasets(&self) -> &[Dataset] {
        &self.datasets
    }

    fn grains(&self) -> &[Grain] {
        &self.grains
    }

    fn since(&self) -> Option<Timestamp> {
        self.profile().identity.since
    }
}
