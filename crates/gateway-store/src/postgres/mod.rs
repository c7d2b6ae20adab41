//! The scaled-out engine: PostgreSQL 15 or newer, shared by any number of processes.
//!
//! Several write at once here, where the embedded engine has one writer. What that one writer gave is had by two locks, always in this order:
//! 1. **the orders** that a transaction reads to decide about, by row lock and ascending by id, so that nobody changes them between the look and
//!    the decision;
//! 2. **the turn**, one advisory lock for the whole store, held from before an id, a feed place or a sum is read until the commit. Ids ascend
//!    without holes in commit order, the feed skips nothing, and the books are sums of what is committed.
//!
//! Loading and composing go on side by side; what is written is written by one at a time. An order that came into being between the look and the
//! turn is seen after the turn was had, and the transaction begins anew.
//!
//! Connections read with READ COMMITTED, so that what a lock waited for is seen; what reads several tables takes one snapshot. A transaction that the
//! server gave up for a reason that passes (serialization failure, deadlock, lost connection) is repeated, unless it is unknown whether its commit
//! happened: then the caller is told [`StoreError::Unavailable`], as when it can't be had in time, and looks again what there is.
//!
//! Refused: sequences (they give ids outside of the commit order), SERIALIZABLE (every batch touches the sums of the same days, so every pair of
//! batches would be a conflict to repeat), foreign keys (see the migration), and `jsonb` (it refuses U+0000, which peers do send, and costs a parse).

/// The text of a statement that both engines understand.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/queries/", $name, ".sql"))
    };
}

/// The text of a statement in PostgreSQL's own dialect.
macro_rules! pg {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/queries/", $name, ".postgres.sql"))
    };
}

mod account;
mod alert;
mod anomaly;
mod archive;
mod archive_look;
mod archive_raw;
mod array;
mod attachment;
mod audit;
mod batch;
mod book;
mod book_put;
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
mod month;
mod node;
mod options;
mod order;
mod park;
mod raw;
mod refusal;
mod registry;
mod repair_stop;
mod schema;
mod trace;
mod transaction;
mod watch;

pub use options::{PostgresLimits, PostgresOptions};

use crate::{LeaseGrant, Store, StoreError};
use async_trait::async_trait;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::sync::Arc;
use std::time::Duration;
use transaction::turn;

type Result<T> = std::result::Result<T, StoreError>;

/// The store in a PostgreSQL database.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pool: PgPool,
    limits: PostgresLimits,
    months: Arc<month::Months>,
    /// The lease that is looked at whenever something is written.
    under: Option<LeaseGrant>,
}

impl PostgresStore {
    /// Opens the store; an empty database (or schema, the first of the search path) becomes a new one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the server can't be reached, [`StoreError::Refused`] when it does not let us work (credentials, rights, a
    /// server that only reads, an encoding that can't hold Chinese, half an installation that is being carried into it), [`StoreError::Schema`] when the schema is newer or older than this program.
    pub async fn open(options: PostgresOptions) -> Result<Self> {
        let store = Self::open_to_move(options).await?;
        match store.is_half_moved().await {
            Ok(false) => Ok(store),
            other => {
                store.pool.close().await;
                Err(other.err().unwrap_or_else(carry::half_moved))
            }
        }
    }

    /// Whether the server answers and lets us work; makes and changes nothing.
    ///
    /// # Errors
    /// As [`PostgresStore::open`], but for what is told of the schema.
    pub async fn check_server(options: &PostgresOptions) -> Result<()> {
        refusal::check_server(options).await
    }

    /// Brings a database to this program's schema; returns the names of the migrations that were applied.
    ///
    /// # Errors
    /// As [`PostgresStore::open`], except that an older schema is what this is for.
    pub async fn migrate(options: &PostgresOptions) -> Result<Vec<&'static str>> {
        refusal::check_server(options).await?;
        let pool = pool(options);
        let applied = schema::migrate(&pool).await;
        pool.close().await;
        applied.map_err(|error| refusal::of_opening(error, options))
    }
}

fn pool(options: &PostgresOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(options.limits.connections.max(2))
        .acquire_timeout(Duration::from_millis(options.limits.queue_timeout_ms))
        // One round trip for each transaction, and after a restart of the server nobody meets the connections of before.
        .test_before_acquire(true)
        .connect_lazy_with(options.connection())
}

#[async_trait]
impl Store for PostgresStore {
    fn under(&self, lease: &LeaseGrant) -> Arc<dyn Store> {
        Arc::new(Self { under: Some(lease.clone()), ..self.clone() })
    }

    fn archive(&self) -> Option<&dyn crate::ArchiveStore> {
        Some(self)
    }

    async fn check(&self) -> Result<()> {
        let mut tx = self.begin_write().await?;
        turn(&mut tx).await?;
        // A row lock is a write: a server that only reads refuses it.
        sqlx::query(pg!("schema_migration/touch")).execute(&mut *tx).await?;
        tx.rollback().await?;
        Ok(())
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
