//! The settings of intake, by way in. Defaults fit a city platform that is asked every few seconds.

use gateway_connector::RetryPolicy;
use gateway_runtime::Schedule;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// All of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntakeConfig {
    /// Scheduled reading.
    pub poll: PollConfig,
    /// Reading again by number.
    pub reread: RereadConfig,
    /// Fetching again by window.
    pub backfill: BackfillConfig,
    /// Pushes.
    pub webhook: WebhookConfig,
}

/// Scheduled reading of a channel's listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PollConfig {
    /// The pause between two sweeps of the listing, in milliseconds.
    pub every_ms: u64,
    /// Records asked for in one page.
    pub page_size: u32,
    /// Pages read before the checkpoint is saved and the lease looked at anew.
    pub pages_per_round: u32,
    /// How far behind the newest record each sweep begins, in milliseconds: what the platform shows late is caught inside it.
    pub overlap_ms: u64,
    /// How far ahead of our clock an update time may be and still be believed, in milliseconds.
    pub tolerance_ms: u64,
    /// How many records with an unbelievable update time are remembered, so that they are not appended by every sweep.
    pub implausible_limit: usize,
    /// How long the channel's poll lease outlasts its last renewal and the pause between two sweeps, in milliseconds. It is renewed at a third of it
    /// while a page is waited for.
    pub lease_ms: u64,
}

impl Default for PollConfig {
    fn default() -> Self {
        Self {
            every_ms: 5_000,
            page_size: 200,
            pages_per_round: 10,
            overlap_ms: 120_000,
            tolerance_ms: 300_000,
            implausible_limit: 1_000,
            lease_ms: 8_000,
        }
    }
}

impl PollConfig {
    /// When rounds are due.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule::every(Duration::from_millis(self.every_ms))
    }
}

/// Reading orders again by number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RereadConfig {
    /// The pause between two looks for jobs, in milliseconds.
    pub every_ms: u64,
    /// How long claimed jobs are ours, in milliseconds.
    pub claim_ms: u64,
    /// How long a job waits that failed.
    pub retry: RetryPolicy,
}

impl Default for RereadConfig {
    fn default() -> Self {
        Self { every_ms: 500, claim_ms: 60_000, retry: RetryPolicy::default() }
    }
}

impl RereadConfig {
    /// When rounds are due.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule::every(Duration::from_millis(self.every_ms))
    }
}

/// Fetching windows again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackfillConfig {
    /// The pause between two looks for jobs, in milliseconds.
    pub every_ms: u64,
    /// How long a claimed window is ours, in milliseconds; one that takes longer begins anew.
    pub claim_ms: u64,
    /// Pages of one window read in a round.
    pub pages_per_round: u32,
    /// How long a job waits that failed.
    pub retry: RetryPolicy,
}

impl Default for BackfillConfig {
    fn default() -> Self {
        Self { every_ms: 1_000, claim_ms: 600_000, pages_per_round: 10, retry: RetryPolicy::default() }
    }
}

impl BackfillConfig {
    /// When rounds are due.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule::every(Duration::from_millis(self.every_ms))
    }
}

/// Fetching the files that records refer to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FetchConfig {
    /// The pause between two looks for what is owed, in milliseconds.
    pub every_ms: u64,
    /// How many files of a channel are fetched at once; each is held in memory whole until it is on the disk.
    pub at_once: u32,
    /// How long claimed files are ours, in milliseconds: longer than the slowest may take.
    pub claim_ms: u64,
    /// How long a file is asked for that the channel does not give, in seconds; then it is called missing.
    pub give_up_after_s: u64,
    /// The largest file that is kept, in bytes.
    pub largest_bytes: usize,
    /// The media types that are kept, as the bytes themselves show them.
    pub types: Vec<String>,
    /// How long to wait before a file is asked for again.
    pub retry: RetryPolicy,
}

impl Default for FetchConfig {
    fn default() -> Self {
        const TYPES: [&str; 16] = [
            "image/jpeg",
            "image/png",
            "image/gif",
            "image/webp",
            "image/bmp",
            "image/heif",
            "image/tiff",
            "video/mp4",
            "video/quicktime",
            "video/webm",
            "audio/mpeg",
            "audio/m4a",
            "audio/amr",
            "audio/aac",
            "audio/x-wav",
            "application/pdf",
        ];
        Self {
            every_ms: 1_000,
            at_once: 4,
            claim_ms: 600_000,
            give_up_after_s: 259_200,
            largest_bytes: 20 * 1024 * 1024,
            types: TYPES.map(str::to_owned).to_vec(),
            retry: RetryPolicy { min_ms: 5_000, max_ms: 3_600_000, ..RetryPolicy::default() },
        }
    }
}

impl FetchConfig {
    /// When rounds are due.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule::every(Duration::from_millis(self.every_ms))
    }

    /// What makes no sense: key and text.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut mistakes = Vec::new();
        if !(1..=64).contains(&self.at_once) {
            mistakes.push(("at_once", "must be 1 to 64".to_owned()));
        }
        if !(1_024..=1_073_741_824).contains(&self.largest_bytes) {
            mistakes.push(("largest_bytes", "must be 1 KiB to 1 GiB".to_owned()));
        }
        if self.claim_ms < 1_000 {
            mistakes.push(("claim_ms", "must be at least 1000".to_owned()));
        }
        if self.types.is_empty() {
            mistakes.push(("types", "is empty: no file would be kept".to_owned()));
        }
        mistakes.extend(self.retry.mistake().map(|text| ("retry", text.to_owned())));
        mistakes
    }
}

/// Pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookConfig {
    /// What the peer is told to wait while nothing can be made durable, in seconds.
    pub retry_after_s: u32,
    /// How long an append may take before the peer is told to come again, in milliseconds; below the peer's own time-out.
    pub append_timeout_ms: u64,
    /// When nothing was accepted for this long and something was refused, a warning is raised, in milliseconds.
    pub refusal_window_ms: u64,
    /// How long the warning stays after the last refusal when nothing is accepted either, in milliseconds.
    pub refusal_keep_ms: u64,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self { retry_after_s: 5, append_timeout_ms: 5_000, refusal_window_ms: 60_000, refusal_keep_ms: 900_000 }
    }
}

/// What keeps records from being lost. Never a setting: it is here so that a test can switch one off and see that it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defences {
    /// Each sweep begins before the newest record seen, not at it.
    pub overlap: bool,
}

impl Default for Defences {
    fn default() -> Self {
        Self { overlap: true }
    }
}
