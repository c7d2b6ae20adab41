//! Opening: what is there is read back, checked, and never guessed.

use super::catalog::{Catalog, Topic};
use super::guard::Guards;
use super::key::{MAX_OFFSET, MAX_PARTITIONS, PartitionId, offset_of, topic_of};
use super::log::{Log, lock_dir};
use super::older::for_each_live_guard;
use super::options::EmbeddedOptions;
use super::segment::{End, Ends, Head, Segment, close, remove_orphans};
use super::sqlite::{Failure, PAGE_BYTES};
use crate::BusError;
use gateway_model::Clock;
use sqlx::sqlite::SqliteConnection;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What the writer knows of the newest segment.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Where each partition stands.
    pub ends: Ends,
    /// About how many bytes the segment holds.
    pub bytes: u64,
    /// The greatest time of a message so far; times of the log never go back.
    pub last_at: i64,
}

/// Locks and opens the directory.
pub(super) async fn open(
    options: EmbeddedOptions,
    clock: Arc<dyn Clock>,
) -> Result<(Arc<Log>, Tail, Guards, SqliteConnection), BusError> {
    let lock = lock_dir(&options).await?;
    remove_orphans(&options.dir).map_err(Failure::from)?;
    let catalog = Catalog::open(&options.dir).await?;
    match load(&options, clock.now().as_microsecond(), &catalog).await {
        Ok((segments, tail, guards, conn)) => {
            let segments = segments.into_iter().map(Arc::new).collect();
            Ok((Arc::new(Log::new(options, clock, catalog, segments, lock)), tail, guards, conn))
        }
        Err(error) => {
            // Closed before the lock is free, so that nothing of a failed attempt meets the next one.
            catalog.close().await;
            Err(error)
        }
    }
}

/// Opens the segments and reads what must be in memory.
async fn load(
    options: &EmbeddedOptions,
    now: i64,
    catalog: &Catalog,
) -> Result<(Vec<Segment>, Tail, Guards, SqliteConnection), BusError> {
    let mut segments = open_segments(options).await?;
    if segments.is_empty() {
        let head = Head { created_at: now, previous_guard_until: i64::MIN, ..Head::default() };
        let (segment, conn) = Segment::create(&options.dir, 1, head, options.checkpoint_bytes).await?;
        close(conn).await;
        segments.push(segment);
    }
    for pair in segments.windows(2) {
        pair[0].note_guard(pair[1].head.previous_guard_until);
    }
    let mut guards = Guards::default();
    let newest = segments.len() - 1;
    for segment in &segments[..newest] {
        if segment.guard_until.load(Ordering::Acquire) > now {
            segment.load_filter(options.checkpoint_bytes).await?;
        }
    }
    let mut conn = segments[newest].writer(options.checkpoint_bytes).await?;
    match read_newest(&mut conn, &segments, catalog, &mut guards, now).await {
        Ok(tail) => Ok((segments, tail, guards, conn)),
        Err(error) => {
            close(conn).await;
            Err(error)
        }
    }
}

/// Reads the newest segment and checks that catalog and segments belong together.
async fn read_newest(
    conn: &mut SqliteConnection,
    segments: &[Segment],
    catalog: &Catalog,
    guards: &mut Guards,
    now: i64,
) -> Result<Tail, BusError> {
    let topics = catalog.topics();
    let mut numbers: BTreeSet<u32> =
        segments.iter().flat_map(|segment| segment.head.starts.keys()).map(|id| id.topic).collect();
    numbers.extend(topics_in(conn).await?);
    for topic in &topics {
        numbers.remove(&topic.number);
    }
    if let Some(unknown) = numbers.first() {
        return Err(damaged(format!("positions.db does not know topic {unknown} that a segment holds")));
    }
    let tail = read_tail(conn, &segments[segments.len() - 1], &topics, guards, now).await?;
    publish(&tail, &topics);
    for (id, position) in catalog.furthest() {
        let end = tail.ends.get(&id).map_or(0, |end| end.offset);
        if position > end {
            return Err(damaged(format!(
                "a group stands at offset {position} of partition {} of topic {}, which ends at {end}: segments are missing",
                id.partition, id.topic
            )));
        }
    }
    Ok(tail)
}

/// The topics that have messages in a segment; one look-up for each.
async fn topics_in(conn: &mut SqliteConnection) -> Result<Vec<u32>, Failure> {
    let mut topics = Vec::new();
    let mut after = -1;
    while let Some(row) = sqlx::query_scalar::<_, i64>("SELECT id FROM message WHERE id > ? ORDER BY id LIMIT 1")
        .bind(after)
        .fetch_optional(&mut *conn)
        .await?
    {
        let topic = topic_of(row);
        topics.push(topic);
        after = PartitionId { topic, partition: MAX_PARTITIONS - 1 }.row(MAX_OFFSET);
    }
    Ok(topics)
}

/// Tells readers where the partitions end.
pub(super) fn publish(tail: &Tail, topics: &[Arc<Topic>]) {
    for topic in topics {
        for (id, end) in topic.ids().zip(&topic.ends) {
            end.store(tail.ends.get(&id).map_or(0, |end| end.offset), Ordering::Release);
        }
    }
}

/// Reads what the newest segment holds.
pub(super) async fn read_tail(
    conn: &mut SqliteConnection,
    segment: &Segment,
    topics: &[Arc<Topic>],
    guards: &mut Guards,
    now: i64,
) -> Result<Tail, Failure> {
    let mut tail = Tail { ends: segment.head.starts.clone(), ..Tail::default() };
    for id in topics.iter().flat_map(|topic| topic.ids()) {
        let newest = sqlx::query_as::<_, (i64, i64)>(
            "SELECT id, appended_at FROM message WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1",
        )
        .bind(id.row(0))
        .bind(id.row(MAX_OFFSET))
        .fetch_optional(&mut *conn)
        .await?;
        if let Some((row, newest_at)) = newest {
            tail.ends.insert(id, End { offset: offset_of(row) + 1, newest_at });
        }
    }
    tail.last_at = tail.ends.values().map(|end| end.newest_at).max().unwrap_or(i64::MIN);
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *conn).await?;
    tail.bytes = pages.unsigned_abs() * u64::from(PAGE_BYTES);
    let until: Option<i64> = sqlx::query_scalar("SELECT max(until) FROM guard").fetch_one(&mut *conn).await?;
    segment.note_guard(until.unwrap_or(i64::MIN));
    for_each_live_guard(conn, now, |row| guards.remember([row], now)).await?;
    Ok(tail)
}

async fn open_segments(options: &EmbeddedOptions) -> Result<Vec<Segment>, BusError> {
    let entries = std::fs::read_dir(&options.dir).map_err(Failure::from)?;
    let mut numbers = Vec::new();
    for entry in entries {
        numbers.extend(Segment::number_of(&entry.map_err(Failure::from)?.path()));
    }
    numbers.sort_unstable();
    if let Some(hole) = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1) {
        return Err(damaged(format!("segment {} is missing in {}", hole[0] + 1, options.dir.display())));
    }
    let mut segments = Vec::new();
    for number in &numbers {
        match Segment::open(&options.dir, *number, options.checkpoint_bytes).await? {
            Some(segment) => segments.push(segment),
            // The newest may be unfinished: the process ended while it was created, and its number is used again.
            None if Some(number) == numbers.last() => {}
            None => return Err(damaged(format!("segment {number} in {} has no head", options.dir.display()))),
        }
    }
    Ok(segments)
}

fn damaged(what: String) -> BusError {
    BusError::Damaged { what, source: None }
}
