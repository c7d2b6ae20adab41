//! The one task that writes the log.
//!
//! It takes every append that waits, writes them all in one transaction, syncs once, and answers them all. While the disk is at that sync the next
//! ones gather, so the batch grows with the load and nobody waits on a timer. A failed transaction is rolled back, everyone in it is told
//! `Unavailable`, and the connection is thrown away: the next append opens the segment again and reads back what is really there, because a commit
//! whose sync failed may still be found in the write-ahead log. Nothing in memory moves before the commit has returned.

use super::catalog::Topic;
use super::guard::{GuardRow, Guards, Known, NonceKey};
use super::key::{MAX_OFFSET, PartitionId, partition_of};
use super::log::Log;
use super::recovery::{Tail, publish, read_tail};
use super::segment::{End, Ends, Head, Segment, close};
use super::sqlite::{Failure, InsertMany, run};
use crate::{Appended, BusError, NewMessage};
use sqlx::sqlite::SqliteConnection;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// An append that waits.
pub(super) struct Append {
    /// Where to.
    pub topic: Arc<Topic>,
    /// What.
    pub messages: Vec<NewMessage>,
    /// Its share of the queue, given back when it is answered.
    pub permit: OwnedSemaphorePermit,
    /// Whom to answer.
    pub reply: oneshot::Sender<Result<Vec<Appended>, BusError>>,
}

/// What the writer is asked for.
pub(super) enum Request {
    /// Append.
    Append(Append),
    /// Say whether an append would work.
    Check(oneshot::Sender<Result<(), BusError>>),
    /// Drop what is older than its retention.
    DropExpired(oneshot::Sender<Result<u64, BusError>>),
    /// Finish.
    Close(oneshot::Sender<()>),
}

/// The task's state.
pub(super) struct Writer {
    pub(super) log: Arc<Log>,
    /// The connection to the newest segment; none after a failure.
    conn: Option<SqliteConnection>,
    pub(super) tail: Tail,
    guards: Guards,
    insert_message: InsertMany,
    insert_guard: InsertMany,
}

/// One row of the table `message`.
struct MessageRow {
    id: i64,
    key: String,
    headers: Option<String>,
    payload: Vec<u8>,
}

/// A transaction in the making.
#[derive(Default)]
struct Batch {
    rows: Vec<MessageRow>,
    guards: HashMap<NonceKey, GuardRow>,
    ends: Ends,
    bytes: u64,
    at: i64,
}

impl Writer {
    /// The most requests that one transaction serves.
    const MOST_REQUESTS: usize = 4096;

    pub(super) fn new(log: Arc<Log>, tail: Tail, guards: Guards, conn: SqliteConnection) -> Self {
        Self {
            log,
            conn: Some(conn),
            tail,
            guards,
            insert_message: InsertMany::new("INSERT INTO message (id, key, headers, payload, appended_at)", 5),
            insert_guard: InsertMany::new("INSERT INTO guard (nonce, digest, until)", 3),
        }
    }

    /// Serves requests until the bus is closed or dropped.
    pub(super) async fn serve(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut waiting = Vec::new();
        let mut closing = Vec::new();
        while requests.recv_many(&mut waiting, Self::MOST_REQUESTS).await > 0 {
            let (mut appends, mut checks, mut drops) = (Vec::new(), Vec::new(), Vec::new());
            for request in waiting.drain(..) {
                match request {
                    Request::Append(append) => appends.push(append),
                    Request::Check(reply) => checks.push(reply),
                    Request::DropExpired(reply) => drops.push(reply),
                    Request::Close(reply) => closing.push(reply),
                }
            }
            if !appends.is_empty() {
                self.append(appends).await;
            }
            for reply in checks {
                let result = self.probe().await.map_err(BusError::from);
                // A caller that stopped waiting needs no answer; so below.
                reply.send(result).ok();
            }
            for reply in drops {
                let result = self.drop_expired().await.map_err(BusError::from);
                reply.send(result).ok();
            }
            if !closing.is_empty() {
                requests.close();
            }
        }
        self.log.set_closed();
        if let Some(conn) = self.conn.take() {
            close(conn).await;
        }
        if !closing.is_empty() {
            self.log.catalog.close().await;
        }
        for reply in closing {
            reply.send(()).ok();
        }
    }

