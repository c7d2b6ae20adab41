//! Reading orders.

use super::column::Columns;
use super::{PostgresStore, Result, load};
use crate::{OrderPage, OrderReader, OrderView, TimelineRow};
use async_trait::async_trait;
use gateway_model::{ChannelId, OrderId, RawId, SourceNumber};
use sqlx::PgConnection;
use std::collections::BTreeMap;

#[async_trait]
impl OrderReader for PostgresStore {
    async fn orders_after(&self, after: u64, limit: u32, persons: bool) -> Result<OrderPage> {
        let mut tx = self.begin_read().await?;
        let limit = limit.max(1) as usize;
        // One more than asked tells whether there is more. A snapshot holds whole commits only, and the writer gives feed places in commit
        // order, so nothing can appear later below what was read.
        let rows = sqlx::query(sql!("work_order/after"))
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(limit as i64 + 1)
            .fetch_all(&mut *tx)
            .await?;
        let mut ids = rows.iter().map(|row| Columns::of("work_order", row).order_id()).collect::<Result<Vec<_>>>()?;
        let more = ids.len() > limit;
        ids.truncate(limit);
        let mut orders = views(&mut tx, &ids, persons).await?;
        orders.sort_by_key(|view| view.aggregate.order.feed_seq);
        let next = orders.last().map_or(after, |view| view.aggregate.order.feed_seq);
        Ok(OrderPage { orders, next, more })
    }

    async fn order(&self, id: OrderId, persons: bool) -> Result<Option<OrderView>> {
        let mut tx = self.begin_read().await?;
        Ok(views(&mut tx, &[id], persons).await?.pop())
    }

    async fn orders(&self, ids: &[OrderId], persons: bool) -> Result<Vec<OrderView>> {
        let mut tx = self.begin_read().await?;
        views(&mut tx, ids, persons).await
    }

    async fn orders_by_number(&self, number: &SourceNumber, channel: Option<&ChannelId>) -> Result<Vec<OrderId>> {
        let rows = sqlx::query(sql!("order_number/by_number"))
            .bind(number.as_str())
            .bind(channel.map(ChannelId::as_str))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Columns::of("order_number", row).order_id()).collect()
    }

    async fn timeline(&self, id: OrderId) -> Result<Vec<TimelineRow>> {
        let rows = sqlx::query(sql!("order_change/timeline")).bind(id.0).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("order_change", row);
                Ok(TimelineRow {
                    seq: columns.count()?,
                    at: columns.time()?,
                    channel: columns.id()?,
                    dataset: columns.word()?,
                    part: columns.word()?,
                    raw_id: RawId(columns.int()?),
                    origin: columns.word()?,
                })
            })
            .collect()
    }

    async fn order_count(&self) -> Result<u64> {
        let row = sqlx::query(sql!("work_order/count")).fetch_one(&self.pool).await?;
        Columns::of("work_order", &row).count()
    }
}

async fn views(connection: &mut PgConnection, ids: &[OrderId], persons: bool) -> Result<Vec<OrderView>> {
    let mut by_order: BTreeMap<OrderId, Vec<_>> = BTreeMap::new();
    if persons {
        for person in load::persons(connection, ids).await? {
            by_order.entry(person.order_id).or_default().push(person);
        }
    }
    Ok(load::aggregates(connection, ids)
        .await?
        .into_iter()
        .map(|aggregate| OrderView { persons: by_order.remove(&aggregate.order.id).unwrap_or_default(), aggregate })
        .collect())
}
