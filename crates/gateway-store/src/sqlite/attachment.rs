//! Attachments: files that records refer to.

use super::batch::{Step, list, run, steps};
use super::column::{Columns, to_ms};
use super::{Result, SqliteStore};
use crate::engine::attachment_row::{attachment, tally};
use crate::engine::last_of_each;
use crate::{AttachmentRow, AttachmentStore, AttachmentsNamed};
use async_trait::async_trait;
use gateway_model::{AttachmentId, AttachmentState, ChannelId, OrderId, Timestamp};
use sqlx::SqliteConnection;

#[async_trait]
impl AttachmentStore for SqliteStore {
    async fn attachments(&self, order: OrderId) -> Result<Vec<AttachmentRow>> {
        let rows = sqlx::query(sql!("attachment/of_order"))
            .bind(&order.0.as_bytes()[..])
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter().map(attachment).collect()
    }

    async fn attachment(&self, id: AttachmentId) -> Result<Option<AttachmentRow>> {
        let row = sqlx::query(sql!("attachment/get"))
            .bind(&id.0[..])
            .fetch_optional(&mut *self.readers.lend().await?)
            .await?;
        row.as_ref().map(attachment).transpose()
    }

    async fn claim_attachments(
        &self,
        channel: &ChannelId,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<AttachmentRow>> {
        let owed = sqlx::query(sql!("attachment/owed"))
            .bind(channel.as_str())
            .bind(to_ms(now))
            .fetch_one(&mut *self.readers.lend().await?)
            .await?;
        // Mostly nothing is, and nobody's write waits for that.
        if Columns::of("attachment", &owed).int()? == 0 {
            return Ok(Vec::new());
        }
        let mut tx = self.begin_write().await?;
        let rows = sqlx::query(sql!("attachment/claim"))
            .bind(channel.as_str())
            .bind(to_ms(now))
            .bind(to_ms(until))
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        rows.iter().map(attachment).collect()
    }

    async fn write_attachments(&self, rows: &[AttachmentRow]) -> Result<()> {
        let mut tx = self.begin_write().await?;
        run(&mut tx, written(sql!("attachment/settle"), rows)).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn fetch_attachment_again(&self, id: AttachmentId, lost: bool, at: Timestamp) -> Result<bool> {
        let mut tx = self.begin_write().await?;
        let again = sqlx::query(sql!("attachment/again")).bind(&id.0[..]).bind(to_ms(at)).bind(lost);
        let done = again.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    async fn lacking_attachments(
        &self,
        channel: &ChannelId,
        before: Timestamp,
        after: Option<AttachmentId>,
        limit: u32,
    ) -> Result<Vec<AttachmentRow>> {
        let rows = sqlx::query(sql!("attachment/lacking"))
            .bind(channel.as_str())
            .bind(after.map_or(Vec::new(), |id| id.0.to_vec()))
            .bind(to_ms(before))
            .bind(i64::from(limit))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter().map(attachment).collect()
    }

    async fn attachment_tallies(&self) -> Result<Vec<(ChannelId, AttachmentState, u64)>> {
        let rows = sqlx::query(sql!("attachment/tally")).fetch_all(&mut *self.readers.lend().await?).await?;
        rows.iter().map(tally).collect()
    }
}

fn written<'w>(statement: &'static str, rows: &'w [AttachmentRow]) -> Vec<Step<'w>> {
    steps(statement, rows, |values, row| {
        values
            .bytes(&row.id.0)
            .bytes(row.order_id.0.as_bytes())
            .text(row.channel.as_str())
            .text(row.reference.as_str())
            .int(row.raw_id.0)
            .text(row.state.as_str())
            .maybe_bytes(row.digest.as_ref().map(|digest| &digest.0[..]))
            .count(row.size_bytes)
            .text(row.media_type.as_deref())
            .int(i64::from(row.attempts))
            .text(row.error.as_deref())
            .time(row.owed_at)
            .maybe_time(row.fetched_at)
            .maybe_time(row.fetch_at);
    })
}

/// What records refer to.
pub(super) fn owe(rows: &[AttachmentRow]) -> Vec<Step<'_>> {
    written(sql!("attachment/owe"), rows)
}

/// What records refer to no more.
pub(super) async fn withdraw(connection: &mut SqliteConnection, named: &[AttachmentsNamed]) -> Result<()> {
    if named.is_empty() {
        return Ok(());
    }
    let named = last_of_each(named, |row| (row.order_id, &row.channel));
    let of = |row: &&AttachmentsNamed| (row.order_id.0.simple().to_string(), row.channel.to_string(), row.raw_id.0);
    sqlx::query(sql!("attachment/withdraw")).bind(list(named.iter().map(of))?).execute(connection).await?;
    Ok(())
}
