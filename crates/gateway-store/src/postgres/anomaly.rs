//! Oddities: counts of all, rows of the latest of each kind.

use super::Result;
use super::batch::{storable, write_rows};
use super::column::Columns;
use crate::{AnomalyTally, NewAnomaly};
use gateway_model::{ChannelId, Timestamp};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use std::collections::BTreeMap;

/// How many rows of one kind and subject are kept.
const CAP: u64 = 16;

type Key = (ChannelId, String, String);

pub(super) async fn record(connection: &mut PgConnection, anomalies: &[NewAnomaly]) -> Result<()> {
    if anomalies.is_empty() {
        return Ok(());
    }
    let key = |anomaly: &NewAnomaly| -> Key {
        (anomaly.channel.clone(), storable(&anomaly.kind).into_owned(), storable(&anomaly.subject).into_owned())
    };
    let mut tallies: BTreeMap<Key, (u64, Option<Timestamp>)> =
        anomalies.iter().map(|one| (key(one), (0, None))).collect();
    let rows = sqlx::query(pg!("anomaly_tally/of"))
        .bind(tallies.keys().map(|key| key.0.as_str().to_owned()).collect::<Vec<_>>())
        .bind(tallies.keys().map(|key| key.1.clone()).collect::<Vec<_>>())
        .bind(tallies.keys().map(|key| key.2.clone()).collect::<Vec<_>>())
        .fetch_all(&mut *connection)
        .await?;
    for row in &rows {
        let tally = read(row)?;
        tallies.insert((tally.channel, tally.kind, tally.subject), (tally.count, Some(tally.last_at)));
    }
    let mut kept = BTreeMap::new();
    for anomaly in anomalies {
        let key = key(anomaly);
        let tally = tallies.entry(key.clone()).or_default();
        kept.insert((key, tally.0 % CAP), anomaly);
        tally.0 += 1;
        tally.1 = tally.1.max(Some(anomaly.at));
    }
    let tallies: Vec<_> = tallies.into_iter().collect();
    write_rows(
        connection,
        sql!("anomaly_tally/upsert"),
        &tallies,
        |values, ((channel, kind, subject), (count, last_at))| {
            values.text(channel.as_str()).text(kind.as_str()).text(subject.as_str()).count(*count).maybe_time(*last_at);
        },
    )
    .await?;
    let kept: Vec<_> = kept.into_iter().collect();
    write_rows(connection, sql!("anomaly/upsert"), &kept, |values, (((channel, kind, subject), slot), anomaly)| {
        values
            .text(channel.as_str())
            .text(kind.as_str())
            .text(subject.as_str())
            .count(*slot)
            .uuid(anomaly.order_id.map(|id| id.0))
            .int(anomaly.raw_id.0)
            .time(anomaly.at);
    })
    .await
}

pub(super) async fn tallies(connection: &mut PgConnection) -> Result<Vec<AnomalyTally>> {
    let rows = sqlx::query(sql!("anomaly_tally/list")).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

fn read(row: &PgRow) -> Result<AnomalyTally> {
    let mut columns = Columns::of("anomaly_tally", row);
    Ok(AnomalyTally {
        channel: columns.id()?,
        kind: columns.string()?,
        subject: columns.string()?,
        count: columns.count()?,
        last_at: columns.time()?,
    })
}
