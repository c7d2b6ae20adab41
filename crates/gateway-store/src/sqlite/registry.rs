//! Operating data, and how orders compare with it.

use super::batch::{Step, list, steps, write_rows};
use super::column::{Columns, to_ms};
use super::{Result, SqliteStore};
use crate::engine::registry_row::{CHUNK, entry, extract, gone, import, sort_out, tally, verification, waiting};
use crate::{RegistryChange, RegistryImport, RegistryStore, VerificationRow, WaitingRecords};
use async_trait::async_trait;
use gateway_model::{
    ChannelId, OrderId, OrderState, RegistryEntry, RegistryExtract, RegistryKind, RegistryLookup, Timestamp, Verdict,
};
use sqlx::SqliteConnection;

#[async_trait]
impl RegistryStore for SqliteStore {
    async fn import_registry(
        &self,
        kind: RegistryKind,
        entries: &[RegistryEntry],
        whole: bool,
        at: Timestamp,
    ) -> Result<RegistryChange> {
        let mut tx = self.begin_write().await?;
        let mut change = RegistryChange::default();
        for chunk in entries.chunks(CHUNK) {
            let held = held(&mut tx, &chunk.iter().map(key).collect::<Vec<_>>()).await?;
            let write = sort_out(chunk, &held, &mut change);
            write_rows(&mut tx, sql!("registry_entry/upsert"), &write, |values, entry| {
                values
                    .text(entry.kind.as_str())
                    .text(entry.key.as_str())
                    .int(entry.from_ms)
                    .int(entry.until_ms)
                    .json(&entry.facts);
            })
            .await?;
        }
        if whole {
            let rows = sqlx::query(sql!("registry_entry/keys")).bind(kind.as_str()).fetch_all(&mut *tx).await?;
            let keys = rows.iter().map(|row| {
                let mut columns = Columns::of("registry_entry", row);
                Ok((columns.string()?, columns.int()?))
            });
            let gone = gone(keys.collect::<Result<Vec<_>>>()?, entries);
            change.removed = gone.len() as u64;
            for chunk in gone.chunks(CHUNK) {
                let keys = list(chunk.iter().map(|(key, from)| (kind.as_str(), key, from)))?;
                sqlx::query(sql!("registry_entry/delete")).bind(keys).execute(&mut *tx).await?;
            }
        }
        if change.is_any() {
            let row = sqlx::query(sql!("registry_entry/count")).bind(kind.as_str()).fetch_one(&mut *tx).await?;
            let count = Columns::of("registry_entry", &row).int()?;
            let seq = imports(&mut tx).await?.iter().map(|import| import.seq).max().unwrap_or(0) + 1;
            sqlx::query(sql!("registry_import/upsert"))
                .bind(kind.as_str())
                .bind(i64::try_from(seq).unwrap_or(i64::MAX))
                .bind(count)
                .bind(to_ms(at))
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(change)
    }

    async fn registry_imports(&self) -> Result<Vec<RegistryImport>> {
        imports(&mut *self.readers.lend().await?).await
    }

    async fn look_up(&self, lookups: &[RegistryLookup]) -> Result<RegistryExtract> {
        let mut reader = self.readers.lend().await?;
        let mut tx = reader.snapshot().await?;
        look_up(&mut tx, lookups).await
    }

    async fn verifications(&self, order: OrderId) -> Result<Vec<VerificationRow>> {
        let rows = sqlx::query(sql!("verification/of_order"))
            .bind(&order.0.as_bytes()[..])
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter().map(|row| verification(&mut Columns::of("verification", row))).collect()
    }

    async fn verifications_behind(&self, limit: u32) -> Result<Vec<(VerificationRow, Option<OrderState>)>> {
        let rows = sqlx::query(sql!("verification/behind"))
            .bind(i64::from(limit))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("verification", row);
                Ok((verification(&mut columns)?, columns.maybe_word()?))
            })
            .collect()
    }

    async fn verify_again(&self, rows: &[VerificationRow]) -> Result<()> {
        let mut tx = self.begin_write().await?;
        super::batch::run(&mut tx, written(sql!("verification/again"), rows)).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn claim_lookups(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<VerificationRow>> {
        let owed =
            sqlx::query(sql!("verification/owed")).bind(to_ms(now)).fetch_one(&mut *self.readers.lend().await?).await?;
        // Mostly nothing is, and nobody's write waits for that.
        if Columns::of("verification", &owed).int()? == 0 {
            return Ok(Vec::new());
        }
        let mut tx = self.begin_write().await?;
        let rows = sqlx::query(sql!("verification/claim"))
            .bind(to_ms(now))
            .bind(i64::from(limit))
            .bind(to_ms(until))
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        rows.iter().map(|row| verification(&mut Columns::of("verification", row))).collect()
    }

    async fn write_lookups(&self, rows: &[VerificationRow]) -> Result<()> {
        let mut tx = self.begin_write().await?;
        super::batch::run(&mut tx, written(sql!("verification/looked_up"), rows)).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn waiting_lookups(&self, before: Timestamp) -> Result<Vec<WaitingRecords>> {
        let rows = sqlx::query(sql!("verification/waiting"))
            .bind(to_ms(before))
            .fetch_all(&mut *self.readers.lend().await?)
            .await?;
        rows.iter().map(waiting).collect()
    }

    async fn verification_tallies(&self) -> Result<Vec<(ChannelId, Verdict, u64)>> {
        let rows = sqlx::query(sql!("verification/tally")).fetch_all(&mut *self.readers.lend().await?).await?;
        rows.iter().map(tally).collect()
    }
}

fn key(entry: &RegistryEntry) -> (&str, &str, i64, i64) {
    (entry.kind.as_str(), &entry.key, entry.from_ms, entry.from_ms)
}

async fn held(connection: &mut SqliteConnection, keys: &[(&str, &str, i64, i64)]) -> Result<Vec<RegistryEntry>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(sql!("registry_entry/of")).bind(list(keys)?).fetch_all(connection).await?;
    rows.iter().map(entry).collect()
}

async fn imports(connection: &mut SqliteConnection) -> Result<Vec<RegistryImport>> {
    let rows = sqlx::query(sql!("registry_import/list")).fetch_all(connection).await?;
    rows.iter().map(import).collect()
}

/// What the registry says of these; asked of nobody where nothing is looked for.
pub(super) async fn look_up(connection: &mut SqliteConnection, lookups: &[RegistryLookup]) -> Result<RegistryExtract> {
    let imports = imports(connection).await?;
    let keys: Vec<_> = lookups
        .iter()
        .map(|lookup| (lookup.kind.as_str(), lookup.key.as_str(), lookup.from_ms, lookup.until_ms))
        .collect();
    Ok(extract(&imports, held(connection, &keys).await?))
}

fn written<'w>(statement: &'static str, rows: &'w [VerificationRow]) -> Vec<Step<'w>> {
    steps(statement, rows, |values, row| {
        values
            .bytes(row.order_id.0.as_bytes())
            .text(row.channel.as_str())
            .int(row.raw_id.0)
            .json(&row.subject)
            .text(row.result.verdict.as_str())
            .json(&row.result)
            .count(row.registry_seq)
            .time(row.at)
            .maybe_json(row.looked_up.as_ref())
            .maybe_time(row.look_up_at);
    })
}

/// Verifications made with a batch.
pub(super) fn upsert(rows: &[VerificationRow]) -> Vec<Step<'_>> {
    written(sql!("verification/upsert"), rows)
}
