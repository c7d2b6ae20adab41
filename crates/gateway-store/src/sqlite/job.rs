//! Background jobs.

use super::batch::{list, write_rows};
use super::column::{Columns, to_ms};
use super::{Result, SqliteStore};
use crate::{Job, JobKind, JobStore, NewJob, StoreError};
use async_trait::async_trait;
use gateway_model::{ChannelId, JobId, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::collections::BTreeMap;

/// Enqueues; the same job twice in one call is one request, due at the earlier time.
pub(super) async fn enqueue(connection: &mut SqliteConnection, jobs: &[NewJob]) -> Result<()> {
    let mut distinct: BTreeMap<(JobKind, &ChannelId, &str), (&str, Timestamp)> = BTreeMap::new();
    for job in jobs {
        let entry = distinct.entry((job.kind, &job.channel, &job.subject)).or_insert((&job.reason, job.run_at));
        entry.0 = &job.reason;
        entry.1 = entry.1.min(job.run_at);
    }
    let distinct: Vec<_> = distinct.into_iter().collect();
    write_rows(connection, sql!("job/enqueue"), &distinct, |values, ((kind, channel, subject), (reason, run_at))| {
        values.text(kind.as_str()).text(channel.as_str()).text(*subject).text(*reason).time(*run_at).time(*run_at);
    })
    .await
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<()> {
        let mut tx = self.begin_write().await?;
        enqueue(&mut tx, jobs).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn claim_jobs(
        &self,
        kind: JobKind,
        channel: &ChannelId,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Job>> {
        // Askers ask often and mostly in vain: look first, without the writer.
        let mut reader = self.readers.lend().await?;
        if due(&mut reader, kind, channel, now, 1).await?.is_empty() {
            return Ok(Vec::new());
        }
        drop(reader);
        let mut tx = self.begin_write().await?;
        let jobs = due(&mut tx, kind, channel, now, limit).await?;
        sqlx::query(sql!("job/claim"))
            .bind(list(jobs.iter().map(|job| job.id))?)
            .bind(to_ms(until))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(jobs)
    }

    async fn finish_jobs(&self, jobs: &[(JobId, u64)]) -> Result<()> {
        let mut tx = self.begin_write().await?;
        let jobs = list(jobs)?;
        sqlx::query(sql!("job/delete")).bind(&jobs).execute(&mut *tx).await?;
        sqlx::query(sql!("job/run_again")).bind(&jobs).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn fail_job(&self, id: JobId, reason: &str, run_at: Timestamp) -> Result<()> {
        let mut tx = self.begin_write().await?;
        let done = sqlx::query(sql!("job/fail")).bind(id.0).bind(reason).bind(to_ms(run_at)).execute(&mut *tx).await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: "job", id: id.to_string() });
        }
        tx.commit().await?;
        Ok(())
    }

    async fn job_tallies(&self) -> Result<Vec<(JobKind, ChannelId, u64)>> {
        let rows = sqlx::query(sql!("job/tally")).fetch_all(&mut *self.readers.lend().await?).await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("job", row);
                Ok((read_kind(&mut columns)?, columns.id()?, columns.count()?))
            })
            .collect()
    }
}

async fn due(
    connection: &mut SqliteConnection,
    kind: JobKind,
    channel: &ChannelId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Job>> {
    let rows = sqlx::query(sql!("job/due"))
        .bind(kind.as_str())
        .bind(channel.as_str())
        .bind(to_ms(now))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<Job> {
    let mut columns = Columns::of("job", row);
    Ok(Job {
        id: JobId(columns.int()?),
        kind: read_kind(&mut columns)?,
        channel: columns.id()?,
        subject: columns.string()?,
        reason: columns.string()?,
        requested: columns.count()?,
        failures: columns.small()?,
    })
}

fn read_kind(columns: &mut Columns<'_>) -> Result<JobKind> {
    let text = columns.string()?;
    [JobKind::Reread, JobKind::Reconcile, JobKind::Backfill, JobKind::Export]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| StoreError::damaged(format!("job has kind `{text}`")))
}
