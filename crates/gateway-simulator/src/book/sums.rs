//! Sums kept as items come and go, so that an account over any range costs as much as it has buckets, not items.
//!
//! Two levels: ten minutes and days. A date-only item belongs to its day alone; so do the totals of months and of whole ranges, which are
//! added up from days. Only the ends of a range that cut a bucket make somebody look at items.

use std::collections::BTreeMap;

use crate::digest::{self, Digest};

/// Count and sum of some items.
pub type Sum = (usize, Digest);

/// Adds one to the other.
pub fn merge(sum: &mut Sum, other: &Sum) {
    sum.0 += other.0;
    digest::add(&mut sum.1, &other.1);
}

/// The sums of one dataset.
#[derive(Default)]
pub struct Sums {
    /// By the first 15 characters of the event time; items with a time of day only.
    ten_minutes: BTreeMap<String, Sum>,
    /// By the first 10 characters of the event time; all items.
    days: BTreeMap<String, Sum>,
}

impl Sums {
    /// An item came.
    pub fn add(&mut self, time: &str, element: &Digest) {
        for (buckets, key) in self.places(time) {
            merge(buckets.entry(key).or_default(), &(1, *element));
        }
    }

    /// An item went.
    pub fn subtract(&mut self, time: &str, element: &Digest) {
        for (buckets, key) in self.places(time) {
            if let Some((count, sum)) = buckets.get_mut(&key) {
                *count = count.saturating_sub(1);
                digest::subtract(sum, element);
                if *count == 0 {
                    buckets.remove(&key);
                }
            }
        }
    }

    fn places(&mut self, time: &str) -> impl Iterator<Item = (&mut BTreeMap<String, Sum>, String)> {
        let day = time.get(..10).map(|key| (&mut self.days, key.to_owned()));
        let slot = time.get(..15).map(|key| (&mut self.ten_minutes, key.to_owned()));
        day.into_iter().chain(slot)
    }

    /// The ten-minute buckets with `from ≤ start < to`: their start's first 15 characters and sum.
    pub fn ten_minutes<'a>(&'a self, from: &str, to: &str) -> impl Iterator<Item = (&'a String, &'a Sum)> {
        range(&self.ten_minutes, from, to, 15)
    }

    /// The days with `from ≤ start < to`: the day and its sum.
    pub fn days<'a>(&'a self, from: &str, to: &str) -> impl Iterator<Item = (&'a String, &'a Sum)> {
        range(&self.days, from, to, 10)
    }
}

fn range<'a>(
    buckets: &'a BTreeMap<String, Sum>,
    from: &str,
    to: &str,
    length: usize,
) -> impl Iterator<Item = (&'a String, &'a Sum)> {
    let cut = |time: &str| time.get(..length).unwrap_or(time).to_owned();
    let (from, to) = (cut(from), cut(to));
    let empty = from >= to;
    buckets.range(from..).take_while(move |(key, _)| !empty && **key < to)
}

/// Whether a sortable time begins a ten-minute bucket.
pub fn begins_slot(time: &str) -> bool {
    time.get(15..).is_none_or(|rest| rest == "0:00")
}

/// Whether a sortable time begins a day.
pub fn begins_day(time: &str) -> bool {
    time.get(10..).is_none_or(|rest| rest == " 00:00:00")
}
