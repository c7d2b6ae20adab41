//! Background jobs.

use super::batch::{storable, write_rows};
use super::column::{Columns, to_ms};
use super::transaction::commit;
use super::{PostgresStore, Result};
use crate::{Job, JobKind, JobStore, NewJob, StoreError};
use async_trait::async_trait;
use gateway_model::{ChannelId, JobId, Timestamp};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use std::collections::BTreeMap;

/// Enqueues; the same job twice in one call is one request, due at the earlier time.
pub(super) async fn enqueue(connection: &mut PgConnection, jobs: &[NewJob]) -> Result<()> {
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
impl JobStore for PostgresStore {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            enqueue(&mut tx, jobs).await?;
            commit(tx).await?;
            Ok(())
        })
        .await
    }

    async fn claim_jobs(
        &self,
        kind: JobKind,
        channel: &ChannelId,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Job>> {
        self.repeated(|| async {
            // Askers ask often and mostly in vain: look first, without the writer.
            let mut reader = self.pool.acquire().await?;
            if due(&mut reader, kind, channel, now, 1).await?.is_empty() {
                return Ok(Vec::new());
            }
            drop(reader);
            let mut tx = self.begin_write().await?;
            let jobs = due(&mut tx, kind, channel, now, limit).await?;
            sqlx::query(pg!("job/claim"))
                .bind(jobs.iter().map(|job| job.id.0).collect::<Vec<_>>())
                .bind(to_ms(until))
                .execute(&mut *tx)
                .await?;
            commit(tx).await?;
            Ok(jobs)
        })
        .await
    }

    async fn finish_jobs(&self, jobs: &[(JobId, u64)]) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            let ids: Vec<i64> = jobs.iter().map(|(id, _)| id.0).collect();
            let requested: Vec<i64> =
                jobs.iter().map(|(_, requested)| i64::try_from(*requested).unwrap_or(i64::MAX)).collect();
            sqlx::query(pg!("job/delete")).bind(&ids).bind(&requested).execute(&mut *tx).await?;
            sqlx::query(pg!("job/run_again")).bind(&ids).execute(&mut *tx).await?;
            commit(tx).await?;
            Ok(())
        })
        .await
    }

    async fn fail_job(&self, id: JobId, reason: &str, run_at: Timestamp) -> Result<()> {
        self.repeated(|| async {
            let mut tx = self.begin_write().await?;
            let done = sqlx::query(sql!("job/fail"))
                .bind(id.0)
                .bind(storable(reason))
                .bind(to_ms(run_at))
                .execute(&mut *tx)
                .await?;
            if done.rows_affected() == 0 {
                return Err(StoreError::NotFound { what: "job", id: id.to_string() });
            }
            commit(tx).await?;
            Ok(())
        })
        .await
    }

    async fn job_tallies(&self) -> Result<Vec<(JobKind, ChannelId, u64)>> {
        let rows = sqlx::query(sql!("job/tally")).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of("job", row);
                Ok((read_kind(&mut columns)?, columns.id()?, columns.count()?))
            })
            .collect()
    }
}

async fn due(
    connection: &mut PgConnection,
    kind: JobKind,
    channel: &ChannelId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Job>> {
    let rows = sqlx::query(pg!("job/due"))
        .bind(kind.as_str())
        .bind(channel.as_str())
        .bind(to_ms(now))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.iter().map(read).collect()
}

fn read(row: &PgRow) -> Result<Job> {
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
