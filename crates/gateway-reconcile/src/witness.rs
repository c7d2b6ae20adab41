//! The third witness: before a difference is confirmed, the record itself is read.
//!
//! An account and our book that differ are two words against each other. An account may be a consistent snapshot of hours ago, or cut off in a way that
//! its own sums repeat; nothing in it shows that. The record, read by number, does: when it says what we hold, the account is what is wrong, and
//! the difference is no gap of the order. What was read here is not applied; that is the repair's work, through the bus like everything else.
//!
//! So before something is sent once more: what the record shows stands, whatever the account says.
//!
//! Refused: reading first and comparing afterwards. A read that mends the difference before it is confirmed would leave no trace of the loss.

use crate::compare::same_item;
use crate::error::ReconcileError;
use crate::tour::Tour;
use gateway_model::{BookItem, Dataset, ItemKey, SourceNumber};
use gateway_store::StoredItem;
use std::collections::{HashMap, HashSet};

/// Records that were read.
#[derive(Default)]
pub(crate) struct Witness {
    items: HashMap<ItemKey, BookItem>,
    unreadable: HashSet<SourceNumber>,
    asked: HashSet<SourceNumber>,
}

/// Whom the record agrees with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// Nothing: the channel can't be read by number, or its answer can't be read.
    Nothing,
    /// What the account says.
    Theirs,
    /// What our book says, and not what the account says.
    Ours,
    /// Neither: the order changed meanwhile.
    Neither,
}

impl Witness {
    /// Reads these orders, as far as the channel can be read by number.
    pub(crate) async fn ask(tour: &mut Tour<'_>, numbers: &HashSet<SourceNumber>) -> Result<Self, ReconcileError> {
        let mut witness = Self::default();
        let connector = tour.context.connector.clone();
        let Some(source) = connector.source() else { return Ok(witness) };
        let mut numbers: Vec<SourceNumber> = numbers.iter().cloned().collect();
        numbers.sort_unstable();
        for numbers in numbers.chunks(source.ids_per_fetch().max(1)) {
            tour.keep_lease().await?;
            tour.calls += 1;
            tour.memory.spending.call(tour.context.now());
            let read = source.fetch_ids(numbers).await;
            let page = read.map_err(|source| ReconcileError::Request { dataset: Dataset::Acceptance, source })?;
            witness.asked.extend(numbers.iter().cloned());
            for record in page.records {
                let changes = match record.undecodable {
                    None => connector.normalizer().normalize(&record.body, page.read_at).ok(),
                    Some(_) => None,
                };
                let Some(changes) = changes else {
                    // Whose record it was can't always be told: then it may be anybody's.
                    witness.unreadable.extend(record.number.map_or_else(|| numbers.to_vec(), |number| vec![number]));
                    continue;
                };
                let items = changes.iter().filter_map(|change| Some(change.book_item(change.day?)));
                witness.items.extend(items.map(|item| (item.key.clone(), item)));
            }
        }
        Ok(witness)
    }

    /// Whether a record shows this item.
    pub(crate) fn shows(&self, item: &BookItem) -> bool {
        self.items.get(&item.key).is_some_and(|record| same_item(record, item))
    }

    /// Whom the record of a key agrees with.
    pub(crate) fn says(&self, key: &ItemKey, theirs: Option<&BookItem>, ours: Option<&StoredItem>) -> Says {
        if !self.asked.contains(&key.number) || self.unreadable.contains(&key.number) {
            return Says::Nothing;
        }
        let record = self.items.get(key);
        let agrees = |other: Option<&BookItem>| match (record, other) {
            (None, None) => true,
            (Some(record), Some(other)) => same_item(record, other),
            _ => false,
        };
        if agrees(theirs) {
            Says::Theirs
        } else if agrees(ours.map(|held| &held.item)) {
            Says::Ours
        } else {
            Says::Neither
        }
    }
}
