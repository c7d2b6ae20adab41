//! What the store holds of an order: numbers, facets at their head revision, events.

use crate::{ChannelId, Dataset, Day, Digest, Fields, Moment, Part, RawId, Revision, SourceNumber, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A side's number for an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OrderNumber {
    /// The side.
    pub channel: ChannelId,
    /// Its number.
    pub number: SourceNumber,
    /// The creation day there.
    pub day: Day,
}

/// What one channel says of one dataset of one order (of one cycle), at its head revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FacetRow {
    /// Who says it.
    pub channel: ChannelId,
    /// Of what.
    pub dataset: Dataset,
    /// Of which cycle; always [`Part::Cycle`].
    pub part: Part,
    /// The head revision.
    pub revision: Option<Revision>,
    /// Whether the head's revision was implausible when it came (a time in the future), so that it orders nothing.
    pub revision_doubtful: bool,
    /// When it happened.
    pub event_time: Moment,
    /// The compared content.
    pub digest: Digest,
    /// The whole content, keyed with the installation's secret, since it covers person fields.
    pub content_hash: [u8; 32],
    /// Whether the channel only said back what we delivered, on the compared fields.
    pub echo: bool,
    /// What is said, without person fields.
    pub fields: Fields,
    /// What the profile does not name.
    pub unmapped: BTreeMap<String, serde_json::Value>,
    /// When the request that read it was sent (or the push received).
    pub read_at: Timestamp,
    /// When it was received.
    pub received_at: Timestamp,
    /// The record it came in.
    pub raw_id: RawId,
    /// When the request was sent whose answer did not show it any more; `None` while the channel says it.
    pub gone_at: Option<Timestamp>,
}

/// An event of an order: supplement 追加, urge 催办, dispatch, visit form… Events are a set; none is ever late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// Who says it.
    pub channel: ChannelId,
    /// Of what.
    pub dataset: Dataset,
    /// Which event; always [`Part::Event`].
    pub part: Part,
    /// The version of the record that it came in.
    pub revision: Option<Revision>,
    /// When it happened.
    pub event_time: Moment,
    /// The compared content.
    pub digest: Digest,
    /// The whole content, keyed.
    pub content_hash: [u8; 32],
    /// Whether it is what we delivered, said back.
    pub echo: bool,
    /// What is said; `event_kind` among it.
    pub fields: Fields,
    /// When the request that read it was sent (or the push received).
    pub read_at: Timestamp,
    /// When it was received.
    pub received_at: Timestamp,
    /// The record it came in.
    pub raw_id: RawId,
    /// When the request was sent whose answer did not show it any more; `None` while the channel says it.
    pub gone_at: Option<Timestamp>,
}
