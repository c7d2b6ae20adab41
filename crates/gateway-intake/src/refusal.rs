//! Watches for a channel whose every push is refused: a wrong secret or a wrong clock looks like silence otherwise.
//!
//! The warning begins with a refusal when nothing was accepted for a minute (setting), and ends with the next accepted push or a while after the
//! last refusal. A forged request among accepted ones raises nothing. One log line for each warning, not for each request.

use gateway_model::{ChannelId, Timestamp, format_china};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Pushes of a channel are all refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusalWarning {
    /// The channel.
    pub channel: ChannelId,
    /// Since when nothing was accepted and something refused.
    pub since: Timestamp,
    /// The last refusal.
    pub last: Timestamp,
    /// Refused since then.
    pub refused: u64,
    /// Of these, by code.
    pub codes: BTreeMap<&'static str, u64>,
    /// Their clock minus ours at the last refusal for its sake, in milliseconds.
    pub clock_offset_ms: Option<i64>,
}

impl fmt::Display for RefusalWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes: Vec<String> = self.codes.iter().map(|(code, count)| format!("{code} {count}")).collect();
        write!(
            f,
            "every push of {} since {} was refused: {} ({})",
            self.channel,
            format_china(self.since),
            self.refused,
            codes.join(", ")
        )?;
        match self.clock_offset_ms {
            Some(offset) => write!(f, "; its clock differs from ours by {offset} ms"),
            None => Ok(()),
        }
    }
}

/// The pushes of one channel, by whether they were let in.
#[derive(Debug)]
pub(crate) struct RefusalWatch {
    window: Duration,
    keep: Duration,
    accepted_at: Option<Timestamp>,
    episode: Option<RefusalWarning>,
    warned: bool,
}

impl RefusalWatch {
    pub(crate) fn new(window: Duration, keep: Duration) -> Self {
        Self { window, keep, accepted_at: None, episode: None, warned: false }
    }

    /// A push had a right signature and time.
    pub(crate) fn accepted(&mut self, now: Timestamp) {
        self.accepted_at = Some(now);
        self.episode = None;
        self.warned = false;
    }

    /// A push was refused. Returns the warning when it begins with this one.
    pub(crate) fn refused(
        &mut self,
        channel: &ChannelId,
        code: &'static str,
        offset_ms: Option<i64>,
        now: Timestamp,
    ) -> Option<RefusalWarning> {
        if self.episode.as_ref().is_some_and(|episode| self.is_over(episode, now)) {
            self.episode = None;
            self.warned = false;
        }
        let episode = self.episode.get_or_insert_with(|| RefusalWarning {
            channel: channel.clone(),
            since: now,
            last: now,
            refused: 0,
            codes: BTreeMap::new(),
            clock_offset_ms: None,
        });
        episode.last = now;
        episode.refused += 1;
        *episode.codes.entry(code).or_default() += 1;
        episode.clock_offset_ms = offset_ms.or(episode.clock_offset_ms);
        if self.warned {
            return None;
        }
        let warning = self.warning(now)?;
        self.warned = true;
        Some(warning)
    }

    /// The warning, where there is one now.
    pub(crate) fn warning(&self, now: Timestamp) -> Option<RefusalWarning> {
        let episode = self.episode.as_ref().filter(|episode| !self.is_over(episode, now))?;
        let lately = self.accepted_at.is_some_and(|at| before(at, now) < self.window);
        (!lately).then(|| episode.clone())
    }

    fn is_over(&self, episode: &RefusalWarning, now: Timestamp) -> bool {
        before(episode.last, now) >= self.keep
    }
}

fn before(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_refusal_among_accepted_pushes_raises_nothing() {
        let channel = ChannelId::new("c").unwrap();
        let mut watch = RefusalWatch::new(Duration::from_secs(60), Duration::from_secs(900));
        watch.accepted(at(0));
        assert_eq!(watch.refused(&channel, "bad_signature", None, at(10)), None);
        watch.accepted(at(20));
        assert_eq!(watch.refused(&channel, "bad_signature", None, at(30)), None);
        let warning = watch.refused(&channel, "clock_skew", Some(400_000), at(80)).unwrap();
        assert_eq!((warning.refused, warning.since, warning.clock_offset_ms), (2, at(30), Some(400_000)));
        assert_eq!(watch.refused(&channel, "clock_skew", None, at(81)), None, "one line for one warning");
        assert_eq!(watch.warning(at(81)).unwrap().refused, 3);
        watch.accepted(at(82));
        assert_eq!(watch.warning(at(82)), None);
    }

    #[test]
    fn a_warning_ends_some_time_after_the_last_refusal() {
        let channel = ChannelId::new("c").unwrap();
        let mut watch = RefusalWatch::new(Duration::from_secs(60), Duration::from_secs(900));
        assert!(watch.refused(&channel, "too_large", None, at(0)).is_some());
        assert!(watch.warning(at(899)).is_some());
        assert_eq!(watch.warning(at(900)), None);
        assert!(watch.refused(&channel, "too_large", None, at(1_000)).is_some());
    }
}
