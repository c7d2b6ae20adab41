//! Read-only connections, lent for one statement or one snapshot.
//!
//! Refused: the driver's pool for them. After every use it asks the connection's thread whether it is still there, and a connection of this engine
//! has a thread of its own: a second way there and back, which costs as much as the small queries that the monitor's rounds consist of.

use super::Result;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Sqlite, SqliteConnection, Transaction};
use std::ops::{Deref, DerefMut};
use std::time::Duration;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard, Semaphore, SemaphorePermit};

/// After so many uses a connection is asked whether it is still there, so that one whose thread has ended is not lent for ever.
const ASKED_EVERY: u32 = 128;

#[derive(Default)]
struct Slot {
    connection: Option<SqliteConnection>,
    uses: u32,
}

/// All of them; each is opened when it is first needed.
pub(super) struct Readers {
    options: SqliteConnectOptions,
    timeout: Duration,
    turns: Semaphore,
    slots: Vec<Mutex<Slot>>,
}

impl Readers {
    pub(super) fn new(options: SqliteConnectOptions, most: u32, timeout: Duration) -> Self {
        let slots: Vec<Mutex<Slot>> = (0..most.max(1)).map(|_| Mutex::default()).collect();
        Self { options, timeout, turns: Semaphore::new(slots.len()), slots }
    }

    /// Lends one, waiting for a turn no longer than the configured time.
    ///
    /// # Errors
    /// [`crate::StoreError::Unavailable`] when none came free in time, or the store is closed.
    pub(super) async fn lend(&self) -> Result<Reader<'_>> {
        let turn = match tokio::time::timeout(self.timeout, self.turns.acquire()).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(_)) => return Err(sqlx::Error::PoolClosed.into()),
            Err(_) => return Err(sqlx::Error::PoolTimedOut.into()),
        };
        // The first that is free, so that few are warm and not all lukewarm. There is one for each turn.
        let free = self.slots.iter().find_map(|slot| slot.try_lock().ok());
        let Some(mut slot) = free else { return Err(sqlx::Error::PoolTimedOut.into()) };
        slot.uses = slot.uses.wrapping_add(1);
        if slot.uses.is_multiple_of(ASKED_EVERY)
            && let Some(connection) = &mut slot.connection
            && connection.ping().await.is_err()
        {
            slot.connection = None;
        }
        if slot.connection.is_none() {
            slot.connection = Some(SqliteConnection::connect_with(&self.options).await?);
        }
        match MutexGuard::try_map(slot, |slot| slot.connection.as_mut()) {
            Ok(connection) => Ok(Reader { connection, _turn: turn }),
            Err(_) => Err(sqlx::Error::WorkerCrashed.into()),
        }
    }

    /// Closes them, when what is read at present has been read.
    pub(super) async fn close(&self) {
        self.turns.close();
        for slot in &self.slots {
            let connection = slot.lock().await.connection.take();
            let Some(connection) = connection else { continue };
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "a read connection was not closed in order");
            }
        }
    }
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers").field("free", &self.turns.available_permits()).finish_non_exhaustive()
    }
}

/// A connection that is lent. What it was doing when it is given back (a statement nobody waits for any more, a snapshot that was not ended) ends
/// before the next statement on it begins.
pub(super) struct Reader<'a> {
    // Given back first.
    connection: MappedMutexGuard<'a, SqliteConnection>,
    _turn: SemaphorePermit<'a>,
}

impl Reader<'_> {
    /// Begins a snapshot: all statements until its end see the same commit.
    pub(super) async fn snapshot(&mut self) -> Result<Transaction<'_, Sqlite>> {
        Ok(self.connection.begin().await?)
    }
}

impl Deref for Reader<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}
