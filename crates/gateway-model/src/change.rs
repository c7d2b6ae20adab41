//! A change: one normalized statement of a record about one dataset of one order.

use crate::{BookItem, Dataset, Day, Digest, Fields, ItemKey, Moment, Operation, Part, SourceNumber};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a record came to us. Decides whether its word settles a tie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Scheduled reading of a channel's listing.
    Poll,
    /// The channel pushed it.
    Webhook,
    /// The channel pushed another body under a nonce already used; nothing of it is applied, its orders are read again.
    WebhookConflict,
    /// Read by number, current when answered: authoritative.
    Reread,
    /// Asked for by number, and the channel does not know it: authoritative. Such a record has a number and no bytes.
    Absent,
    /// Fetched again by window.
    Backfill,
    /// A command of a person or system at the bureau.
    Command,
    /// A dead letter, corrected and resubmitted by a person.
    Resubmitted,
}

impl Origin {
    /// Whether the record is the channel's current word, not a copy that may be older.
    #[must_use]
    pub fn is_authoritative(self) -> bool {
        matches!(self, Origin::Reread | Origin::Absent | Origin::Command)
    }

    /// In Chinese.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            Origin::Poll => "轮询",
            Origin::Webhook => "推送",
            Origin::WebhookConflict => "推送（随机串冲突）",
            Origin::Reread => "复读",
            Origin::Absent => "对方查无",
            Origin::Backfill => "补采",
            Origin::Command => "业务办理台指令",
            Origin::Resubmitted => "死信重提",
        }
    }

    /// The name in headers, SQL and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Poll => "poll",
            Origin::Webhook => "webhook",
            Origin::WebhookConflict => "webhook_conflict",
            Origin::Reread => "reread",
            Origin::Absent => "absent",
            Origin::Backfill => "backfill",
            Origin::Command => "command",
            Origin::Resubmitted => "resubmitted",
        }
    }
}

impl std::str::FromStr for Origin {
    type Err = crate::dataset::UnknownWord;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [
            Origin::Poll,
            Origin::Webhook,
            Origin::WebhookConflict,
            Origin::Reread,
            Origin::Absent,
            Origin::Backfill,
            Origin::Command,
            Origin::Resubmitted,
        ]
        .into_iter()
        .find(|origin| origin.as_str() == text)
        .ok_or(crate::dataset::UnknownWord("origin"))
    }
}

/// The order of versions at the source: a number or a time in ms, by profile. Only revisions of one channel compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub i64);

/// Something odd in a record that does not keep it from being applied; counted and shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Oddity {
    /// A code that the profile's table does not have; kept as `raw:<code>`.
    UnknownCode {
        /// The wire field.
        wire_field: String,
    },
    /// A field that the profile does not name; kept under `unmapped`.
    UnknownField {
        /// The wire field.
        wire_field: String,
    },
    /// A value that does not read as its kind; kept as text.
    UnreadableValue {
        /// The wire field.
        wire_field: String,
    },
    /// A time later than received, beyond the tolerance.
    FutureTime {
        /// The wire field.
        wire_field: String,
    },
    /// Completed before it was accepted.
    CompletedBeforeAccepted,
}

/// One normalized statement of a record about one item of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The order's number at the channel.
    pub number: SourceNumber,
    /// The order's creation day at the channel; `None` in a partial record, which then belongs to the latest order of that number.
    pub day: Option<Day>,
    /// The dataset.
    pub dataset: Dataset,
    /// Which facet or event of it.
    pub part: Part,
    /// The version; `None` where the source gives none, then every differing content is a tie.
    pub revision: Option<Revision>,
    /// When it happened; decides the bucket.
    pub event_time: Moment,
    /// Over the compared fields, see [`crate::digest_of_pairs`].
    pub digest: Digest,
    /// What is said, without person fields.
    pub fields: Fields,
    /// The person fields.
    pub person: Fields,
    /// What the profile does not name, as it came.
    pub unmapped: BTreeMap<String, serde_json::Value>,
    /// What is odd about it.
    pub oddities: Vec<Oddity>,
    /// What is asked of the destination, when this is a command of the bureau.
    pub operation: Option<Operation>,
}

impl Change {
    /// The item of the state book that this change states, for an order created on `day`.
    #[must_use]
    pub fn book_item(&self, day: Day) -> BookItem {
        BookItem {
            key: ItemKey { dataset: self.dataset, number: self.number.clone(), day, part: self.part.clone() },
            event_time: self.event_time,
            digest: self.digest,
        }
    }
}
