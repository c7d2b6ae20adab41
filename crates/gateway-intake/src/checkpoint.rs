//! How far a channel's listing was read: the poller's checkpoint, as it stands in the store.
//!
//! `through` is the newest update time that is believed, and moves only when a sweep reached the end of the listing. `seen` holds a fingerprint of
//! what was last appended of each record inside the overlap, so that reading the overlap again costs a page and not a flood of duplicates. It is
//! an economy, never a proof: whatever it forgets is appended once more. A text that can't be read is an error: beginning anew without a word
//! would hide that another version wrote it.

use gateway_model::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The name under which it is saved.
pub(crate) const NAME: &str = "poll";
const VERSION: u32 = 1;

/// The poller's resume position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    version: u32,
    /// The newest update time believed, of the last whole sweep.
    pub(crate) through: Option<Timestamp>,
    /// By record: what was last appended of it.
    pub(crate) seen: BTreeMap<String, Seen>,
    /// What was read so far, ever.
    pub(crate) tally: Tally,
}

/// What was last appended of a record, and where in the listing it stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen(pub(crate) String, pub(crate) i64);

/// The flow book's captured side: what the listing's pages brought, and what became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tally {
    /// Pages read.
    pub(crate) pages: u64,
    /// Records in them.
    pub(crate) records: u64,
    /// Of these, byte-equal to what was appended before.
    pub(crate) repeated: u64,
    /// Of these, appended.
    pub(crate) appended: u64,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self { version: VERSION, through: None, seen: BTreeMap::new(), tally: Tally::default() }
    }
}

/// A checkpoint that this program can't use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointError {
    #[error("the checkpoint is not readable")]
    Unreadable(#[from] serde_json::Error),
    #[error("the checkpoint has version {0}, this program reads {VERSION}")]
    Version(u32),
}

impl Checkpoint {
    pub(crate) fn parse(text: &str) -> Result<Self, CheckpointError> {
        let checkpoint: Checkpoint = serde_json::from_str(text)?;
        if checkpoint.version == VERSION { Ok(checkpoint) } else { Err(CheckpointError::Version(checkpoint.version)) }
    }

    pub(crate) fn text(&self) -> Result<String, CheckpointError> {
        Ok(serde_json::to_string(self)?)
    }

    /// Forgets what lies before `zone`, and of what lies after `plausible` all that is not in `met`, and keeps at most `limit` of those.
    pub(crate) fn trim(&mut self, zone: i64, plausible: i64, met: Option<&BTreeSet<String>>, limit: usize) {
        let mut implausible = 0;
        self.seen.retain(|key, seen| {
            if seen.1 <= plausible {
                return seen.1 >= zone;
            }
            implausible += 1;
            implausible <= limit && met.is_none_or(|met| met.contains(key))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trimming_keeps_the_zone_and_a_bounded_future() {
        let mut checkpoint = Checkpoint::default();
        for (key, at) in [("old", 1), ("zone", 10), ("far1", 99), ("far2", 99), ("far3", 99)] {
            checkpoint.seen.insert(key.into(), Seen("f".into(), at));
        }
        checkpoint.trim(10, 50, None, 2);
        assert_eq!(checkpoint.seen.keys().collect::<Vec<_>>(), ["far1", "far2", "zone"]);
        checkpoint.trim(10, 50, Some(&BTreeSet::from(["far2".to_owned()])), 2);
        assert_eq!(checkpoint.seen.keys().collect::<Vec<_>>(), ["far2", "zone"]);
        assert_eq!(Checkpoint::parse(&checkpoint.text().unwrap()).unwrap(), checkpoint);
    }

    #[test]
    fn another_version_is_told() {
        let text = Checkpoint { version: 9, ..Checkpoint::default() }.text().unwrap();
        assert!(matches!(Checkpoint::parse(&text), Err(CheckpointError::Version(9))));
    }
}
