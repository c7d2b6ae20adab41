//! What is owed, and what became of it.

use super::batch::{last_of_each, write_rows};
use super::column::{Columns, to_ms};
use super::lease::{holds, must_hold, write_checkpoint};
use super::transaction::{commit, turn, turn_of_deliveries};
use super::{PostgresStore, Result, archive_raw, book_put, delivery_write, raw};
use crate::engine::delivery_change::{Changing, Ended, changing, read_standings};
use crate::engine::delivery_row::read_delivery;
use crate::engine::order_row::read_number;
use crate::engine::raw_row::read_raw;
use crate::{
    AttemptResult, AttemptRow, AttemptStart, DeliveryRow, DeliveryStore, DeliveryWork, ForwardedScope, Hearing,
    LeaseGrant, OutboundTally, RawRow, RowVerdict, VerdictTally,
};
use async_trait::async_trait;
use gateway_model::{ChannelId, DeliveryId, DeliveryState, ItemKey, OrderId, OrderNumber, Timestamp};
use sqlx::PgConnection;
use std::collections::BTreeMap;

#[async_trait]
impl DeliveryStore for PostgresStore {
    async fn due_deliveries(&self, destination: &ChannelId, now: Timestamp, limit: u32) -> Result<Vec<DeliveryWork>> {
        let mut tx = self.begin_read().await?;
        let rows = sqlx::query(sql!("delivery/due"))
            .bind(destination.as_str())
            .bind(to_ms(now))
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await?;
        with_numbers(&mut tx, destination, &rows).await
    }

    async fn next_due(&self, destination: &ChannelId) -> Result<Option<Timestamp>> {
        let row = sqlx::query(sql!("delivery/next_due")).bind(destination.as_str()).fetch_optional(&self.pool).await?;
        row.map(|row| Columns::of("delivery", &row).time()).transpose()
    }

