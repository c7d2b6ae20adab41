//! Hysteresis: a trouble begins at one threshold and ends at another, so that a value at the edge does not flap.

use crate::Finding;
use gateway_model::{ChannelId, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a look saw of one cause.
pub(super) struct Reading {
    /// Bad enough to begin.
    pub(super) enter: bool,
    /// Still too bad to end.
    pub(super) stay: bool,
    /// What is told of it while it is on.
    pub(super) finding: Finding,
}

impl Reading {
    /// Where there is nothing between good and bad.
    pub(super) fn plain(finding: Finding) -> Self {
        Self { enter: true, stay: true, finding }
    }
}

type Cause = (Option<ChannelId>, String);

struct Memory {
    entered_at: Timestamp,
    on: bool,
    absent_since: Option<Timestamp>,
    last: Finding,
}

/// Remembers which causes are on.
pub(super) struct Latch {
    after: Duration,
    linger: Duration,
    known: BTreeMap<Cause, Memory>,
}

impl Latch {
    /// On at once, off at once.
    pub(super) fn new() -> Self {
        Self { after: Duration::ZERO, linger: Duration::ZERO, known: BTreeMap::new() }
    }

    /// On only when it was bad at every look for this long.
    pub(super) fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }

    /// Off only when it was good at every look for this long.
    pub(super) fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// What is on after this look. A cause without a reading is good. `since` never moves forward while a cause is on.
    pub(super) fn step(&mut self, now: Timestamp, readings: impl IntoIterator<Item = Reading>) -> Vec<Finding> {
        let mut bad: BTreeMap<Cause, Reading> = readings
            .into_iter()
            .map(|reading| ((reading.finding.channel.clone(), reading.finding.subject.clone()), reading))
            .collect();
        let (after, linger) = (self.after, self.linger);
        self.known.retain(|cause, memory| {
            let lasting = |reading: &Reading| reading.enter || (memory.on && reading.stay);
            match bad.remove(cause).filter(lasting) {
                Some(reading) => {
                    memory.absent_since = None;
                    memory.on |= elapsed(memory.entered_at, now) >= after;
                    let since = memory.last.since.min(reading.finding.since);
                    memory.last = Finding { since, ..reading.finding };
                    true
                }
                None if !memory.on => false,
                None => {
                    let since = *memory.absent_since.get_or_insert(now);
                    elapsed(since, now) < linger
                }
            }
        });
        for (cause, reading) in bad {
            if reading.enter {
                let memory = Memory { entered_at: now, on: after.is_zero(), absent_since: None, last: reading.finding };
                self.known.insert(cause, memory);
            }
        }
        self.known.values().filter(|memory| memory.on).map(|memory| memory.last.clone()).collect()
    }
}

/// The time between two instants; zero when the second is earlier.
pub(super) fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// An instant some time ago; the beginning of time when there is none.
pub(super) fn ago(now: Timestamp, time: Duration) -> Timestamp {
    now.checked_sub(time).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use gateway_model::Severity;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn reading(value: u64, second: i64) -> Reading {
        let finding = Finding {
            code: "test",
            channel: None,
            subject: String::new(),
            severity: Severity::Info,
            count: value,
            since: at(second),
            facts: BTreeMap::new(),
        };
        Reading { enter: value >= 10, stay: value >= 5, finding }
    }

    #[test]
    fn between_the_thresholds_it_stays_what_it_was() {
        let mut latch = Latch::new();
        let mut seen = Vec::new();
        for (second, value) in [9, 10, 9, 5, 10, 4, 9, 5, 10].into_iter().enumerate() {
            let second = i64::try_from(second).unwrap();
            seen.push(latch.step(at(second), [reading(value, second)]).first().map(|found| found.since));
        }
        let first = Some(at(1));
        assert_eq!(seen, [None, first, first, first, first, None, None, None, Some(at(8))]);
    }

    #[test]
    fn it_begins_and_ends_only_after_a_while() {
        let mut latch = Latch::new().after(Duration::from_secs(2)).linger(Duration::from_secs(3));
        let values = [10, 10, 0, 10, 10, 10, 0, 0, 10, 0, 0, 0, 0];
        let on: Vec<_> = (0..)
            .zip(values)
            .map(|(second, value)| !latch.step(at(second), [reading(value, second)]).is_empty())
            .collect();
        assert_eq!(on, [false, false, false, false, false, true, true, true, true, true, true, true, false]);
    }
}
