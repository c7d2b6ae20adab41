//! The decision: from what is held and what a batch states to what is written. Pure; runs inside the transaction.
//!
//! Every record of a batch is either passed over (it was accounted for before) or ends in an account: its changes are tallied as applied,
//! duplicate or dead-lettered, or the record is parked. Orders are looked up and changed in memory, in the order of the batch, so a later record
//! sees what an earlier one did, and each row is written once.

mod absent;
mod apply;
mod ask;
mod attach;
pub(crate) mod batch;
mod command;
mod forward;
mod hear;
pub(crate) mod identity;
mod note;
mod place;
mod supersede;

use crate::{ContentKey, Normalized, Normalizers, Routes, Statement, Verifying};
use batch::Decision;
use gateway_model::{AuthorityTable, ChannelId, OrderId, OrderPair, Timestamp};
use gateway_store::{IngestRequest, IngestWrites, Loaded};
use std::collections::BTreeSet;

/// The `key_id` of rows that are not sealed.
pub(crate) const PLAIN: &str = "plain";

/// The pipeline's defences, each of which a test build can switch off to show that it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defences {
    /// Equal revision with other content: read the order again.
    pub reread_on_tie: bool,
    /// What we delivered, said back, is an acknowledgement.
    pub echo: bool,
}

impl Default for Defences {
    fn default() -> Self {
        Self { reread_on_tie: true, echo: true }
    }
}

/// Everything that a decision needs besides the rows.
pub struct Decider {
    /// Reads parked records when their order comes.
    pub normalizers: Normalizers,
    /// What is owed to whom.
    pub routes: Routes,
    /// Whose word counts.
    pub authority: AuthorityTable,
    /// Keys the content hashes.
    pub content_key: ContentKey,
    /// Channels whose orders can be read again by number.
    pub rereadable: BTreeSet<ChannelId>,
    /// A revision this much later than received orders nothing; in ms.
    pub future_tolerance_ms: i64,
    /// After an attempt without an answer, an order read sooner than this does not contradict it: the peer may still be at work; in ms.
    pub settle_ms: i64,
    /// What is compared with the operating data; `None` = nothing.
    pub verifying: Option<Verifying>,
    /// The defences.
    pub defences: Defences,
}

impl Decider {
    /// What a batch needs to see.
    #[must_use]
    pub fn request(&self, batch: &[Normalized]) -> IngestRequest {
        let mut numbers = BTreeSet::new();
        let mut related = BTreeSet::new();
        let mut partitions = BTreeSet::new();
        let mut request = IngestRequest::default();
        for record in batch {
            partitions.insert((record.meta.topic.clone(), record.meta.partition));
            related.extend(record.related());
            numbers.extend(record.numbers().map(|number| (record.meta.channel.clone(), number.clone())));
            if let Statement::Command(command) = &record.statement {
                request.orders.push(command.order_id);
                request.commands.push(command.id);
            }
        }
        request.related = related.into_iter().collect();
        request.numbers = numbers.into_iter().collect();
        request.partitions = partitions.into_iter().collect();
        if let Some(verifying) = &self.verifying {
            request.lookups = verifying.lookups(batch);
        }
        request
    }

    /// What has to be seen to show what persons said of pairs.
    #[must_use]
    pub fn request_pairs(pairs: &[OrderPair]) -> IngestRequest {
        let orders: BTreeSet<OrderId> = pairs.iter().flat_map(|pair| [pair.a, pair.b]).collect();
        IngestRequest { orders: orders.into_iter().collect(), pairs: true, ..IngestRequest::default() }
    }

    /// What is written to show what persons said of pairs, given what is held.
    #[must_use]
    pub fn decide_pairs(&self, loaded: Loaded, pairs: &[OrderPair], now: Timestamp) -> IngestWrites {
        let mut decision = Decision::new(self, loaded, now);
        decision.show_decided(pairs);
        decision.finish()
    }

    /// What is written for a batch, given what is held. Records before the accounted positions were written before and are passed over.
    #[must_use]
    pub fn decide(&self, loaded: Loaded, batch: &[Normalized], now: Timestamp) -> IngestWrites {
        let mut decision = Decision::new(self, loaded, now);
        for record in batch {
            decision.record(record);
        }
        decision.finish()
    }
}
