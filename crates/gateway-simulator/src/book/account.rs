//! The platform's account of its items: what its manifest is made from, now and at a past moment, and the oracle that says who was
//! right.
//!
//! Each item keeps its whole history (moment, digest, event time), so that a judge can ask what the platform would have said at
//! the moment of the gateway's second look, and a manifest can honestly be two seconds old. A past account is the current one with
//! what changed since taken back: as dear as the changes, not as the items.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::sums::{self, Sum, Sums, begins_day, begins_slot};
use crate::clock;
use crate::digest::{self, Dataset, Digest, Item, ItemKey};

/// What an item was from some moment on; `None` = it was gone.
pub type Version = (i64, Option<(Digest, String)>);

struct Kept {
    key: ItemKey,
    element: Digest,
    history: Vec<Version>,
}

impl Kept {
    fn current(&self) -> Option<&(Digest, String)> {
        self.history.last()?.1.as_ref()
    }

    fn at(&self, moment: i64) -> Option<&(Digest, String)> {
        let versions = self.history.partition_point(|(at, _)| *at <= moment);
        self.history.get(versions.checked_sub(1)?)?.1.as_ref()
    }
}

/// All items, current and past.
#[derive(Default)]
pub struct Account {
    kept: Vec<Kept>,
    by_key: HashMap<ItemKey, usize>,
    by_time: [BTreeSet<(String, usize)>; 4],
    sums: [Sums; 4],
    /// Which item changed when; moments never go back.
    changes: Vec<(i64, usize)>,
}

