//! One transaction: the messages of every append that waited, each with its place, and the nonces they bring.
//!
//! Everything is decided here before SQLite is asked, and against what is committed plus what is staged, so two messages with one nonce in one
//! transaction are told apart like two in a row. The state it was decided on changes only when the transaction has been committed.

use super::catalog::Topic;
use super::guard::{Found, GuardRow, Guards, Known};
use super::key::{MAX_OFFSET, PartitionId, partition_of};
use super::recovery::Tail;
use super::segment::{End, Ends};
use super::sqlite::{Failure, InsertMany, run};
use crate::{Appended, NewMessage};
use sqlx::sqlite::SqliteConnection;

/// One row of the table `message`.
struct MessageRow {
    id: i64,
    key: String,
    headers: Option<String>,
    payload: Vec<u8>,
}

/// A transaction in the making.
#[derive(Default)]
pub(super) struct Batch {
    rows: Vec<MessageRow>,
    /// The nonces it brings.
    pub guards: Found,
    /// The nonces of its messages that older segments hold.
    older: Found,
    /// Where the partitions it writes to stand after it.
    pub ends: Ends,
    /// About how many bytes it writes.
    pub bytes: u64,
    /// When its messages are appended, in microseconds since 1970.
    pub at: i64,
}

impl Batch {
    /// An empty one.
    pub fn new(at: i64, older: Found) -> Self {
        Self { at, older, ..Self::default() }
    }

    /// Gives a message its place, or finds that it was there before.
    pub fn stage(&mut self, tail: &Tail, guards: &Guards, topic: &Topic, message: NewMessage) -> Appended {
        let weight = weight_of(&message);
        if let Some(guard) = &message.guard {
            let row = GuardRow::new(topic.number, guard);
            match guards.look_up(&self.guards, &self.older, &row, self.at) {
                Known::Same => return Appended::Repeated,
                Known::Other => return Appended::Conflict,
                Known::New if row.until > self.at => {
                    self.guards.insert(row.key, row);
                }
                Known::New => {}
            }
        }
        let id = PartitionId { topic: topic.number, partition: partition_of(&message.key, topic.partitions()) };
        let end = self.ends.entry(id).or_insert_with(|| tail.ends.get(&id).copied().unwrap_or_default());
        let offset = end.offset;
        *end = End { offset: offset + 1, newest_at: self.at };
        self.bytes += weight;
        // Headers are a map of strings, which always has a JSON text.
        let headers =
            (!message.headers.is_empty()).then(|| serde_json::to_string(&message.headers).unwrap_or_default());
        self.rows.push(MessageRow { id: id.row(offset), key: message.key, headers, payload: message.payload });
        Appended::At { partition: id.partition, offset }
    }

    /// Writes it as one transaction. After an error the connection is not to be used again.
    pub async fn write(&mut self, inserts: &Inserts, conn: &mut SqliteConnection) -> Result<(), Failure> {
        if self.rows.is_empty() {
            return Ok(());
        }
        if let Some(full) = self.ends.values().find(|end| end.offset > MAX_OFFSET) {
            return Err(Failure::from(std::io::Error::other(format!("a partition is full at offset {}", full.offset))));
        }
        run(conn, "BEGIN IMMEDIATE").await?;
        // Neighbours in the table one after another: each partition grows at its own end.
        self.rows.sort_unstable_by_key(|row| row.id);
        let mut rows = self.rows.drain(..);
        while rows.len() > 0 {
            let (text, count) = inserts.message.statement(rows.len());
            let query = rows.by_ref().take(count).fold(sqlx::query(text), |query, row| {
                query.bind(row.id).bind(row.key).bind(row.headers).bind(row.payload).bind(self.at)
            });
            query.execute(&mut *conn).await?;
        }
        inserts.write_guards(conn, self.guards.values()).await?;
        run(conn, "COMMIT").await
    }
}

/// The statements that write.
#[derive(Debug)]
pub(super) struct Inserts {
    message: InsertMany,
    guard: InsertMany,
}

impl Inserts {
    /// Their texts.
    pub fn new() -> Self {
        Self {
            message: InsertMany::new("INSERT INTO message (id, key, headers, payload, appended_at)", 5),
            guard: InsertMany::new("INSERT INTO guard (nonce, digest, until)", 3),
        }
    }

    /// Writes guards inside the transaction that is open.
    pub async fn write_guards(
        &self,
        conn: &mut SqliteConnection,
        mut guards: impl ExactSizeIterator<Item = &GuardRow> + Send,
    ) -> Result<(), Failure> {
        while guards.len() > 0 {
            let (text, count) = self.guard.statement(guards.len());
            let query = guards.by_ref().take(count).fold(sqlx::query(text), |query, row| {
                query.bind(row.key.to_vec()).bind(row.digest.to_vec()).bind(row.until)
            });
            query.execute(&mut *conn).await?;
        }
        Ok(())
    }
}

/// The bytes of a message that count for queues and segments.
pub(super) fn weight_of(message: &NewMessage) -> u64 {
    let headers: usize = message.headers.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
    let guard = if message.guard.is_some() { 64 } else { 0 };
    (message.payload.len() + message.key.len() + headers + guard + 32) as u64
}
