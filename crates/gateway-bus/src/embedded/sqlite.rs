//! Connections to SQLite and what its errors mean to the bus.

use crate::BusError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of a page of a segment.
pub(super) const PAGE_BYTES: u32 = 4096;
/// How long a statement waits for another connection's lock.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Between two looks at a lock that SQLite does not wait for.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// For the one writer of a file: write-ahead log, every commit synced.
pub(super) fn writer_options(path: &Path, checkpoint_bytes: u64) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .page_size(PAGE_BYTES)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(false)
        .busy_timeout(BUSY_WAIT)
        .pragma("wal_autocheckpoint", (checkpoint_bytes / u64::from(PAGE_BYTES)).max(1).to_string())
        .pragma("cache_size", "-4096")
        .disable_statement_logging()
}

/// For readers of a file that is already there.
pub(super) fn reader_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(false)
        .busy_timeout(BUSY_WAIT)
        .pragma("query_only", "ON")
        .pragma("cache_size", "-512")
        .disable_statement_logging()
}

/// A failure of SQLite that several callers are told of.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub(super) struct Failure(Arc<sqlx::Error>);

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(Arc::new(sqlx::Error::Io(error)))
    }
}

impl Failure {
    /// Whether the pool that was asked is closed, that is, the segment was dropped meanwhile.
    pub fn is_closed(&self) -> bool {
        matches!(*self.0, sqlx::Error::PoolClosed)
    }

    /// SQLite's primary result code, where it is SQLite that failed.
    fn code(&self) -> Option<i32> {
        let code = self.0.as_database_error()?.code()?;
        code.parse::<i32>().ok().map(|code| code & 0xff)
    }

    /// Whether another connection holds a lock at present.
    fn is_busy(&self) -> bool {
        const BUSY: i32 = 5;
        const LOCKED: i32 = 6;
        matches!(self.code(), Some(BUSY | LOCKED))
    }

    /// What the callers are told.
    pub fn to_bus_error(&self) -> BusError {
        const CORRUPT: i32 = 11;
        const NOT_A_DATABASE: i32 = 26;
        match self.code() {
            Some(CORRUPT | NOT_A_DATABASE) => BusError::Damaged {
                what: "a file of the log is not sound".to_owned(),
                source: Some(Box::new(self.clone())),
            },
            _ => BusError::Unavailable(Box::new(self.clone())),
        }
    }
}

impl From<Failure> for BusError {
    fn from(failure: Failure) -> Self {
        failure.to_bus_error()
    }
}

/// Runs one statement that has no arguments.
pub(super) async fn run(conn: &mut SqliteConnection, statement: &'static str) -> Result<(), Failure> {
    sqlx::query(statement).execute(conn).await?;
    Ok(())
}

/// Opens a connection. What makes a file WAL, or brings its log in, asks SQLite's locks once and does not wait `busy_timeout` for one that is just closing:
/// so the wait is ours, and as long.
pub(super) async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, Failure> {
    let until = Instant::now() + BUSY_WAIT;
    loop {
        match SqliteConnection::connect_with(options).await.map_err(Failure::from) {
            Err(failure) if failure.is_busy() && Instant::now() < until => tokio::time::sleep(BUSY_PAUSE).await,
            opened => return opened,
        }
    }
}

/// Multi-row `INSERT` statements of one table, one text for each power of two of rows, so that the statement cache holds them all.
#[derive(Debug)]
pub(super) struct InsertMany {
    texts: Vec<Arc<str>>,
}

impl InsertMany {
    /// The most rows of one statement is `2^LARGEST`.
    const LARGEST: usize = 8;

    /// `head` is everything before `VALUES`.
    pub fn new(head: &str, columns: usize) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        let texts = (0..=Self::LARGEST)
            .map(|power| format!("{head} VALUES {}", vec![row.as_str(); 1 << power].join(",")).into());
        Self { texts: texts.collect() }
    }

    /// The statement for as many of `rows` rows as fit, and how many these are. `rows` is at least 1.
    pub fn statement(&self, rows: usize) -> (AssertSqlSafe<Arc<str>>, usize) {
        let power = (rows.max(1).ilog2() as usize).min(Self::LARGEST);
        (AssertSqlSafe(Arc::clone(&self.texts[power])), 1 << power)
    }
}
