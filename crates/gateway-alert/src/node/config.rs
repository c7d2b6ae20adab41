//! The section `[node]`.

use serde::{Deserialize, Serialize};

/// How a process tells of itself, and when its silence counts. Only where several processes can share a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    /// What this process is called: lower-case letters, digits and dashes, the same after every start, and no other's. Empty: the host's name and
    /// four digits, kept in the file `node.name` of the data directory.
    pub name: String,
    /// How often it tells of itself, in milliseconds.
    pub tell_every_ms: u64,
    /// A process that has told nothing for so long is silent, in milliseconds.
    pub silent_after_ms: u64,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self { name: String::new(), tell_every_ms: 5_000, silent_after_ms: 30_000 }
    }
}

impl NodeConfig {
    /// All that is wrong: the key within this section, and what is expected.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(&'static str, &'static str)> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let mut mistakes = Vec::new();
        if self.name.len() > 64 || !self.name.bytes().all(plain) {
            mistakes.push(("name", "must be at most 64 lower-case letters, digits and dashes"));
        }
        if self.tell_every_ms < 500 {
            mistakes.push(("tell_every_ms", "must be at least 500"));
        }
        if self.silent_after_ms < self.tell_every_ms.saturating_mul(3) {
            mistakes
                .push(("silent_after_ms", "must be at least three times tell_every_ms: one late word is no silence"));
        }
        mistakes
    }
}
