//! The one task that writes the log.
//!
//! It takes every append that waits, writes them all in one transaction, syncs once, and answers them all. While the disk is at that sync the next
//! ones gather, so the batch grows with the load and nobody waits on a timer. A failed transaction is rolled back, everyone in it is told
//! `Unavailable`, and the connection is thrown away: the next append opens the segment again and reads back what is really there, because a commit
//! whose sync failed may still be found in the write-ahead log. Nothing in memory moves before the commit has returned.

use super::batch::{Batch, Inserts};
use super::catalog::Topic;
use super::guard::{Found, GuardRow, Guards, NonceKey};
use super::log::Log;
use super::older;
use super::recovery::{Tail, publish, read_tail};
use super::segment::{Head, Segment, close};
use super::sqlite::{Failure, run};
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
    /// Drop what this group has committed.
    DropRead(String, oneshot::Sender<Result<u64, BusError>>),
    /// Finish.
    Close(oneshot::Sender<()>),
}

/// The task's state.
pub(super) struct Writer {
    pub(super) log: Arc<Log>,
    /// The connection to the newest segment; none after a failure.
    conn: Option<SqliteConnection>,
    pub(super) tail: Tail,
    pub(super) guards: Guards,
    pub(super) inserts: Inserts,
}

impl Writer {
    /// The most requests that one transaction serves.
    const MOST_REQUESTS: usize = 4096;

    pub(super) fn new(log: Arc<Log>, tail: Tail, guards: Guards, conn: SqliteConnection) -> Self {
        Self { log, conn: Some(conn), tail, guards, inserts: Inserts::new() }
    }

    /// Serves requests until the bus is closed or dropped.
    pub(super) async fn serve(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut waiting = Vec::new();
        let mut closing = Vec::new();
        while requests.recv_many(&mut waiting, Self::MOST_REQUESTS).await > 0 {
            let (mut appends, mut checks, mut drops, mut reads) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for request in waiting.drain(..) {
                match request {
                    Request::Append(append) => appends.push(append),
                    Request::Check(reply) => checks.push(reply),
                    Request::DropExpired(reply) => drops.push(reply),
                    Request::DropRead(group, reply) => reads.push((group, reply)),
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
            for (group, reply) in reads {
                let result = self.drop_read(&group).await.map_err(BusError::from);
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
        let result = match self.prepare(&appends).await {
            Ok((mut conn, at, older)) => {
                let mut batch = Batch::new(at, older);
                for Append { topic, messages, permit, reply } in appends {
                    let outcomes = messages
                        .into_iter()
                        .map(|message| batch.stage(&self.tail, &self.guards, &topic, message))
                        .collect();
                    replies.push((topic, reply, outcomes));
                    permits.push(permit);
                }
                let started = tokio::time::Instant::now();
                let result = batch.write(&self.inserts, &mut conn).await;
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

    /// The connection, the time of the batch, and those of its nonces that older segments hold.
    async fn prepare(&mut self, appends: &[Append]) -> Result<(SqliteConnection, i64, Found), Failure> {
        let conn = self.ready().await?;
        let at = self.log.now().max(self.tail.last_at);
        let segments = self.log.segments();
        let mut found = Found::new();
        if !segments.iter().rev().skip(1).any(|segment| segment.may_guard(at)) {
            return Ok((conn, at, found));
        }
        for key in keys_of(appends) {
            if self.guards.has(&key) || found.contains_key(&key) {
                continue;
            }
            match older::find(&segments, &key, at).await {
                Ok(row) => found.extend(row.map(|row| (key, row))),
                Err(failure) => {
                    self.keep(conn);
                    return Err(failure);
                }
            }
        }
        Ok((conn, at, found))
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
                let filter = std::mem::take(&mut self.guards).filter();
                // It is set once: when a segment stops being the newest, or is opened as one that is not.
                newest.filter.set(filter).ok();
                let mut segments = self.log.segments().to_vec();
                segments.push(Arc::new(segment));
                self.log.set_segments(segments);
                self.tail.bytes = 0;
                tokio::spawn(seal(newest, conn));
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

/// The nonces that appends bring.
fn keys_of(appends: &[Append]) -> Vec<NonceKey> {
    let key = |append: &Append, message: &NewMessage| {
        message.guard.as_ref().map(|guard| GuardRow::new(append.topic.number, guard).key)
    };
    appends.iter().flat_map(|append| append.messages.iter().filter_map(|message| key(append, message))).collect()
}

/// Makes the nonces of a finished segment quick to find, and copies its write-ahead log into its file. Neither is needed for reading, so a failure is
/// left to the next `open`.
async fn seal(segment: Arc<Segment>, mut conn: SqliteConnection) {
    if let Some(filter) = segment.filter.get()
        && let Err(error) = older::settle(&mut conn, filter).await
    {
        tracing::debug!(%error, segment = segment.number, "the nonces of a finished bus segment were not indexed");
        return discard(conn).await;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::{EmbeddedOptions, recovery};
    use crate::{TopicName, TopicSpec};
    use std::time::Duration;
    use tokio::sync::Semaphore;

    async fn append_one(writer: &mut Writer, topic: &Arc<Topic>) -> Result<Vec<Appended>, BusError> {
        let message =
            NewMessage { key: "key".to_owned(), headers: crate::Headers::new(), payload: vec![1], guard: None };
        let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.expect("a permit");
        let (reply, answer) = oneshot::channel();
        writer.append(vec![Append { topic: Arc::clone(topic), messages: vec![message], permit, reply }]).await;
        answer.await.expect("an answer")
    }

    /// A sync can fail after the commit was written; the message is there when the file is opened again, and its offset is taken.
    #[tokio::test]
    async fn what_a_failed_commit_left_in_the_log_is_counted() {
        let dir = tempfile::tempdir().expect("a directory");
        let options = EmbeddedOptions::in_dir(dir.path());
        let opened = recovery::open(options, Arc::new(gateway_model::SystemClock)).await.expect("the bus opens");
        let (log, tail, guards, conn) = opened;
        let name = TopicName::raw(&gateway_model::ChannelId::new("ambiguous").expect("a channel id"));
        let spec = TopicSpec { name: name.clone(), partitions: 1, retention: Duration::from_secs(60) };
        log.catalog.ensure(&spec).await.expect("a topic is created");
        let topic = log.catalog.topic(&name).expect("the topic is there");
        let mut writer = Writer::new(log, tail, guards, conn);
        let at = |offset| vec![Appended::At { partition: 0, offset }];
        assert_eq!(append_one(&mut writer, &topic).await.expect("an append works"), at(0));

        let mut other = writer.newest().writer(1 << 20).await.expect("a connection");
        sqlx::query("INSERT INTO message SELECT id + 1, key, headers, payload, appended_at FROM message")
            .execute(&mut other)
            .await
            .expect("a row is written");
        close(other).await;
        assert!(append_one(&mut writer, &topic).await.is_err(), "the place is taken");
        assert_eq!(append_one(&mut writer, &topic).await.expect("an append works"), at(2));
        assert_eq!(topic.end(0), 3);
    }
}
