//! Nodes that fell silent with something in their spool: a gap of every channel concerned, since the pushes were answered and are on the disk of one
//! machine alone.
//!
//! Suspected at the first look, open at the second; closed, verified, by the node's own word that it holds nothing of the channel any more. A node that
//! speaks again and still drains is no new gap and no closed one. A node that was signed off took its word with it: then a person waives the gap,
//! when what it held was pushed again.

use crate::error::ReconcileError;
use crate::gaps::all_in_state;
use gateway_model::{ChannelId, Dataset, GapEvidence, GapKind, GapState, Timestamp, Window};
use gateway_store::{GapRow, NewGap, NodeRow, NodeSpool, Store};

/// Looks for silent nodes that hold something of a channel.
pub(crate) struct Silence<'a> {
    pub store: &'a dyn Store,
    pub channel: &'a ChannelId,
    /// A node that told nothing for so long is silent, in milliseconds.
    pub silent_after_ms: u64,
    pub now: Timestamp,
}

impl Silence<'_> {
    /// First looks, second looks, and ends.
    pub async fn look(&self) -> Result<(), ReconcileError> {
        let nodes = self.store.nodes().await?;
        let mut known: Vec<GapRow> = Vec::new();
        for state in [GapState::Suspected, GapState::Open, GapState::Repairing, GapState::Waived] {
            let gaps = all_in_state(self.store, self.channel, state).await?;
            known.extend(gaps.into_iter().filter(|gap| gap.kind == GapKind::SpoolSilent));
        }
        for gap in &known {
            self.settle(gap, &nodes).await?;
        }
        let news: Vec<NewGap> = nodes
            .iter()
            .filter(|node| self.is_silent(node) && !known.iter().any(|gap| is_of(gap, node)))
            .filter_map(|node| Some(self.gap(node, self.held(node)?)))
            .collect();
        if !news.is_empty() {
            self.store.suspect(&news).await?;
        }
        Ok(())
    }

    fn is_silent(&self, node: &NodeRow) -> bool {
        let passed = self.now.as_millisecond().saturating_sub(node.seen_at.as_millisecond());
        u64::try_from(passed).unwrap_or(0) >= self.silent_after_ms
    }

    fn held<'n>(&self, node: &'n NodeRow) -> Option<&'n NodeSpool> {
        node.spool.iter().find(|held| held.channel == *self.channel && held.messages > 0)
    }

    fn evidence(&self) -> GapEvidence {
        GapEvidence { theirs: None, ours: None, as_of: self.now, compared_at: self.now }
    }

    fn gap(&self, node: &NodeRow, held: &NodeSpool) -> NewGap {
        NewGap {
            channel: self.channel.clone(),
            dataset: Dataset::Acceptance,
            kind: GapKind::SpoolSilent,
            key: None,
            // What was taken in meanwhile is what is missing.
            window: Window::new(held.oldest_at.unwrap_or(node.seen_at).min(node.seen_at), node.seen_at),
            delivery_id: None,
            evidence: self.evidence(),
            detail: Some(format!("spool {}; {} message(s)", node.name, held.messages)),
            at: self.now,
        }
    }

    async fn settle(&self, gap: &GapRow, nodes: &[NodeRow]) -> Result<(), ReconcileError> {
        let node = nodes.iter().find(|node| Some(node.name.as_str()) == node_of(gap));
        let silent = node.is_some_and(|node| self.is_silent(node));
        let empty = node.is_some_and(|node| self.held(node).is_none());
        match gap.state {
            GapState::Suspected if silent && !empty => {
                let name = node_of(gap).unwrap_or_default();
                let reason = format!(
                    "node {name} is silent and its spool holds pushes that were answered: start it again, with its data directory"
                );
                self.store
                    .move_gap(gap.id, GapState::Open, Some(self.evidence()), Some(&reason), None, self.now)
                    .await?;
                tracing::error!(channel = %self.channel, gap = %gap.id, node = name, "a node is silent with records in its spool");
            }
            GapState::Suspected => self.store.forget(&[gap.id]).await?,
            GapState::Open | GapState::Repairing if empty && !silent => {
                self.store.move_gap(gap.id, GapState::Closed, Some(self.evidence()), None, None, self.now).await?;
                tracing::info!(channel = %self.channel, gap = %gap.id, "the node speaks again, and its spool is empty");
            }
            GapState::Open | GapState::Repairing | GapState::Closed | GapState::Waived => {}
        }
        Ok(())
    }
}

fn node_of(gap: &GapRow) -> Option<&str> {
    let (place, _) = gap.detail.as_deref()?.split_once(';')?;
    place.strip_prefix("spool ")
}

// Whether a gap is about this silence of a node. What a person waived was an earlier one, if the node has spoken since.
fn is_of(gap: &GapRow, node: &NodeRow) -> bool {
    node_of(gap) == Some(&node.name) && (gap.state != GapState::Waived || gap.window.end == node.seen_at)
}
