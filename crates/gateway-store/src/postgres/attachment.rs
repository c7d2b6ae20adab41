//! Attachments: files that records refer to.

use super::batch::{Step, arrays, run, steps};
use super::column::{Columns, to_ms};
use super::transaction::commit;
use super::{PostgresStore, Result};
use crate::engine::attachment_row::{attachment, tally};
use crate::engine::last_of_each;
use crate::{AttachmentRow, AttachmentStore, AttachmentsNamed};
use async_trait::async_trait;
use gateway_model::{AttachmentId, AttachmentState, ChannelId, OrderId, Timestamp};
use sqlx::PgConnection;

#[async_trait]
impl AttachmentStore for PostgresStore {
    async fn attachments(&self, order: OrderId) -> Result<Vec<AttachmentRow>> {
        let rows = sqlx::query(sql!("attachment/of_order")).bind(order.0).fetch_all(&self.pool).await?;
        rows.iter().map(attachment).collect()
    }

    async fn attachment(&self, id: AttachmentId) -> Result<Option<AttachmentRow>> {
        let row = sqlx::query(sql!("attachment/get")).bind(&id.0[..]).fetch_optional(&self.pool).await?;
        row.as_ref().map(attachment).transpose()
    }

    async fn claim_attachments(
        &self,
        channel: &ChannelId,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<AttachmentRow>> {
        let owed =
            sqlx::query(sql!("attachment/owed")).bind(channel.as_str()).bind(to_ms(now)).fetch_one(&self.pool).await?;
        // Mostly nothing is, and nothing need be written for that.
        if Columns::of("attachment", &owed).int()? == 0 {
            return Ok(Vec::new());
        }
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            let rows = sqlx::query(pg!("attachment/claim"))
                .bind(channel.as_str())
                .bind(to_ms(now))
                .bind(to_ms(until))
                .bind(i64::from(limit))
                .fetch_all(&mut *tx)
                .await?;
            commit(tx).await?;
            rows.iter().map(attachment).collect()
        })
        .await
    }

    async fn write_attachments(&self, rows: &[AttachmentRow]) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            let last = last_of_each(rows, |row| row.id);
            run(&mut tx, written(sql!("attachment/settle"), &last)).await?;
            commit(tx).await?;
            Ok(())
        })
        .await
    }

    async fn fetch_attachment_again(&self, id: AttachmentId, lost: bool, at: Timestamp) -> Result<bool> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            let again = sqlx::query(sql!("attachment/again")).bind(&id.0[..]).bind(to_ms(at)).bind(lost);
            let done = again.execute(&mut *tx).await?;
            commit(tx).await?;
            Ok(done.rows_affected() > 0)
        })
        .await
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
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(attachment).collect()
    }

    async fn attachment_tallies(&self) -> Result<Vec<(ChannelId, AttachmentState, u64)>> {
        let rows = sqlx::query(sql!("attachment/tally")).fetch_all(&self.pool).await?;
        rows.iter().map(tally).collect()
    }
}

fn written<'w>(statement: &'static str, rows: &'w [&'w AttachmentRow]) -> Vec<Step<'w>> {
    steps(statement, rows, |values, row| {
        values
            .bytes(&row.id.0)
            .uuid(row.order_id.0)
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
pub(super) fn owe<'w>(rows: &'w [&'w AttachmentRow]) -> Vec<Step<'w>> {
    written(sql!("attachment/owe"), rows)
}

/// What records refer to no more.
pub(super) async fn withdraw(connection: &mut PgConnection, named: &[AttachmentsNamed]) -> Result<()> {
    if named.is_empty() {
        return Ok(());
    }
    let named = last_of_each(named, |row| (row.order_id, &row.channel));
    let named = arrays(named, |values, row| {
        values.uuid(row.order_id.0).text(row.channel.as_str()).int(row.raw_id.0);
    })?;
    sqlx::query_with(pg!("attachment/withdraw"), named).execute(connection).await?;
    Ok(())
}