    async fn recover_sending(
        &self,
        destination: &ChannelId,
        now: Timestamp,
        under: Option<&LeaseGrant>,
    ) -> Result<u64> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            if let Some(lease) = under {
                must_hold(&mut tx, lease).await?;
            }
            sqlx::query(pg!("work_order/lock_sending")).bind(destination.as_str()).execute(&mut *tx).await?;
            turn(&mut tx).await?;
            let rows = sqlx::query(sql!("delivery/sending")).bind(destination.as_str()).fetch_all(&mut *tx).await?;
            let mut changing = Changing::read(&rows)?;
            let ended = changing.interrupt(now);
            end_attempt_rows(&mut tx, &ended).await?;
            delivery_write::save(&mut tx, changing, now).await?;
            commit(tx).await?;
            Ok(rows.len() as u64)
        })
        .await
    }

    async fn begin_attempts(&self, starts: &[AttemptStart], under: Option<&LeaseGrant>) -> Result<()> {
        self.repeated(|| async {
            let Some(at) = starts.iter().map(|start| start.at).max() else { return Ok(()) };
            let mut tx = self.begin_write().await?;
            if let Some(lease) = under {
                must_hold(&mut tx, lease).await?;
            }
            turn_of_deliveries(&mut tx, starts.iter().map(|start| start.id)).await?;
            let mut changing = delivery_write::load(&mut tx, starts.iter().map(|start| start.id)).await?;
            let mut begun = Vec::with_capacity(starts.len());
            for start in starts {
                let (generation, attempt) = changing.begin(start)?;
                begun.push((start.id, generation, attempt, start.at));
            }
            write_rows(&mut tx, sql!("delivery_attempt/insert"), &begun, |values, (id, generation, attempt, at)| {
                values.int(id.0).int(i64::from(*generation)).int(i64::from(*attempt)).time(*at);
            })
            .await?;
            delivery_write::save(&mut tx, changing, at).await?;
            commit(tx).await?;
            Ok(())
        })
        .await
    }

    async fn end_attempts(&self, results: &[AttemptResult], under: Option<&LeaseGrant>) -> Result<()> {
        self.repeated(|| async {
            let Some(at) = results.iter().map(|result| result.at).max() else { return Ok(()) };
            let mut tx = self.begin_write().await?;
            let held = match under {
                Some(lease) => holds(&mut tx, lease).await?,
                None => true,
            };
            let counts = |result: &&AttemptResult| held || result.state == DeliveryState::Acknowledged;
            let results: Vec<_> = results.iter().filter(counts).collect();
            if results.is_empty() {
                return Ok(());
            }
            turn_of_deliveries(&mut tx, results.iter().map(|result| result.id)).await?;
            let mut changing = delivery_write::load(&mut tx, results.iter().map(|result| result.id)).await?;
            let mut ended = Vec::with_capacity(results.len());
            let mut puts = Vec::new();
            for result in results {
                let (end, put) = changing.end(result)?;
                ended.extend(end);
                puts.extend(put);
            }
            end_attempt_rows(&mut tx, &ended).await?;
            delivery_write::save(&mut tx, changing, at).await?;
            book_put::apply(&mut tx, puts, at).await?;
            commit(tx).await?;
            Ok(())
        })
        .await
    }

    async fn redeliver(&self, id: DeliveryId, now: Timestamp) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            turn_of_deliveries(&mut tx, [id]).await?;
            let mut changing = delivery_write::load(&mut tx, [id]).await?;
            let (destination, item) = changing.redeliver(id, now)?;
            let reopened = changing.reopened();
            let gone = archive_raw::bring_back(&mut tx, reopened.iter().map(|row| row.raw_id)).await?;
            if let Some((row, month)) = reopened.iter().find_map(|row| Some((row, gone.get(&row.raw_id)?))) {
                return Err(archive_raw::refused(row, *month));
            }
            delivery_write::save(&mut tx, changing, now).await?;
            book_put::remove_sent(&mut tx, item.map(|item| (destination, item)).into_iter().collect(), now).await?;
            commit(tx).await?;
            Ok(())
        })
        .await
    }

    async fn waive_delivery(&self, id: DeliveryId, reason: &str, now: Timestamp) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            turn_of_deliveries(&mut tx, [id]).await?;
            let mut changing = delivery_write::load(&mut tx, [id]).await?;
            changing.waive(id, reason, now)?;
            delivery_write::save(&mut tx, changing, now).await?;
            commit(tx).await?;
            Ok(())
        })
        .await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>> {
        Ok(self.deliveries(&[id]).await?.pop())
    }

    async fn deliveries(&self, ids: &[DeliveryId]) -> Result<Vec<DeliveryRow>> {
        let rows = sqlx::query(pg!("delivery/of"))
            .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await?;
        read_all(&rows)
    }

    async fn deliveries_of_item(&self, destination: &ChannelId, key: &ItemKey) -> Result<Vec<DeliveryRow>> {
        let rows = sqlx::query(sql!("delivery/of_item"))
            .bind(destination.as_str())
            .bind(key.number.as_str())
            .fetch_all(&self.pool)
            .await?;
        let mut deliveries = read_all(&rows)?;
        deliveries.retain(|row| row.item.as_ref().is_some_and(|item| item.key == *key));
        Ok(deliveries)
    }

    async fn deliveries_left(
        &self,
        destination: Option<&ChannelId>,
        after: DeliveryId,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>> {
        let rows = sqlx::query(pg!("delivery/left"))
            .bind(after.0)
            .bind(destination.map(ChannelId::as_str))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        read_all(&rows)
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<AttemptRow>> {
        let rows = sqlx::query(sql!("delivery_attempt/of")).bind(id.0).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("delivery_attempt", row);
                Ok(AttemptRow {
                    delivery_id: DeliveryId(columns.int()?),
                    generation: columns.small()?,
                    attempt: columns.small()?,
                    started_at: columns.time()?,
                    ended_at: columns.maybe_time()?,
                    outcome: columns.maybe_word()?,
                    reason_code: columns.maybe_string()?,
                })
            })
            .collect()
    }

    async fn forwarded(
        &self,
        destination: &ChannelId,
        scope: ForwardedScope,
        after: DeliveryId,
        limit: u32,
    ) -> Result<Vec<DeliveryWork>> {
        let mut tx = self.begin_read().await?;
        let rows = sqlx::query(pg!("delivery/forwarded"))
            .bind(destination.as_str())
            .bind(after.0)
            .bind(scope.upto.0)
            .bind(to_ms(scope.owed_from))
            .bind(to_ms(scope.owed_before))
            .bind(i64::from(limit))
            .fetch_all(&mut *tx)
            .await?;
        let deliveries = read_all(&rows)?;
        let raws = raw::of(&mut tx, deliveries.iter().map(|row| row.raw_id)).await?;
        let mut works = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            // Several may be of one record.
            match raws.get(&delivery.raw_id) {
                Some(raw) => works.push((delivery, raw.clone())),
                None => return Err(archive_raw::gone(&mut tx, &delivery).await?),
            }
        }
        numbered(&mut tx, destination, works).await
    }

    async fn last_delivery(&self) -> Result<DeliveryId> {
        let row = sqlx::query(sql!("delivery/last")).fetch_one(&self.pool).await?;
        Ok(DeliveryId(Columns::of("delivery", &row).int()?))
    }

    async fn take_verdicts(
        &self,
        destination: &ChannelId,
        verdicts: &[RowVerdict],
        hearing: Hearing<'_>,
    ) -> Result<VerdictTally> {
        self.repeated(|| async {
            let ids: Vec<i64> = verdicts.iter().map(|verdict| verdict.key.id.0).collect();
            let rows = sqlx::query(pg!("delivery/standing")).bind(ids).fetch_all(&self.pool).await?;
            let mut tally = VerdictTally::default();
            let changing =
                changing(destination, verdicts, &read_standings(&rows)?, hearing.max_generations, &mut tally);
            if changing.is_empty() {
                return Ok(tally);
            }
            let mut tx = self.begin_write().await?;
            if let Some(lease) = hearing.under {
                must_hold(&mut tx, lease).await?;
            }
            turn_of_deliveries(&mut tx, changing.iter().map(|verdict| verdict.key.id)).await?;
            let mut loaded = delivery_write::load(&mut tx, changing.iter().map(|verdict| verdict.key.id)).await?;
            let at = hearing.at;
            let heard = loaded.hear(destination, &changing, hearing.max_generations, at)?;
            tally += heard.tally;
            let reopened = loaded.reopened();
            let gone = archive_raw::bring_back(&mut tx, reopened.iter().map(|row| row.raw_id)).await?;
            for row in reopened {
                if let Some(month) = gone.get(&row.raw_id) {
                    loaded.strand(row.id, archive_raw::STRANDED, archive_raw::refused(&row, *month).to_string())?;
                }
            }
            delivery_write::save(&mut tx, loaded, at).await?;
            book_put::apply(&mut tx, heard.puts, at).await?;
            book_put::remove_sent(&mut tx, heard.removes, at).await?;
            if let Some(note) = hearing.note {
                write_checkpoint(&mut tx, destination, note.name, &(note.text)(tally), at).await?;
            }
            commit(tx).await?;

            Ok(tally)
        })
        .await
    }

    async fn outbound_tallies(&self) -> Result<Vec<OutboundTally>> {
        let rows = sqlx::query(sql!("delivery_tally/list")).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("delivery_tally", row);
                Ok(OutboundTally {
                    destination: columns.id()?,
                    dataset: columns.word()?,
                    state: columns.word()?,
                    deliveries: columns.count()?,
                    sent: columns.count()?,
                })
            })
            .collect()
    }
}

