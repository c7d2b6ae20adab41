//! Whether an account can be what it says it is.
//!
//! A manifest that contradicts itself is worth nothing: it is asked for once more and then reported, and never the ground of a repair. A peer that
//! forges a consistent account can't be seen through here; the share cap of repair is the defence against that.

use crate::compare::{Differing, Tally, bucket_in};
use gateway_model::{BookItem, Bucket, Dataset, Grain, Timestamp, Window};
use std::collections::HashSet;

/// Why an account contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreliable {
    /// A bucket outside the window, or one that does not begin where buckets of the grain begin.
    #[error("a bucket is outside the window or begins where none can")]
    BucketPlace,
    /// A bucket is there twice.
    #[error("a bucket is there twice")]
    BucketTwice,
    /// A bucket with items without a sum, or a sum without items.
    #[error("a bucket's count and sum contradict each other")]
    BucketEmpty,
    /// An item outside the window.
    #[error("an item is outside the window")]
    ItemPlace,
    /// An item of another dataset.
    #[error("an item is of another dataset")]
    ItemDataset,
    /// The same item is there twice.
    #[error("an item is there twice")]
    ItemTwice,
    /// The list is not what the bucket said just before and just after.
    #[error("the list of a bucket is not what its count and sum say")]
    ListMismatch,
    /// Another kind of account than was asked for, or of another window, dataset or grain.
    #[error("it is not the account that was asked for")]
    Shape,
    /// It was cut off, or is damaged.
    #[error("the account can't be read")]
    Unreadable,
    /// Of three answers in a row the first and the third say the same, and the second does not.
    #[error("the account says now this and now that")]
    Flips,
    /// The records, read by number, say what we hold, and the account says something else.
    #[error("the records say otherwise than the account")]
    RecordsDiffer,
    /// It is the snapshot of long ago, again.
    #[error("the account is a stale snapshot")]
    StaleSnapshot,
    /// It is much older than an account that the channel gave before.
    #[error("the account is older than one given before")]
    GoesBack,
}

impl Unreliable {
    /// A stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Unreliable::BucketPlace => "bucket_misplaced",
            Unreliable::BucketTwice => "bucket_twice",
            Unreliable::BucketEmpty => "bucket_without_sum",
            Unreliable::ItemPlace => "item_outside",
            Unreliable::ItemDataset => "item_of_other_dataset",
            Unreliable::ItemTwice => "item_twice",
            Unreliable::ListMismatch => "list_not_as_counted",
            Unreliable::Shape => "other_account",
            Unreliable::Unreadable => "unreadable",
            Unreliable::Flips => "flips",
            Unreliable::RecordsDiffer => "records_differ",
            Unreliable::StaleSnapshot => "stale_snapshot",
            Unreliable::GoesBack => "goes_back",
        }
    }
}

/// Checks an account by buckets.
///
/// # Errors
/// [`Unreliable`].
pub fn check_buckets(grain: Grain, window: Window, buckets: &[Bucket]) -> Result<(), Unreliable> {
    let mut seen = HashSet::with_capacity(buckets.len());
    for bucket in buckets {
        if !window.contains(bucket.start) || bucket_in(grain, window, bucket.start).start != bucket.start {
            return Err(Unreliable::BucketPlace);
        }
        if !seen.insert(bucket.start) {
            return Err(Unreliable::BucketTwice);
        }
        let empty = Tally::from(*bucket).sum == Tally::default().sum;
        if empty != (bucket.count == 0) {
            return Err(Unreliable::BucketEmpty);
        }
    }
    Ok(())
}

/// Checks an account by items.
///
/// # Errors
/// [`Unreliable`].
pub fn check_items(dataset: Dataset, window: Window, items: &[BookItem]) -> Result<(), Unreliable> {
    let mut seen = HashSet::with_capacity(items.len());
    for item in items {
        if item.key.dataset != dataset {
            return Err(Unreliable::ItemDataset);
        }
        if !window.contains(item.event_time.start()) {
            return Err(Unreliable::ItemPlace);
        }
        if !seen.insert(&item.key) {
            return Err(Unreliable::ItemTwice);
        }
    }
    Ok(())
}

/// The buckets among `said` (accounts at `grain`, all inside the listed window) whose list says otherwise.
#[must_use]
pub fn contradicted<'a>(grain: Grain, said: &'a [Differing], listed: Window, items: &[BookItem]) -> Vec<&'a Differing> {
    let inside = |window: &Window| window.intersect(&listed) == *window;
    let counted = |window: Window| {
        let in_bucket = |item: &&BookItem| {
            grain.bucket_start(item.event_time).is_some() && window.contains(item.event_time.start())
        };
        Tally::of(items.iter().filter(in_bucket))
    };
    let as_said = |said: &Differing| {
        let counted = counted(said.window);
        // Some peers only count.
        if said.theirs.sum == Tally::default().sum {
            counted.count == said.theirs.count
        } else {
            counted == said.theirs
        }
    };
    said.iter().filter(|said| inside(&said.window) && !as_said(said)).collect()
}

/// Whether a list says otherwise than the whole account of its window at `grain`: a bucket differs, or an item is in none.
#[must_use]
pub fn contradicts_whole(grain: Grain, said: &[Differing], listed: Window, items: &[BookItem]) -> bool {
    let uncounted = |item: &BookItem| {
        grain.bucket_start(item.event_time).is_some()
            && !said.iter().any(|one| one.window.contains(item.event_time.start()))
    };
    items.iter().any(uncounted) || !contradicted(grain, said, listed, items).is_empty()
}

