//! How often, how far and how much: the settings of a channel's reconciliation.

use gateway_model::{Day, Timestamp};
use serde::{Deserialize, Serialize};

const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;

/// A part of the past that is compared at its own pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// How far back it reaches; whole days are compared.
    pub reach_ms: u64,
    /// Between two comparisons.
    pub every_ms: u64,
}

/// Settings of reconciliation; the defaults are for production.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconcileConfig {
    /// Between two comparisons of the recent past.
    pub recent_every_ms: u64,
    /// How far back the recent past reaches; whole days are compared.
    pub recent_span_ms: u64,
    /// Older parts of the past, each compared more rarely than the one before it.
    pub tiers: Vec<Tier>,
    /// Between two comparisons of everything; at most 31 days.
    pub whole_every_ms: u64,
    /// Without a comparison, or without a poll, for so long there was an outage: what happened meanwhile is compared at once, then everything.
    pub outage_after_ms: u64,
    /// How far before an outage its comparison begins.
    pub outage_margin_ms: u64,
    /// The least lateness allowance: not before this time after the first look is a difference looked at again and called a gap.
    pub second_look_min_ms: u64,
    /// The greatest lateness allowance, however late records are seen to come.
    pub second_look_max_ms: u64,
    /// How old an account may be; an older one is a stale snapshot, from which nothing is concluded.
    pub manifest_age_max_ms: u64,
    /// A confirmed gap joins the channel's youngest group if that one confirmed its last gap less than this ago.
    pub group_within_ms: u64,
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
    /// How many repairs begin in a minute.
    pub repairs_per_minute: u64,
    /// Repairs pause while more re-reads and backfills than this wait for the channel already.
    pub repairs_waiting_max: u64,
    /// Repairs pause while the oldest delivery owed to the channel waits longer than this.
    pub delivery_wait_max_ms: u64,
    /// Manifest calls in one round; the rest follows in the next.
    pub max_calls_per_round: u64,
    /// Items listed in one round; the rest follows in the next.
    pub max_ids_per_round: u64,
    /// Bytes of accounts in one round; the rest follows in the next.
    pub max_bytes_per_round: u64,
    /// Manifest calls in one hour.
    pub max_calls_per_hour: u64,
    /// Bytes of accounts in one hour.
    pub max_bytes_per_hour: u64,
    /// Items listed in one call, where windows are joined.
    pub ids_per_call: u64,
    /// Buckets asked for in one call, where windows are joined.
    pub buckets_per_call: u32,
    /// Two differing windows are asked for in one call when at most this many buckets lie between them.
    pub merge_between_buckets: u32,
    /// A differing bucket with at most this many items is listed at once instead of narrowed further.
    pub list_below_items: u64,
    /// A total that differs is halved by further totals until its window has split so often into two halves that both differ; from there on it is
    /// narrowed by buckets. Halving takes more calls and far fewer bytes, as long as few things differ; 0 = never.
    pub halving_splits: u32,
    /// With this many suspicions and gaps, comparing waits until looks and repairs have caught up.
    pub max_active: usize,
    /// The oldest event time that is compared, unless the channel or the book knows older ones.
    pub since: Day,
    /// Event times from here on are not compared. Far ahead, since sources do hold orders dated 2099.
    pub until: Day,
    /// How long the channel's lease outlasts its last renewal. It is renewed at a third of it while the channel is asked.
    pub lease_ms: u64,
    /// How long a file that a record refers to may take before it is called missing.
    pub attachment_allowance_ms: u64,
    /// Between two rounds of the audit of our own books.
    pub audit_every_ms: u64,
    /// How many items of our own book an audit round adds up again, at most.
    pub audit_items_per_round: u32,
}

impl Default for ReconcileConfig {
    fn default() -> Self {
        Self {
            recent_every_ms: 60_000,
            recent_span_ms: 2 * DAY_MS,
            tiers: vec![
                Tier { reach_ms: 14 * DAY_MS, every_ms: HOUR_MS },
                Tier { reach_ms: 100 * DAY_MS, every_ms: 6 * HOUR_MS },
            ],
            whole_every_ms: DAY_MS,
            outage_after_ms: 10 * 60_000,
            outage_margin_ms: HOUR_MS,
            second_look_min_ms: 120_000,
            second_look_max_ms: 1_800_000,
            manifest_age_max_ms: HOUR_MS,
            group_within_ms: HOUR_MS,
            repair_patience_ms: 120_000,
            auto_repair: true,
            max_generations: 3,
            max_repair_share: 0.5,
            repair_share_floor: 1_000,
            repairs_per_round: 200,
            repairs_per_minute: 1_200,
            repairs_waiting_max: 1_000,
            delivery_wait_max_ms: 300_000,
            max_calls_per_round: 200,
            max_ids_per_round: 20_000,
            max_bytes_per_round: 16 << 20,
            max_calls_per_hour: 6_000,
            max_bytes_per_hour: 256 << 20,
            ids_per_call: 5_000,
            buckets_per_call: 1_000,
            merge_between_buckets: 24,
            list_below_items: 24,
            halving_splits: 5,
            max_active: 20_000,
            since: Day::constant(2000, 1, 1),
            until: Day::constant(2101, 1, 1),
            lease_ms: 8_000,
            attachment_allowance_ms: HOUR_MS,
            audit_every_ms: 60_000,
            audit_items_per_round: 5_000,
        }
    }
}

