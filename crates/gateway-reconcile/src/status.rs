//! What people see of a channel's reconciliation.

use gateway_model::{ChannelId, Timestamp, format_china};
use serde::Serialize;
use std::fmt;

/// How a channel's reconciliation stands.
#[derive(Debug, Clone, Serialize)]
pub struct ReconcileStatus {
    /// The channel.
    pub channel: ChannelId,
    /// Whether the channel gives an account at all; without one it is shown as unverifiable, never as complete.
    pub verifiable: bool,
    /// When the last whole comparison of this process began.
    pub whole_at: Option<Timestamp>,
    /// Whether it saw no difference.
    pub whole_in_step: Option<bool>,
    /// Differences seen once.
    pub suspected: usize,
    /// Confirmed gaps.
    pub open: usize,
    /// Gaps under repair.
    pub repairing: usize,
    /// The lateness allowance, learnt from how late records come.
    pub allowance_ms: u64,
}

impl ReconcileStatus {
    pub(crate) fn new(channel: ChannelId, verifiable: bool) -> Self {
        Self {
            channel,
            verifiable,
            whole_at: None,
            whole_in_step: None,
            suspected: 0,
            open: 0,
            repairing: 0,
            allowance_ms: 0,
        }
    }
}

impl fmt::Display for ReconcileStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.verifiable {
            return write!(f, "{}: unverifiable, the channel gives no account of what it holds", self.channel);
        }
        match (self.whole_at, self.whole_in_step) {
            (Some(at), Some(true)) => write!(f, "{}: in step at {}", self.channel, format_china(at))?,
            (Some(at), _) => write!(f, "{}: compared at {}", self.channel, format_china(at))?,
            (None, _) => write!(f, "{}: not compared yet", self.channel)?,
        }
        write!(f, "; {} open, {} under repair, {} suspected", self.open, self.repairing, self.suspected)
    }
}
