//! Commands, deliveries and attempts.

use super::{LeaseGrant, RawRow};
use gateway_model::{
    AskBy, BookItem, ChannelId, CommandId, CommandState, Dataset, DeliveryId, DeliveryState, Operation, OrderId,
    OrderNumber, Part, RawId, Receipt, Timestamp,
};
use serde::{Deserialize, Serialize};

/// A command with its verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandRow {
    /// Its id.
    pub id: CommandId,
    /// The order.
    pub order_id: OrderId,
    /// What was asked.
    pub operation: Operation,
    /// Of which round.
    pub round: u32,
    /// The verdict.
    pub state: CommandState,
    /// Why it was refused.
    pub reason: Option<String>,
    /// The record.
    pub raw_id: RawId,
    /// When the pipeline decided.
    pub at: Timestamp,
}

/// A delivery to create.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDelivery {
    /// Its id, from [`super::Loaded::next_delivery_id`] on.
    pub id: DeliveryId,
    /// The order.
    pub order_id: OrderId,
    /// To whom.
    pub destination: ChannelId,
    /// From whom the change came.
    pub from: ChannelId,
    /// What is asked.
    pub operation: Operation,
    /// The dataset of the change.
    pub dataset: Dataset,
    /// The item of the change at its origin.
    pub part: Part,
    /// The round that it speaks of.
    pub round: u32,
    /// The record that holds the content.
    pub raw_id: RawId,
    /// The command that it comes from, where there is one.
    pub command_id: Option<CommandId>,
    /// When it was decided.
    pub created_at: Timestamp,
}

/// A delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryRow {
    /// Its id.
    pub id: DeliveryId,
    /// The order.
    pub order_id: OrderId,
    /// To whom.
    pub destination: ChannelId,
    /// From whom the change came.
    pub from: ChannelId,
    /// What is asked.
    pub operation: Operation,
    /// The dataset of the change.
    pub dataset: Dataset,
    /// The item of the change at its origin.
    pub part: Part,
    /// The round that it speaks of.
    pub round: u32,
    /// The record that holds the content.
    pub raw_id: RawId,
    /// The command that it comes from.
    pub command_id: Option<CommandId>,
    /// Where it stands.
    pub state: DeliveryState,
    /// Raised by each repair; starts at 1.
    pub generation: u32,
    /// Attempts begun in this generation.
    pub attempts: u32,
    /// Whether an attempt of this generation ended without an answer, so that a later refusal may be our own echo.
    pub unanswered: bool,
    /// Not before this time is it tried or asked for again.
    pub next_attempt_at: Timestamp,
    /// When it was decided.
    pub created_at: Timestamp,
    /// When the first attempt began.
    pub first_sent_at: Option<Timestamp>,
    /// When the last attempt ended.
    pub last_attempt_ended_at: Option<Timestamp>,
    /// What the destination must hold once it acknowledged; known from the first attempt on.
    pub item: Option<BookItem>,
    /// How to ask about an attempt without an answer; known from the first attempt on.
    pub ask_by: Option<AskBy>,
    /// The proof.
    pub receipt: Option<Receipt>,
    /// The code of the last trouble.
    pub reason_code: Option<String>,
    /// A sentence on it.
    pub reason: Option<String>,
}

impl DeliveryRow {
    /// The key under which every attempt of this generation is sent, as `d17-1-9f3a20c4`. The tail of the order's random id keeps it unique
    /// also towards a peer that outlives this store: a new store counts its deliveries from 1 again.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        DeliveryKey::of(self).to_string()
    }
}

/// An idempotency key, taken apart: what a receipt names a row by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// The delivery.
    pub id: DeliveryId,
    /// Its generation.
    pub generation: u32,
    /// The tail of its order's id.
    pub order_tail: u32,
}

impl DeliveryKey {
    /// The key of a delivery as it stands.
    #[must_use]
    pub fn of(row: &DeliveryRow) -> Self {
        Self { id: row.id, generation: row.generation, order_tail: tail(row.order_id) }
    }

    /// Reads one, written in no other way than ours.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('d')?.split('-');
        let (id, generation, order) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
        let key = Self { id: DeliveryId(id), generation, order_tail: u32::from_str_radix(order, 16).ok()? };
        (key.to_string() == text).then_some(key)
    }

    /// Whether it is of this order.
    #[must_use]
    pub fn is_of(&self, order: OrderId) -> bool {
        self.order_tail == tail(order)
    }
}

impl std::fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "d{}-{}-{:08x}", self.id, self.generation, self.order_tail)
    }
}

fn tail(order: OrderId) -> u32 {
    order.0.as_u128() as u32
}

/// Which of what was forwarded to a destination is told: of each item what was said last, by delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardedScope {
    /// Owed since this time.
    pub owed_from: Timestamp,
    /// And before this one.
    pub owed_before: Timestamp,
    /// No delivery that was decided later counts: what comes meanwhile changes nothing.
    pub upto: DeliveryId,
}

