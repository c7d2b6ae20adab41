//! Writing deliveries: rows are changed in memory and written whole, and the outbound tallies move with them.

use super::batch::write_rows;
use super::column::Columns;
use super::delivery_row::{StoredDelivery, read_delivery};
use super::transaction::Tx;
use super::{Result, history_write};
use crate::{DeliveryRow, DeliveryUpdate, Latency, Leg, NewDelivery, StoreError};
use gateway_model::{ChannelId, Dataset, Day, DeliveryId, DeliveryState, Timestamp, day_of};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Deliveries that are being changed in a transaction.
pub(super) struct Changing {
    before: BTreeMap<DeliveryId, StoredDelivery>,
    after: BTreeMap<DeliveryId, StoredDelivery>,
}

impl Changing {
    /// Loads the deliveries of `ids` that exist.
    pub(super) async fn load(connection: &mut PgConnection, ids: impl IntoIterator<Item = DeliveryId>) -> Result<Self> {
        let rows = sqlx::query(pg!("delivery/of"))
            .bind(ids.into_iter().map(|id| id.0).collect::<Vec<_>>())
            .fetch_all(connection)
            .await?;
        Self::read(&rows)
    }

    pub(super) fn read(rows: &[sqlx::postgres::PgRow]) -> Result<Self> {
        let mut before = BTreeMap::new();
        for row in rows {
            let delivery = read_delivery(&mut Columns::of("delivery", row))?;
            before.insert(delivery.row.id, delivery);
        }
        Ok(Self { after: before.clone(), before })
    }

    /// All of them.
    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut StoredDelivery> {
        self.after.values_mut()
    }

    /// One of them.
    pub(super) fn get(&mut self, id: DeliveryId) -> Result<&mut StoredDelivery> {
        self.after.get_mut(&id).ok_or_else(|| StoreError::NotFound { what: "delivery", id: id.to_string() })
    }

    /// Writes what changed, with the time of it.
    pub(super) async fn save(self, connection: &mut PgConnection, at: Timestamp) -> Result<()> {
        let changed: Vec<_> =
            self.after.into_iter().filter(|(id, row)| self.before.get(id) != Some(row)).map(|(_, row)| row).collect();
        let before = changed.iter().filter_map(|row| self.before.get(&row.row.id)).map(|row| &row.row);
        let after = changed.iter().map(|row| &row.row);
        tally(connection, before, after, at).await?;
        let steps = changed.iter().filter_map(|row| Some((&self.before.get(&row.row.id)?.row, &row.row)));
        history_write::latencies(connection, &legs(steps, at), at).await?;
        upsert(connection, &changed).await
    }
}

/// The refusal of a delivery that is not in the right state.
pub(super) fn wrong_state(delivery: &DeliveryRow) -> StoreError {
    StoreError::WrongState { what: "delivery", id: delivery.id.to_string(), state: delivery.state.to_string() }
}

pub(super) async fn insert(connection: &mut PgConnection, new: &[NewDelivery]) -> Result<()> {
    let rows: Vec<_> = new
        .iter()
        .map(|new| StoredDelivery {
            row: DeliveryRow {
                id: new.id,
                order_id: new.order_id,
                destination: new.destination.clone(),
                from: new.from.clone(),
                operation: new.operation,
                dataset: new.dataset,
                part: new.part.clone(),
                round: new.round,
                raw_id: new.raw_id,
                command_id: new.command_id,
                state: DeliveryState::Owed,
                generation: 1,
                attempts: 0,
                unanswered: false,
                next_attempt_at: new.created_at,
                created_at: new.created_at,
                first_sent_at: None,
                last_attempt_ended_at: None,
                item: None,
                ask_by: None,
                receipt: None,
                reason_code: None,
                reason: None,
            },
            projection_version: 0,
        })
        .collect();
    let Some(at) = new.iter().map(|new| new.created_at).max() else { return Ok(()) };
    tally(connection, [], rows.iter().map(|row| &row.row), at).await?;
    write(connection, sql!("delivery/insert"), &rows).await
}

/// What the pipeline learnt; a delivery that has ended keeps its end.
pub(super) async fn update(connection: &mut PgConnection, updates: &[DeliveryUpdate], at: Timestamp) -> Result<()> {
    if updates.is_empty() {
        return Ok(());
    }
    let mut changing = Changing::load(connection, updates.iter().map(|update| update.id)).await?;
    for update in updates {
        let row = &mut changing.get(update.id)?.row;
        if !row.state.is_in_flight() {
            continue;
        }
        row.state = update.state;
        if update.receipt.is_some() {
            row.receipt.clone_from(&update.receipt);
        }
        if let Some(at) = update.next_attempt_at {
            row.next_attempt_at = at;
        }
        row.reason_code.clone_from(&update.reason_code);
        row.reason.clone_from(&update.reason);
    }
    changing.save(connection, at).await
}

/// Loads one delivery in a write transaction.
pub(super) async fn load_one(tx: &mut Tx, id: DeliveryId) -> Result<Changing> {
    let mut changing = Changing::load(tx, [id]).await?;
    changing.get(id)?;
    Ok(changing)
}

async fn upsert(connection: &mut PgConnection, rows: &[StoredDelivery]) -> Result<()> {
    write(connection, sql!("delivery/upsert"), rows).await
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

/// How long the legs took that these steps end.
fn legs<'a>(steps: impl Iterator<Item = (&'a DeliveryRow, &'a DeliveryRow)>, at: Timestamp) -> Vec<Latency> {
    let mut legs = Vec::new();
    for (before, after) in steps {
        if let (None, Some(sent)) = (before.first_sent_at, after.first_sent_at) {
            legs.push(Latency::between(&after.destination, Leg::OwedToSent, after.created_at, sent));
        }
        // The answer's own time where an attempt got it, else the time at which we learnt it.
        let acknowledged = before.state != DeliveryState::Acknowledged && after.state == DeliveryState::Acknowledged;
        if let (true, Some(sent)) = (acknowledged, after.first_sent_at) {
            let ended = after.last_attempt_ended_at.filter(|ended| before.last_attempt_ended_at != Some(*ended));
            legs.push(Latency::between(&after.destination, Leg::SentToAcknowledged, sent, ended.unwrap_or(at)));
        }
    }
    legs
}

async fn tally<'a>(
    connection: &mut PgConnection,
    before: impl IntoIterator<Item = &'a DeliveryRow>,
    after: impl IntoIterator<Item = &'a DeliveryRow>,
    at: Timestamp,
) -> Result<()> {
    let mut deltas: BTreeMap<(ChannelId, Dataset, Day, DeliveryState), (i64, i64)> = BTreeMap::new();
    let mut add = |row: &DeliveryRow, sign: i64| {
        let key = (row.destination.clone(), row.dataset, day_of(row.created_at), row.state);
        let delta = deltas.entry(key).or_default();
        delta.0 += sign;
        delta.1 += sign * i64::from(row.first_sent_at.is_some());
    };
    before.into_iter().for_each(|row| add(row, -1));
    after.into_iter().for_each(|row| add(row, 1));
    let deltas: Vec<_> = deltas.into_iter().filter(|(_, delta)| *delta != (0, 0)).collect();
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
