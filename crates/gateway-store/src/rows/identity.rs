//! Orders that are one, and orders that may be.

use gateway_model::{ChannelId, MatchKey, OrderId, OrderPair, PairId, PairState, SourceNumber, Timestamp};

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

/// What one round of looking for duplicates found, with how far it looked; written whole or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MatchRound {
    /// Where it began in the feed of changed orders.
    pub from: u64,
    /// Where it ended.
    pub to: u64,
    /// What orders are found by from now on, instead of what they were found by: when it happened (ms since 1970 UTC), and the keys.
    pub keys: Vec<(OrderId, i64, Vec<MatchKey>)>,
    /// Candidates, each pair once.
    pub offers: Vec<OrderPair>,
}
