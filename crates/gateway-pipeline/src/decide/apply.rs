//! One change of one order: judged against its head, and made the head where it wins.

use super::batch::Decision;
use super::hear::Heard;
use crate::applied::is_future;
use crate::version::{Verdict, Version, is_disputed, judge};
use gateway_model::{Change, OrderId, RawId};
use gateway_store::{FlowOutcome, RawMeta};

impl Decision<'_> {
    pub(super) fn apply(&mut self, order_id: OrderId, change: &Change, meta: &RawMeta, raw_id: RawId) -> FlowOutcome {
        if self.is_overtaken(order_id, change, meta) {
            return FlowOutcome::Duplicate;
        }
        let tolerance = self.decider.future_tolerance_ms;
        let new = Version {
            revision: change.revision,
            doubtful: is_future(change.revision, meta.received_at, tolerance),
            read_at: meta.read_at,
            content: self.decider.content_key.hash(change),
        };
        let Some(working) = self.orders.get_mut(&order_id) else { return FlowOutcome::Duplicate };
        // What is gone is no head: whatever is read after that begins anew.
        let gone = working.is_gone(&meta.channel, change.dataset, &change.part);
        let head = working.head(&meta.channel, change.dataset, &change.part, tolerance).filter(|_| !gone);
        let verdict = judge(head.as_ref(), &new, meta.origin);
        if is_disputed(head.as_ref(), &new) {
            self.reread(&meta.channel, &change.number, "read_earlier");
        }
        match verdict {
            Verdict::Older => FlowOutcome::Duplicate,
            Verdict::Tie => {
                self.anomaly(&meta.channel, "tie", change.dataset.as_str(), Some(order_id), raw_id);
                if self.decider.rereadable.contains(&meta.channel) {
                    if self.decider.defences.reread_on_tie {
                        self.reread(&meta.channel, &change.number, "tie");
                    }
                    FlowOutcome::Duplicate
                } else if head.is_some_and(|head| new.read_at > head.read_at) {
                    // Nobody can be asked: of two words that nothing else orders, the one heard later stands.
                    self.replace(order_id, change, &new, meta, raw_id);
                    FlowOutcome::Applied
                } else {
                    FlowOutcome::Duplicate
                }
            }
            Verdict::Duplicate { advance } => {
                let current = meta.origin.is_authoritative() && head.is_some_and(|head| new.read_at >= head.read_at);
                if advance && let Some(working) = self.orders.get_mut(&order_id) {
                    working.advance(&meta.channel, change, &new);
                }
                self.said_again(order_id, change, meta, current);
                self.forward_missing(order_id, change, meta, raw_id);
                self.ask_missing(order_id, change, meta, raw_id);
                FlowOutcome::Duplicate
            }
            Verdict::Replace { regressed } => {
                if regressed {
                    self.anomaly(&meta.channel, "regressed_revision", change.dataset.as_str(), Some(order_id), raw_id);
                }
                self.replace(order_id, change, &new, meta, raw_id);
                FlowOutcome::Applied
            }
        }
    }

    /// Makes a change the head, with everything that follows from it.
    fn replace(&mut self, order_id: OrderId, change: &Change, version: &Version, meta: &RawMeta, raw_id: RawId) {
        self.oddities(change, meta, order_id, raw_id);
        self.verify(order_id, change, meta, raw_id);
        self.attach(order_id, change, meta, raw_id);
        self.legs(change, version, meta);
        self.come_back(order_id, change, meta);
        let heard = self.hear(order_id, change, meta);
        let named_before = self.named_before(order_id, change, &meta.channel);
        if let Some(working) = self.orders.get_mut(&order_id) {
            self.writes.changes.push(working.line(change.dataset, &change.part, &meta.channel, raw_id, self.now));
            working.replace(change, version, heard != Heard::OwnWord, meta, raw_id);
        }
        self.identify(order_id, change, named_before, meta, raw_id);
        self.forward(order_id, change, &heard, meta, raw_id);
        self.ask(order_id, change, &heard, meta, raw_id);
        self.heard_state(order_id, change, meta);
    }
}
