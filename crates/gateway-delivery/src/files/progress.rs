//! How far a receipt was applied, and what of it has counted: kept in the transaction of what the rows changed, so that a process may die in the middle and
//! each row still counts once.

use gateway_connector::wire::Verdict;
use gateway_store::VerdictTally;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The name of the checkpoint.
pub(super) const RECEIPT_CHECKPOINT: &str = "files_receipt";

/// One receipt, as far as it was applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Its name and digest: another content is another receipt.
    pub(super) receipt: String,
    pub(super) digest: String,
    /// Rows that have counted.
    pub(super) rows: u64,
    /// What it says of each data file.
    pub(super) files: BTreeMap<String, Heard>,
    /// What became of all its verdicts.
    pub(super) sum: VerdictTally,
}

/// What a receipt says of a data file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heard {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) reopened: u64,
    pub(super) stopped: u64,
    /// Whether the file as a whole was refused.
    pub(super) refused: bool,
}

impl Progress {
    pub(super) fn of(receipt: &str, digest: &str) -> Self {
        Self { receipt: receipt.to_owned(), digest: digest.to_owned(), ..Self::default() }
    }

    /// Goes on where it is of the same receipt.
    pub(super) fn going_on(self, kept: Option<String>) -> Self {
        // One that can't be read is of a later program: its rows are applied anew, which changes nothing but these counts.
        let kept = kept.and_then(|text| serde_json::from_str::<Self>(&text).ok());
        kept.filter(|kept| kept.receipt == self.receipt && kept.digest == self.digest).unwrap_or(self)
    }

    /// Counts a row.
    pub(super) fn row(&mut self, file: &str, verdict: Verdict, names_row: bool) {
        self.rows += 1;
        let heard = self.files.entry(file.to_owned()).or_default();
        match verdict {
            Verdict::Refused if !names_row => heard.refused = true,
            Verdict::Accepted if !names_row => {}
            Verdict::Accepted => heard.accepted += 1,
            Verdict::Rejected | Verdict::Refused => heard.rejected += 1,
        }
    }

    /// The same, with what became of the rows of a file that were counted last.
    pub(super) fn with(mut self, file: &str, tally: VerdictTally) -> Self {
        let heard = self.files.entry(file.to_owned()).or_default();
        heard.reopened += tally.reopened;
        heard.stopped += tally.stopped;
        self.sum += tally;
        self
    }
}
