//! The platform's book: its orders, its account of items, the operations it answered, its push queue, its fault counters.
//!
//! [`Book`] is the plain state; [`Ledger`] is the book with its journal and lock. Contract: a change is first applied and
//! journalled under the lock ([`Ledger::write`]), and nobody is told of it before [`Ledger::settled`] returned. A restarted process
//! has the same book to the byte. Refused: snapshots. A journal of a few ten megabytes is read in a second.

pub mod account;
mod backup;
pub mod entry;
pub mod sums;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::clock;
use crate::digest::{self, Item};
use crate::dress::Dress;
use crate::error::SimError;
use crate::faults::injected::Injections;
use crate::journal::Journal;
use crate::picture;
use crate::record::Order;
use account::Account;
use backup::Backup;
use entry::{Answered, Edit, Entry, Operation, Push, There, upload_form, uploaded_part};

/// One order in the book.
#[derive(Clone)]
pub struct Held {
    /// Its place in the book: its number, or more where the number was given before.
    pub key: String,
    /// The record.
    pub order: Order,
    /// How many changes it has seen; what a planned step refers to.
    pub version: u64,
    /// Moment of the last change, in ms, by the platform's clock (not the record's `updateTime`, which may lie).
    pub changed_at: i64,
    /// Out of listing and pushes until asked for.
    pub hidden: bool,
    /// A city uploaded it; else it is the platform's own.
    pub uploaded: bool,
    /// Replies that were accepted and kept.
    pub replies: Vec<AcceptedReply>,
    /// Its items.
    pub items: Vec<Item>,
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

/// A file that was asked for.
#[derive(Clone, Debug)]
pub struct HeldFile {
    /// Whether it is there.
    pub there: There,
    /// How often it was answered how.
    pub answers: BTreeMap<Answered, u64>,
}

/// What waits to be pushed.
#[derive(Clone, Debug)]
pub struct QueuedPush {
    /// The order.
    pub number: String,
    /// What of it.
    pub push: Push,
    /// The version that the order had by what is to be told.
    pub version: u64,
}

/// The state that the journal adds up to.
#[derive(Default)]
pub struct Book {
    /// What the digests of the account are made in.
    dress: Dress,
    orders: HashMap<String, Held>,
    /// Places by number, in the order in which the number was given.
    by_number: HashMap<String, Vec<String>>,
    sequence: Vec<String>,
    by_update: BTreeSet<(String, String)>,
    /// The account of items.
    pub account: Account,
    /// Operations by request id.
    pub operations: HashMap<String, Operation>,
    /// Pushes not yet taken by the gateway.
    pub pushes: BTreeMap<u64, QueuedPush>,
    next_push: u64,
    /// References of the platform's own orders, those of orders that are gone among them.
    pub references: BTreeSet<String>,
    /// Files by reference, once they were asked for.
    pub files: BTreeMap<String, HeldFile>,
    /// Injected faults by kind.
    pub faults: BTreeMap<String, u64>,
    /// Injected faults one by one, in a campaign.
    pub injections: Injections,
    /// How many places of the sequence were made by uploads.
    uploaded: usize,
    /// The current life: name, beginning, own orders in the book when it began.
    pub life: Option<(String, i64, usize)>,
    /// Whether the current life was stopped.
    pub stopped: bool,
    /// The number that the next order gets.
    pub next_number: usize,
    backup: Backup,
}

impl Book {
    /// A book in a dress that can go back so far, in ms.
    pub fn with_backup(dress: Dress, reach_ms: i64) -> Self {
        Self { dress, backup: Backup::reaching(reach_ms), next_number: 1, ..Self::default() }
    }

