//! The balance: what the demo prints as its last line.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// Most mismatches that are listed one by one; the count goes on.
const LISTED: usize = 1_000;

/// The judge's verdict.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// Whether there is no mismatch at all.
    pub balanced: bool,
    /// Inbound flow by channel and dataset, with `at_source`.
    pub inbound: Vec<Value>,
    /// Outbound flow by channel and dataset.
    pub outbound: Vec<Value>,
    /// Sync gaps.
    pub gaps: GapBalance,
    /// What reconciliation cost: calls and bytes.
    pub manifest: Value,
    /// Injected faults by kind.
    pub faults: BTreeMap<String, u64>,
    /// Faults injected where citizens write themselves, by channel and kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fronts: BTreeMap<String, BTreeMap<String, u64>>,
    /// What was dispatched to the bureau's system, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bureau: Option<BureauBalance>,
    /// What was forwarded to the province, where anything was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwards: Option<ForwardBalance>,
    /// The files that records refer to, where they are fetched, by channel.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attachments: BTreeMap<String, AttachmentBalance>,
    /// How many orders have which verdict by the operating-data service's own book, where cars are looked up.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub verified: BTreeMap<String, u64>,
    /// What does not match; at most 1,000 are listed.
    pub mismatches: Vec<Mismatch>,
    /// How many mismatches there are.
    pub mismatch_count: usize,
}

/// What was dispatched to the bureau's system and came back, by the systems' own books.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BureauBalance {
    /// The channel of the bureau.
    pub channel: String,
    /// How many orders its book must have, by the channel where they began.
    pub orders: BTreeMap<String, u64>,
    /// How many replies it gave.
    pub replies: u64,
    /// How many units worked on orders, by role.
    pub units: BTreeMap<String, u64>,
    /// How often it asked the platform for something, by the kind of its event: `extension` 延期, `appeal` 申诉.
    pub asked: BTreeMap<String, u64>,
    /// How much of what it did rightly is not at the origin: refused there, overtaken, or waived.
    pub excused: u64,
    /// Faults injected there by kind.
    pub faults: BTreeMap<String, u64>,
}

/// What the routes owe to the province, by the two platforms' own books.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ForwardBalance {
    /// The channel of the province.
    pub channel: String,
    /// How many orders are owed.
    pub orders: usize,
    /// How many items they have.
    pub items: usize,
    /// How many of them rightly are not there as they stand: waived, dead-lettered, or refused by the province's own book.
    pub excused: usize,
    /// Faults injected at the province by kind.
    pub faults: BTreeMap<String, u64>,
}

/// The files that a channel's records refer to, by the platform's own book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AttachmentBalance {
    /// How many references its records have, each once an order.
    pub references: u64,
    /// How many of them the gateway keeps.
    pub kept: u64,
    /// How many the platform lost; these are told as missing.
    pub lost: u64,
    /// How many files the bureau got by the addresses that it was given.
    pub passed_on: u64,
}

/// Sync gaps by their end.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GapBalance {
    /// Confirmed by a second look.
    pub opened: usize,
    /// Closed, verified.
    pub repaired: usize,
    /// Waived.
    pub waived: usize,
    /// Not at their end yet.
    pub open: usize,
    /// By the platform's book no difference existed at the second look.
    #[serde(rename = "false")]
    pub false_gaps: usize,
    /// Opened gaps by kind.
    pub by_kind: BTreeMap<String, usize>,
}

/// One thing that does not match. Never holds a citizen's data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The channel.
    pub channel: String,
    /// The dataset, or empty.
    pub dataset: String,
    /// The order number, or empty.
    pub number: String,
    /// What does not match: `item_missing`, `field:title`, `reply_missing` …
    pub kind: String,
}

impl Verdict {
    /// Notes a mismatch.
    pub(super) fn mismatch(&mut self, channel: &str, dataset: &str, number: &str, kind: impl Into<String>) {
        self.mismatch_count += 1;
        if self.mismatches.len() < LISTED {
            let (channel, dataset, number) = (channel.to_owned(), dataset.to_owned(), number.to_owned());
            self.mismatches.push(Mismatch { channel, dataset, number, kind: kind.into() });
        }
    }
}
