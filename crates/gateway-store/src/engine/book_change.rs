//! What a change of the state book comes to: items, and the sums of the buckets that they lie in.

use super::Result;
use super::column::{Cells, Columns, from_ms, to_ms};
use crate::{BookPut, StoreError};
use gateway_model::{BookItem, BookSide, BucketSum, ChannelId, Dataset, Grain, ItemKey};
use std::collections::BTreeMap;

/// Channel and item.
pub(crate) type Key = (ChannelId, ItemKey);

/// An item as the book holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) side: BookSide,
    pub(crate) projection_version: u32,
    pub(crate) item: BookItem,
}

/// A bucket of the state book.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BucketKey {
    pub(crate) channel: ChannelId,
    pub(crate) dataset: Dataset,
    pub(crate) projection_version: u32,
    pub(crate) grain: Grain,
    pub(crate) start_ms: i64,
    pub(crate) side: BookSide,
}

/// Count and sum of a bucket, or what is added to both.
pub(crate) type Sum = (i64, BucketSum);

#[derive(Default)]
struct Deltas(BTreeMap<BucketKey, Sum>);

impl Deltas {
    fn count(&mut self, channel: &ChannelId, held: &Held, adding: bool) {
        let element = held.item.element();
        for grain in Grain::BUCKETS {
            let Some(start) = grain.bucket_start(held.item.event_time) else {
                continue;
            };
            let key = BucketKey {
                channel: channel.clone(),
                dataset: held.item.key.dataset,
                projection_version: held.projection_version,
                grain,
                start_ms: to_ms(start),
                side: held.side,
            };
            let (count, sum) = self.0.entry(key).or_default();
            if adding {
                *count += 1;
                *sum = sum.plus(element);
            } else {
                *count -= 1;
                *sum = sum.minus(element);
            }
        }
    }
}

/// What changes are asked for; of two for one key the later counts.
pub(crate) fn wanted(puts: Vec<BookPut>) -> BTreeMap<Key, Option<Held>> {
    puts.into_iter()
        .map(|put| match put {
            BookPut::Put { channel, side, projection_version, item } => {
                let held = Held { side, projection_version, item };
                ((channel, held.item.key.clone()), Some(held))
            }
            BookPut::Remove { channel, key } => ((channel, key), None),
        })
        .collect()
}

/// What is to be written.
pub(crate) struct BookChange {
    pub(crate) written: Vec<(ChannelId, Held)>,
    pub(crate) removed: Vec<Key>,
    deltas: Deltas,
}

impl BookChange {
    /// From what is wanted and what was held; what is held already changes nothing.
    pub(crate) fn of(wanted: BTreeMap<Key, Option<Held>>, mut before: BTreeMap<Key, Held>) -> Self {
        let mut change = Self { written: Vec::new(), removed: Vec::new(), deltas: Deltas::default() };
        for (key, new) in wanted {
            let old = before.remove(&key);
            if old == new {
                continue;
            }
            if let Some(old) = &old {
                change.deltas.count(&key.0, old, false);
            }
            match new {
                Some(new) => {
                    change.deltas.count(&key.0, &new, true);
                    change.written.push((key.0, new));
                }
                None => change.removed.push(key),
            }
        }
        change.deltas.0.retain(|_, delta| *delta != (0, BucketSum::ZERO));
        change
    }

    /// The buckets that change.
    pub(crate) fn touched(&self) -> impl ExactSizeIterator<Item = &BucketKey> {
        self.deltas.0.keys()
    }

    /// The sums of these buckets as they are from now on; an empty one is [`is_empty`].
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a bucket did not hold what is taken out of it.
    pub(crate) fn sums(self, mut kept: BTreeMap<BucketKey, Sum>) -> Result<Vec<(BucketKey, Sum)>> {
        let add = |(key, (count, sum)): (BucketKey, Sum)| {
            let (old_count, old_sum) = kept.remove(&key).unwrap_or_default();
            let new = (old_count + count, old_sum.plus(sum));
            if !is_empty(&new) && new.0 <= 0 {
                let start = from_ms(key.start_ms)?;
                return Err(StoreError::damaged(format!(
                    "the bucket of {} {} {} at {start} does not hold its items",
                    key.channel, key.dataset, key.grain
                )));
            }
            Ok((key, new))
        };
        self.deltas.0.into_iter().map(add).collect()
    }
}

/// Whether nothing is in a bucket.
pub(crate) fn is_empty(sum: &Sum) -> bool {
    *sum == (0, BucketSum::ZERO)
}

/// Reads the columns dataset, number, day, part, side, projection_version, event_time, digest.
pub(crate) fn read_held<R: Cells>(columns: &mut Columns<'_, R>) -> Result<Held> {
    let key = ItemKey { dataset: columns.word()?, number: columns.id()?, day: columns.word()?, part: columns.word()? };
    let side = read_side(columns)?;
    Ok(Held {
        side,
        projection_version: columns.small()?,
        item: BookItem { key, event_time: columns.moment()?, digest: columns.digest()? },
    })
}

/// Reads the column side.
pub(crate) fn read_side<R: Cells>(columns: &mut Columns<'_, R>) -> Result<BookSide> {
    let text = columns.string()?;
    [BookSide::Source, BookSide::Sent]
        .into_iter()
        .find(|side| side.as_str() == text)
        .ok_or_else(|| StoreError::damaged(format!("the state book has side `{text}`")))
}

/// Reads the columns channel, dataset, projection_version, grain, bucket start, side, count, sum.
pub(crate) fn read_bucket<R: Cells>(columns: &mut Columns<'_, R>) -> Result<(BucketKey, Sum)> {
    let key = BucketKey {
        channel: columns.id()?,
        dataset: columns.word()?,
        projection_version: columns.small()?,
        grain: columns.word()?,
        start_ms: columns.int()?,
        side: read_side(columns)?,
    };
    Ok((key, (columns.int()?, BucketSum(columns.hash()?))))
}
