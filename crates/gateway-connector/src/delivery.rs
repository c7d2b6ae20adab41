//! What is handed to a sink, and what it answers.

use gateway_model::{
    AskBy, BookItem, ChannelId, Dataset, DeliveryId, Fields, Moment, Operation, OrderId, OrderNumber, Part, Receipt,
    Timestamp,
};

/// A delivery as a sink sees it.
#[derive(Debug, Clone)]
pub struct OutboundDelivery {
    /// The delivery.
    pub id: DeliveryId,
    /// The gateway's order.
    pub order_id: OrderId,
    /// The order's number at the destination.
    pub number: OrderNumber,
    /// Where the change came from.
    pub from: ChannelId,
    /// What is asked.
    pub operation: Operation,
    /// The dataset of the change.
    pub dataset: Dataset,
    /// The item of the change at its origin.
    pub part: Part,
    /// The round that it speaks of.
    pub round: u32,
    /// When it was done, as its origin says: the event time of the change.
    pub event_time: Moment,
    /// What is said. Person fields only by grant.
    pub fields: Fields,
    /// Raised by each repair.
    pub generation: u32,
    /// (delivery, generation): the same for every attempt of a generation.
    pub idempotency_key: String,
}

/// What will be sent, worked out before the first attempt and kept with the delivery: every attempt of a generation sends the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedDelivery {
    /// The item that the destination must hold once it has acknowledged; recognises the echo.
    pub item: BookItem,
    /// How to find out what became of an attempt without an answer.
    pub ask_by: AskBy,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it.
    Acknowledged(Receipt),
    /// The destination took it and tells the outcome later.
    Pending(Tracking),
    /// The destination refused it for a reason of business; another attempt would end the same.
    Rejected(Reason),
    /// It certainly did not arrive or was not taken; try again, not before the given time.
    NotTaken {
        /// Why.
        reason: Reason,
        /// When the destination asked for patience.
        not_before: Option<Timestamp>,
    },
    /// It may or may not have arrived.
    Ambiguous(Reason),
}

/// By what a pending delivery is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking(pub String);

/// A reason for people: what happened, without secrets or personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// A stable code: the peer's business code, `http_503`, `timeout`…
    pub code: String,
    /// A sentence.
    pub text: String,
}

impl Reason {
    /// A reason.
    pub fn new(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code: code.into(), text: text.into() }
    }
}
