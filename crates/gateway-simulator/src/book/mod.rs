//! The platform's book: its orders, its account of items, the operations it answered, its push queue, its fault counters.
//!
//! [`Book`] is the plain state; [`Ledger`] is the book with its journal and lock. Contract: a change is first applied and
//! journalled under the lock ([`Ledger::write`]), and nobody is told of it before [`Ledger::settled`] returned. A restarted process
//! has the same book to the byte. Refused: snapshots. A journal of a few ten megabytes is read in a second.

pub mod account;
pub mod entry;
pub mod sums;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::digest::{self, Item};
use crate::error::SimError;
use crate::journal::Journal;
use crate::record::Order;
use account::Account;
use entry::{Entry, Operation, Push};

/// One order in the book.
pub struct Held {
    /// The record.
    pub order: Order,
    /// How many changes it has seen; what a planned step refers to.
    pub version: u64,
    /// Moment of the last change, in ms, by the platform's clock (not the record's `updateTime`, which may lie).
    pub changed_at: i64,
    /// Out of listing and pushes until asked for.
    pub hidden: bool,
    /// Replies that were accepted and kept.
    pub replies: Vec<AcceptedReply>,
    items: Vec<Item>,
}

/// An accepted reply, for the judge.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedReply {
    /// The round answered.
    pub round: u32,
    /// Under which request id.
    pub request_id: String,
}

/// What waits to be pushed.
#[derive(Clone, Debug)]
pub struct QueuedPush {
    /// The order.
    pub number: String,
    /// What of it.
    pub push: Push,
}

/// The state that the journal adds up to.
#[derive(Default)]
pub struct Book {
    orders: HashMap<String, Held>,
    sequence: Vec<String>,
    by_update: BTreeSet<(String, String)>,
    /// The account of items.
    pub account: Account,
    /// Operations by request id.
    pub operations: HashMap<String, Operation>,
    /// Pushes not yet taken by the gateway.
    pub pushes: BTreeMap<u64, QueuedPush>,
    next_push: u64,
    /// Injected faults by kind.
    pub faults: BTreeMap<String, u64>,
    /// The current life: name, beginning, orders in the book when it began.
    pub life: Option<(String, i64, usize)>,
    /// Whether the current life was stopped.
    pub stopped: bool,
}

