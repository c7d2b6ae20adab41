//! Writing deliveries: rows are changed in memory and written whole, and the outbound tallies move with them.

use super::batch::write_rows;
use super::{Result, archive_raw, history_write};
use crate::engine::delivery_change::{Changed, Changing, Tallies, owed, strand, tallies};
use crate::engine::delivery_row::StoredDelivery;
use crate::{DeliveryUpdate, NewDelivery, NewRaw};
use gateway_model::{ChannelId, Dataset, DeliveryId, DeliveryState, RawId, Timestamp, day_of};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// Loads the deliveries of `ids` that exist.
pub(super) async fn load(connection: &mut PgConnection, ids: impl IntoIterator<Item = DeliveryId>) -> Result<Changing> {
    let rows = sqlx::query(pg!("delivery/of"))
        .bind(ids.into_iter().map(|id| id.0).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    Changing::read(&rows)
}

/// Writes what changed, with the time of it.
pub(super) async fn save(connection: &mut PgConnection, changing: Changing, at: Timestamp) -> Result<()> {
    let Changed { rows, tallies, legs } = changing.changed(at);
    tally(connection, tallies, at).await?;
    history_write::latencies(connection, &legs, at).await?;
    write(connection, sql!("delivery/upsert"), &rows).await
}

/// Writes new ones; `fresh` are the records of this transaction. What is owed from an archived record (an older word of a channel that another is owed only
/// now) has it brought back; where it can't be had, the delivery waits for a person: the pipeline goes on.
pub(super) async fn insert(connection: &mut PgConnection, new: &[NewDelivery], fresh: &[NewRaw]) -> Result<()> {
    let mut rows: Vec<_> = new.iter().map(owed).collect();
    let fresh: BTreeSet<RawId> = fresh.iter().map(|raw| raw.id).collect();
    let older = new.iter().map(|new| new.raw_id).filter(|id| !fresh.contains(id));
    let gone = archive_raw::bring_back(connection, older.collect::<Vec<_>>()).await?;
    for stored in &mut rows {
        if let Some(month) = gone.get(&stored.row.raw_id) {
            let reason = archive_raw::refused(&stored.row, *month).to_string();
            strand(&mut stored.row, archive_raw::STRANDED, reason);
        }
    }
    let Some(at) = new.iter().map(|new| new.created_at).max() else { return Ok(()) };
    tally(connection, tallies([], rows.iter().map(|row| &row.row)), at).await?;
    write(connection, sql!("delivery/insert"), &rows).await
}

/// What the pipeline learnt; a delivery that has ended keeps its end.
pub(super) async fn update(connection: &mut PgConnection, updates: &[DeliveryUpdate], at: Timestamp) -> Result<()> {
    if updates.is_empty() {
        return Ok(());
    }
    let mut changing = load(connection, updates.iter().map(|update| update.id)).await?;
    for update in updates {
        changing.learn(update)?;
    }
    save(connection, changing, at).await
}

async fn write(connection: &mut PgConnection, statement: &'static str, rows: &[StoredDelivery]) -> Result<()> {
    write_rows(connection, statement, rows, |values, stored| {
        let row = &stored.row;
        values
            .int(row.id.0)
            .uuid(row.order_id.0)
            .text(row.destination.as_str())
            .text(row.from.as_str())
            .text(row.operation.as_str())
            .text(row.dataset.as_str())
            .show(&row.part)
            .int(i64::from(row.round))
            .int(row.raw_id.0)
            .uuid(row.command_id.map(|id| id.0))
            .text(row.state.as_str())
            .int(i64::from(row.generation))
            .int(i64::from(row.attempts))
            .flag(row.unanswered)
            .time(row.next_attempt_at)
            .time(row.created_at)
            .maybe_time(row.first_sent_at)
            .maybe_time(row.last_attempt_ended_at)
            .text(row.item.as_ref().map(|item| item.key.number.as_str()))
            .maybe_json(row.item.as_ref())
            .int(i64::from(stored.projection_version))
            .text(row.ask_by.map(|way| way.as_str()))
            .maybe_json(row.receipt.as_ref())
            .text(row.reason_code.as_deref())
            .text(row.reason.as_deref());
    })
    .await
}

async fn tally(connection: &mut PgConnection, deltas: Tallies, at: Timestamp) -> Result<()> {
    let mut sums: BTreeMap<(&ChannelId, Dataset, DeliveryState), (i64, i64)> = BTreeMap::new();
    for ((destination, dataset, _, state), (deliveries, sent)) in &deltas {
        let sum = sums.entry((destination, *dataset, *state)).or_default();
        *sum = (sum.0 + deliveries, sum.1 + sent);
    }
    let sums: Vec<_> = sums.into_iter().collect();
    write_rows(
        connection,
        sql!("delivery_tally/add"),
        &sums,
        |values, ((destination, dataset, state), (deliveries, sent))| {
            values.text(destination.as_str()).text(dataset.as_str()).text(state.as_str()).int(*deliveries).int(*sent);
        },
    )
    .await?;
    let as_of_day = day_of(at);
    write_rows(
        connection,
        sql!("delivery_day/add"),
        &deltas,
        |values, ((destination, dataset, day, state), (deliveries, sent))| {
            values
                .text(destination.as_str())
                .text(dataset.as_str())
                .show(day)
                .text(state.as_str())
                .show(as_of_day)
                .int(*deliveries)
                .int(*sent);
        },
    )
    .await
}
