//! The state book's rows, comparisons and gaps.

use super::NewAccount;
use gateway_model::{
    BookItem, BookSide, ChannelId, Dataset, DeliveryId, GapEvidence, GapGroupId, GapId, GapKind, GapState, ItemKey,
    SourceNumber, Timestamp, Window,
};

/// A change of the state book. The store itself takes the old item of that key (of whatever side) out of its buckets.
#[derive(Debug, Clone, PartialEq)]
pub enum BookPut {
    /// The key is now held by this side with this item.
    Put {
        /// The channel.
        channel: ChannelId,
        /// The side.
        side: BookSide,
        /// The version of the projection that the digest was made with.
        projection_version: u32,
        /// The item.
        item: BookItem,
    },
    /// The key is gone.
    Remove {
        /// The channel.
        channel: ChannelId,
        /// The key.
        key: ItemKey,
    },
}

/// An item of the book with its side.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredItem {
    /// The side.
    pub side: BookSide,
    /// The item.
    pub item: BookItem,
}

/// What a comparison spanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComparisonKind {
    /// Every dataset over the channel's whole time.
    Whole,
    /// An older part of the past.
    Older,
    /// The recent past.
    Recent,
    /// The time of an outage, after it.
    Outage,
    /// What a person asked for.
    Asked,
    /// No comparison ended in this round: looks at gaps, or a part of a longer one.
    Look,
}

impl ComparisonKind {
    /// Every one.
    pub const ALL: [ComparisonKind; 6] = [
        ComparisonKind::Whole,
        ComparisonKind::Older,
        ComparisonKind::Recent,
        ComparisonKind::Outage,
        ComparisonKind::Asked,
        ComparisonKind::Look,
    ];

    /// The name in SQL and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ComparisonKind::Whole => "whole",
            ComparisonKind::Older => "older",
            ComparisonKind::Recent => "recent",
            ComparisonKind::Outage => "outage",
            ComparisonKind::Asked => "asked",
            ComparisonKind::Look => "look",
        }
    }
}

/// A comparison of a channel's account with the book.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The channel.
    pub channel: ChannelId,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What it spanned.
    pub kind: ComparisonKind,
    /// Whether no difference was seen.
    pub in_step: bool,
    /// Manifest calls made.
    pub calls: u64,
    /// Manifest bytes received.
    pub bytes: u64,
    /// Suspicions that vanished at their second look.
    pub vanished: u64,
}

/// What a round of a channel's reconciliation ends with.
#[derive(Debug, Clone, PartialEq)]
pub struct ReconcileRound {
    /// The channel.
    pub channel: ChannelId,
    /// What the channel said of itself, in the order in which it was asked.
    pub accounts: Vec<NewAccount>,
    /// The comparisons that ended.
    pub comparisons: Vec<Comparison>,
    /// The checkpoint to save, by name; `None` where nothing that is remembered has changed.
    pub checkpoint: Option<(String, String)>,
    /// When.
    pub at: Timestamp,
}

/// A suspicion to write down.
#[derive(Debug, Clone, PartialEq)]
pub struct NewGap {
    /// The channel.
    pub channel: ChannelId,
    /// The dataset.
    pub dataset: Dataset,
    /// What is wrong.
    pub kind: GapKind,
    /// The item; `None` when the channel's grain can't name it.
    pub key: Option<ItemKey>,
    /// The narrowest window known.
    pub window: Window,
    /// The delivery, where something that we sent is not held.
    pub delivery_id: Option<DeliveryId>,
    /// What the first look saw.
    pub evidence: GapEvidence,
    /// What else is known, as a code that its kind defines.
    pub detail: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A gap or a suspicion.
#[derive(Debug, Clone, PartialEq)]
pub struct GapRow {
    /// Its id.
    pub id: GapId,
    /// The channel.
    pub channel: ChannelId,
    /// The dataset.
    pub dataset: Dataset,
    /// What is wrong.
    pub kind: GapKind,
    /// Where it stands.
    pub state: GapState,
    /// The item.
    pub key: Option<ItemKey>,
    /// The narrowest window known.
    pub window: Window,
    /// The delivery.
    pub delivery_id: Option<DeliveryId>,
    /// What the last look saw; once open, what the second look saw.
    pub evidence: GapEvidence,
    /// How many repairs were begun.
    pub generation: u32,
    /// When it was first seen.
    pub first_seen_at: Timestamp,
    /// When the second look confirmed it.
    pub opened_at: Option<Timestamp>,
    /// When the last repair began.
    pub repair_started_at: Option<Timestamp>,
    /// When it was closed or waived.
    pub ended_at: Option<Timestamp>,
    /// Why waived, or why it can't be repaired; a sentence.
    pub reason: Option<String>,
    /// Who waived it.
    pub by: Option<String>,
    /// Its group, once confirmed.
    pub group_id: Option<GapGroupId>,
    /// What else is known, as a code that its kind defines.
    pub detail: Option<String>,
}

/// Which gaps to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GapFilter {
    /// Of this channel.
    pub channel: Option<ChannelId>,
    /// In this state.
    pub state: Option<GapState>,
    /// About this order number.
    pub number: Option<SourceNumber>,
    /// Of this group.
    pub group: Option<GapGroupId>,
    /// With an id above.
    pub after: Option<GapId>,
}
