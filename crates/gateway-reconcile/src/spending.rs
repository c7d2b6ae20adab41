//! What was asked of the channel in this hour, and how many repairs began in this minute: caps that a restart does not lift.

use crate::config::{ReconcileConfig, later};
use gateway_model::Timestamp;
use serde::{Deserialize, Serialize};

const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;

/// Spent so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Spending {
    hour_at: Option<Timestamp>,
    calls: u64,
    bytes: u64,
    minute_at: Option<Timestamp>,
    repairs: u64,
}

fn over(since: Option<Timestamp>, ms: u64, now: Timestamp) -> bool {
    // A clock that was set back begins anew.
    since.is_none_or(|since| now >= later(since, ms) || now < since)
}

impl Spending {
    /// Notes a call; its bytes come with the answer.
    pub(crate) fn call(&mut self, now: Timestamp) {
        if over(self.hour_at, HOUR_MS, now) {
            (self.hour_at, self.calls, self.bytes) = (Some(now), 0, 0);
        }
        self.calls += 1;
    }

    /// Notes an answer's bytes.
    pub(crate) fn answer(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// When the channel may be asked again; `None` when it may be now.
    pub(crate) fn rests_until(&self, now: Timestamp, config: &ReconcileConfig) -> Option<Timestamp> {
        let spent = self.calls >= config.max_calls_per_hour || self.bytes >= config.max_bytes_per_hour;
        (spent && !over(self.hour_at, HOUR_MS, now)).then(|| self.hour_at.map(|since| later(since, HOUR_MS))).flatten()
    }

    /// How many repairs may begin now.
    pub(crate) fn repairs_left(&self, now: Timestamp, config: &ReconcileConfig) -> u64 {
        let begun = if over(self.minute_at, MINUTE_MS, now) { 0 } else { self.repairs };
        config.repairs_per_minute.saturating_sub(begun)
    }

    /// Notes repairs that began.
    pub(crate) fn repaired(&mut self, count: u64, now: Timestamp) {
        if over(self.minute_at, MINUTE_MS, now) {
            (self.minute_at, self.repairs) = (Some(now), 0);
        }
        self.repairs += count;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn an_hour_that_is_spent_ends() {
        let config = ReconcileConfig { max_calls_per_hour: 2, max_bytes_per_hour: 100, ..Default::default() };
        let mut spending = Spending::default();
        spending.call(at(0));
        assert_eq!(spending.rests_until(at(1), &config), None);
        spending.call(at(1));
        assert_eq!(spending.rests_until(at(2), &config), Some(at(3_600)));
        assert_eq!(spending.rests_until(at(3_600), &config), None);
        spending.call(at(3_600));
        spending.answer(100);
        assert_eq!(spending.rests_until(at(3_601), &config), Some(at(7_200)));
    }

    #[test]
    fn repairs_have_their_minute() {
        let config = ReconcileConfig { repairs_per_minute: 3, ..Default::default() };
        let mut spending = Spending::default();
        spending.repaired(2, at(0));
        assert_eq!(spending.repairs_left(at(59), &config), 1);
        assert_eq!(spending.repairs_left(at(60), &config), 3);
    }
}
