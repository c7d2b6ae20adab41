//! The embedded engine: one SQLite file, nothing to install.
//!
//! One writer connection (`BEGIN IMMEDIATE`, so a transaction never fails half-way for want of the lock) and a few read-only ones; WAL, so readers
//! see the last commit and never wait. `synchronous=FULL`: a commit that returned survives a power cut. Every wait is bounded: who can't have the
//! writer in time gets [`StoreError::Unavailable`], and nothing needs a restart when the lock comes free.
//!
//! Times are kept to the millisecond; moments (event times) as their exact text.
//!
//! Refused: several writers with retries (SQLite has one writer anyway, the retries only hide who waits), and `synchronous=NORMAL` (it loses
//! acknowledged commits on power loss, and a committed bus position with them).

/// The text of a statement: `queries/<table>/<verb>.sql`.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/queries/", $name, ".sql"))
    };
}

mod account;
mod alert;
mod anomaly;
mod attachment;
mod audit;
mod batch;
mod book;
mod book_put;
#[cfg(feature = "postgres")]
pub(crate) mod carry;
mod column;
mod command;
mod dead_letter;
mod delivery;
mod delivery_write;
mod gap;
mod gap_group;
mod history;
mod history_write;
mod identity;
mod ingest;
mod ingest_write;
mod job;
mod lease;
mod load;
mod node;
mod options;
mod order;
mod park;
mod raw;
mod readers;
mod registry;
mod repair_stop;
mod schema;
mod soon;
mod trace;
mod watch;

pub use options::SqliteOptions;

use crate::error::is_locked;
use crate::{LeaseGrant, Store, StoreError};
use async_trait::async_trait;
use backoff::{ExponentialBuilder, Retryable};
use readers::Readers;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Sqlite, SqlitePool, Transaction};
use std::sync::Arc;
use std::time::Duration;

type Result<T> = std::result::Result<T, StoreError>;
type Tx = Transaction<'static, Sqlite>;

/// The store in one SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: Arc<Readers>,
    /// The lease that is looked at whenever something is written.
    under: Option<LeaseGrant>,
}

impl SqliteStore {
    /// Opens the store; a file that does not exist, or is empty, becomes a new store.
    ///
    /// # Errors
    /// [`StoreError::Schema`] when the file's schema is newer or older than this program, [`StoreError::Unavailable`] when it can't be
    /// reached, [`StoreError::Damaged`] when it is no SQLite file.
    pub async fn open(options: SqliteOptions) -> Result<Self> {
        let writer = open_writer(&options).await?;
        schema::check_or_create(&writer).await?;
        let timeout = Duration::from_millis(options.queue_timeout_ms);
        let readers = Readers::new(options.reader(), options.read_connections, timeout);
        Ok(Self { writer, readers: Arc::new(readers), under: None })
    }

    /// Brings a file to this program's schema; returns the names of the migrations that were applied.
    ///
    /// # Errors
    /// As [`SqliteStore::open`], except that an older schema is what this is for.
    pub async fn migrate(options: &SqliteOptions) -> Result<Vec<&'static str>> {
        let writer = open_writer(options).await?;
        let applied = schema::migrate(&writer).await;
        writer.close().await;
        applied
    }

    async fn begin_write(&self) -> Result<Tx> {
        let mut tx = self.begin_immediate().await?;
        if let Some(lease) = &self.under {
            lease::must_hold(&mut tx, lease).await?;
        }
        Ok(tx)
    }

    async fn begin_immediate(&self) -> Result<Tx> {
        const BEGIN: &str = "BEGIN IMMEDIATE";
        match self.writer.begin_with(BEGIN).await {
            // A full disk or an I/O error makes SQLite roll back by itself. The driver's rollback then fails, it counts on as if it were inside a
            // transaction, and would refuse every later one: only a new connection gets over that.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                self.writer.acquire().await?.close().await?;
                Ok(self.writer.begin_with(BEGIN).await?)
            }
            begun => Ok(begun?),
        }
    }
}

/// A file becomes WAL under a lock that SQLite asks for once, without waiting its `busy_timeout`: who makes the same store at the same moment would be
/// refused. So the wait is ours, and as long.
async fn open_writer(options: &SqliteOptions) -> Result<SqlitePool> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(options.queue_timeout_ms))
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false);
    let again = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(2))
        .with_max_delay(Duration::from_millis(50))
        .with_jitter()
        .without_max_times()
        .with_total_delay(Some(Duration::from_millis(options.busy_timeout_ms)));
    let opened = (|| pool.clone().connect_with(options.writer())).retry(again).when(is_locked).await;
    Ok(opened?)
}

#[async_trait]
impl Store for SqliteStore {
    fn under(&self, lease: &LeaseGrant) -> Arc<dyn Store> {
        Arc::new(Self { under: Some(lease.clone()), ..self.clone() })
    }

    async fn check(&self) -> Result<()> {
        let tx = self.begin_write().await?;
        tx.rollback().await?;
        Ok(())
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
