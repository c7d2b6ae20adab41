//! What differs between two accounts, bucket by bucket and item by item. Pure.
//!
//! The book and the channel's manifest are the same shape, so comparing is subtraction. An item is the same on both sides when its digest is
//! the same *and* its event time falls into the same buckets: what the sums see. Comparing the times more exactly would find differences in
//! listed buckets that the sums of unlisted ones never show. A coarse sum can't see an item that moved inside its bucket with an unchanged
//! digest; so the event time belongs to the compared fields, or must be one that never changes, as the creation time.

use gateway_model::{BookItem, Bucket, BucketSum, Grain, ItemKey, Moment, Timestamp, Window};
use gateway_store::StoredItem;
use std::collections::BTreeMap;

/// Count and sum of some items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The sum of their elements.
    pub sum: BucketSum,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Tally) -> Tally {
        Tally { count: self.count.wrapping_add(other.count), sum: self.sum.plus(other.sum) }
    }

    /// What is left without the other; wraps, so it is only good for comparing with another such rest.
    #[must_use]
    pub fn minus(self, other: Tally) -> Tally {
        Tally { count: self.count.wrapping_sub(other.count), sum: self.sum.minus(other.sum) }
    }

    /// The tally of some items.
    pub fn of<'a>(items: impl IntoIterator<Item = &'a BookItem>) -> Tally {
        let one = |item: &BookItem| Tally { count: 1, sum: item.element() };
        items.into_iter().fold(Tally::default(), |tally, item| tally.plus(one(item)))
    }
}

impl From<Bucket> for Tally {
    fn from(bucket: Bucket) -> Self {
        Self { count: bucket.count, sum: bucket.sum }
    }
}

/// A bucket whose accounts differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Differing {
    /// The bucket.
    pub window: Window,
    /// Our account.
    pub ours: Tally,
    /// The channel's.
    pub theirs: Tally,
}

impl Differing {
    /// Theirs without ours.
    #[must_use]
    pub fn delta(&self) -> Tally {
        self.theirs.minus(self.ours)
    }
}

/// The buckets of an account of `window` that differ, ascending.
#[must_use]
pub fn narrow(grain: Grain, window: Window, ours: &[Bucket], theirs: &[Bucket]) -> Vec<Differing> {
    let mut both: BTreeMap<Timestamp, (Tally, Tally)> = BTreeMap::new();
    for bucket in ours {
        let entry = both.entry(bucket.start).or_default();
        entry.0 = entry.0.plus((*bucket).into());
    }
    for bucket in theirs {
        let entry = both.entry(bucket.start).or_default();
        entry.1 = entry.1.plus((*bucket).into());
    }
    both.into_iter()
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(start, (ours, theirs))| Differing { window: bucket_in(grain, window, start), ours, theirs })
        .collect()
}

/// The window of the bucket that begins at `start`, in an account of `window`.
#[must_use]
pub fn bucket_in(grain: Grain, window: Window, start: Timestamp) -> Window {
    if grain == Grain::Total { window } else { grain.bucket(start) }
}

/// One key on which the two sides differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The key.
    pub key: ItemKey,
    /// What the channel holds.
    pub theirs: Option<BookItem>,
    /// What our book says it holds.
    pub ours: Option<StoredItem>,
}

/// Whether the sums of both sides see the same item.
#[must_use]
pub fn same_item(theirs: &BookItem, ours: &BookItem) -> bool {
    let place =
        |item: &BookItem| (Grain::Day.bucket_start(item.event_time), Grain::TenMinutes.bucket_start(item.event_time));
    theirs.digest == ours.digest && place(theirs) == place(ours)
}

/// Whether both sides hold the same, or both nothing.
#[must_use]
pub fn in_step(theirs: Option<&BookItem>, ours: Option<&StoredItem>) -> bool {
    match (theirs, ours) {
        (None, None) => true,
        (Some(theirs), Some(ours)) => same_item(theirs, &ours.item),
        _ => false,
    }
}

/// The keys on which two lists differ, ascending by key.
#[must_use]
pub fn diff(ours: &[StoredItem], theirs: &[BookItem]) -> Vec<Difference> {
    let mut both: BTreeMap<&ItemKey, (Option<&BookItem>, Option<&StoredItem>)> = BTreeMap::new();
    for item in theirs {
        both.entry(&item.key).or_default().0 = Some(item);
    }
    for item in ours {
        both.entry(&item.item.key).or_default().1 = Some(item);
    }
    both.into_iter()
        .filter(|(_, (theirs, ours))| !in_step(*theirs, *ours))
        .map(|(key, (theirs, ours))| Difference { key: key.clone(), theirs: theirs.cloned(), ours: ours.cloned() })
        .collect()
}

/// The second that an event time lies in: the narrowest window that every channel with ids can list. A date-only time lies in the first second
/// of its day.
#[must_use]
pub fn item_window(event_time: Moment) -> Window {
    let start = event_time.start().as_second();
    let instant = |second| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    Window::new(instant(start), instant(start + 1))
}

/// Joins windows, ascending; `worth` tells whether a window (first) is worth prolonging until the end of another (second).
#[must_use]
pub fn join_windows(mut windows: Vec<Window>, worth: impl Fn(&Window, &Window) -> bool) -> Vec<Window> {
    windows.sort_by_key(|window| (window.start, window.end));
    let mut joined: Vec<Window> = Vec::new();
    for window in windows {
        match joined.last_mut() {
            Some(last) if window.end <= last.end => {}
            Some(last) if worth(last, &window) => last.end = window.end,
            _ => joined.push(window),
        }
    }
    joined
}
