//! What is needed to go back: the state of every order before each of its changes of the last hours.

use std::collections::{BTreeMap, VecDeque};

use super::Held;
use super::entry::Operation;

/// An order before a change.
pub struct KeptBefore {
    at: i64,
    /// Its place in the book.
    pub key: String,
    /// What it was; `None` = it was not there.
    pub before: Option<Box<Held>>,
    /// The operation that changed it.
    pub request: Option<String>,
}

/// The states before the changes of the last hours, oldest first.
#[derive(Default)]
pub struct Backup {
    reach_ms: i64,
    kept: VecDeque<KeptBefore>,
}

impl Backup {
    /// One that reaches back so far; 0 keeps nothing.
    pub fn reaching(reach_ms: i64) -> Self {
        Self { reach_ms, kept: VecDeque::new() }
    }

    /// Keeps what an order is before it changes at `at`.
    pub fn keep(&mut self, at: i64, key: &str, before: Option<&Held>, operation: Option<&Operation>) {
        if self.reach_ms == 0 {
            return;
        }
        while self.kept.front().is_some_and(|kept| kept.at < at - self.reach_ms) {
            self.kept.pop_front();
        }
        let request = operation.map(|operation| operation.request_id.clone());
        self.kept.push_back(KeptBefore { at, key: key.to_owned(), before: before.cloned().map(Box::new), request });
    }

    /// Takes out what changed after `to`, the newest first.
    pub fn back_to(&mut self, to: i64) -> Vec<KeptBefore> {
        let mut undone = Vec::new();
        while self.kept.back().is_some_and(|kept| kept.at > to) {
            undone.extend(self.kept.pop_back());
        }
        undone
    }

    /// What changed after a moment, and the version that it had then; `None` = it was not there.
    pub fn changed_since(&self, moment: i64) -> BTreeMap<String, Option<u64>> {
        let since = self.kept.iter().rev().take_while(|kept| kept.at > moment);
        // The oldest change comes last and says what would be restored.
        since.map(|kept| (kept.key.clone(), kept.before.as_ref().map(|before| before.version))).collect()
    }
}
