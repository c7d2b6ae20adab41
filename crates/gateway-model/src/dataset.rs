//! Which part of an order's life a statement speaks of.

use crate::{EventId, InvalidId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A stage of a work order's life that channels exchange in full volume (全量): the unit of every account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dataset {
    /// 受理信息: what was reported, by whom, when.
    Acceptance,
    /// 流转: state, units, deadlines, and the events on the way.
    Handling,
    /// 办结情况: the result and the reply.
    Completion,
    /// 回访评价: follow-up and rating.
    Evaluation,
    /// 知识点: knowledge base entries.
    Knowledge,
}

impl Dataset {
    /// Every dataset, in the order of an order's life.
    pub const ALL: [Dataset; 5] =
        [Dataset::Acceptance, Dataset::Handling, Dataset::Completion, Dataset::Evaluation, Dataset::Knowledge];

    /// The name in code, SQL, JSON and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Dataset::Acceptance => "acceptance",
            Dataset::Handling => "handling",
            Dataset::Completion => "completion",
            Dataset::Evaluation => "evaluation",
            Dataset::Knowledge => "knowledge",
        }
    }

    /// In Chinese.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            Dataset::Acceptance => "受理信息",
            Dataset::Handling => "流转信息",
            Dataset::Completion => "办结情况",
            Dataset::Evaluation => "回访评价",
            Dataset::Knowledge => "知识点",
        }
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dataset {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|dataset| dataset.as_str() == text).ok_or(UnknownWord("dataset"))
    }
}

/// A text that is none of the words of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {0}")]
pub struct UnknownWord(pub &'static str);

/// Which item of a dataset: the facet of one cycle (where an order is completed or rated again: rehandle number, visit number), or one event.
///
/// Written `c0`, `c1`, … and `e:<event id>`; that text is part of the item key that both sides digest, see `docs/channels/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The facet of a cycle; 0 where there is but one.
    Cycle(u32),
    /// An event of the order's set.
    Event(EventId),
}

impl Part {
    /// The cycle of a facet; `None` for an event.
    #[must_use]
    pub fn cycle(&self) -> Option<u32> {
        match self {
            Part::Cycle(cycle) => Some(*cycle),
            Part::Event(_) => None,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Cycle(cycle) => write!(f, "c{cycle}"),
            Part::Event(id) => write!(f, "e:{id}"),
        }
    }
}

impl FromStr for Part {
    type Err = InvalidPart;
    fn from_str(text: &str) -> Result<Self, InvalidPart> {
        if let Some(id) = text.strip_prefix("e:") {
            return Ok(Part::Event(EventId::new(id)?));
        }
        let digits = text.strip_prefix('c').ok_or(InvalidPart::Form)?;
        digits.parse().map(Part::Cycle).map_err(|_| InvalidPart::Form)
    }
}

/// A text that names no part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPart {
    /// Neither `c<number>` nor `e:<event id>`.
    #[error("a part is c<number> or e:<event id>")]
    Form,
    /// The event id can't be used.
    #[error(transparent)]
    Event(#[from] InvalidId),
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
