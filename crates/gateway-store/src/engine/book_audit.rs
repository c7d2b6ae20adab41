//! Adding our own books up again: which sums items come to, and where the kept ones differ.

use super::Result;
use super::book_change::Held;
use super::column::{from_ms, to_ms};
use crate::BucketDamage;
use gateway_model::{BookSide, BucketSum, Grain, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Grains that are added up from items.
pub(crate) const FROM_ITEMS: [Grain; 3] = [Grain::Day, Grain::Hour, Grain::TenMinutes];

/// Count and sum by grain, start, version of the projection and side.
pub(crate) type Sums = BTreeMap<(Grain, i64, u32, BookSide), (i64, BucketSum)>;

/// Adds an item to the sums that it belongs to.
pub(crate) fn add_item(sums: &mut Sums, held: &Held) {
    for grain in FROM_ITEMS {
        if let Some(start) = grain.bucket_start(held.item.event_time) {
            let sum = sums.entry((grain, to_ms(start), held.projection_version, held.side)).or_default();
            *sum = (sum.0 + 1, sum.1.plus(held.item.element()));
        }
    }
}

/// The sums of a month from those of its days.
pub(crate) fn month_of(days: Sums, month: Timestamp) -> Sums {
    let mut sums = Sums::new();
    for ((_, _, version, side), (count, sum)) in days {
        let total = sums.entry((Grain::Month, to_ms(month), version, side)).or_default();
        *total = (total.0 + count, total.1.plus(sum));
    }
    sums
}

/// Where kept sums are not those of the items; empty buckets are not kept.
pub(crate) fn damage(kept: &Sums, items: &Sums) -> Result<Vec<BucketDamage>> {
    let keys: BTreeSet<_> = kept.keys().chain(items.keys()).collect();
    let mut found = Vec::new();
    for key @ (grain, start, version, side) in keys {
        let (kept, items) = (kept.get(key).copied().unwrap_or_default(), items.get(key).copied().unwrap_or_default());
        if kept != items {
            let start = from_ms(*start)?;
            found.push(BucketDamage { projection_version: *version, grain: *grain, start, side: *side, kept, items });
        }
    }
    Ok(found)
}

/// The ranges within `from..to` that none of the ascending `held` offsets is in.
pub(crate) fn missing(held: Vec<i64>, from: u64, to: u64) -> Vec<(u64, u64)> {
    let mut missing = Vec::new();
    let mut next = from;
    for offset in held.into_iter().map(|offset| u64::try_from(offset).unwrap_or(0)).chain([to]) {
        if offset > next {
            missing.push((next, offset));
        }
        next = offset + 1;
    }
    missing
}