/// Deliveries in the order of the rows.
pub(super) fn read_all(rows: &[sqlx::postgres::PgRow]) -> Result<Vec<DeliveryRow>> {
    rows.iter().map(|row| Ok(read_delivery(&mut Columns::of("delivery", row))?.row)).collect()
}

/// Ends attempts that have not ended; the answer to a question about an attempt leaves the attempt as it was.
async fn end_attempt_rows(connection: &mut PgConnection, ended: &[Ended]) -> Result<()> {
    // The first end of an attempt is its end.
    let latest_first: Vec<&Ended> = ended.iter().rev().collect();
    let ended = last_of_each(&latest_first, |end| (end.id, end.generation, end.attempt));
    write_rows(connection, sql!("delivery_attempt/end"), &ended, |values, end| {
        values
            .int(end.id.0)
            .int(i64::from(end.generation))
            .int(i64::from(end.attempt))
            .time(end.at)
            .time(end.at)
            .text(end.outcome.as_str())
            .text(end.reason_code.as_deref());
    })
    .await
}

/// Deliveries with their records, as `delivery/due.sql` has them, and the orders' numbers there.
async fn with_numbers(
    connection: &mut PgConnection,
    destination: &ChannelId,
    rows: &[sqlx::postgres::PgRow],
) -> Result<Vec<DeliveryWork>> {
    let mut works = Vec::with_capacity(rows.len());
    for row in rows {
        let mut columns = Columns::of("delivery", row);
        let delivery = read_delivery(&mut columns)?.row;
        works.push((delivery, read_raw(&mut columns)?));
    }
    numbered(connection, destination, works).await
}

/// Deliveries and their records with the orders' numbers at the destination.
async fn numbered(
    connection: &mut PgConnection,
    destination: &ChannelId,
    works: Vec<(DeliveryRow, RawRow)>,
) -> Result<Vec<DeliveryWork>> {
    let numbers = numbers_at(connection, destination, works.iter().map(|(delivery, _)| delivery.order_id)).await?;
    Ok(works
        .into_iter()
        .map(|(delivery, raw)| DeliveryWork { number: numbers.get(&delivery.order_id).cloned(), delivery, raw })
        .collect())
}

/// The newest number of each order at a channel.
async fn numbers_at(
    connection: &mut PgConnection,
    channel: &ChannelId,
    orders: impl Iterator<Item = OrderId>,
) -> Result<BTreeMap<OrderId, OrderNumber>> {
    let rows = sqlx::query(pg!("order_number/at"))
        .bind(orders.map(|id| id.0).collect::<Vec<_>>())
        .bind(channel.as_str())
        .fetch_all(connection)
        .await?;
    let mut numbers: BTreeMap<OrderId, OrderNumber> = BTreeMap::new();
    for row in &rows {
        let mut columns = Columns::of("order_number", row);
        let order = columns.order_id()?;
        let number = read_number(&mut columns)?;
        let newest = numbers.entry(order).or_insert_with(|| number.clone());
        if (newest.day, &newest.number) < (number.day, &number.number) {
            *newest = number;
        }
    }
    Ok(numbers)
}
