//! Dead letters.

use super::batch::{list, write_rows};
use super::column::{Columns, to_ms};
use super::{Result, SqliteStore};
use crate::{DeadLetterFilter, DeadLetterRow, DeadLetterState, DeadLetterStore, NewDeadLetter, StoreError};
use async_trait::async_trait;
use gateway_model::{ChannelId, DeadLetterId, RawId, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

pub(super) async fn insert(connection: &mut SqliteConnection, letters: &[NewDeadLetter]) -> Result<()> {
    write_rows(connection, sql!("dead_letter/insert"), letters, |values, letter| {
        values
            .int(letter.raw_id.0)
            .text(letter.channel.as_str())
            .text(letter.number.as_ref().map(|number| number.as_str()))
            .text(letter.code.as_str())
            .text(letter.reason.as_str())
            .text(DeadLetterState::Open.as_str())
            .time(letter.at);
    })
    .await
}

#[async_trait]
impl DeadLetterStore for SqliteStore {
    async fn dead_letters(&self, filter: &DeadLetterFilter, limit: u32) -> Result<Vec<DeadLetterRow>> {
        let statement = match filter.state {
            Some(_) => sql!("dead_letter/list_in_state"),
            None => sql!("dead_letter/list"),
        };
        let rows = sqlx::query(statement)
            .bind(filter.after.map_or(i64::MIN, |id| id.0))
            .bind(filter.channel.as_ref().map(ChannelId::as_str))
            .bind(i64::from(limit))
            .bind(filter.state.map(DeadLetterState::as_str))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter().map(read).collect()
    }

    async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<DeadLetterRow>> {
        let row =
            sqlx::query(sql!("dead_letter/get")).bind(id.0).fetch_optional(&mut *self.readers.lend().await?).await?;
        row.as_ref().map(read).transpose()
    }

    async fn settle_dead_letters(
        &self,
        ids: &[DeadLetterId],
        state: DeadLetterState,
        reason: &str,
        at: Timestamp,
    ) -> Result<u64> {
        if state == DeadLetterState::Open {
            return Err(StoreError::WrongState {
                what: "dead letter",
                id: list(ids)?,
                state: "not settled by being open".into(),
            });
        }
        let mut tx = self.begin_write().await?;
        let done = sqlx::query(sql!("dead_letter/settle"))
            .bind(list(ids)?)
            .bind(state.as_str())
            .bind(reason)
            .bind(to_ms(at))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }
}

/// Reads the columns of `queries/dead_letter/*.sql`.
pub(super) fn read(row: &SqliteRow) -> Result<DeadLetterRow> {
    let mut columns = Columns::of("dead_letter", row);
    let id = DeadLetterId(columns.int()?);
    let raw_id = RawId(columns.int()?);
    let channel = columns.id()?;
    let number = columns.maybe_id()?;
    let code = columns.string()?;
    let reason = columns.string()?;
    let state = columns.string()?;
    Ok(DeadLetterRow {
        id,
        raw_id,
        channel,
        number,
        code,
        reason,
        state: [DeadLetterState::Open, DeadLetterState::Resubmitted, DeadLetterState::Waived]
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or_else(|| StoreError::damaged(format!("dead_letter has state `{state}`")))?,
        at: columns.time()?,
        settled_at: columns.maybe_time()?,
        settled_reason: columns.maybe_string()?,
    })
}