/// What a destination says of one row that we told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowVerdict {
    /// Which row.
    pub key: DeliveryKey,
    /// Its number and time of the proof, where it holds the row; else why not, as code and sentence.
    pub said: Result<Receipt, (String, String)>,
}

/// How verdicts are taken.
#[derive(Clone, Copy)]
pub struct Hearing<'a> {
    /// When.
    pub at: Timestamp,
    /// Of these generations a row was refused often enough: it is not sent again by itself.
    pub max_generations: u32,
    /// The lease of who takes them; `None` where nobody else can be at it.
    pub under: Option<&'a LeaseGrant>,
    /// What is noted in the same transaction; nothing is while no verdict changes anything.
    pub note: Option<VerdictNote<'a>>,
}

/// A checkpoint that moves with the verdicts that it speaks of.
#[derive(Clone, Copy)]
pub struct VerdictNote<'a> {
    /// The checkpoint's name.
    pub name: &'a str,
    /// What it says, once it is known what became of the verdicts.
    pub text: &'a (dyn Fn(VerdictTally) -> String + Send + Sync),
}

/// What became of verdicts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VerdictTally {
    /// Acknowledged before, and proved once more.
    pub confirmed: u64,
    /// Acknowledged by the verdict.
    pub acknowledged: u64,
    /// Refused there: owed again under a new generation.
    pub reopened: u64,
    /// Refused there as often as it is sent by itself: rejected, until a person sends it again.
    pub stopped: u64,
    /// In flight: refused rows of these are sent anyhow, and what was not sent yet can't have arrived.
    pub in_flight: u64,
    /// About an earlier generation, or about what has ended otherwise: void.
    pub stale: u64,
    /// No row of ours.
    pub unknown: u64,
}

impl std::ops::AddAssign for VerdictTally {
    fn add_assign(&mut self, other: Self) {
        self.confirmed += other.confirmed;
        self.acknowledged += other.acknowledged;
        self.reopened += other.reopened;
        self.stopped += other.stopped;
        self.in_flight += other.in_flight;
        self.stale += other.stale;
        self.unknown += other.unknown;
    }
}

/// What the pipeline learns about a delivery. Applies only while it is in flight.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryUpdate {
    /// The delivery.
    pub id: DeliveryId,
    /// Where it stands now.
    pub state: DeliveryState,
    /// The proof, when it was echoed.
    pub receipt: Option<Receipt>,
    /// When to try or ask again, where it stays in flight.
    pub next_attempt_at: Option<Timestamp>,
    /// A code for the trouble.
    pub reason_code: Option<String>,
    /// A sentence.
    pub reason: Option<String>,
}

/// A delivery that is due, with what is needed to send it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryWork {
    /// The delivery.
    pub delivery: DeliveryRow,
    /// The order's number at the destination; `None` while the destination has none.
    pub number: Option<OrderNumber>,
    /// The record that holds the content.
    pub raw: RawRow,
}

/// An attempt that begins; saved before the first byte is sent, so that a crash leaves a `sending` delivery and not a doubt.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptStart {
    /// The delivery.
    pub id: DeliveryId,
    /// What the destination must hold afterwards.
    pub item: BookItem,
    /// The version of the projection that the item's digest was made with; the state book gets the item under it.
    pub projection_version: u32,
    /// How to ask if there is no answer.
    pub ask_by: AskBy,
    /// When.
    pub at: Timestamp,
}

/// How an attempt (or a question about one) ended. Applies only while the delivery is in flight.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptResult {
    /// The delivery.
    pub id: DeliveryId,
    /// Where it stands now. `Acknowledged` puts the delivery's item into the sent side of the state book.
    pub state: DeliveryState,
    /// The proof.
    pub receipt: Option<Receipt>,
    /// A code for the trouble.
    pub reason_code: Option<String>,
    /// A sentence.
    pub reason: Option<String>,
    /// Whether this attempt ended without an answer.
    pub unanswered: bool,
    /// When to try or ask again.
    pub next_attempt_at: Timestamp,
    /// When it ended.
    pub at: Timestamp,
}

/// An attempt, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRow {
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// In which generation.
    pub generation: u32,
    /// The how-manieth of it.
    pub attempt: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Where the delivery stood then.
    pub outcome: Option<DeliveryState>,
    /// The code of the trouble.
    pub reason_code: Option<String>,
}

/// A line of the flow book's outbound side: deliveries by where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundTally {
    /// The destination.
    pub destination: ChannelId,
    /// The dataset of the change.
    pub dataset: Dataset,
    /// Where they stand.
    pub state: DeliveryState,
    /// How many.
    pub deliveries: u64,
    /// How many of them were sent at least once.
    pub sent: u64,
}
