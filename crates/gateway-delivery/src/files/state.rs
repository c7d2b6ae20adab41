//! What is remembered of batches and receipts: enough to judge a receipt and to show people how it stands.

use super::export::Exported;
use super::progress::Heard;
use gateway_model::{Day, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many batches are remembered.
const BATCHES: usize = 62;

/// What is remembered of a channel's files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FilesState {
    /// The last batches, the oldest first.
    pub batches: Vec<BatchState>,
    /// Receipts that were applied.
    pub receipts_applied: u64,
    /// Receipts that came again with the same content.
    pub receipts_again: u64,
    /// Receipts that were refused and put into quarantine.
    pub receipts_refused: u64,
    /// Why the last one was refused.
    pub last_refusal: Option<String>,
    /// The receipt that has counted and is still to be answered and moved.
    pub settling: Option<String>,
    /// The day whose daily file was asked for last.
    pub daily_on: Option<Day>,
}

/// One batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchState {
    /// Its name.
    pub batch: String,
    /// `whole`, or the day.
    pub scope: String,
    /// When it was written.
    pub at: Timestamp,
    /// Its data files.
    pub files: Vec<BatchFile>,
    /// Rows that could not be written, by the code of why.
    pub left_out: BTreeMap<String, u64>,
    /// When a receipt last spoke of it.
    pub receipt_at: Option<Timestamp>,
}

/// A data file of a batch, with what receipts said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchFile {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Its digest.
    pub digest: String,
    /// Rows that receipts accepted.
    pub accepted: u64,
    /// Rows that receipts rejected.
    pub rejected: u64,
    /// Rejected rows whose delivery was reopened.
    pub reopened: u64,
    /// Rejected rows that were sent often enough, and are left to a person.
    #[serde(default)]
    pub stopped: u64,
    /// Whether the whole file was refused.
    pub refused: bool,
}

impl FilesState {
    /// Adds a batch, and forgets the oldest.
    pub fn add(&mut self, batch: BatchState) {
        self.batches.push(batch);
        let over = self.batches.len().saturating_sub(BATCHES);
        self.batches.drain(..over);
    }

    /// The batch and place of a data file.
    pub(super) fn find(&self, file: &str) -> Option<(usize, usize)> {
        self.batches.iter().enumerate().find_map(|(batch, state)| {
            state.files.iter().position(|known| known.name == file).map(|place| (batch, place))
        })
    }

    pub(super) fn file_mut(&mut self, (batch, place): (usize, usize)) -> Option<(&mut BatchState, usize)> {
        self.batches.get_mut(batch).map(|state| (state, place))
    }
}

impl BatchFile {
    pub(super) fn heard(&mut self, heard: &Heard) {
        self.accepted += heard.accepted;
        self.rejected += heard.rejected;
        self.reopened += heard.reopened;
        self.stopped += heard.stopped;
        self.refused |= heard.refused;
    }
}

impl From<Exported> for BatchState {
    fn from(exported: Exported) -> Self {
        let file = |file: super::export::WrittenFile| BatchFile {
            name: file.file.name,
            rows: file.file.rows,
            bytes: file.bytes,
            digest: file.file.digest,
            accepted: 0,
            rejected: 0,
            reopened: 0,
            stopped: 0,
            refused: false,
        };
        Self {
            batch: exported.batch,
            scope: exported.scope,
            at: exported.at,
            files: exported.files.into_iter().map(file).collect(),
            left_out: exported.left_out,
            receipt_at: None,
        }
    }
}
