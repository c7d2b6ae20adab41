//! What the pipeline's transaction loads and writes.

use super::{
    AttachmentRow, AttachmentsNamed, BookPut, CommandRow, DeliveryUpdate, Latency, NewDelivery, NewJob, NumberReading,
    OrderAggregate, OrderReference, PairStep, PersonRow, VerificationRow, WorkOrderRow,
};
use gateway_model::{
    ChannelId, CommandId, Dataset, EventRow, FacetRow, OrderId, OrderNumber, OrderPair, Origin, Part, RawId,
    RegistryExtract, RegistryLookup, SourceNumber, Timestamp,
};
use std::collections::BTreeMap;

/// A place on the bus up to which everything is accounted for: the flow book's captured side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowPosition {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The next offset that is not accounted for.
    pub next_offset: u64,
}

/// The name under which a topic of the embedded bus stays in the books when the installation has moved to another bus, where the same topics begin at
/// offset 0 again. No topic on a bus can have it.
#[must_use]
pub fn left_topic(topic: &str) -> String {
    format!("{topic}@embedded")
}

/// What the decision needs to see.
#[derive(Debug, Clone, Default)]
pub struct IngestRequest {
    /// Whose accounted positions.
    pub partitions: Vec<(String, u32)>,
    /// Orders by number.
    pub numbers: Vec<(ChannelId, SourceNumber)>,
    /// Orders by id.
    pub orders: Vec<OrderId>,
    /// Commands that may have been seen before.
    pub commands: Vec<CommandId>,
    /// Operating data; where nothing is looked for, nothing is read.
    pub lookups: Vec<RegistryLookup>,
    /// Orders by a number of any channel, since a record names it.
    pub related: Vec<SourceNumber>,
    /// Whether pairs among the orders are asked for in any case. Else they are loaded where a group or a record that names another number is there.
    pub pairs: bool,
}

/// What there is, read and locked in the transaction.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The accounted positions; a partition never seen stands at 0.
    pub positions: Vec<FlowPosition>,
    /// The id that the first new raw record gets; the following get the following.
    pub next_raw_id: i64,
    /// The feed place that the first changed order gets.
    pub next_feed_seq: u64,
    /// The id that the first new delivery gets.
    pub next_delivery_id: i64,
    /// The orders that were asked for, each once.
    pub orders: Vec<OrderAggregate>,
    /// Records that wait for an order with one of the asked numbers.
    pub parked: Vec<Parked>,
    /// Those of the asked commands that were seen before.
    pub commands: Vec<CommandId>,
    /// What of the operating data was looked for; `None` = nothing was.
    pub registry: Option<RegistryExtract>,
    /// The lead of each of the orders that belongs to a group. All orders of a group are loaded, and those whose records name one of the asked numbers.
    pub groups: BTreeMap<OrderId, OrderId>,
    /// What is held of pairs among the orders.
    pub pairs: Vec<OrderPair>,
}

/// The envelope of a record, without its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct RawMeta {
    /// The channel.
    pub channel: ChannelId,
    /// How it came.
    pub origin: Origin,
    /// The order's number, where known without normalizing.
    pub number: Option<SourceNumber>,
    /// When it was received.
    pub received_at: Timestamp,
    /// When the request that read it was sent (or the push received).
    pub read_at: Timestamp,
    /// The bus: topic.
    pub topic: String,
    /// The bus: partition.
    pub partition: u32,
    /// The bus: offset.
    pub offset: u64,
}

/// A record to keep, exactly as received.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRaw {
    /// Its id, from [`Loaded::next_raw_id`] on.
    pub id: RawId,
    /// Its envelope.
    pub meta: RawMeta,
    /// Its bytes.
    pub body: Vec<u8>,
    /// The key that seals them; `plain` until sealing exists.
    pub key_id: String,
}

/// A kept record.
#[derive(Debug, Clone, PartialEq)]
pub struct RawRow {
    /// Its id.
    pub id: RawId,
    /// Its envelope.
    pub meta: RawMeta,
    /// Its bytes; `None` once erased.
    pub body: Option<Vec<u8>>,
}

/// A record that came before its order.
#[derive(Debug, Clone, PartialEq)]
pub struct Parked {
    /// The record.
    pub raw: RawRow,
    /// The number that it waits for.
    pub number: SourceNumber,
    /// Since when.
    pub since: Timestamp,
}

/// A record to park.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPark {
    /// The record.
    pub raw_id: RawId,
    /// The channel.
    pub channel: ChannelId,
    /// The number that it waits for.
    pub number: SourceNumber,
    /// Since when.
    pub since: Timestamp,
    /// How many of the record's changes wait; they are in flight.
    pub changes: u32,
}

