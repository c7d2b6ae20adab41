//! What a check finds.

use async_trait::async_trait;
use gateway_model::{ChannelId, Severity, Timestamp};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Something that is wrong at this look. Two findings with the same code, channel and subject are the same cause, at whatever look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong: a stable code with a page in `docs/errors.md` and a text in each language.
    pub code: &'static str,
    /// The channel that it is about.
    pub channel: Option<ChannelId>,
    /// What exactly it is about, where a channel can have several at once: a task, a dataset, a file. Bounded, and never a person's data.
    pub subject: String,
    /// How much it matters.
    pub severity: Severity,
    /// How many: gaps, deliveries, records; 1 where nothing is counted.
    pub count: u64,
    /// Since when.
    pub since: Timestamp,
    /// Values that the text names, by the names that its template uses. Bounded, and never a person's data.
    pub facts: BTreeMap<Cow<'static, str>, String>,
}

/// Why a check could not look.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The store did not answer.
    #[error("the store does not answer")]
    Store(#[from] gateway_store::StoreError),
    /// The bus did not answer.
    #[error("the bus does not answer")]
    Bus(#[from] gateway_bus::BusError),
    /// Something outside could not be read.
    #[error("{what} can't be read")]
    Unreadable {
        /// What.
        what: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Looks at one kind of trouble. Remembers what it needs between looks (hysteresis).
#[async_trait]
pub trait Check: Send {
    /// Its name in status and metrics.
    fn name(&self) -> &'static str;
    /// What is wrong now; empty when nothing is. What it could not look at is an error, never "nothing found".
    async fn look(&mut self, now: Timestamp) -> Result<Vec<Finding>, CheckError>;
}
