//! How often, how far and how much: the settings of a channel's reconciliation.

use gateway_model::{Day, Timestamp};
use serde::{Deserialize, Serialize};

/// Settings of reconciliation; the defaults are for production.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconcileConfig {
    /// Between two comparisons of the recent past.
    pub recent_every_ms: u64,
    /// How far back the recent past reaches; whole days are compared.
    pub recent_span_ms: u64,
    /// Between two comparisons of everything.
    pub whole_every_ms: u64,
    /// The lateness allowance: not before this time after the first look is a difference looked at again and called a gap. Must exceed the
    /// age that a manifest may have.
    pub second_look_after_ms: u64,
    /// How long a repair may take before the next generation is begun.
    pub repair_patience_ms: u64,
    /// Whether gaps are repaired without being asked.
    pub auto_repair: bool,
    /// How many repairs a gap gets before it is left to a person.
    pub max_generations: u32,
    /// Over this share of a dataset's items nothing is repaired automatically: something else is wrong.
    pub max_repair_share: f64,
    /// Up to this many gaps of a dataset are always repaired, whatever their share.
    pub repair_share_floor: u64,
    /// How many repairs begin in one round, so that they never crowd out live traffic.
    pub repairs_per_round: usize,
    /// Manifest calls in one round; the rest follows in the next.
    pub max_calls_per_round: u64,
    /// Items listed in one round; the rest follows in the next.
    pub max_ids_per_round: u64,
    /// Items listed in one call, where windows are joined.
    pub ids_per_call: u64,
    /// Buckets asked for in one call, where windows are joined.
    pub buckets_per_call: u32,
    /// Two differing windows are asked for in one call when at most this many buckets lie between them.
    pub merge_between_buckets: u32,
    /// A differing bucket with at most this many items is listed at once instead of narrowed further.
    pub list_below_items: u64,
    /// With this many suspicions and gaps, comparing waits until looks and repairs have caught up.
    pub max_active: usize,
    /// The oldest event time that is compared, unless the channel or the book knows older ones.
    pub since: Day,
    /// Event times from here on are not compared. Far ahead, since sources do hold orders dated 2099.
    pub until: Day,
    /// For how long a round keeps the channel's lease.
    pub lease_ms: u64,
}

impl Default for ReconcileConfig {
    fn default() -> Self {
        Self {
            recent_every_ms: 60_000,
            recent_span_ms: 2 * 86_400_000,
            whole_every_ms: 3_600_000,
            second_look_after_ms: 120_000,
            repair_patience_ms: 120_000,
            auto_repair: true,
            max_generations: 3,
            max_repair_share: 0.5,
            repair_share_floor: 1_000,
            repairs_per_round: 200,
            max_calls_per_round: 200,
            max_ids_per_round: 20_000,
            ids_per_call: 5_000,
            buckets_per_call: 1_000,
            merge_between_buckets: 24,
            list_below_items: 24,
            max_active: 20_000,
            since: Day::constant(2000, 1, 1),
            until: Day::constant(2101, 1, 1),
            lease_ms: 60_000,
        }
    }
}

/// Defences against false alarms. Switched off only by a test that proves that they are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defences {
    /// A difference becomes a gap only when a second look, after the lateness allowance, sees the very same.
    pub second_look: bool,
}

impl Default for Defences {
    fn default() -> Self {
        Self { second_look: true }
    }
}

/// An instant some milliseconds later; the end of time when there is none.
pub(crate) fn later(at: Timestamp, ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(at.as_millisecond().saturating_add(ms)).unwrap_or(Timestamp::MAX)
}

/// An instant some milliseconds earlier; the beginning of time when there is none.
pub(crate) fn earlier(at: Timestamp, ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(at.as_millisecond().saturating_sub(ms)).unwrap_or(Timestamp::MIN)
}
