//! One file of the log.
//!
//! A segment holds the messages of all topics that were appended while it was the newest, so that one transaction and one sync serve
//! every append that waits. The price is that a segment goes only when the longest retention of a topic in it is over; a file for
//! each topic was refused, since every topic in a group commit would then cost its own sync.
//!
//! A segment begins with the offsets at which it takes over, written in the transaction that creates its tables. These are the ends of the one
//! before it, and what keeps offsets from being used twice when older segments are gone. A file without that transaction never held a message.

use super::filter::Filter;
use super::key::{PartitionId, offset_of};
use super::sqlite::{Failure, connect, reader_options, run, writer_options};
use crate::{BusError, Message, TopicName};
use futures::TryStreamExt;
use gateway_model::Timestamp;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteRow};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The version of the tables; stored as `user_version`, 0 in a file that was never finished.
const FORMAT: i64 = 1;
/// Readers of one segment at a time; further ones wait.
const READERS: u32 = 4;

/// Where a partition stands at the border of two segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The offset of the next message.
    pub offset: u64,
    /// When the message before it was appended, in microseconds since 1970.
    pub newest_at: i64,
}

/// Where every partition stands; one that is missing stands at its beginning.
pub(super) type Ends = HashMap<PartitionId, End>;

/// What is written once, when a segment is created.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    /// When, in microseconds since 1970.
    pub created_at: i64,
    /// Until when the last guard of the segment before this one is alive.
    pub previous_guard_until: i64,
    /// Where every partition stood.
    pub starts: Ends,
}

/// A file of the log.
#[derive(Debug)]
pub(super) struct Segment {
    /// Its number; ascending without holes.
    pub number: u64,
    /// What it began with.
    pub head: Head,
    /// Until when the last guard in it is alive; of the newest segment only a lower bound.
    pub guard_until: AtomicI64,
    /// Which nonces it may hold, once it is no longer the newest; none where no guard in it is alive.
    pub filter: OnceLock<Filter>,
    path: PathBuf,
    readers: SqlitePool,
}

impl Segment {
    /// The file of a number.
    fn path(dir: &Path, number: u64) -> PathBuf {
        dir.join(format!("segment-{number:020}.db"))
    }

    /// The number in a file's name.
    pub fn number_of(path: &Path) -> Option<u64> {
        path.file_name()?.to_str()?.strip_prefix("segment-")?.strip_suffix(".db")?.parse().ok()
    }

    fn new(number: u64, path: PathBuf, head: Head) -> Self {
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .idle_timeout(Duration::from_secs(60))
            .connect_lazy_with(reader_options(&path));
        Self { number, head, guard_until: AtomicI64::new(i64::MIN), filter: OnceLock::new(), path, readers }
    }

    /// Creates the file and returns it with its writer's connection. A file of this number that was never finished is replaced.
    pub async fn create(
        dir: &Path,
        number: u64,
        head: Head,
        checkpoint_bytes: u64,
    ) -> Result<(Self, SqliteConnection), Failure> {
        let path = Self::path(dir, number);
        let result = Self::write_head(&path, &head, checkpoint_bytes).await;
        if result.is_err() {
            // Best effort: an unfinished file is replaced by the next attempt anyway.
            remove_files(&path).ok();
        }
        let conn = result?;
        // SQLite syncs the directory for the write-ahead log only; a segment that is reported to exist must survive a power cut.
        std::fs::File::open(dir).and_then(|dir| dir.sync_all())?;
        Ok((Self::new(number, path, head), conn))
    }

    async fn write_head(path: &Path, head: &Head, checkpoint_bytes: u64) -> Result<SqliteConnection, Failure> {
        remove_files(path)?;
        let mut conn = connect(&writer_options(path, checkpoint_bytes)).await?;
        run(&mut conn, "BEGIN IMMEDIATE").await?;
        for statement in [
            "CREATE TABLE head (created_at INTEGER NOT NULL, previous_guard_until INTEGER NOT NULL) STRICT",
            "CREATE TABLE start (topic INTEGER NOT NULL, partition INTEGER NOT NULL, \"offset\" INTEGER NOT NULL, newest_at INTEGER NOT NULL) STRICT",
            "CREATE TABLE message (id INTEGER PRIMARY KEY, key TEXT NOT NULL, headers TEXT, payload BLOB NOT NULL, appended_at INTEGER NOT NULL) STRICT",
            "CREATE TABLE guard (nonce BLOB NOT NULL, digest BLOB NOT NULL, until INTEGER NOT NULL) STRICT",
            "CREATE TABLE probe (id INTEGER PRIMARY KEY, filler BLOB NOT NULL) STRICT",
            "PRAGMA user_version = 1",
        ] {
            run(&mut conn, statement).await?;
        }
        sqlx::query("INSERT INTO head VALUES (?, ?)")
            .bind(head.created_at)
            .bind(head.previous_guard_until)
            .execute(&mut conn)
            .await?;
        for (id, end) in &head.starts {
            sqlx::query("INSERT INTO start VALUES (?, ?, ?, ?)")
                .bind(id.topic)
                .bind(id.partition)
                .bind(i64::try_from(end.offset).unwrap_or(i64::MAX))
                .bind(end.newest_at)
                .execute(&mut conn)
                .await?;
        }
        run(&mut conn, "COMMIT").await?;
        Ok(conn)
    }