/// How a change ended in the flow book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlowOutcome {
    /// It changed what we hold.
    Applied,
    /// It said nothing new: equal to the head, older than the head, or settled by reading again.
    Duplicate,
    /// It is kept as a dead letter.
    DeadLettered,
}

impl FlowOutcome {
    /// The name in SQL and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            FlowOutcome::Applied => "applied",
            FlowOutcome::Duplicate => "duplicate",
            FlowOutcome::DeadLettered => "dead_lettered",
        }
    }
}

/// A line of the flow book: changes by how they ended. `dataset` is `None` for what could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowTally {
    /// The channel.
    pub channel: ChannelId,
    /// The dataset.
    pub dataset: Option<Dataset>,
    /// How they ended.
    pub outcome: FlowOutcome,
    /// How many; added to what the book has.
    pub changes: u64,
}

/// A line of an order's timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeRow {
    /// The order.
    pub order_id: OrderId,
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
    /// The record.
    pub raw_id: RawId,
}

/// A record that could not be processed.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDeadLetter {
    /// The record.
    pub raw_id: RawId,
    /// The channel.
    pub channel: ChannelId,
    /// The number, where known.
    pub number: Option<SourceNumber>,
    /// A stable code.
    pub code: String,
    /// A sentence without personal data.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Something odd that did not keep a change from being applied; rows are capped, counts are not.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAnomaly {
    /// The channel.
    pub channel: ChannelId,
    /// A stable code: `tie`, `unknown_code`, `regressed_revision`, …
    pub kind: String,
    /// What it is about, bounded: a wire field, a dataset.
    pub subject: String,
    /// The order, where there is one.
    pub order_id: Option<OrderId>,
    /// The record.
    pub raw_id: RawId,
    /// When.
    pub at: Timestamp,
}

/// Everything that one batch changes; written in the transaction that [`Loaded`] was read in.
#[derive(Debug, Clone, Default)]
pub struct IngestWrites {
    /// When it is decided: the day to which the history of the books counts it.
    pub at: Timestamp,
    /// New raw records.
    pub raws: Vec<NewRaw>,
    /// Orders, whole rows, inserted or replaced.
    pub orders: Vec<WorkOrderRow>,
    /// New numbers of orders; one that is there already stays.
    pub numbers: Vec<(OrderId, OrderNumber)>,
    /// Readings of numbers, replaced.
    pub readings: Vec<(OrderId, NumberReading)>,
    /// Which other numbers records name, inserted or replaced.
    pub references: Vec<OrderReference>,
    /// Facets, inserted or replaced.
    pub facets: Vec<(OrderId, FacetRow)>,
    /// Events, inserted or replaced.
    pub events: Vec<(OrderId, EventRow)>,
    /// Person fields, inserted or replaced.
    pub persons: Vec<PersonRow>,
    /// Lines of timelines.
    pub changes: Vec<ChangeRow>,
    /// How orders compare with the operating data, inserted or replaced. Of two for one order and channel the later counts.
    pub verifications: Vec<VerificationRow>,
    /// Files that records refer to, newly owed. One that is there stays as it is, unless it was withdrawn.
    pub attachments: Vec<AttachmentRow>,
    /// Words that replace former ones: files that they do not name are withdrawn.
    pub attachments_named: Vec<AttachmentsNamed>,
    /// Changes of the state book. Of two for one key the later counts.
    pub book: Vec<BookPut>,
    /// What is newly owed.
    pub new_deliveries: Vec<NewDelivery>,
    /// What became of deliveries (echo, superseded).
    pub delivery_updates: Vec<DeliveryUpdate>,
    /// Commands with their verdict.
    pub commands: Vec<CommandRow>,
    /// Pairs, inserted or replaced, each once.
    pub pairs: Vec<OrderPair>,
    /// What was said of pairs.
    pub pair_steps: Vec<PairStep>,
    /// The lead of an order's group; the order itself where it is alone again. Each order once.
    pub aliases: Vec<(OrderId, OrderId)>,
    /// Dead letters.
    pub dead_letters: Vec<NewDeadLetter>,
    /// Records to park.
    pub park: Vec<NewPark>,
    /// Parked records that were applied.
    pub unpark: Vec<RawId>,
    /// Oddities.
    pub anomalies: Vec<NewAnomaly>,
    /// Background jobs.
    pub jobs: Vec<NewJob>,
    /// Lines of the flow book.
    pub tallies: Vec<FlowTally>,
    /// How long the legs took that end here.
    pub latencies: Vec<Latency>,
    /// Where each partition is accounted for from now on.
    pub positions: Vec<FlowPosition>,
}
