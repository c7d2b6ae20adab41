//! Orders that are one, and orders that may be.

use gateway_model::{
    ChannelId, Fields, MatchSubject, Moment, OrderId, OrderPair, PairId, PairState, Part, SourceNumber, Timestamp,
};

/// Which other number a channel's record names for its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderReference {
    /// The order.
    pub order_id: OrderId,
    /// Whose record.
    pub channel: ChannelId,
    /// The number; `None` = it names none any more.
    pub number: Option<SourceNumber>,
}

/// What was said of a pair, and by whom; never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairStep {
    /// The pair.
    pub pair: PairId,
    /// When.
    pub at: Timestamp,
    /// What held from then on.
    pub state: PairState,
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

impl PairStep {
    /// The step that brought a pair where it is.
    #[must_use]
    pub fn to(pair: &OrderPair) -> Self {
        Self { pair: pair.id(), at: pair.at, state: pair.state, by: pair.by.clone(), reason: pair.reason.clone() }
    }
}

/// What is compared of an order with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparable {
    /// The order.
    pub order_id: OrderId,
    /// Who told of it first-hand.
    pub channel: ChannelId,
    /// What is compared.
    pub subject: MatchSubject,
}

/// What is compared of an order, and what it was made of: as long as that is the same, nobody need look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchEntry {
    /// What is compared.
    pub comparable: Comparable,
    /// Which acceptance of the channel.
    pub part: Part,
    /// The hash of its content.
    pub content_hash: [u8; 32],
    /// The lead of the order's group; itself where it is alone.
    pub lead: OrderId,
}

/// What a channel says first-hand of an order, as far as it matters for comparing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstHand {
    /// The channel.
    pub channel: ChannelId,
    /// Which acceptance of it.
    pub part: Part,
    /// The hash of its content.
    pub content_hash: [u8; 32],
    /// When it happened, as the channel says.
    pub event_time: Moment,
    /// What it says.
    pub fields: Fields,
    /// Its person fields.
    pub persons: Fields,
}

/// An order of which something else may be compared now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchChange {
    /// The order.
    pub order_id: OrderId,
    /// The lead of its group; itself where it is alone.
    pub lead: OrderId,
    /// What is kept of it for comparing.
    pub was: Option<Comparable>,
    /// What it is to be made of now: the first acceptance that is a channel's own word, by channel and part.
    pub first_hand: Option<FirstHand>,
}

/// A part of the feed as the finder of duplicates sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MatchPage {
    /// The orders of which something else may be compared now.
    pub changes: Vec<MatchChange>,
    /// How many orders of the feed were seen.
    pub seen: usize,
    /// Up to where.
    pub next: u64,
}

/// What is compared of an order from now on, instead of what was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchTurn {
    /// What was kept, as it was read.
    pub was: Option<Comparable>,
    /// What is to be kept; `None` = there is nothing any more.
    pub is: Option<MatchEntry>,
}

/// What one round of looking for duplicates found, with how far it looked; written whole or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MatchRound {
    /// Where the feed was known to be compared up to.
    pub from: u64,
    /// Where the round ended.
    pub to: u64,
    /// What is compared from now on, each order once.
    pub turns: Vec<MatchTurn>,
    /// Candidates, each pair once.
    pub offers: Vec<OrderPair>,
}
