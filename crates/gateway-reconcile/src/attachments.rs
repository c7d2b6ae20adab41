//! Attachments that did not come: a gap for each file that its channel refers to and does not give.
//!
//! Suspected when it has been owed for longer than files are allowed to take, open at the second look; closed, verified, when it is kept, or when the
//! channel names it no more. Asking again is intake's, by itself while the file is owed; of one that was called missing or is refused, a person decides.
//!
//! Refused: a gap's key, which would name the order's acceptance: that is held, and a difference in it has to stay visible beside a missing picture. And
//! looking at all that lacks in each round: a platform that lost a year's pictures must not fill the audit; each round goes on where the last one ended.

use crate::error::ReconcileError;
use crate::gaps::all_in_state;
use gateway_model::{
    AttachmentId, AttachmentState, ChannelId, Dataset, GapEvidence, GapKind, GapState, OrderId, Timestamp, Window,
};
use gateway_store::{AttachmentRow, GapRow, NewGap, Store};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How many are looked at in a round.
const PAGE: u32 = 500;
/// How many unfinished gaps of this kind a channel has at most: beyond that it is one trouble, and the counts by state tell its size.
const MOST: usize = 500;

/// Looks for what a channel does not give.
pub(crate) struct LackingAttachments<'a> {
    pub store: &'a dyn Store,
    pub channel: &'a ChannelId,
    /// How long a file may take, in milliseconds.
    pub allowance_ms: u64,
    pub group_within_ms: u64,
    pub now: Timestamp,
}

impl LackingAttachments<'_> {
    /// First looks, second looks, and ends; from `after` on. Returns where the next round goes on.
    pub async fn look(&self, after: Option<AttachmentId>) -> Result<Option<AttachmentId>, ReconcileError> {
        let mut known: HashSet<AttachmentId> = HashSet::new();
        // Suspicions last: one that is confirmed here has had its look in this round.
        for state in [GapState::Repairing, GapState::Open, GapState::Suspected] {
            for (id, gap) in self.gaps_in(state).await? {
                self.settle(&gap, self.store.attachment(id).await?).await?;
                known.insert(id);
            }
        }
        let unfinished = known.len();
        let page = self.store.lacking_attachments(self.channel, self.long_ago(), after, PAGE).await?;
        let next = page.last().map(|row| row.id).filter(|_| page.len() >= PAGE as usize);
        if page.iter().any(|row| !known.contains(&row.id)) {
            // They grow for ever, and matter only where something lacks that no unfinished gap tells of.
            known.extend(self.gaps_in(GapState::Waived).await?.into_iter().map(|(id, _)| id));
        }
        let news: Vec<AttachmentRow> =
            page.into_iter().filter(|row| !known.contains(&row.id)).take(MOST.saturating_sub(unfinished)).collect();
        if !news.is_empty() {
            let numbers = self.numbers(&news).await?;
            let gaps: Vec<NewGap> = news.iter().map(|row| self.gap(row, numbers.get(&row.order_id))).collect();
            self.store.suspect(&gaps).await?;
        }
        Ok(next)
    }

    async fn gaps_in(&self, state: GapState) -> Result<Vec<(AttachmentId, GapRow)>, ReconcileError> {
        let gaps = all_in_state(self.store, self.channel, state).await?;
        Ok(gaps.into_iter().filter_map(|gap| Some((attachment_of(&gap)?, gap))).collect())
    }

    fn long_ago(&self) -> Timestamp {
        self.now.saturating_sub(Duration::from_millis(self.allowance_ms)).unwrap_or(Timestamp::MIN)
    }

    fn lacks(&self, row: &AttachmentRow) -> bool {
        match row.state {
            AttachmentState::Missing | AttachmentState::Refused => true,
            AttachmentState::Owed => row.owed_at < self.long_ago(),
            AttachmentState::Kept | AttachmentState::Withdrawn => false,
        }
    }

    fn evidence(&self) -> GapEvidence {
        GapEvidence { theirs: None, ours: None, as_of: self.now, compared_at: self.now }
    }

    /// What the channel calls these orders.
    async fn numbers(&self, rows: &[AttachmentRow]) -> Result<HashMap<OrderId, String>, ReconcileError> {
        let mut ids: Vec<OrderId> = rows.iter().map(|row| row.order_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let orders = self.store.orders(&ids, false).await?;
        let number = |order: gateway_store::OrderView| {
            let mut numbers = order.aggregate.numbers.iter();
            let number = numbers.find(|number| number.channel == *self.channel)?;
            Some((order.aggregate.order.id, format!("{} {}", number.number, number.day)))
        };
        Ok(orders.into_iter().filter_map(number).collect())
    }

    fn gap(&self, row: &AttachmentRow, number: Option<&String>) -> NewGap {
        let of = number.map(|number| format!(" of {number}")).unwrap_or_default();
        NewGap {
            channel: self.channel.clone(),
            dataset: Dataset::Acceptance,
            kind: GapKind::AttachmentMissing,
            key: None,
            window: Window::new(row.owed_at, row.owed_at),
            delivery_id: None,
            evidence: self.evidence(),
            detail: Some(format!("attachment {}{of}", row.id)),
            at: self.now,
        }
    }

    async fn settle(&self, gap: &GapRow, row: Option<AttachmentRow>) -> Result<(), ReconcileError> {
        let awaited = row.filter(|row| !matches!(row.state, AttachmentState::Kept | AttachmentState::Withdrawn));
        match (gap.state, awaited) {
            (GapState::Suspected, Some(row)) if self.lacks(&row) => {
                self.store.open_gaps(&[(gap.id, self.evidence())], self.group_within_ms, self.now).await?;
                tracing::warn!(channel = %self.channel, gap = %gap.id, attachment = %row.id, "an attachment does not come");
                self.leave(gap, &row).await
            }
            (GapState::Suspected, _) => Ok(self.store.forget(&[gap.id]).await?),
            (_, None) => {
                Ok(self.store.move_gap(gap.id, GapState::Closed, Some(self.evidence()), None, None, self.now).await?)
            }
            // Given up since, or asked for again by a person.
            (_, Some(row)) => self.leave(gap, &row).await,
        }
    }

    /// Of what is asked for no more a person decides.
    async fn leave(&self, gap: &GapRow, row: &AttachmentRow) -> Result<(), ReconcileError> {
        let code = row.error.as_deref().unwrap_or("unknown");
        let reason = match row.state {
            AttachmentState::Missing => Some(format!(
                "the channel did not give the file ({code}) and is not asked any more: have it uploaded there and ask again, or waive this"
            )),
            AttachmentState::Refused => Some(format!(
                "the file is not taken ({code}): see docs/errors.md, ask again after a change, or waive this"
            )),
            _ => None,
        };
        if reason != gap.reason {
            self.store.move_gap(gap.id, GapState::Open, None, reason.as_deref(), None, self.now).await?;
        }
        Ok(())
    }
}

// `attachment <id> of <number> <day>`
fn attachment_of(gap: &GapRow) -> Option<AttachmentId> {
    let detail = gap.detail.as_deref().filter(|_| gap.kind == GapKind::AttachmentMissing)?;
    detail.strip_prefix("attachment ")?.split(' ').next()?.parse().ok()
}
