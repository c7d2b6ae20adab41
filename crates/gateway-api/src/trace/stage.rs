//! A stage of a trace.

use gateway_model::Timestamp;
use serde_json::Value;

/// One thing that happened.
pub(super) struct Stage {
    /// When.
    pub(super) at: Timestamp,
    /// What comes first of what happened at the same time.
    pub(super) rank: u8,
    /// What.
    pub(super) kind: &'static str,
    /// The rest of it, an object.
    pub(super) details: Value,
    /// One line for people.
    pub(super) text: String,
}

impl Stage {
    /// How long after the stage before, in ms.
    pub(super) fn since(&self, before: Option<Timestamp>) -> Option<u64> {
        u64::try_from(self.at.as_millisecond() - before?.as_millisecond()).ok()
    }
}