    /// Applies one entry. The only code that changes the book.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Life { id, at } => {
                self.life = Some((id.clone(), *at, self.own()));
                self.stopped = false;
            }
            Entry::Stop => self.stopped = true,
            Entry::Create { at, order, hidden, push } => self.create(*at, order, *hidden, push),
            Entry::Change { at, no, update, edits, operation, push } => {
                self.backup.keep(*at, no, self.orders.get(no), operation.as_ref());
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
                    // Another order under the same number brings its own pictures.
                    if let Edit::Whole(other) = edit {
                        self.references.extend(picture::references(&other.pictures).into_iter().map(str::to_owned));
                    }
                }
                if let Some(update) = update.as_ref().filter(|update| **update != held.order.update_time) {
                    let old = std::mem::replace(&mut held.order.update_time, update.clone());
                    self.by_update.remove(&(old, no.clone()));
                    self.by_update.insert((update.clone(), no.clone()));
                }
                if let Some(operation) = operation.as_ref().filter(|done| !done.lost) {
                    self.injections.redone(no, &operation.operation, *at);
                }
                held.version += 1;
                held.changed_at = *at;
                let items = digest::items_in(self.dress, &held.order);
                self.account.replace(&held.items, items.clone(), *at);
                self.injections.returned(no, &items, *at);
                held.items = items;
                self.queue(no, push);
            }
            Entry::Upload { at, no, new, update, edits, operation } => {
                self.upload(*at, no, (new.as_deref(), update.as_ref(), edits), operation);
            }
            Entry::Delete { at, no } => {
                self.backup.keep(*at, no, self.orders.get(no), None);
                if let Some(held) = self.take_out(no) {
                    self.account.replace(&held.items, Vec::new(), *at);
                    self.pushes.retain(|_, queued| queued.number != *no);
                    self.injections.supersede(no, &[], *at);
                }
            }
            Entry::Restore { at, to, reuse } => self.restore(*at, *to, *reuse),
            Entry::Shown { at, orders, fetched } => {
                for no in orders {
                    let update = self.orders.get(no).map_or("", |held| held.order.update_time.as_str());
                    self.injections.shown(no, update, *at, *fetched);
                }
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
            Entry::File { reference, there, answer, .. } => {
                let new = || HeldFile { there: There::From(0), answers: BTreeMap::new() };
                let file = self.files.entry(reference.clone()).or_insert_with(new);
                file.there = there.unwrap_or(file.there);
                *file.answers.entry(*answer).or_default() += 1;
            }
            Entry::Fault { kind, injected, no } => {
                // Those that belong together count once.
                if injected.as_ref().is_none_or(|injected| injected.group == injected.id) {
                    *self.faults.entry(kind.clone()).or_default() += 1;
                }
                if let Some(injected) = injected {
                    self.injections.add(injected, no.as_deref());
                }
            }
        }
    }

    fn create(&mut self, at: i64, order: &Order, hidden: bool, push: &Push) {
        let number = &order.order_no;
        let day = clock::day_of(&order.create_time);
        let places = self.by_number.get(number).map(Vec::as_slice).unwrap_or_default();
        let key = match places {
            [] => number.clone(),
            _ if self.key_of(number, day).is_some() => return,
            _ => format!("{number}@{day}"),
        };
        self.backup.keep(at, &key, None, None);
        let items = digest::items_in(self.dress, order);
        self.injections.supersede(&key, &items, at);
        self.account.replace(&[], items.clone(), at);
        self.references.extend(picture::references(&order.pictures).into_iter().map(str::to_owned));
        self.sequence.push(key.clone());
        self.next_number += 1;
        let held = Held {
            key,
            order: order.clone(),
            version: 0,
            changed_at: at,
            hidden,
            uploaded: false,
            replies: Vec::new(),
            items,
        };
        let key = held.key.clone();
        self.put_in(held);
        self.queue(&key, push);
    }

    /// What was uploaded is kept, and the answer to it remembered.
    fn upload(
        &mut self,
        at: i64,
        no: &str,
        (new, update, edits): (Option<&Order>, Option<&String>, &[Edit]),
        operation: &Operation,
    ) {
        self.operations.insert(operation.request_id.clone(), operation.clone());
        if !operation.lost && !operation.refused {
            let (_, part) = uploaded_part(edits);
            self.injections.redone(no, &upload_form(&operation.operation, &part), at);
        }
        if let Some(order) = new {
            let places = self.sequence.len();
            self.create(at, order, false, &Push::None);
            if self.sequence.len() > places {
                self.uploaded += 1;
                // Its number is not one that the platform gives.
                self.next_number -= 1;
            }
            if let Some(held) = self.orders.get_mut(no) {
                held.uploaded = true;
            }
        }
        let Some(held) = self.orders.get_mut(no).filter(|_| !edits.is_empty()) else { return };
        edits.iter().for_each(|edit| edit.apply(&mut held.order));
        if let Some(update) = update.filter(|update| **update != held.order.update_time) {
            let old = std::mem::replace(&mut held.order.update_time, update.clone());
            self.by_update.remove(&(old, no.to_owned()));
            self.by_update.insert((update.clone(), no.to_owned()));
        }
        held.version += 1;
        held.changed_at = at;
        let items = digest::items_in(self.dress, &held.order);
        self.account.replace(&held.items, items.clone(), at);
        held.items = items;
    }

    fn put_in(&mut self, held: Held) {
        self.by_update.insert((held.order.update_time.clone(), held.key.clone()));
        let places = self.by_number.entry(held.order.order_no.clone()).or_default();
        if !places.contains(&held.key) {
            places.push(held.key.clone());
        }
        self.orders.insert(held.key.clone(), held);
    }

    fn take_out(&mut self, key: &str) -> Option<Held> {
        let held = self.orders.remove(key)?;
        self.by_update.remove(&(held.order.update_time.clone(), key.to_owned()));
        if let Some(places) = self.by_number.get_mut(&held.order.order_no) {
            places.retain(|place| place != key);
            if places.is_empty() {
                self.by_number.remove(&held.order.order_no);
            }
        }
        Some(held)
    }

    fn restore(&mut self, at: i64, to: i64, reuse: bool) {
        for kept in self.backup.back_to(to) {
            let now = self.take_out(&kept.key);
            let items_now = now.as_ref().map(|held| held.items.clone()).unwrap_or_default();
            let version = now.as_ref().map_or(0, |held| held.version);
            let items_then = kept.before.as_ref().map(|before| before.items.as_slice()).unwrap_or_default();
            self.injections.undo(&kept.key, to, at);
            if items_then != items_now {
                self.injections.supersede(&kept.key, items_then, at);
            }
            if let Some(request) = &kept.request {
                self.operations.remove(request);
            }
            match kept.before {
                Some(before) => {
                    self.account.replace(&items_now, before.items.clone(), at);
                    if now.is_none() && !self.sequence.contains(&kept.key) {
                        self.sequence.push(kept.key.clone());
                    }
                    // Never a version that was there before: what was planned for it is void.
                    self.put_in(Held { version: version.max(before.version) + 1, changed_at: at, ..*before });
                }
                None => {
                    self.account.replace(&items_now, Vec::new(), at);
                    self.next_number -= usize::from(reuse && now.is_some());
                }
            }
        }
        let orders = &self.orders;
        self.sequence.retain(|key| orders.contains_key(key));
        self.pushes.clear();
    }

    /// The orders that a restored backup of that moment would change: their places, and the version that they had then; `None` =
    /// they would be gone.
    pub fn changed_since(&self, moment: i64) -> BTreeMap<String, Option<u64>> {
        self.backup.changed_since(moment)
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
        let version = self.order(number).map_or(0, |held| held.version);
        let queued = QueuedPush { number: number.to_owned(), push: push.clone(), version };
        self.pushes.insert(self.next_push, queued);
    }

    /// The newest queued push, where it is one of this order.
    pub fn newest_push(&self, number: &str) -> Option<u64> {
        self.pushes.last_key_value().filter(|(_, queued)| queued.number == number).map(|(&id, _)| id)
    }

    /// One order by its place.
    pub fn order(&self, key: &str) -> Option<&Held> {
        self.orders.get(key)
    }

    /// The places of all orders that have a number, in the order in which it was given.
    pub fn keys(&self, number: &str) -> &[String] {
        self.by_number.get(number).map(Vec::as_slice).unwrap_or_default()
    }

    /// The place of the order that has a number and was created on a day.
    pub fn key_of(&self, number: &str, day: &str) -> Option<&String> {
        let created =
            |key: &&String| self.orders.get(*key).is_some_and(|held| clock::day_of(&held.order.create_time) == day);
        self.keys(number).iter().find(created)
    }

    /// The order at a position of the sequence, where it is still there.
    pub fn at_position(&self, position: usize) -> Option<&Held> {
        self.orders.get(self.sequence.get(position)?)
    }

    /// How many places there are, those of deleted orders among them.
    pub fn len(&self) -> usize {
        self.sequence.len()
    }

    /// Whether there is no order.
    pub fn is_empty(&self) -> bool {
        self.sequence.is_empty()
    }

    /// How many orders of the platform's own there are, deleted ones among them.
    fn own(&self) -> usize {
        self.sequence.len() - self.uploaded
    }

    /// Orders created in the current life.
    pub fn created_in_life(&self) -> usize {
        self.life.as_ref().map_or(0, |(_, _, before)| self.own() - before)
    }

    /// The orders of `limit` places by creation, from position `from` on.
    pub fn page(&self, from: usize, limit: usize) -> impl Iterator<Item = &Held> {
        self.sequence.iter().skip(from).take(limit).filter_map(|key| self.orders.get(key))
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
        let items = digest::items_in(self.dress, &held.order);
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
    /// Opens the book of a directory; without `durable` its journal is written but not synced. It can go back to a backup of so many ms
    /// ago.
    ///
    /// # Errors
    /// When the journal can't be used.
    pub fn open(dir: &Path, dress: Dress, durable: bool, backup_reach_ms: i64) -> Result<Self, SimError> {
        let mut book = Book::with_backup(dress, backup_reach_ms);
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
