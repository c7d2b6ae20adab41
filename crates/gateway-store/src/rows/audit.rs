//! What an audit of our own books finds.

use gateway_model::{BookSide, BucketSum, Grain, Timestamp, Window};

/// A bucket whose kept sum is not the sum of what it is kept of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketDamage {
    /// The version of the projection.
    pub projection_version: u32,
    /// The grain.
    pub grain: Grain,
    /// The bucket.
    pub start: Timestamp,
    /// The side.
    pub side: BookSide,
    /// Count and sum as kept.
    pub kept: (i64, BucketSum),
    /// Count and sum of the items; of a month, of its kept days.
    pub items: (i64, BucketSum),
}

impl BucketDamage {
    /// The bucket's window.
    #[must_use]
    pub fn window(&self) -> Window {
        self.grain.bucket(self.start)
    }
}

/// The audit of one day of a dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayAudit {
    /// How many items were added up.
    pub items: u64,
    /// What does not add up, by grain and time.
    pub damage: Vec<BucketDamage>,
}
