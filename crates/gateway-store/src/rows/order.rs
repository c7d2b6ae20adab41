//! Orders as they are held and read.

use super::DeliveryRow;
use gateway_model::{
    ChannelId, Conflict, Dataset, EventRow, FacetRow, Field, Fields, OrderId, OrderNumber, OrderState, Part, RawId,
    Timestamp,
};

/// The head row of an order: the composed record.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkOrderRow {
    /// The gateway's id.
    pub id: OrderId,
    /// How many changes were applied to it.
    pub seq: u64,
    /// Its place in the feed of changed orders; unique, ascending with commit order.
    pub feed_seq: u64,
    /// When the gateway first heard of it.
    pub created_at: Timestamp,
    /// When it last changed here.
    pub changed_at: Timestamp,
    /// The composed state.
    pub state: Option<OrderState>,
    /// Its round.
    pub round: u32,
    /// The composed fields, without person fields.
    pub fields: Fields,
    /// Where channels differ.
    pub conflicts: Vec<Conflict>,
}

/// Person fields of one facet. `key_id` names the key that seals them; `plain` until sealing exists.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonRow {
    /// The order.
    pub order_id: OrderId,
    /// Who says it.
    pub channel: ChannelId,
    /// Of what.
    pub dataset: Dataset,
    /// Of which facet.
    pub part: Part,
    /// The person fields; empty = erased or withdrawn.
    pub fields: Fields,
    /// The key that seals the row.
    pub key_id: String,
}

/// The latest authoritative reading of an order by one of its numbers, as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberReading {
    /// The number.
    pub number: OrderNumber,
    /// When the request was sent. What was read before it and is not in its answer is not at the channel.
    pub whole_read_at: Timestamp,
    /// When the request was sent that found no such order; `None` while the channel has it.
    pub absent_since: Option<Timestamp>,
}

/// An order with everything that a decision about it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderAggregate {
    /// The head row.
    pub order: WorkOrderRow,
    /// All sides' numbers.
    pub numbers: Vec<OrderNumber>,
    /// How those of the numbers that were read as a whole, with authority, were last read so.
    pub readings: Vec<NumberReading>,
    /// The facets of all channels.
    pub facets: Vec<FacetRow>,
    /// The events of all channels.
    pub events: Vec<EventRow>,
    /// What is and was owed of it, ascending by id.
    pub deliveries: Vec<DeliveryRow>,
}

impl OrderAggregate {
    /// Whether a record of it names a number of another channel.
    #[must_use]
    pub fn names_another(&self) -> bool {
        self.facets.iter().any(|facet| facet.fields.get(Field::RelatedNumber).is_some())
    }
}

/// An order for people and API.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderView {
    /// Everything but persons.
    pub aggregate: OrderAggregate,
    /// The person fields, when asked for.
    pub persons: Vec<PersonRow>,
}

/// A page of the feed of changed orders.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderPage {
    /// Ascending by `feed_seq`.
    pub orders: Vec<OrderView>,
    /// Where the next page begins: pass it as `after`.
    pub next: u64,
    /// Whether there is more now.
    pub more: bool,
}

/// One applied change of an order, by reference.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineRow {
    /// The order's sequence number of it.
    pub seq: u64,
    /// When it was applied.
    pub at: Timestamp,
    /// Who said it.
    pub channel: ChannelId,
    /// Of what.
    pub dataset: Dataset,
    /// Of which item.
    pub part: Part,
    /// The record that it came in.
    pub raw_id: RawId,
    /// How the record came.
    pub origin: gateway_model::Origin,
}