impl ReconcileConfig {
    /// The longest that everything may go without being compared.
    pub const WHOLE_AT_LEAST_EVERY_MS: u64 = 31 * DAY_MS;

    /// What makes no sense: key and text, as many as there are.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        let mut wrong = |bad: bool, key: &str, text: &str| {
            if bad {
                mistakes.push((key.to_owned(), text.to_owned()));
            }
        };
        wrong(self.recent_every_ms == 0, "recent_every_ms", "must be at least 1");
        wrong(
            self.whole_every_ms == 0 || self.whole_every_ms > Self::WHOLE_AT_LEAST_EVERY_MS,
            "whole_every_ms",
            "must be 1 to 2678400000 (31 days): everything is compared at least monthly",
        );
        wrong(
            self.second_look_min_ms == 0 || self.second_look_min_ms > self.second_look_max_ms,
            "second_look_min_ms",
            "must be at least 1 and at most second_look_max_ms",
        );
        wrong(
            self.outage_after_ms < self.recent_every_ms.saturating_mul(2),
            "outage_after_ms",
            "must be at least twice recent_every_ms, or every pause is an outage",
        );
        wrong(!(0.0..=1.0).contains(&self.max_repair_share), "max_repair_share", "must be 0 to 1");
        wrong(self.audit_every_ms == 0, "audit_every_ms", "must be at least 1");
        wrong(self.since >= self.until, "since", "must be before until");
        let caps = [
            ("repairs_per_round", self.repairs_per_round as u64),
            ("repairs_per_minute", self.repairs_per_minute),
            ("max_calls_per_round", self.max_calls_per_round),
            ("max_ids_per_round", self.max_ids_per_round),
            ("max_bytes_per_round", self.max_bytes_per_round),
            ("max_calls_per_hour", self.max_calls_per_hour),
            ("max_bytes_per_hour", self.max_bytes_per_hour),
            ("ids_per_call", self.ids_per_call),
            ("audit_items_per_round", u64::from(self.audit_items_per_round)),
        ];
        for (key, cap) in caps {
            wrong(cap == 0, key, "must be at least 1");
        }
        let (mut reach, mut every) = (self.recent_span_ms, self.recent_every_ms);
        for (at, tier) in self.tiers.iter().enumerate() {
            let rarer = tier.reach_ms > reach && tier.every_ms >= every && tier.every_ms <= self.whole_every_ms;
            if !rarer {
                let text = "must reach farther back than the one before it, and not be compared more often than that one or more rarely than everything";
                mistakes.push((format!("tiers[{at}]"), text.to_owned()));
            }
            (reach, every) = (tier.reach_ms, tier.every_ms);
        }
        mistakes
    }

    /// How often something that is left is looked at again.
    pub(crate) fn relook_every_ms(&self) -> u64 {
        self.whole_every_ms.min(HOUR_MS)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(config: &ReconcileConfig) -> Vec<String> {
        config.mistakes().into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn the_defaults_make_sense_and_a_month_without_comparing_everything_does_not() {
        assert!(keys(&ReconcileConfig::default()).is_empty());
        let month = ReconcileConfig::WHOLE_AT_LEAST_EVERY_MS;
        assert!(keys(&ReconcileConfig { whole_every_ms: month, ..ReconcileConfig::default() }).is_empty());
        let rarer = ReconcileConfig { whole_every_ms: month + 1, ..ReconcileConfig::default() };
        assert_eq!(keys(&rarer), ["whole_every_ms"]);
    }

    #[test]
    fn tiers_reach_farther_and_come_more_rarely() {
        let tiers = |list: &[(u64, u64)]| {
            let tiers = list.iter().map(|(days, hours)| Tier { reach_ms: days * DAY_MS, every_ms: hours * HOUR_MS });
            keys(&ReconcileConfig { tiers: tiers.collect(), ..ReconcileConfig::default() })
        };
        assert!(tiers(&[(10, 1), (50, 2)]).is_empty());
        assert_eq!(tiers(&[(10, 2), (5, 3)]), ["tiers[1]"]);
        assert_eq!(tiers(&[(10, 3), (50, 2)]), ["tiers[1]"]);
        assert_eq!(tiers(&[(10, 48)]), ["tiers[0]"]);
        assert_eq!(tiers(&[(1, 1)]), ["tiers[0]"]);
    }
}
