//! The lines of the platform's journal: everything that ever changed its book, in order.
//!
//! An entry says what was done, not what the record looks like afterwards; [`super::Book::apply`] is the only code that changes a
//! record, alive and when the journal is read again, so the two can't differ.

use serde::{Deserialize, Serialize};

use crate::digest::Dataset;
use crate::faults::injected::Injected;
use crate::record::{Completion, Event, Order, Unit, Upstream, Visit};

/// One line of the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Entry {
    /// A life began (a run of the demo; a restarted process continues it).
    Life {
        /// Name of the life.
        id: String,
        /// When, in ms.
        at: i64,
    },
    /// The life was stopped: no spontaneous change any more.
    Stop,
    /// A new order.
    Create {
        /// When, in ms.
        at: i64,
        /// The whole record.
        order: Box<Order>,
        /// Kept out of listing and pushes until somebody asks for it by number or by event window (fault `missed_record`).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hidden: bool,
        /// How it is to be pushed.
        #[serde(default, skip_serializing_if = "Push::is_none")]
        push: Push,
    },
    /// A change of an order.
    Change {
        /// When, in ms.
        at: i64,
        /// Its place in the book: its number, or more where the number was given before.
        no: String,
        /// The new `updateTime`; absent = unchanged (silent edit).
        update: Option<String>,
        /// What changed.
        edits: Vec<Edit>,
        /// The gateway's operation that did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operation: Option<Operation>,
        /// How it is to be pushed.
        #[serde(default, skip_serializing_if = "Push::is_none")]
        push: Push,
    },
    /// What a city uploaded of an order.
    Upload {
        /// When, in ms.
        at: i64,
        /// Its place in the book.
        no: String,
        /// The whole record, where the upload made it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<Box<Order>>,
        /// The new `updateTime`; absent = nothing was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        update: Option<String>,
        /// What changed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        edits: Vec<Edit>,
        /// What was answered.
        operation: Operation,
    },
    /// An order was taken out of the book.
    Delete {
        /// When, in ms.
        at: i64,
        /// Its place in the book.
        no: String,
    },
    /// The book went back to an earlier state: what changed after `to` is as it was then, what came after it is gone.
    Restore {
        /// When, in ms.
        at: i64,
        /// The moment of the backup, in ms.
        to: i64,
        /// Whether the numbers given since are given again.
        reuse: bool,
    },
    /// Orders on which a fault is in place were shown.
    Shown {
        /// When, in ms.
        at: i64,
        /// Their places in the book.
        orders: Vec<String>,
        /// Somebody asked for just these orders.
        fetched: bool,
    },
    /// Somebody asked for hidden orders; from here on they are ordinary.
    Reveal {
        /// Their places in the book.
        numbers: Vec<String>,
    },
    /// Pushes that need no further attempt: taken by the gateway, or given up.
    Pushed {
        /// Their numbers in the queue.
        pushes: Vec<u64>,
    },
    /// A file that records refer to was asked for.
    File {
        /// When, in ms.
        at: i64,
        /// Its reference.
        reference: String,
        /// Since when it is there; told where it was asked for the first time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        there: Option<There>,
        /// What was answered.
        answer: Answered,
    },
    /// A fault was injected.
    Fault {
        /// Its kind.
        kind: String,
        /// What exactly, in a campaign.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        injected: Option<Box<Injected>>,
        /// The place in the book of the order that it hit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        no: Option<String>,
    },
}

/// Whether a file is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum There {
    /// From this moment on, in ms.
    From(i64),
    /// The platform lost it for good.
    Never,
}

/// How a question for a file was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// By the whole file.
    Whole,
    /// That it is not there, as is true.
    Absent,
    /// By HTTP 500.
    Error,
    /// By its first half, and a broken connection.
    Torn,
    /// That it is not there, though it is.
    Denied,
    /// By a page for people.
    Page,
}