/// Grain of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// One bucket for the whole range.
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

    /// The start of the bucket of an event time in a range that begins at `from`; `None` when the time is too coarse for the grain.
    pub fn start(self, event_time: &str, from: &str) -> Option<String> {
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

    /// Whether a bucket of this grain is made of whole days.
    fn of_days(self) -> bool {
        matches!(self, Self::Total | Self::Month | Self::Day)
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
        let dataset = key.dataset as usize;
        let index = match self.by_key.get(&key) {
            Some(&index) => index,
            None => {
                self.by_key.insert(key.clone(), self.kept.len());
                self.kept.push(Kept { key, element: [0; 32], history: Vec::new() });
                self.kept.len() - 1
            }
        };
        let kept = &mut self.kept[index];
        if kept.current() == value.as_ref() {
            return;
        }
        if let Some((_, time)) = kept.current() {
            self.by_time[dataset].remove(&(clock::sort_time(time), index));
            self.sums[dataset].subtract(time, &kept.element);
        }
        if let Some((digest, time)) = &value {
            kept.element = digest::element(&kept.key, digest);
            self.by_time[dataset].insert((clock::sort_time(time), index));
            self.sums[dataset].add(time, &kept.element);
        }
        // A clock that was set back does not make a later version an earlier one.
        let at = at.max(kept.history.last().map_or(i64::MIN, |(last, _)| *last));
        kept.history.push((at, value));
        self.changes.push((at.max(self.changes.last().map_or(i64::MIN, |(last, _)| *last)), index));
    }

    /// How many items a dataset has now.
    pub fn count(&self, dataset: Dataset) -> usize {
        self.by_time[dataset as usize].len()
    }

    /// The current items of a dataset with event time in `[from, to)` (sortable wire times), by event time.
    fn current(&self, dataset: Dataset, from: &str, to: &str) -> impl Iterator<Item = (usize, &Kept, &Digest, &str)> {
        let range = (from.to_owned(), 0)..(to.to_owned(), 0);
        let range = if from <= to { range } else { (String::new(), 0)..(String::new(), 0) };
        self.by_time[dataset as usize].range(range).filter_map(|(_, index)| {
            let kept = &self.kept[*index];
            let (digest, time) = kept.current()?;
            Some((*index, kept, digest, time.as_str()))
        })
    }

    /// The orders that have an item of the dataset with event time in `[from, to)`, ascending: number and day of creation.
    pub fn orders(&self, dataset: Dataset, from: &str, to: &str) -> BTreeSet<(String, String)> {
        let order = |(_, kept, ..): (usize, &Kept, &Digest, &str)| (kept.key.number.clone(), kept.key.day.clone());
        self.current(dataset, from, to).map(order).collect()
    }

    /// The items of a dataset that changed after a moment.
    fn changed_since(&self, dataset: Dataset, moment: i64) -> BTreeSet<usize> {
        let first = self.changes.partition_point(|(at, _)| *at <= moment);
        let changed = self.changes[first..].iter().map(|(_, index)| *index);
        changed.filter(|index| self.kept[*index].key.dataset == dataset).collect()
    }

    /// How many items there are in `[from, to)` at a moment (`None` = now).
    pub fn tally(&self, dataset: Dataset, from: &str, to: &str, moment: Option<i64>) -> usize {
        self.buckets(dataset, (from, to), Grain::Total, moment).values().map(|(count, _)| count).sum()
    }

    /// The items in `[from, to)` at a moment: key, digest, event time.
    pub fn items(&self, dataset: Dataset, from: &str, to: &str, moment: Option<i64>) -> Vec<(&ItemKey, Digest, &str)> {
        let current = self.current(dataset, from, to);
        let Some(moment) = moment else {
            return current.map(|(_, kept, digest, time)| (&kept.key, *digest, time)).collect();
        };
        let changed = self.changed_since(dataset, moment);
        let still = current.filter(|(index, ..)| !changed.contains(index));
        let still = still.map(|(_, kept, digest, time)| (&kept.key, *digest, time));
        let past = changed.iter().filter_map(|index| {
            let kept = &self.kept[*index];
            let (digest, time) = kept.at(moment)?;
            within(time, from, to).then_some((&kept.key, *digest, time.as_str()))
        });
        still.chain(past).collect()
    }

    /// Count and sum of each bucket of `[from, to)` at a moment.
    pub fn buckets(
        &self,
        dataset: Dataset,
        (from, to): (&str, &str),
        grain: Grain,
        moment: Option<i64>,
    ) -> BTreeMap<String, Sum> {
        let mut buckets = self.current_buckets(dataset, from, to, grain);
        let Some(moment) = moment else { return buckets };
        for index in self.changed_since(dataset, moment) {
            let kept = &self.kept[index];
            if let Some((_, time)) = kept.current().filter(|(_, time)| within(time, from, to)) {
                let start = grain.start(time, from);
                if let Some((count, sum)) = start.and_then(|start| buckets.get_mut(&start)) {
                    *count = count.saturating_sub(1);
                    digest::subtract(sum, &kept.element);
                }
            }
            if let Some((digest, time)) = kept.at(moment).filter(|(_, time)| within(time, from, to))
                && let Some(start) = grain.start(time, from)
            {
                sums::merge(buckets.entry(start).or_default(), &(1, digest::element(&kept.key, digest)));
            }
        }
        buckets.retain(|_, (count, _)| *count > 0);
        buckets
    }

    fn current_buckets(&self, dataset: Dataset, from: &str, to: &str, grain: Grain) -> BTreeMap<String, Sum> {
        let mut buckets: BTreeMap<String, Sum> = BTreeMap::new();
        let mut count = |time: &str, sum: &Sum| {
            if let Some(start) = grain.start(time, from) {
                sums::merge(buckets.entry(start).or_default(), sum);
            }
        };
        let sums = &self.sums[dataset as usize];
        if grain.of_days() && begins_day(from) && begins_day(to) {
            sums.days(from, to).for_each(|(day, sum)| count(day, sum));
        } else if !grain.of_days() && begins_slot(from) && begins_slot(to) {
            // A slot's key is cut after its ten minutes; a bucket's start is read from what stands before that.
            sums.ten_minutes(from, to).for_each(|(slot, sum)| count(slot, sum));
        } else {
            self.current(dataset, from, to).for_each(|(_, kept, _, time)| count(time, &(1, kept.element)));
        }
        buckets
    }

    /// The history of one item, oldest first. Where a number was given twice, the item of the newest day.
    pub fn history(&self, dataset: Dataset, number: &str, part: &str) -> Vec<Version> {
        let matching = |kept: &&Kept| kept.key.dataset == dataset && kept.key.number == number && kept.key.part == part;
        let newest = self.kept.iter().filter(matching).max_by(|a, b| a.key.day.cmp(&b.key.day));
        newest.map(|kept| kept.history.clone()).unwrap_or_default()
    }

    /// What an item was at a moment: digest and event time. `None` = there was none.
    pub fn held_at(&self, key: &ItemKey, moment: i64) -> Option<(Digest, &str)> {
        let kept = &self.kept[*self.by_key.get(key)?];
        kept.at(moment).map(|(digest, time)| (*digest, time.as_str()))
    }

    /// Every current item: key, digest, event time.
    pub fn all(&self) -> impl Iterator<Item = (&ItemKey, &Digest, &str)> {
        self.kept.iter().filter_map(|kept| {
            let (digest, time) = kept.current()?;
            Some((&kept.key, digest, time.as_str()))
        })
    }
}

fn within(time: &str, from: &str, to: &str) -> bool {
    let sortable = clock::sort_time(time);
    sortable.as_str() >= from && sortable.as_str() < to
}
