//! The configuration section of the spool.

use crate::embedded::EmbeddedOptions;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the drain's headers and the far bus's own may add to a message.
const HEADROOM: u32 = 1 << 10;

/// Settings of the spool before a bus that is elsewhere; every field has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolOptions {
    /// Whether there is one. Without it a push is answered 503 while the bus is away.
    pub enabled: bool,
    /// Its directory; created where it is missing. One process at a time, and as durable as the pushes must be: no temporary disk.
    pub dir: PathBuf,
    /// How many milliseconds the bus may take for an append before the spool takes it.
    pub patience_ms: u64,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        Self { enabled: true, dir: PathBuf::from("spool"), patience_ms: 2_000 }
    }
}

impl SpoolOptions {
    /// All that is wrong, before a bus that itself tries an append for `append_timeout_ms`: the key within this section, and what to do.
    #[must_use]
    pub fn mistakes(&self, append_timeout_ms: u64) -> Vec<(&'static str, String)> {
        if !self.enabled {
            return Vec::new();
        }
        let mut mistakes = Vec::new();
        if self.dir.as_os_str().is_empty() {
            mistakes.push(("dir", "name a directory".to_owned()));
        }
        if self.patience_ms == 0 || self.patience_ms > append_timeout_ms {
            let text = format!(
                "must be 1 to {append_timeout_ms}, which is kafka.append_timeout_ms: later the bus gives up by itself"
            );
            mistakes.push(("patience_ms", text));
        }
        mistakes
    }

    /// The engine's settings, before a bus that takes messages of `message_bytes`: nothing is taken in that could not leave.
    #[must_use]
    pub fn engine(&self, message_bytes: u32) -> EmbeddedOptions {
        EmbeddedOptions {
            segment_bytes: 64 << 20,
            message_bytes: message_bytes.saturating_sub(HEADROOM),
            ..EmbeddedOptions::in_dir(&self.dir)
        }
    }
}
