//! Commands.

use super::batch::write_rows;
use super::column::Columns;
use super::{PostgresStore, Result, delivery};
use crate::{CommandRow, CommandStore, DeliveryRow};
use async_trait::async_trait;
use gateway_model::{CommandId, RawId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

/// The first verdict on a command stays.
pub(super) async fn insert(connection: &mut PgConnection, commands: &[CommandRow]) -> Result<()> {
    write_rows(connection, sql!("command/insert"), commands, |values, command| {
        values
            .uuid(command.id.0)
            .uuid(command.order_id.0)
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
impl CommandStore for PostgresStore {
    async fn command(&self, id: CommandId) -> Result<Option<(CommandRow, Vec<DeliveryRow>)>> {
        let mut tx = self.begin_read().await?;
        let row = sqlx::query(sql!("command/get")).bind(id.0).fetch_optional(&mut *tx).await?;
        let Some(row) = row else { return Ok(None) };
        let command = read(&row)?;
        let rows = sqlx::query(sql!("delivery/of_command")).bind(id.0).fetch_all(&mut *tx).await?;
        Ok(Some((command, delivery::read_all(&rows)?)))
    }
}

/// Reads the columns of `queries/command/*.sql`.
pub(super) fn read(row: &PgRow) -> Result<CommandRow> {
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
