//! The configuration section of the embedded engine.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Settings of the embedded engine; every field has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddedOptions {
    /// The directory of the log; created where it is missing. One process at a time.
    pub dir: PathBuf,
    /// A segment file that has grown to this many bytes is followed by a new one. Whole segments are dropped, so this is also the grain of
    /// retention.
    pub segment_bytes: u64,
    /// A segment that holds messages is followed by a new one after this many seconds, so that a quiet bus forgets in time too.
    pub segment_seconds: u64,
    /// Appends that wait for the disk hold at most this many bytes; further ones wait before they are taken in.
    pub queue_bytes: u32,
    /// The largest message in bytes, key and headers included; a larger one is refused.
    pub message_bytes: u32,
    /// One fetch returns about this many bytes at most, and always at least one message.
    pub fetch_bytes: u64,
    /// The write-ahead log is copied into the segment about every so many bytes.
    pub checkpoint_bytes: u64,
    /// How many milliseconds `open` waits for another user of the directory to leave.
    pub lock_wait_ms: u64,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("bus"),
            segment_bytes: 256 << 20,
            segment_seconds: 86_400,
            queue_bytes: 32 << 20,
            message_bytes: 16 << 20,
            fetch_bytes: 8 << 20,
            checkpoint_bytes: 16 << 20,
            lock_wait_ms: 10_000,
        }
    }
}

impl EmbeddedOptions {
    /// The defaults in another directory.
    #[must_use]
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), ..Self::default() }
    }
}
