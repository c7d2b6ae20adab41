//! The section of the configuration for the embedded engine.

use serde::{Deserialize, Serialize};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use std::path::PathBuf;
use std::time::Duration;

/// Where the file is, and how long anything waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqliteOptions {
    /// The file; its directory must exist.
    pub path: PathBuf,
    /// How long a transaction waits for a lock that another process holds, in milliseconds.
    pub busy_timeout_ms: u64,
    /// How long a call waits for its turn among the calls of this process, in milliseconds.
    pub queue_timeout_ms: u64,
    /// How many read-only connections there are at most.
    pub read_connections: u32,
    /// The page cache of the writer, in KiB.
    pub writer_cache_kib: u32,
    /// The page cache of each reader, in KiB.
    pub reader_cache_kib: u32,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            path: PathBuf::from("store.db"),
            busy_timeout_ms: 2_000,
            queue_timeout_ms: 5_000,
            read_connections: 4,
            writer_cache_kib: 16_384,
            reader_cache_kib: 2_048,
        }
    }
}

impl SqliteOptions {
    /// The defaults for a file.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    pub(super) fn writer(&self) -> SqliteConnectOptions {
        self.connection(self.writer_cache_kib)
            .create_if_missing(true)
            // Of a new file; one that is there keeps its own. Rows are about 1 KiB: half as many pages are written as of 4 KiB.
            .page_size(8192)
            .journal_mode(SqliteJournalMode::Wal)
            // Kept short, so that the WAL of a burst does not stay on disk for ever.
            .pragma("journal_size_limit", "67108864")
            .pragma("wal_autocheckpoint", "4000")
    }

    pub(super) fn reader(&self) -> SqliteConnectOptions {
        self.connection(self.reader_cache_kib).read_only(true)
    }

    fn connection(&self, cache_kib: u32) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_millis(self.busy_timeout_ms))
            .pragma("cache_size", format!("-{cache_kib}"))
            .pragma("temp_store", "memory")
            .statement_cache_capacity(256)
            // Rows that wait to be taken: with fewer, the connection's thread is stopped and woken in the middle of an answer.
            .row_buffer_size(512)
            // Statements and their values are never logged: values hold personal data.
            .disable_statement_logging()
    }
}
