//! How old a channel's accounts are: a snapshot that does not move, or that goes back, is not concluded from.
//!
//! The channel's clock may differ from ours, so an account's time is only held against the channel's own earlier ones: it must advance, and how long
//! it has not is measured on our clock. Refused: comparing `asOf` with our clock, which calls every peer with a wrong clock a liar.

use crate::config::{earlier, later};
use crate::reliability::Unreliable;
use gateway_model::Timestamp;
use serde::{Deserialize, Serialize};

// After so long without a newer account, one from before is believed: the channel's clock was set back.
const FORGET_AFTER_MS: u64 = 86_400_000;

/// The newest account of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct AccountTime {
    newest: Timestamp,
    advanced_at: Timestamp,
}

impl AccountTime {
    /// Of a first account.
    pub(crate) fn first(as_of: Timestamp, now: Timestamp) -> Self {
        Self { newest: as_of, advanced_at: now }
    }

    /// Takes a further account.
    ///
    /// # Errors
    /// [`Unreliable`] when it is older than `age_max_ms`.
    pub(crate) fn take(&mut self, as_of: Timestamp, now: Timestamp, age_max_ms: u64) -> Result<(), Unreliable> {
        if as_of > self.newest {
            *self = Self::first(as_of, now);
            return Ok(());
        }
        if as_of < earlier(self.newest, age_max_ms) {
            if now > later(self.advanced_at, FORGET_AFTER_MS) {
                *self = Self::first(as_of, now);
                return Ok(());
            }
            return Err(Unreliable::GoesBack);
        }
        if now > later(self.advanced_at, age_max_ms) {
            return Err(Unreliable::StaleSnapshot);
        }
        Ok(())
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
    fn snapshots_may_be_a_little_old_but_must_advance() {
        let mut time = AccountTime::first(at(0), at(5_000));
        assert_eq!(time.take(at(0), at(5_060), 60_000), Ok(()));
        assert_eq!(time.take(at(0), at(5_061), 60_000), Err(Unreliable::StaleSnapshot));
        assert_eq!(time.take(at(100), at(5_062), 60_000), Ok(()));
        assert_eq!(time.take(at(50), at(5_063), 60_000), Ok(()), "another replica, a little behind");
        assert_eq!(time.take(at(39), at(5_064), 60_000), Err(Unreliable::GoesBack));
    }

    #[test]
    fn a_clock_that_was_set_back_is_believed_after_a_day() {
        let mut time = AccountTime::first(at(1_000_000), at(0));
        assert_eq!(time.take(at(10), at(10), 60_000), Err(Unreliable::GoesBack));
        assert_eq!(time.take(at(86_401), at(86_401), 60_000), Ok(()));
        assert_eq!(time.take(at(86_402), at(86_402), 60_000), Ok(()));
    }
}
