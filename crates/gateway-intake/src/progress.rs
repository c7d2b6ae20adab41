//! How far a channel's listing was read by this process, for whoever watches it.

use gateway_model::Timestamp;
use std::sync::{Mutex, PoisonError};

/// How far the listing was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Polled {
    /// When it was last read to its end; `None` when it was not since this process took it up.
    pub swept_at: Option<Timestamp>,
    /// The newest update time believed then.
    pub through: Option<Timestamp>,
}

/// Shared between a poller and its watchers.
#[derive(Debug, Default)]
pub struct PollProgress(Mutex<Option<Polled>>);

impl PollProgress {
    /// `None` while the channel is read by another process, or not yet.
    #[must_use]
    pub fn now(&self) -> Option<Polled> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hold(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
    }

    pub(crate) fn leave(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn swept(&self, at: Timestamp, through: Option<Timestamp>) {
        let polled = Polled { swept_at: Some(at), through };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(polled);
    }
}
