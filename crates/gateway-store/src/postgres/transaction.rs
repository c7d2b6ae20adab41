//! Transactions: the turn, the row locks, and repeating what the server gave up.

use super::lease::must_hold;
use super::{PostgresStore, Result};
use crate::StoreError;
use backoff::{ExponentialBuilder, Retryable};
use gateway_model::{DeliveryId, OrderId};
use sqlx::{PgConnection, Postgres, Transaction};
use std::future::Future;
use std::time::Duration;

/// A transaction.
pub(super) type Tx = Transaction<'static, Postgres>;

/// The key of the turn among the database's advisory locks: `hotline` in ASCII.
pub(super) const TURN: i64 = 0x0068_6f74_6c69_6e65;

/// Why a transaction begins anew though the server had nothing against it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Anew {
    /// Between the look and the turn another wrote what this one decides about.
    #[error("another wrote the same orders meanwhile, again and again")]
    Overtaken,
    /// A month had no partition; it has one now.
    #[error("the partitions of a month could not be had")]
    Month,
}

impl From<Anew> for StoreError {
    fn from(why: Anew) -> Self {
        StoreError::Unavailable(Box::new(why))
    }
}

/// The connection went away while it committed; the caller looks again what there is.
#[derive(Debug, thiserror::Error)]
#[error("the connection was lost during the commit, so it is unknown whether it happened")]
struct CommitUnknown(#[source] sqlx::Error);

/// The call took longer than it may.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL did not answer within {0} ms")]
struct TooLong(u64);

impl PostgresStore {
    /// A transaction that may write.
    pub(super) async fn begin_write(&self) -> Result<Tx> {
        let mut tx = self.pool.begin().await?;
        if let Some(lease) = &self.under {
            // Before any other lock, as everywhere.
            must_hold(&mut tx, lease).await?;
        }
        Ok(tx)
    }

    /// A transaction whose statements all see one snapshot.
    pub(super) async fn begin_read(&self) -> Result<Tx> {
        Ok(self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
    }

    /// Runs a transaction, again when the server gave it up for a reason that passes.
    pub(super) async fn repeated<T, W, F>(&self, work: W) -> Result<T>
    where
        W: FnMut() -> F,
        F: Future<Output = Result<T>>,
    {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(5))
            .with_max_delay(Duration::from_millis(500))
            .with_max_times(8)
            .with_jitter();
        let limit = self.limits.call_timeout_ms;
        let calls = work.retry(pauses).when(passes).notify(|error: &StoreError, pause: Duration| {
            tracing::debug!(error = %gateway_model::with_causes(error), pause_ms = pause.as_millis() as u64, "a transaction is repeated");
        });
        match tokio::time::timeout(Duration::from_millis(limit), calls).await {
            Ok(done) => done,
            Err(_) => Err(StoreError::Unavailable(Box::new(TooLong(limit)))),
        }
    }
}

/// Whether a failed transaction is worth another try at once: nothing of it happened, and the reason is likely gone.
fn passes(error: &StoreError) -> bool {
    let StoreError::Unavailable(cause) = error else { return false };
    if cause.is::<Anew>() {
        return true;
    }
    match cause.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Database(database)) => database.code().is_some_and(|code| {
            // 40 = serialization failure, deadlock; 08 = connection; 57P01..3 = the server shuts down, crashed, or is starting.
            code.starts_with("40") || code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03")
        }),
        Some(sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed) => true,
        _ => false,
    }
}

/// Commits.
pub(super) async fn commit(tx: Tx) -> Result<()> {
    match tx.commit().await {
        Ok(()) => Ok(()),
        // The server said why it did not.
        Err(error @ sqlx::Error::Database(_)) if !went_away(&error) => Err(error.into()),
        Err(error) => Err(StoreError::Unavailable(Box::new(CommitUnknown(error)))),
    }
}

/// Whether the server ended the connection, so that its last word may not be about the commit.
fn went_away(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|database| database.code());
    code.is_some_and(|code| code.starts_with("57") || code.starts_with("08"))
}

/// Waits for the turn and keeps it until the transaction ends. After it, no order may be locked that is not locked already.
pub(super) async fn turn(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(TURN).execute(connection).await?;
    Ok(())
}

/// Locks those of the orders that there are.
pub(super) async fn lock_orders(connection: &mut PgConnection, ids: &[OrderId]) -> Result<()> {
    if !ids.is_empty() {
        let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
        sqlx::query(pg!("work_order/lock")).bind(ids).execute(connection).await?;
    }
    Ok(())
}

/// Locks the orders of deliveries, then takes the turn.
pub(super) async fn turn_of_deliveries(
    connection: &mut PgConnection,
    ids: impl IntoIterator<Item = DeliveryId>,
) -> Result<()> {
    let ids: Vec<i64> = ids.into_iter().map(|id| id.0).collect();
    sqlx::query(pg!("work_order/lock_of_deliveries")).bind(ids).execute(&mut *connection).await?;
    turn(connection).await
}
