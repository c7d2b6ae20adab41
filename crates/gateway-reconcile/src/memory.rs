//! What a channel's reconciliation remembers beyond the process: when what was compared, what of a comparison remains, what it has spent, how late
//! records come, and how old accounts are.
//!
//! One checkpoint row, saved under the lease's epoch at the end of a round, after what the round found is written down: a kill in between repeats a
//! round and loses nothing. A row that another version wrote and that can't be read is no reason to stop: everything is compared anew.

use crate::account_time::AccountTime;
use crate::config::{ReconcileConfig, later};
use crate::error::ReconcileError;
use crate::lateness::Lateness;
use crate::spending::Spending;
use crate::sweep::SavedSweep;
use crate::tour::Context;
use gateway_model::{Dataset, Timestamp, Window};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const NAME: &str = "reconcile";

/// The state of one channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// When the last comparison of the recent past began.
    pub(crate) recent_at: Option<Timestamp>,
    /// The same of the older parts, by how far they reach.
    pub(crate) older_at: BTreeMap<u64, Timestamp>,
    /// The same of everything.
    pub(crate) whole_at: Option<Timestamp>,
    /// Whether everything is to be compared as soon as possible.
    pub(crate) whole_wanted: bool,
    /// When the channel last gave an account.
    pub(crate) answered_at: Option<Timestamp>,
    /// Since when nothing was polled, while an outage of the source lasts.
    pub(crate) source_silent_since: Option<Timestamp>,
    /// An outage that is over and whose time is to be compared.
    pub(crate) outage: Option<Window>,
    /// What remains of comparisons.
    pub(crate) under_way: Vec<SavedSweep>,
    /// Calls and bytes of this hour, repairs of this minute.
    pub(crate) spending: Spending,
    /// How late records come.
    pub(crate) lateness: Lateness,
    /// The lateness allowance that follows, for those who only read this.
    pub(crate) allowance_ms: u64,
    /// Until when accounts were true, by dataset.
    pub(crate) account_times: BTreeMap<Dataset, AccountTime>,
    /// How many items a dataset has, here and there.
    pub(crate) sizes: BTreeMap<Dataset, (u64, u64)>,
}

impl Memory {
    /// Loads what is remembered of a channel.
    pub(crate) async fn load(context: &Context) -> Result<Self, ReconcileError> {
        let Some(text) = context.store.checkpoint(&context.channel, NAME).await? else { return Ok(Self::default()) };
        Ok(serde_json::from_str(&text).unwrap_or_else(|error| {
            tracing::warn!(channel = %context.channel, %error, "what was remembered of comparisons can't be read: everything is compared anew");
            Self::default()
        }))
    }

    /// The checkpoint to save: its name and text.
    pub(crate) fn saved(&self) -> Result<(String, String), ReconcileError> {
        Ok((NAME.to_owned(), serde_json::to_string(self).map_err(ReconcileError::Memory)?))
    }

    /// The lateness allowance: how long a difference may last before it is looked at again.
    pub(crate) fn allowance_ms(&self, config: &ReconcileConfig) -> u64 {
        self.lateness.allowance_ms(config.second_look_min_ms, config.second_look_max_ms)
    }

    /// Notes that the channel answered; after a long silence there was an outage.
    pub(crate) fn answered(&mut self, now: Timestamp, config: &ReconcileConfig) {
        if let Some(before) = self.answered_at
            && now > later(before, config.outage_after_ms)
        {
            self.outage_over(before, now, config);
        }
        self.answered_at = Some(now);
    }

    /// Notes when the channel was last polled; `None` where it is not polled.
    pub(crate) fn polled(&mut self, last: Option<Timestamp>, now: Timestamp, config: &ReconcileConfig) {
        let Some(last) = last else { return };
        if now > later(last, config.outage_after_ms) {
            self.source_silent_since.get_or_insert(last);
        } else if let Some(since) = self.source_silent_since.take() {
            self.outage_over(since, now, config);
        }
    }

    fn outage_over(&mut self, since: Timestamp, now: Timestamp, config: &ReconcileConfig) {
        let from = crate::config::earlier(since, config.outage_margin_ms);
        let known = self.outage.map_or(from, |known| known.start);
        self.outage = Some(Window::new(from.min(known), now));
        self.whole_wanted = true;
        self.lateness.outage = true;
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
    fn a_long_silence_is_an_outage_and_a_short_one_is_not() {
        let config = ReconcileConfig { outage_after_ms: 600_000, outage_margin_ms: 60_000, ..Default::default() };
        let mut memory = Memory::default();
        memory.answered(at(0), &config);
        memory.answered(at(600), &config);
        assert_eq!((memory.outage, memory.whole_wanted), (None, false));
        memory.answered(at(1_201), &config);
        assert_eq!(memory.outage, Some(Window::new(at(540), at(1_201))));
        assert!(memory.whole_wanted);
    }

    #[test]
    fn an_outage_of_the_source_is_over_with_the_next_poll() {
        let config = ReconcileConfig { outage_after_ms: 600_000, outage_margin_ms: 0, ..Default::default() };
        let mut memory = Memory::default();
        memory.polled(None, at(0), &config);
        memory.polled(Some(at(0)), at(700), &config);
        memory.polled(Some(at(0)), at(1_400), &config);
        assert_eq!(memory.outage, None);
        memory.polled(Some(at(1_500)), at(1_501), &config);
        assert_eq!(memory.outage, Some(Window::new(at(0), at(1_501))));
        assert_eq!(memory.source_silent_since, None);
    }
}