    /// Writes all of them in one transaction and answers them.
    async fn append(&mut self, appends: Vec<Append>) {
        let mut replies = Vec::with_capacity(appends.len());
        let mut permits = Vec::with_capacity(appends.len());
        let result = match self.ready().await {
            Ok(mut conn) => {
                let mut batch = Batch { at: self.log.now().max(self.tail.last_at), ..Batch::default() };
                for Append { topic, messages, permit, reply } in appends {
                    let outcomes =
                        messages.into_iter().map(|message| self.stage(&mut batch, &topic, message)).collect();
                    replies.push((topic, reply, outcomes));
                    permits.push(permit);
                }
                let started = tokio::time::Instant::now();
                let result = self.write(&mut conn, &mut batch).await;
                metrics::histogram!("gateway_bus_commit_seconds").record(started.elapsed().as_secs_f64());
                if result.is_ok() {
                    self.conn = Some(conn);
                    self.settle(batch);
                } else {
                    discard(conn).await;
                }
                result
            }
            Err(failure) => {
                for Append { topic, permit, reply, .. } in appends {
                    replies.push((topic, reply, Vec::new()));
                    permits.push(permit);
                }
                Err(failure)
            }
        };
        if let Err(failure) = &result {
            tracing::warn!(error = %failure, appends = replies.len(), "the bus could not append");
            metrics::counter!("gateway_bus_failed_appends_total").increment(replies.len() as u64);
        }
        let mut written: HashMap<u32, (Arc<Topic>, u64)> = HashMap::new();
        for (topic, _, outcomes) in &replies {
            let new = outcomes.iter().filter(|outcome| matches!(outcome, Appended::At { .. })).count() as u64;
            written.entry(topic.number).or_insert_with(|| (Arc::clone(topic), 0)).1 += new;
        }
        for (topic, count) in written.into_values().filter(|(_, count)| result.is_ok() && *count > 0) {
            metrics::counter!("gateway_bus_appended_messages_total", "topic" => topic.name.as_str().to_owned())
                .increment(count);
            topic.wake();
        }
        for (_, reply, outcomes) in replies {
            let answer = match &result {
                Ok(()) => Ok(outcomes),
                Err(failure) => Err(failure.to_bus_error()),
            };
            reply.send(answer).ok();
        }
    }

    /// Gives a message its place, or finds that it was there before.
    fn stage(&self, batch: &mut Batch, topic: &Topic, message: NewMessage) -> Appended {
        let weight = weight_of(&message);
        if let Some(guard) = &message.guard {
            let row = GuardRow::new(topic.number, guard);
            match self.guards.look_up(&batch.guards, &row, batch.at) {
                Known::Same => return Appended::Repeated,
                Known::Other => return Appended::Conflict,
                Known::New if row.until > batch.at => {
                    batch.guards.insert(row.key, row);
                }
                Known::New => {}
            }
        }
        let id = PartitionId { topic: topic.number, partition: partition_of(&message.key, topic.partitions()) };
        let end = batch.ends.entry(id).or_insert_with(|| self.tail.ends.get(&id).copied().unwrap_or_default());
        let offset = end.offset;
        *end = End { offset: offset + 1, newest_at: batch.at };
        batch.bytes += weight;
        // Headers are a map of strings, which always has a JSON text.
        let headers =
            (!message.headers.is_empty()).then(|| serde_json::to_string(&message.headers).unwrap_or_default());
        batch.rows.push(MessageRow { id: id.row(offset), key: message.key, headers, payload: message.payload });
        Appended::At { partition: id.partition, offset }
    }

    async fn write(&self, conn: &mut SqliteConnection, batch: &mut Batch) -> Result<(), Failure> {
        if batch.rows.is_empty() {
            return Ok(());
        }
        if let Some(full) = batch.ends.values().find(|end| end.offset > MAX_OFFSET) {
            return Err(Failure::from(std::io::Error::other(format!("a partition is full at offset {}", full.offset))));
        }
        run(conn, "BEGIN IMMEDIATE").await?;
        // Neighbours in the table one after another: each partition grows at its own end.
        batch.rows.sort_unstable_by_key(|row| row.id);
        let mut rows = batch.rows.drain(..);
        while rows.len() > 0 {
            let (text, count) = self.insert_message.statement(rows.len());
            let query = rows.by_ref().take(count).fold(sqlx::query(text), |query, row| {
                query.bind(row.id).bind(row.key).bind(row.headers).bind(row.payload).bind(batch.at)
            });
            query.execute(&mut *conn).await?;
        }
        self.write_guards(conn, batch.guards.values()).await?;
        run(conn, "COMMIT").await
    }

    /// Writes guards inside the transaction that is open.
    pub(super) async fn write_guards(
        &self,
        conn: &mut SqliteConnection,
        mut guards: impl ExactSizeIterator<Item = &GuardRow> + Send,
    ) -> Result<(), Failure> {
        while guards.len() > 0 {
            let (text, count) = self.insert_guard.statement(guards.len());
            let query = guards.by_ref().take(count).fold(sqlx::query(text), |query, row| {
                query.bind(row.key.to_vec()).bind(row.digest.to_vec()).bind(row.until)
            });
            query.execute(&mut *conn).await?;
        }
        Ok(())
    }