    /// Opens a file that is there; none when its creation was never finished.
    pub async fn open(dir: &Path, number: u64, checkpoint_bytes: u64) -> Result<Option<Self>, BusError> {
        let path = Self::path(dir, number);
        let mut conn = connect(&writer_options(&path, checkpoint_bytes)).await?;
        let head = Self::read_head(&mut conn).await;
        close(conn).await;
        let Some(head) = head.map_err(|failure| failure.to_bus_error())? else {
            return Ok(None);
        };
        let head = head.map_err(|format| BusError::Damaged {
            what: format!("{} has format {format}, this program reads {FORMAT}", path.display()),
            source: None,
        })?;
        Ok(Some(Self::new(number, path, head)))
    }

    async fn read_head(conn: &mut SqliteConnection) -> Result<Option<Result<Head, i64>>, Failure> {
        match sqlx::query_scalar::<_, i64>("PRAGMA user_version").fetch_one(&mut *conn).await? {
            0 => return Ok(None),
            FORMAT => {}
            other => return Ok(Some(Err(other))),
        }
        let (created_at, previous_guard_until) =
            sqlx::query_as::<_, (i64, i64)>("SELECT created_at, previous_guard_until FROM head")
                .fetch_one(&mut *conn)
                .await?;
        let rows =
            sqlx::query_as::<_, (u32, u32, i64, i64)>("SELECT topic, partition, \"offset\", newest_at FROM start")
                .fetch_all(&mut *conn)
                .await?;
        let starts = rows
            .into_iter()
            .map(|(topic, partition, offset, newest_at)| {
                (PartitionId { topic, partition }, End { offset: offset.unsigned_abs(), newest_at })
            })
            .collect();
        Ok(Some(Ok(Head { created_at, previous_guard_until, starts })))
    }

    /// A new connection for the writer.
    pub async fn writer(&self, checkpoint_bytes: u64) -> Result<SqliteConnection, Failure> {
        connect(&writer_options(&self.path, checkpoint_bytes).create_if_missing(false)).await
    }

    /// A connection for reading.
    pub async fn reader(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Sqlite>, Failure> {
        Ok(self.readers.acquire().await?)
    }

    /// The first offset of a partition that is in this segment or a later one.
    pub fn start(&self, id: PartitionId) -> u64 {
        self.head.starts.get(&id).map_or(0, |end| end.offset)
    }

    /// Reads offsets `[from, to)` of a partition, and stops early once `bytes` bytes are read, after one message at least.
    pub async fn read(
        &self,
        topic: &TopicName,
        id: PartitionId,
        (from, to): (u64, u64),
        bytes: &mut u64,
    ) -> Result<Vec<Message>, ReadError> {
        let mut conn = self.reader().await?;
        let mut rows = sqlx::query(
            "SELECT id, key, headers, payload, appended_at FROM message WHERE id >= ? AND id < ? ORDER BY id",
        )
        .bind(id.row(from))
        .bind(id.row(to))
        .fetch(&mut *conn);
        let mut messages = Vec::new();
        let mut next = from;
        while let Some(row) = rows.try_next().await.map_err(Failure::from)? {
            let message = message_of(topic, id, &row).map_err(ReadError::Unreadable)?;
            if message.offset != next {
                return Err(ReadError::Missing(next));
            }
            next += 1;
            *bytes = bytes.saturating_sub(message.payload.len() as u64);
            messages.push(message);
            if *bytes == 0 {
                return Ok(messages);
            }
        }
        if next == to { Ok(messages) } else { Err(ReadError::Missing(next)) }
    }

    /// Takes the file away. Readers that are at it finish undisturbed; later ones are told that it is closed.
    pub fn remove(&self) -> std::io::Result<()> {
        let pool = self.readers.clone();
        tokio::spawn(async move { pool.close().await });
        remove_files(&self.path)
    }

    /// Notes that a guard in this segment lives until then.
    pub fn note_guard(&self, until: i64) {
        self.guard_until.fetch_max(until, Ordering::AcqRel);
    }
}

/// Why a range could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// SQLite failed.
    Failed(Failure),
    /// A row does not hold what it should.
    Unreadable(sqlx::Error),
    /// This offset is not there.
    Missing(u64),
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn message_of(topic: &TopicName, id: PartitionId, row: &SqliteRow) -> Result<Message, sqlx::Error> {
    let decode = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    let headers = match row.try_get::<Option<&str>, _>(2)? {
        Some(text) => serde_json::from_str(text).map_err(|error| decode(Box::new(error)))?,
        None => crate::Headers::new(),
    };
    Ok(Message {
        topic: topic.clone(),
        partition: id.partition,
        offset: offset_of(row.try_get(0)?),
        key: row.try_get(1)?,
        headers,
        payload: row.try_get(3)?,
        appended_at: Timestamp::from_microsecond(row.try_get(4)?).map_err(|error| decode(Box::new(error)))?,
    })
}

/// Removes a database with its side files; the database first, so that what is left after a crash in between is known to be an orphan.
fn remove_files(path: &Path) -> std::io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Removes the side files of segments whose database is gone.
pub(super) fn remove_orphans(dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(database) = name.strip_suffix("-wal").or_else(|| name.strip_suffix("-shm")) else { continue };
        if name.starts_with("segment-") && !dir.join(database).exists() {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Closes a connection; a failure leaves the write-ahead log to the next one who opens the file.
pub(super) async fn close(conn: SqliteConnection) {
    use sqlx::Connection;
    if let Err(error) = conn.close().await {
        tracing::debug!(%error, "a connection to a bus file did not close cleanly");
    }
}