/// One edit of a record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// New state code.
    State(String),
    /// New round.
    Round(u32),
    /// New handling unit.
    Unit(String),
    /// New deadline.
    Deadline(String),
    /// New title.
    Title(String),
    /// New content.
    Content(String),
    /// New category.
    Category(String),
    /// New address.
    Address(String),
    /// A further event.
    Event(Event),
    /// The completion of a round.
    Completion(Completion),
    /// A further visit.
    Visit(Visit),
    /// An event in the place of that of its id, or a further one.
    PutEvent(Event),
    /// A completion in the place of that of its round, or a further one.
    PutCompletion(Completion),
    /// A visit in the place of that of its number, or a further one.
    PutVisit(Visit),
    /// What the origin says of its state.
    Upstream(Upstream),
    /// A unit's part in the place of that of its task, or a further one.
    PutUnit(Unit),
    /// Another record in its place, except for the update time.
    Whole(Box<Order>),
}

impl Edit {
    /// Applies the edit to a record.
    pub fn apply(&self, order: &mut Order) {
        match self {
            Self::State(value) => order.state.clone_from(value),
            Self::Round(value) => order.round = *value,
            Self::Unit(value) => order.unit.clone_from(value),
            Self::Deadline(value) => order.deadline.clone_from(value),
            Self::Title(value) => order.title.clone_from(value),
            Self::Content(value) => order.content.clone_from(value),
            Self::Category(value) => order.category.clone_from(value),
            Self::Address(value) => order.address.clone_from(value),
            Self::Event(value) => order.events.push(value.clone()),
            Self::Completion(value) => order.completions.push(value.clone()),
            Self::Visit(value) => order.visits.push(value.clone()),
            Self::PutEvent(value) => put(&mut order.events, value, |a, b| a.event_id == b.event_id),
            Self::PutCompletion(value) => put(&mut order.completions, value, |a, b| a.round == b.round),
            Self::PutVisit(value) => put(&mut order.visits, value, |a, b| a.visit_no == b.visit_no),
            Self::Upstream(value) => put(&mut order.upstream, value, |a, b| a.source == b.source),
            Self::PutUnit(value) => put(&mut order.units, value, |a, b| a.unit_task == b.unit_task),
            Self::Whole(value) => {
                let update_time = std::mem::take(&mut order.update_time);
                *order = Order { update_time, ..(**value).clone() };
            }
        }
    }
}

/// The item of its order that an upload with these changes makes or replaces.
pub fn uploaded_part(edits: &[Edit]) -> (Dataset, String) {
    match edits.first() {
        None | Some(Edit::Whole(_)) => (Dataset::Acceptance, "c0".to_owned()),
        Some(Edit::PutEvent(event)) => (Dataset::Handling, format!("e:{}", event.event_id)),
        Some(Edit::PutCompletion(completion)) => (Dataset::Completion, format!("c{}", completion.round)),
        Some(Edit::PutVisit(visit)) => (Dataset::Evaluation, format!("c{}", visit.visit_no)),
        Some(Edit::Upstream(told)) => (Dataset::Handling, format!("e:{}", told.source)),
        Some(Edit::PutUnit(unit)) => (Dataset::Handling, format!("e:{}", unit.unit_task)),
        Some(_) => (Dataset::Handling, "c0".to_owned()),
    }
}

/// The form of a fault that befell an upload: only an upload of the same item settles it.
pub fn upload_form(operation: &str, part: &str) -> String {
    format!("{operation} {part}")
}

fn put<T: Clone>(list: &mut Vec<T>, value: &T, same: impl Fn(&T, &T) -> bool) {
    match list.iter_mut().find(|held| same(held, value)) {
        Some(held) => held.clone_from(value),
        None => list.push(value.clone()),
    }
}

/// What the platform pushes about a change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Push {
    /// Nothing.
    #[default]
    None,
    /// The wide record as it is when the push goes out.
    Record,
    /// One event alone (partial push); may overtake the record.
    Event(String),
    /// The record as it was before this change, sent after a newer one (fault `out_of_order`).
    Stale(Box<Order>),
}

impl Push {
    /// Whether nothing is pushed.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// An operation of the gateway that the platform answered with success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// `X-Request-Id`.
    pub request_id: String,
    /// `sign`, `reply`, `refuse`, `complete`, `extend`, `appeal`, `upload_…`.
    pub operation: String,
    /// Order number.
    pub order_no: String,
    /// The receipt's number.
    pub receipt_no: String,
    /// When received, wire form.
    pub received_at: String,
    /// Answered with success but not kept (fault `lost_reply`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// Refused as a row of business (fault `refused_upload`); the same key is refused again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// Its receipt is not known before this moment, in ms (fault `lost_receipt`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_from: Option<i64>,
}
