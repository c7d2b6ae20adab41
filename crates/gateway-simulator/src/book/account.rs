//! The platform's account of its items: what its manifest is made from, now and at a past moment.
//!
//! Each item keeps its whole history (moment, digest, event time), so that the judge can ask what the platform would have said at
//! the moment of the gateway's second look, and a manifest can honestly be two seconds old.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::clock;
use crate::digest::{self, Dataset, Digest, Item, ItemKey};

/// What an item was from some moment on; `None` = it was gone.
pub type Version = (i64, Option<(Digest, String)>);

struct Kept {
    key: ItemKey,
    element: Digest,
    history: Vec<Version>,
}

/// All items, current and past.
#[derive(Default)]
pub struct Account {
    kept: Vec<Kept>,
    by_key: HashMap<ItemKey, usize>,
    by_time: [BTreeSet<(String, usize)>; 4],
}

/// Grain of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Everything in the range, in one bucket that begins where the range does.
    Total,
    /// Calendar month.
    Month,
    /// Day.
    Day,
    /// Hour.
    Hour,
    /// Ten minutes.
    TenMinutes,
}

impl Grain {
    /// The grain of a wire word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "total" => Some(Self::Total),
            "month" => Some(Self::Month),
            "day" => Some(Self::Day),
            "hour" => Some(Self::Hour),
            "tenMinutes" => Some(Self::TenMinutes),
            _ => None,
        }
    }

    /// The start of the bucket of an event time, in an account of what begins at `from`; `None` when the time is too coarse for the grain.
    pub fn start(self, from: &str, event_time: &str) -> Option<String> {
        let date_only = clock::is_date_only(event_time);
        match self {
            Self::Total => Some(from.to_owned()),
            Self::Month => Some(format!("{}-01 00:00:00", event_time.get(..7)?)),
            Self::Day => Some(format!("{} 00:00:00", event_time.get(..10)?)),
            Self::Hour | Self::TenMinutes if date_only => None,
            Self::Hour => Some(format!("{}:00:00", event_time.get(..13)?)),
            Self::TenMinutes => Some(format!("{}0:00", event_time.get(..15)?)),
        }
    }
}

impl Account {
    /// Takes over the items of one order, as they are at `at`; items of that order that are not among them are gone.
    pub fn replace(&mut self, before: &[Item], after: Vec<Item>, at: i64) {
        let still: BTreeSet<&ItemKey> = after.iter().map(|item| &item.key).collect();
        for gone in before.iter().filter(|item| !still.contains(&item.key)) {
            self.set(gone.key.clone(), None, at);
        }
        for item in after {
            self.set(item.key, Some((item.digest, item.event_time)), at);
        }
    }

    fn set(&mut self, key: ItemKey, value: Option<(Digest, String)>, at: i64) {
        let index = *self.by_key.entry(key.clone()).or_insert_with(|| {
            self.kept.push(Kept { key, element: [0; 32], history: Vec::new() });
            self.kept.len() - 1
        });
        let kept = &mut self.kept[index];
        let times = &mut self.by_time[kept.key.dataset as usize];
        let last = kept.history.last().and_then(|(_, value)| value.as_ref());
        if last == value.as_ref() {
            return;
        }
        if let Some((_, time)) = last {
            times.remove(&(clock::sort_time(time), index));
        }
        if let Some((digest, time)) = &value {
            kept.element = digest::element(&kept.key, digest);
            times.insert((clock::sort_time(time), index));
        }
        kept.history.push((at, value));
    }

    /// How many items a dataset has now.
    pub fn count(&self, dataset: Dataset) -> usize {
        self.by_time[dataset as usize].len()
    }

    /// The current items of a dataset with event time in `[from, to)` (sortable wire times), by event time.
    fn current(&self, dataset: Dataset, from: &str, to: &str) -> impl Iterator<Item = (&Kept, &Digest, &str)> {
        let range = (from.to_owned(), 0)..(to.to_owned(), 0);
        let range = if from <= to { range } else { (String::new(), 0)..(String::new(), 0) };
        self.by_time[dataset as usize].range(range).filter_map(|(_, index)| {
            let kept = &self.kept[*index];
            let (digest, time) = kept.history.last()?.1.as_ref()?;
            Some((kept, digest, time.as_str()))
        })
    }

    /// The numbers of the orders that have an item of the dataset with event time in `[from, to)`, ascending.
    pub fn numbers(&self, dataset: Dataset, from: &str, to: &str) -> BTreeSet<String> {
        self.current(dataset, from, to).map(|(kept, ..)| kept.key.number.clone()).collect()
    }

    /// How many items there are in `[from, to)` at a moment (`None` = now).
    pub fn tally(&self, dataset: Dataset, from: &str, to: &str, moment: Option<i64>) -> usize {
        self.items(dataset, from, to, moment).len()
    }

    /// The items in `[from, to)` at a moment: key, digest, event time.
    pub fn items(&self, dataset: Dataset, from: &str, to: &str, moment: Option<i64>) -> Vec<(&ItemKey, Digest, &str)> {
        let Some(moment) = moment else {
            return self.current(dataset, from, to).map(|(kept, digest, time)| (&kept.key, *digest, time)).collect();
        };
        let past = self.kept.iter().filter(|kept| kept.key.dataset == dataset).filter_map(|kept| {
            let (digest, time) = value_at(&kept.history, moment)?;
            let sortable = clock::sort_time(time);
            (sortable.as_str() >= from && sortable.as_str() < to).then_some((&kept.key, *digest, time.as_str()))
        });
        past.collect()
    }

    /// Count and sum of each bucket of `[from, to)` at a moment.
    pub fn buckets(
        &self,
        dataset: Dataset,
        range: (&str, &str),
        grain: Grain,
        moment: Option<i64>,
    ) -> BTreeMap<String, (usize, Digest)> {
        let mut buckets: BTreeMap<String, (usize, Digest)> = BTreeMap::new();
        let mut count = |time: &str, element: &Digest| {
            if let Some(start) = grain.start(range.0, time) {
                let (items, sum) = buckets.entry(start).or_default();
                *items += 1;
                digest::add(sum, element);
            }
        };
        if moment.is_none() {
            self.current(dataset, range.0, range.1).for_each(|(kept, _, time)| count(time, &kept.element));
        } else {
            let past = self.items(dataset, range.0, range.1, moment);
            past.into_iter().for_each(|(key, digest, time)| count(time, &digest::element(key, &digest)));
        }
        buckets
    }

    /// The history of one item, oldest first.
    pub fn history(&self, dataset: Dataset, number: &str, part: &str) -> Vec<Version> {
        let matching = |kept: &&Kept| kept.key.dataset == dataset && kept.key.number == number && kept.key.part == part;
        self.kept.iter().find(matching).map(|kept| kept.history.clone()).unwrap_or_default()
    }
}

fn value_at(history: &[Version], moment: i64) -> Option<&(Digest, String)> {
    history.iter().rev().find(|(at, _)| *at <= moment)?.1.as_ref()
}