/// Whether a list contradicts an account that was the same before and after it: only then it is no mere change in between.
#[must_use]
pub fn proves_lie(before: (Timestamp, Tally), list_as_of: Timestamp, after: (Timestamp, Tally)) -> bool {
    before.0 <= list_as_of && list_as_of <= after.0 && before.1 == after.1
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use gateway_model::{Digest, ItemKey, Moment, Part, SourceNumber, day_of};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn item(number: &str, time: &str) -> BookItem {
        let key = ItemKey {
            dataset: Dataset::Acceptance,
            number: SourceNumber::new(number).unwrap(),
            day: day_of(at(time)),
            part: Part::Cycle(0),
        };
        BookItem { key, event_time: Moment::At(at(time)), digest: Digest([7; 32]) }
    }

    fn hour() -> Window {
        Window::new(at("2026-01-05T01:00:00Z"), at("2026-01-05T02:00:00Z"))
    }

    #[test]
    fn an_item_twice_or_outside_or_of_another_dataset_is_seen() {
        let good = item("1", "2026-01-05T01:10:00Z");
        assert_eq!(check_items(Dataset::Acceptance, hour(), std::slice::from_ref(&good)), Ok(()));
        let twice = [good.clone(), good.clone()];
        assert_eq!(check_items(Dataset::Acceptance, hour(), &twice), Err(Unreliable::ItemTwice));
        let outside = [item("1", "2026-01-05T02:00:00Z")];
        assert_eq!(check_items(Dataset::Acceptance, hour(), &outside), Err(Unreliable::ItemPlace));
        assert_eq!(check_items(Dataset::Handling, hour(), &[good]), Err(Unreliable::ItemDataset));
    }

    #[test]
    fn a_bucket_twice_misplaced_or_contradicting_itself_is_seen() {
        let sum = item("1", "2026-01-05T01:10:00Z").element();
        let bucket = |start: &str, count| Bucket { start: at(start), count, sum };
        let good = bucket("2026-01-05T01:10:00Z", 1);
        let check = |buckets: &[Bucket]| check_buckets(Grain::TenMinutes, hour(), buckets);
        assert_eq!(check(&[good]), Ok(()));
        assert_eq!(check(&[good, good]), Err(Unreliable::BucketTwice));
        assert_eq!(check(&[bucket("2026-01-05T01:11:00Z", 1)]), Err(Unreliable::BucketPlace));
        assert_eq!(check(&[bucket("2026-01-05T02:00:00Z", 1)]), Err(Unreliable::BucketPlace));
        assert_eq!(check(&[bucket("2026-01-05T01:10:00Z", 0)]), Err(Unreliable::BucketEmpty));
    }

    #[test]
    fn a_total_begins_where_its_window_does_and_is_held_against_its_list() {
        let items = [item("1", "2026-01-05T01:10:00Z"), item("2", "2026-01-05T01:20:00Z")];
        let tally = Tally::of(&items);
        let bucket = |start: &str| Bucket { start: at(start), count: tally.count, sum: tally.sum };
        let check = |buckets: &[Bucket]| check_buckets(Grain::Total, hour(), buckets);
        assert_eq!(check(&[bucket("2026-01-05T01:00:00Z")]), Ok(()));
        assert_eq!(check(&[bucket("2026-01-05T01:10:00Z")]), Err(Unreliable::BucketPlace));
        assert_eq!(check(&[]), Ok(()));
        let said = [Differing { window: hour(), ours: Tally::default(), theirs: tally }];
        assert!(contradicted(Grain::Total, &said, hour(), &items).is_empty());
        assert_eq!(contradicted(Grain::Total, &said, hour(), &items[..1]).len(), 1);
    }

    #[test]
    fn a_list_that_is_not_what_its_bucket_says_is_seen() {
        let items = [item("1", "2026-01-05T01:10:00Z"), item("2", "2026-01-05T01:20:00Z")];
        let said = |start: &str, items: &[BookItem]| Differing {
            window: Grain::TenMinutes.bucket(at(start)),
            ours: Tally::default(),
            theirs: Tally::of(items),
        };
        let honest = [said("2026-01-05T01:10:00Z", &items[..1]), said("2026-01-05T01:20:00Z", &items[1..])];
        assert!(contradicted(Grain::TenMinutes, &honest, hour(), &items).is_empty());
        assert_eq!(contradicted(Grain::TenMinutes, &honest, hour(), &items[..1]).len(), 1);
        // A whole account counts every item.
        assert!(!contradicts_whole(Grain::TenMinutes, &honest, hour(), &items));
        assert!(contradicts_whole(Grain::TenMinutes, &honest[..1], hour(), &items));
        assert!(contradicts_whole(Grain::TenMinutes, &honest, hour(), &items[..1]));
        let (early, late) = (at("2026-01-05T03:00:00Z"), at("2026-01-05T03:00:02Z"));
        let (one, two) = (Tally::of(&items[..1]), Tally::of(&items));
        assert!(proves_lie((early, one), early, (late, one)));
        assert!(!proves_lie((early, one), early, (late, two)), "it changed in between");
        assert!(!proves_lie((late, one), early, (late, one)), "the list is from an older snapshot");
    }
}