    /// Takes a committed transaction into account.
    fn settle(&mut self, batch: Batch) {
        self.tail.bytes += batch.bytes;
        if !batch.ends.is_empty() {
            self.tail.last_at = batch.at;
        }
        for (id, end) in &batch.ends {
            self.tail.ends.insert(*id, *end);
        }
        if let Some(until) = batch.guards.values().map(|row| row.until).max() {
            self.newest().note_guard(until);
        }
        self.guards.remember(batch.guards.into_values(), batch.at);
        for topic in self.log.catalog.topics() {
            for (id, end) in topic.ids().zip(&topic.ends) {
                if let Some(new) = batch.ends.get(&id) {
                    end.store(new.offset, Ordering::Release);
                }
            }
        }
    }

    /// The segment that is written to.
    pub(super) fn newest(&self) -> Arc<Segment> {
        let segments = self.log.segments();
        // The list is never empty: `open` creates a segment, and retention keeps the newest.
        Arc::clone(&segments[segments.len() - 1])
    }

    /// The connection, opened again after a failure, to a new segment where the newest is full or old.
    pub(super) async fn ready(&mut self) -> Result<SqliteConnection, Failure> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => {
                let segment = self.newest();
                let topics = self.log.catalog.topics();
                let mut conn = segment.writer(self.log.options.checkpoint_bytes).await?;
                self.tail = read_tail(&mut conn, &segment, &topics, &mut self.guards, self.log.now()).await?;
                publish(&self.tail, &topics);
                self.log.groups.wake_all();
                conn
            }
        };
        let age_us = self.log.now().saturating_sub(self.newest().head.created_at);
        let age_limit_us =
            i64::try_from(self.log.options.segment_seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let full = self.tail.bytes >= self.log.options.segment_bytes;
        if full || (age_us >= age_limit_us && !self.newest_is_empty()) {
            return Ok(self.roll(conn).await);
        }
        Ok(conn)
    }

    /// Gives the connection back.
    pub(super) fn keep(&mut self, conn: SqliteConnection) {
        self.conn = Some(conn);
    }

    /// Whether the newest segment holds no message.
    pub(super) fn newest_is_empty(&self) -> bool {
        let starts = &self.newest().head.starts;
        self.tail.ends.iter().all(|(id, end)| starts.get(id).copied().unwrap_or_default().offset == end.offset)
    }

    /// Begins a new segment. Where that fails the old one goes on: it may have room in its write-ahead log, and the append itself will tell.
    pub(super) async fn roll(&mut self, conn: SqliteConnection) -> SqliteConnection {
        let newest = self.newest();
        let head = Head {
            created_at: self.log.now(),
            previous_guard_until: newest.guard_until.load(Ordering::Acquire),
            starts: self.tail.ends.clone(),
        };
        let options = &self.log.options;
        match Segment::create(&options.dir, newest.number + 1, head, options.checkpoint_bytes).await {
            Ok((segment, new)) => {
                let mut segments = self.log.segments().to_vec();
                segments.push(Arc::new(segment));
                self.log.set_segments(segments);
                self.tail.bytes = 0;
                tokio::spawn(seal(conn));
                new
            }
            Err(error) => {
                tracing::warn!(%error, segment = newest.number + 1, "a new bus segment could not be created; the old one goes on");
                conn
            }
        }
    }

    /// Writes something that stays for one turn, so that the answer is that of a real append: pages are taken and the log is synced.
    async fn probe(&mut self) -> Result<(), Failure> {
        let mut conn = self.ready().await?;
        let result = async {
            run(&mut conn, "BEGIN IMMEDIATE").await?;
            run(&mut conn, "INSERT INTO probe (filler) VALUES (zeroblob(16384))").await?;
            run(&mut conn, "DELETE FROM probe WHERE id < (SELECT max(id) FROM probe)").await?;
            run(&mut conn, "COMMIT").await
        }
        .await;
        match result {
            Ok(()) => self.keep(conn),
            Err(_) => discard(conn).await,
        }
        result
    }
}

/// Copies the write-ahead log of a finished segment into its file. Not needed for reading, so a failure is left to the next `open`.
async fn seal(mut conn: SqliteConnection) {
    if let Err(error) = run(&mut conn, "PRAGMA wal_checkpoint(TRUNCATE)").await {
        tracing::debug!(%error, "a finished bus segment was not checkpointed");
    }
    close(conn).await;
}

/// Rolls back and closes. Where SQLite has rolled back by itself, the statement fails, which is as good.
pub(super) async fn discard(mut conn: SqliteConnection) {
    run(&mut conn, "ROLLBACK").await.ok();
    close(conn).await;
}

/// The bytes of a message that count for queues and segments.
pub(super) fn weight_of(message: &NewMessage) -> u64 {
    let headers: usize = message.headers.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
    let guard = if message.guard.is_some() { 64 } else { 0 };
    (message.payload.len() + message.key.len() + headers + guard + 32) as u64
}
