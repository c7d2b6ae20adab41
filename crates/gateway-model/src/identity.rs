//! Identity: two orders that are one.
//!
//! What two channels write down separately stays two orders with rows of their own; that they are one is said by a **pair**, which can be taken back, and
//! the orders that hang together by joined pairs are a **group**, shown as one. Nothing is moved between orders, so taking a pair back leaves each as it
//! was, and the books, which are kept by channel and number, never notice.

use crate::{ChannelId, OrderId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Names a pair: a digest of both orders' ids, so that a pair has one name whoever finds it and however often.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PairId(String);

/// A text that is no pair's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pair is named by 16 hexadecimal digits")]
pub struct InvalidPairId;

impl PairId {
    /// The name of the pair of two orders.
    #[must_use]
    pub fn of(one: OrderId, other: OrderId) -> Self {
        let mut hash = Sha256::new();
        hash.update(one.min(other).0.as_bytes());
        hash.update(one.max(other).0.as_bytes());
        Self(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PairId {
    type Error = InvalidPairId;
    fn try_from(text: String) -> Result<Self, InvalidPairId> {
        let known = text.len() == 16 && text.bytes().all(|sign| matches!(sign, b'0'..=b'9' | b'a'..=b'f'));
        if known { Ok(Self(text)) } else { Err(InvalidPairId) }
    }
}

impl std::str::FromStr for PairId {
    type Err = InvalidPairId;
    fn from_str(text: &str) -> Result<Self, InvalidPairId> {
        text.to_ascii_lowercase().try_into()
    }
}

impl From<PairId> for String {
    fn from(id: PairId) -> String {
        id.0
    }
}

impl fmt::Display for PairId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is held of two orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairState {
    /// They look alike; a person is to say.
    Candidate,
    /// They are one.
    Joined,
    /// A person said that they are two. Nothing but a person joins or offers them again.
    Rejected,
    /// A record had named the other's number and does not any more.
    Withdrawn,
}

impl PairState {
    /// The name in SQL and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            PairState::Candidate => "candidate",
            PairState::Joined => "joined",
            PairState::Rejected => "rejected",
            PairState::Withdrawn => "withdrawn",
        }
    }
}

impl PairState {
    /// In Chinese.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            PairState::Candidate => "疑似",
            PairState::Joined => "已归一",
            PairState::Rejected => "已否定",
            PairState::Withdrawn => "已撤回",
        }
    }
}

impl std::str::FromStr for PairState {
    type Err = crate::dataset::UnknownWord;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [PairState::Candidate, PairState::Joined, PairState::Rejected, PairState::Withdrawn]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(crate::dataset::UnknownWord("pair state"))
    }
}

/// In what two orders are alike, and what that is worth. Never a value of either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Likeness {
    /// `requester`, `plate`, `place`, `time` or `text`.
    pub what: String,
    /// Points of the score; negative where they differ.
    pub points: i32,
}

/// Two orders, and whether they are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderPair {
    /// The order with the smaller id, which is the older.
    pub a: OrderId,
    /// The other.
    pub b: OrderId,
    /// What holds.
    pub state: PairState,
    /// Who said so: a person, `record:<channel>`, or `likeness`.
    pub by: String,
    /// Why, as a person gave it.
    pub reason: Option<String>,
    /// How alike they are, 0 to 100; `None` where nobody compared them.
    pub score: Option<u32>,
    /// In what.
    pub likeness: Vec<Likeness>,
    /// Whether the orders' rows do not show it yet.
    pub pending: bool,
    /// Since when.
    pub at: Timestamp,
}

impl OrderPair {
    /// A pair of which nothing is held yet.
    #[must_use]
    pub fn new(one: OrderId, other: OrderId, state: PairState, by: impl Into<String>, at: Timestamp) -> Self {
        Self {
            a: one.min(other),
            b: one.max(other),
            state,
            by: by.into(),
            reason: None,
            score: None,
            likeness: Vec::new(),
            pending: false,
            at,
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> PairId {
        PairId::of(self.a, self.b)
    }

    /// Who is named when a record of a channel joins two orders.
    #[must_use]
    pub fn by_record(channel: &ChannelId) -> String {
        format!("record:{channel}")
    }

    /// Whether a record joined it, so that a record can take it back.
    #[must_use]
    pub fn is_by_record(&self) -> bool {
        self.by.starts_with("record:")
    }

    /// Whether a person spoke of it: then records and likeness say nothing more.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.state == PairState::Rejected || (self.state == PairState::Joined && !self.is_by_record())
    }
}

/// The groups that joined pairs make of orders: each order of a group of two or more, with the group's **lead**, its smallest id. The order of the pairs
/// does not matter.
#[must_use]
pub fn groups<'p>(pairs: impl IntoIterator<Item = &'p OrderPair>) -> BTreeMap<OrderId, OrderId> {
    let mut members: BTreeMap<OrderId, BTreeSet<OrderId>> = BTreeMap::new();
    let mut lead: BTreeMap<OrderId, OrderId> = BTreeMap::new();
    for pair in pairs.into_iter().filter(|pair| pair.state == PairState::Joined) {
        let first = *lead.get(&pair.a).unwrap_or(&pair.a);
        let second = *lead.get(&pair.b).unwrap_or(&pair.b);
        let (to, from) = (first.min(second), first.max(second));
        let moved = if to == from { BTreeSet::new() } else { members.remove(&from).unwrap_or_else(|| [from].into()) };
        let kept = members.entry(to).or_insert_with(|| [to].into());
        kept.extend(moved);
        for member in &*kept {
            lead.insert(*member, to);
        }
    }
    lead
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(n: u8) -> OrderId {
        OrderId(uuid::Uuid::from_u128(u128::from(n)))
    }

    fn joined(pairs: &[(u8, u8)]) -> Vec<OrderPair> {
        let new = |(a, b): &(u8, u8)| {
            OrderPair::new(order(*a), order(*b), PairState::Joined, "record:x", Timestamp::UNIX_EPOCH)
        };
        pairs.iter().filter(|(a, b)| a != b).map(new).collect()
    }

    proptest! {
        #[test]
        fn groups_do_not_depend_on_the_order_of_pairs(pairs in prop::collection::vec((0u8..9, 0u8..9), 0..12), turn: usize) {
            let mut pairs = joined(&pairs);
            let before = groups(&pairs);
            for (member, lead) in &before {
                prop_assert!(lead <= member && before.get(lead) == Some(lead));
            }
            for pair in &pairs {
                prop_assert_eq!(before.get(&pair.a), before.get(&pair.b));
            }
            if !pairs.is_empty() {
                let by = turn % pairs.len();
                pairs.rotate_left(by);
                pairs.reverse();
            }
            prop_assert_eq!(groups(&pairs), before);
        }
    }

    #[test]
    fn a_pair_has_one_name_and_what_is_not_joined_makes_no_group() {
        assert_eq!(PairId::of(order(1), order(2)), PairId::of(order(2), order(1)));
        assert_eq!("00FF00ff00ff00ff".parse::<PairId>().unwrap().as_str(), "00ff00ff00ff00ff");
        assert!("12".parse::<PairId>().is_err());
        let mut pairs = joined(&[(1, 2), (2, 3)]);
        pairs[1].state = PairState::Rejected;
        assert_eq!(groups(&pairs), [(order(1), order(1)), (order(2), order(1))].into());
    }
}
