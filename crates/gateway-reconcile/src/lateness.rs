//! How late a channel's records come, and the allowance that follows: learnt, not set.
//!
//! A sample is receipt minus event time of a record that told us of an item for the first time. Lateness is heavy-tailed, so neither mean nor
//! deviation says anything; the allowance is the 99.9th percentile with a quarter added, within configured bounds. Samples are counted in
//! buckets that grow by a half, 40 numbers for everything from a second to months; all are halved now and then, so that what was long ago fades.
//!
//! Refused: a fixed allowance. Too short, lateness is looked at twice in vain and bytes are spent on it; too long, a loss is told late. Refused too:
//! learning from how long suspicions take to vanish; what is not suspected could then never teach that the allowance may shrink.

use crate::config::later;
use crate::error::ReconcileError;
use crate::tour::Context;
use gateway_model::{RawId, Timestamp};
use serde::{Deserialize, Serialize};

const EVERY_MS: u64 = 60_000;
// How many of the newest records are looked at.
const SPAN: u32 = 5_000;
const BUCKETS: usize = 40;
const FADE_AT: u64 = 20_000;
/// Fewer samples than this say nothing.
const FEW: u64 = 50;
/// A record later than so many times the greatest allowance is history that was filled in, not lateness.
const HISTORY: u64 = 4;

/// What was learnt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Lateness {
    counts: Vec<u64>,
    /// The newest raw record that was looked at.
    seen: i64,
    learnt_at: Option<Timestamp>,
    /// Whether what came last came out of an outage: that it was late says nothing of a usual day.
    pub(crate) outage: bool,
}

// The upper edge of a bucket: 1 s, 1.5 s, 2.25 s …
fn edge_ms(at: usize) -> u64 {
    (0..at).fold(1_000, |edge: u64, _| edge + edge / 2)
}

impl Lateness {
    /// Looks at what came since the last time, now and then.
    pub(crate) async fn observe(&mut self, context: &Context) -> Result<(), ReconcileError> {
        let now = context.now();
        if self.learnt_at.is_some_and(|at| now >= at && now < later(at, EVERY_MS)) {
            return Ok(());
        }
        let (arrivals, newest) = context.store.first_arrivals(&context.channel, RawId(self.seen), SPAN).await?;
        if !std::mem::take(&mut self.outage) {
            let late = |(received_at, event_time): &(Timestamp, Timestamp)| {
                received_at.as_millisecond() - event_time.as_millisecond()
            };
            self.learn(arrivals.iter().map(late), context.config.second_look_max_ms);
        }
        (self.seen, self.learnt_at) = (newest.0, Some(now));
        Ok(())
    }

    /// Takes samples.
    pub(crate) fn learn(&mut self, samples_ms: impl IntoIterator<Item = i64>, greatest_allowance_ms: u64) {
        self.counts.resize(BUCKETS, 0);
        let history = greatest_allowance_ms.saturating_mul(HISTORY);
        for sample in samples_ms {
            // Before its own event time: the channel's clock is ahead of ours.
            let sample = u64::try_from(sample).unwrap_or(0);
            if sample > history {
                continue;
            }
            let at = (0..BUCKETS - 1).find(|at| sample <= edge_ms(*at)).unwrap_or(BUCKETS - 1);
            if let Some(count) = self.counts.get_mut(at) {
                *count += 1;
            }
        }
        if self.counts.iter().sum::<u64>() > FADE_AT {
            self.counts.iter_mut().for_each(|count| *count /= 2);
        }
    }

    /// The 99.9th percentile, rounded up to its bucket's edge; `None` while too little is known.
    pub(crate) fn percentile_ms(&self) -> Option<u64> {
        let all: u64 = self.counts.iter().sum();
        if all < FEW {
            return None;
        }
        let rank = all - all / 1_000;
        let mut below = 0;
        self.counts.iter().enumerate().find_map(|(at, count)| {
            below += count;
            (below >= rank).then(|| edge_ms(at))
        })
    }

    /// The allowance within bounds; the least while too little is known.
    pub(crate) fn allowance_ms(&self, least_ms: u64, greatest_ms: u64) -> u64 {
        let learnt = self.percentile_ms().map_or(0, |late| late + late / 4);
        learnt.max(least_ms).min(greatest_ms.max(least_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_heavy_tail_widens_the_allowance_and_fades() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.allowance_ms(5_000, 1_800_000), 5_000);
        lateness.learn((0..10_000).map(|_| 2_000), 1_800_000);
        assert_eq!(lateness.allowance_ms(1_000, 1_800_000), 2_250 + 2_250 / 4);
        // One in two hundred comes five minutes late.
        lateness.learn((0..5_000).map(|n| if n % 200 == 0 { 300_000 } else { 2_000 }), 1_800_000);
        let wide = lateness.allowance_ms(1_000, 1_800_000);
        assert!((300_000..600_000).contains(&wide), "{wide}");
        assert_eq!(lateness.allowance_ms(1_000, 60_000), 60_000, "never beyond its bound");
        for _ in 0..10 {
            lateness.learn((0..10_000).map(|_| 2_000), 1_800_000);
        }
        assert!(lateness.allowance_ms(1_000, 1_800_000) < 5_000, "what was long ago fades");
    }

    #[test]
    fn history_that_was_filled_in_is_not_lateness() {
        let mut lateness = Lateness::default();
        lateness.learn((0..10_000).map(|_| 86_400_000 * 30), 1_800_000);
        assert_eq!(lateness.percentile_ms(), None);
        lateness.learn((0..100).map(|_| -5_000), 1_800_000);
        assert_eq!(lateness.percentile_ms(), Some(1_000));
    }

    proptest! {
        #[test]
        fn the_allowance_covers_nearly_all_samples(samples in prop::collection::vec(0i64..2_000_000, 50..2_000)) {
            let mut lateness = Lateness::default();
            lateness.learn(samples.iter().copied(), 10_000_000);
            let allowance = lateness.allowance_ms(1, 100_000_000);
            let later = samples.iter().filter(|sample| u64::try_from(**sample).unwrap_or(0) > allowance).count();
            prop_assert!(later * 1_000 <= samples.len(), "{later} of {}", samples.len());
        }
    }
}
