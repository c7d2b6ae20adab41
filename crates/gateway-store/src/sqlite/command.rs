//! Commands.

use super::batch::write_rows;
use super::column::Columns;
use super::{Result, SqliteStore, delivery};
use crate::{CommandRow, CommandStore, DeliveryRow};
use async_trait::async_trait;
use gateway_model::{CommandId, RawId};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

/// The first verdict on a command stays.
pub(super) async fn insert(connection: &mut SqliteConnection, commands: &[CommandRow]) -> Result<()> {
    write_rows(connection, sql!("command/insert"), commands, |values, command| {
        values
            .bytes(command.id.0.as_bytes())
            .bytes(command.order_id.0.as_bytes())
            .text(command.operation.as_str())
            .int(i64::from(command.round))
            .text(command.state.as_str())
            .text(command.reason.as_deref())
            .int(command.raw_id.0)
            .time(command.at);
    })
    .await
}

#[async_trait]
impl CommandStore for SqliteStore {
    async fn command(&self, id: CommandId) -> Result<Option<(CommandRow, Vec<DeliveryRow>)>> {
        let mut reader = self.readers.lend().await?;
        let mut tx = reader.snapshot().await?;
        let row = sqlx::query(sql!("command/get")).bind(&id.0.as_bytes()[..]).fetch_optional(&mut *tx).await?;
        let Some(row) = row else { return Ok(None) };
        let command = read(&row)?;
        let rows = sqlx::query(sql!("delivery/of_command")).bind(&id.0.as_bytes()[..]).fetch_all(&mut *tx).await?;
        Ok(Some((command, delivery::read_all(&rows)?)))
    }
}

/// Reads the columns of `queries/command/*.sql`.
pub(super) fn read(row: &SqliteRow) -> Result<CommandRow> {
    let mut columns = Columns::of("command", row);
    Ok(CommandRow {
        id: CommandId(columns.uuid()?),
        order_id: columns.order_id()?,
        operation: columns.word()?,
        round: columns.small()?,
        state: columns.word()?,
        reason: columns.maybe_string()?,
        raw_id: RawId(columns.int()?),
        at: columns.time()?,
    })
}