impl Book {
    /// Applies one entry. The only code that changes the book.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Life { id, at } => {
                self.life = Some((id.clone(), *at, self.sequence.len()));
                self.stopped = false;
            }
            Entry::Stop => self.stopped = true,
            Entry::Create { at, order, hidden, push } => self.create(*at, order, *hidden, push),
            Entry::Change { at, no, update, edits, operation, push } => {
                if let Some(operation) = operation {
                    self.operations.insert(operation.request_id.clone(), operation.clone());
                }
                let Some(held) = self.orders.get_mut(no) else { return };
                if let Some(operation) = operation.as_ref().filter(|done| done.operation == "reply" && !done.lost) {
                    held.replies
                        .push(AcceptedReply { round: held.order.round, request_id: operation.request_id.clone() });
                }
                for edit in edits {
                    edit.apply(&mut held.order);
                }
                if let Some(update) = update.as_ref().filter(|update| **update != held.order.update_time) {
                    let old = std::mem::replace(&mut held.order.update_time, update.clone());
                    self.by_update.remove(&(old, no.clone()));
                    self.by_update.insert((update.clone(), no.clone()));
                }
                held.version += 1;
                held.changed_at = *at;
                let items = digest::items(&held.order);
                self.account.replace(&held.items, items.clone(), *at);
                held.items = items;
                self.queue(no, push);
            }
            Entry::Reveal { numbers } => {
                for number in numbers {
                    if let Some(held) = self.orders.get_mut(number) {
                        held.hidden = false;
                    }
                }
            }
            Entry::Pushed { pushes } => {
                for push in pushes {
                    self.pushes.remove(push);
                }
            }
            Entry::Fault { kind } => *self.faults.entry(kind.clone()).or_default() += 1,
        }
    }

    fn create(&mut self, at: i64, order: &Order, hidden: bool, push: &Push) {
        let number = order.order_no.clone();
        if self.orders.contains_key(&number) {
            return;
        }
        let items = digest::items(order);
        self.account.replace(&[], items.clone(), at);
        self.by_update.insert((order.update_time.clone(), number.clone()));
        self.sequence.push(number.clone());
        let held = Held { order: order.clone(), version: 0, changed_at: at, hidden, replies: Vec::new(), items };
        self.orders.insert(number.clone(), held);
        self.queue(&number, push);
    }

    fn queue(&mut self, number: &str, push: &Push) {
        // One waiting push of the whole record is enough: it is read from the book when it goes out.
        let waits = |queued: &QueuedPush| queued.number == number && queued.push == Push::Record;
        let redundant = *push == Push::Record && self.pushes.values().rev().take(64).any(waits);
        if push.is_none() || redundant {
            return;
        }
        if matches!(push, Push::Stale(_)) {
            // The old version overtaken: the new one goes first.
            self.queue(number, &Push::Record);
        }
        self.next_push += 1;
        self.pushes.insert(self.next_push, QueuedPush { number: number.to_owned(), push: push.clone() });
    }

    /// The newest queued push, where it is one of this order.
    pub fn newest_push(&self, number: &str) -> Option<u64> {
        self.pushes.last_key_value().filter(|(_, queued)| queued.number == number).map(|(&id, _)| id)
    }

    /// One order.
    pub fn order(&self, number: &str) -> Option<&Held> {
        self.orders.get(number)
    }

    /// How many orders there are.
    pub fn len(&self) -> usize {
        self.sequence.len()
    }

    /// Whether there is no order.
    pub fn is_empty(&self) -> bool {
        self.sequence.is_empty()
    }

    /// Orders created in the current life.
    pub fn created_in_life(&self) -> usize {
        self.life.as_ref().map_or(0, |(_, _, before)| self.sequence.len() - before)
    }

    /// Orders by creation, from position `from` on.
    pub fn from_position(&self, from: usize) -> impl Iterator<Item = &Held> {
        self.sequence.iter().skip(from).filter_map(|number| self.orders.get(number))
    }

    /// Orders with `from ≤ updateTime ≤ to`, ascending by (updateTime, number), without hidden ones.
    pub fn listed<'a>(&'a self, from: &str, to: Option<&'a str>) -> impl Iterator<Item = &'a Held> {
        self.by_update
            .range((from.to_owned(), String::new())..)
            .take_while(move |(update, _)| to.is_none_or(|to| update.as_str() <= to))
            .filter_map(|(_, number)| self.orders.get(number))
            .filter(|held| !held.hidden)
    }

    /// Alters a field without a trace in the journal: a damaged book, for tests of the judge.
    pub fn corrupt(&mut self, number: &str) -> bool {
        let Some(held) = self.orders.get_mut(number) else { return false };
        held.order.title.push('※');
        let items = digest::items(&held.order);
        self.account.replace(&held.items, items.clone(), held.changed_at);
        held.items = items;
        true
    }
}

/// The book with its journal, shared by everything that the platform runs.
#[derive(Clone)]
pub struct Ledger {
    book: Arc<Mutex<Book>>,
    journal: Journal,
}

impl Ledger {
    /// Opens the book of a directory; without `durable` its journal is written but not synced.
    ///
    /// # Errors
    /// When the journal can't be used.
    pub fn open(dir: &Path, durable: bool) -> Result<Self, SimError> {
        let mut book = Book::default();
        let journal = Journal::open(&dir.join("book.jsonl"), durable, |entry: Entry| book.apply(&entry))?;
        Ok(Self { book: Arc::new(Mutex::new(book)), journal })
    }

    /// The book, locked. Never hold it over an await.
    pub fn lock(&self) -> MutexGuard<'_, Book> {
        // A panic under the lock is a bug of ours; the book is as it was before the entry that panicked.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies and journals an entry. The guard proves that the caller holds the lock, so journal order = order of application.
    pub fn write(&self, book: &mut MutexGuard<'_, Book>, entry: &Entry) {
        book.apply(entry);
        self.journal.append(entry);
    }

    /// Waits until everything written so far is on disk.
    ///
    /// # Errors
    /// When the journal can't be written any more.
    pub async fn settled(&self) -> Result<(), SimError> {
        self.journal.durable(self.journal.newest()).await
    }
}
