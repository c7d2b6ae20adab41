//! The peer's clock, as its answers tell it in passing.

use gateway_model::Timestamp;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// An answer that took longer says too little of when its `Date` was written.
const QUICK: Duration = Duration::from_secs(10);

/// What was last observed of a peer's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerClock {
    /// Its clock minus ours, in milliseconds; exact to about a second, as the header is.
    pub offset_ms: i64,
    /// When, by our clock.
    pub observed_at: Timestamp,
}

/// Remembers the last observation.
#[derive(Debug, Default)]
pub(crate) struct PeerClockWatch(Mutex<Option<PeerClock>>);

impl PeerClockWatch {
    /// Takes the `Date` of an answer (RFC 9110: cut to whole seconds) to a request that was sent at `sent_at`. One that can't be read, or came too
    /// slowly, says nothing.
    pub(crate) fn observe(&self, date: &str, sent_at: Timestamp, answered_at: Timestamp) {
        let Ok(date) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date) else { return };
        let Ok(took) = Duration::try_from(answered_at.duration_since(sent_at)) else { return };
        if took > QUICK {
            return;
        }
        let middle = sent_at.as_millisecond() + i64::try_from(took.as_millis() / 2).unwrap_or(0);
        let offset_ms = date.as_millisecond() + 500 - middle;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(PeerClock { offset_ms, observed_at: answered_at });
    }

    pub(crate) fn last(&self) -> Option<PeerClock> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_compared_with_the_middle_of_the_exchange() {
        let sent: Timestamp = "2026-11-25T01:00:00Z".parse().unwrap();
        let later = |ms| sent.checked_add(Duration::from_millis(ms)).unwrap();
        let watch = PeerClockWatch::default();
        watch.observe("Wed, 25 Nov 2026 01:05:00 GMT", sent, later(400));
        let seen = PeerClock { offset_ms: 300_300, observed_at: later(400) };
        assert_eq!(watch.last(), Some(seen));
        watch.observe("yesterday", sent, later(500));
        watch.observe("Wed, 25 Nov 2026 01:09:00 GMT", sent, later(20_000));
        watch.observe("Wed, 25 Nov 2026 01:09:00 GMT", later(1), sent);
        assert_eq!(watch.last(), Some(seen), "nothing is learnt from what can't be read or was too slow");
        watch.observe("Wed, 25 Nov 2026 00:59:59 GMT", sent, later(200));
        assert_eq!(watch.last().unwrap().offset_ms, -600);
    }
}
