//! What is known of one order beside its rows.

use super::column::Columns;
use super::{PostgresStore, Result, archive_raw, command, dead_letter, park};
use crate::engine::raw_row::read_raw;
use crate::{OrderTrace, TraceStore};
use async_trait::async_trait;
use gateway_model::{OrderId, OrderNumber, RawId};
use std::collections::BTreeSet;

#[async_trait]
impl TraceStore for PostgresStore {
    async fn order_trace(&self, id: OrderId, numbers: &[OrderNumber], raws: &[RawId]) -> Result<OrderTrace> {
        let mut tx = self.begin_read().await?;
        let rows = sqlx::query(sql!("command/of_order")).bind(id.0).fetch_all(&mut *tx).await?;
        let commands = rows.iter().map(command::read).collect::<Result<Vec<_>>>()?;
        // A number that two orders have is asked for once.
        let numbers: BTreeSet<_> = numbers.iter().map(|number| (&number.channel, &number.number)).collect();
        let numbers: Vec<_> = numbers.into_iter().collect();
        let rows = sqlx::query(pg!("dead_letter/of_numbers"))
            .bind(numbers.iter().map(|(channel, _)| channel.as_str()).collect::<Vec<_>>())
            .bind(numbers.iter().map(|(_, number)| number.as_str()).collect::<Vec<_>>())
            .fetch_all(&mut *tx)
            .await?;
        let dead_letters = rows.iter().map(dead_letter::read).collect::<Result<Vec<_>>>()?;
        let parked = park::waiting_for(&mut tx, &numbers).await?;
        let wanted: BTreeSet<RawId> = raws
            .iter()
            .copied()
            .chain(commands.iter().map(|command| command.raw_id))
            .chain(dead_letters.iter().map(|letter| letter.raw_id))
            .chain(parked.iter().map(|parked| parked.raw.id))
            .collect();
        let mut missing: BTreeSet<i64> = wanted.iter().map(|id| id.0).collect();
        let rows = sqlx::query(pg!("raw_record/meta_of"))
            .bind(missing.iter().copied().collect::<Vec<_>>())
            .fetch_all(&mut *tx)
            .await?;
        let mut records = Vec::with_capacity(rows.len());
        for row in &rows {
            let raw = read_raw(&mut Columns::of("raw_record", row))?;
            missing.remove(&raw.id.0);
            records.push((raw.id, raw.meta));
        }
        let archived = archive_raw::find(&mut tx, missing).await?;
        records.extend(archived.into_iter().map(|raw| (raw.id, raw.meta)));
        records.sort_by_key(|(id, _)| *id);
        let parked = parked.into_iter().map(|parked| (parked.raw.id, parked.since)).collect();
        Ok(OrderTrace { records, commands, dead_letters, parked })
    }
}
