//! What is known of one order beside its rows.

use super::batch::list;
use super::column::Columns;
use super::{Result, SqliteStore, command, dead_letter, park};
use crate::engine::raw_row::read_raw;
use crate::{OrderTrace, TraceStore};
use async_trait::async_trait;
use gateway_model::{OrderId, OrderNumber, RawId};
use std::collections::BTreeSet;

#[async_trait]
impl TraceStore for SqliteStore {
    async fn order_trace(&self, id: OrderId, numbers: &[OrderNumber], raws: &[RawId]) -> Result<OrderTrace> {
        let mut reader = self.readers.lend().await?;
        let mut tx = reader.snapshot().await?;
        let rows = sqlx::query(sql!("command/of_order")).bind(&id.0.as_bytes()[..]).fetch_all(&mut *tx).await?;
        let commands = rows.iter().map(command::read).collect::<Result<Vec<_>>>()?;
        // A number that two orders have is asked for once.
        let numbers: BTreeSet<_> = numbers.iter().map(|number| (&number.channel, &number.number)).collect();
        let numbers: Vec<_> = numbers.into_iter().collect();
        let rows = sqlx::query(sql!("dead_letter/of_numbers")).bind(list(&numbers)?).fetch_all(&mut *tx).await?;
        let dead_letters = rows.iter().map(dead_letter::read).collect::<Result<Vec<_>>>()?;
        let parked = park::waiting_for(&mut tx, &numbers).await?;
        let wanted: BTreeSet<RawId> = raws
            .iter()
            .copied()
            .chain(commands.iter().map(|command| command.raw_id))
            .chain(dead_letters.iter().map(|letter| letter.raw_id))
            .chain(parked.iter().map(|parked| parked.raw.id))
            .collect();
        let rows = sqlx::query(sql!("raw_record/meta_of")).bind(list(wanted)?).fetch_all(&mut *tx).await?;
        let records = rows
            .iter()
            .map(|row| {
                let raw = read_raw(&mut Columns::of("raw_record", row))?;
                Ok((raw.id, raw.meta))
            })
            .collect::<Result<Vec<_>>>()?;
        let parked = parked.into_iter().map(|parked| (parked.raw.id, parked.since)).collect();
        Ok(OrderTrace { records, commands, dead_letters, parked })
    }
}
