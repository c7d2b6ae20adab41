//! Nonces of segments that are no longer written to.

use super::filter::Filter;
use super::guard::{GuardRow, NonceKey};
use super::log::Segments;
use super::segment::{Segment, close};
use super::sqlite::{Failure, run};
use futures::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use std::sync::atomic::Ordering;

impl Segment {
    /// Whether a guard in it may be alive then.
    pub fn may_guard(&self, now: i64) -> bool {
        self.guard_until.load(Ordering::Acquire) > now
    }

    /// Reads its filter; where it has none, since the process ended before it was stored or wrote none, makes it and stores it.
    pub async fn load_filter(&self, checkpoint_bytes: u64) -> Result<(), Failure> {
        let stored = read_filter(&mut *self.reader().await?).await?;
        let filter = match stored {
            Some(filter) => filter,
            None => {
                let filter = make_filter(&mut *self.reader().await?).await?;
                let mut conn = self.writer(checkpoint_bytes).await?;
                // What is not stored is made again at the next open.
                if let Err(error) = settle(&mut conn, &filter).await {
                    tracing::debug!(%error, segment = self.number, "the nonces of a bus segment were not indexed");
                    run(&mut conn, "ROLLBACK").await.ok();
                }
                close(conn).await;
                filter
            }
        };
        // Nobody else has it yet.
        self.filter.set(filter).ok();
        Ok(())
    }
}

/// The guard of a nonce that is alive, in one of these segments but the newest, whose nonces are in memory.
pub(super) async fn find(segments: &Segments, key: &NonceKey, now: i64) -> Result<Option<GuardRow>, Failure> {
    for segment in segments.iter().rev().skip(1) {
        if !segment.may_guard(now) || segment.filter.get().is_some_and(|filter| !filter.may_hold(key)) {
            continue;
        }
        let mut reader = segment.reader().await?;
        let row = sqlx::query("SELECT nonce, digest, until FROM guard WHERE nonce = ? AND until > ? LIMIT 1")
            .bind(key.as_slice())
            .bind(now)
            .fetch_optional(&mut *reader)
            .await?;
        if let Some(row) = row {
            return read(&row).map(Some);
        }
    }
    Ok(None)
}

/// Stores a segment's filter, and indexes its nonces for when the filter says yes. After an error the transaction is to be rolled back.
pub(super) async fn settle(conn: &mut SqliteConnection, filter: &Filter) -> Result<(), Failure> {
    run(conn, "BEGIN IMMEDIATE").await?;
    run(conn, "CREATE INDEX IF NOT EXISTS guard_nonce ON guard (nonce)").await?;
    run(conn, "CREATE TABLE IF NOT EXISTS guard_filter (bits BLOB NOT NULL) STRICT").await?;
    run(conn, "DELETE FROM guard_filter").await?;
    sqlx::query("INSERT INTO guard_filter VALUES (?)").bind(filter.to_bytes()).execute(&mut *conn).await?;
    run(conn, "COMMIT").await
}

async fn read_filter(conn: &mut SqliteConnection) -> Result<Option<Filter>, Failure> {
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'guard_filter')")
        .fetch_one(&mut *conn)
        .await?;
    if !there {
        return Ok(None);
    }
    let bits: Option<Vec<u8>> = sqlx::query_scalar("SELECT bits FROM guard_filter").fetch_optional(conn).await?;
    Ok(bits.and_then(|bits| Filter::from_bytes(&bits)))
}

async fn make_filter(conn: &mut SqliteConnection) -> Result<Filter, Failure> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM guard").fetch_one(&mut *conn).await?;
    let mut filter = Filter::new(usize::try_from(count).unwrap_or_default());
    for_each_live_guard(conn, i64::MIN, |row| filter.insert(&row.key)).await?;
    Ok(filter)
}

/// The guards of a segment that are alive, one by one: there may be hundreds of thousands.
pub(super) async fn for_each_live_guard(
    conn: &mut SqliteConnection,
    now: i64,
    mut each: impl FnMut(GuardRow) + Send,
) -> Result<(), Failure> {
    let mut rows = sqlx::query("SELECT nonce, digest, until FROM guard WHERE until > ?").bind(now).fetch(conn);
    while let Some(row) = rows.try_next().await? {
        each(read(&row)?);
    }
    Ok(())
}

fn read(row: &SqliteRow) -> Result<GuardRow, Failure> {
    let wrong = |bytes: &[u8]| {
        let wrong = format!("a guard column of {} bytes", bytes.len());
        Failure::from(sqlx::Error::Decode(wrong.into()))
    };
    let (key, digest) = (row.try_get::<&[u8], _>(0)?, row.try_get::<&[u8], _>(1)?);
    Ok(GuardRow {
        key: key.try_into().map_err(|_| wrong(key))?,
        digest: digest.try_into().map_err(|_| wrong(digest))?,
        until: row.try_get(2)?,
    })
}

#[cfg(test)]
mod tests {
    use crate::conformance::{guarded, message};
    use crate::embedded::{EmbeddedBus, EmbeddedOptions};
    use crate::{Appended, Bus, NewMessage, TopicName, TopicSpec};
    use gateway_model::{Clock as _, SystemClock};
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    const NONCES: u32 = 600;

    async fn open(dir: &Path) -> (EmbeddedBus, TopicName) {
        // A segment of some dozen messages.
        let options = EmbeddedOptions { segment_bytes: 64 << 10, ..EmbeddedOptions::in_dir(dir) };
        let bus = EmbeddedBus::open(options, Arc::new(SystemClock)).await.expect("the bus opens");
        let name = TopicName::raw(&gateway_model::ChannelId::new("older").expect("a channel id"));
        let spec = TopicSpec { name: name.clone(), partitions: 1, retention: Duration::from_secs(3_600) };
        bus.ensure_topic(&spec).await.expect("a topic is created");
        (bus, name)
    }

    fn nonce(number: u32, digest: u8) -> NewMessage {
        let payload = message("key", vec![b'x'; 1_000]).payload;
        NewMessage { payload, ..guarded(SystemClock.now(), &format!("n{number}"), digest) }
    }

    async fn all_answer(bus: &EmbeddedBus, topic: &TopicName, digest: u8, expected: Appended) {
        for number in 0..NONCES {
            let appended = bus.append(topic, vec![nonce(number, digest)]).await.expect("an append works");
            assert_eq!(appended, [expected], "nonce {number}");
        }
    }

    #[tokio::test]
    async fn nonces_of_finished_segments_are_known_and_memory_forgets_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let (bus, topic) = open(dir.path()).await;
        for number in 0..NONCES {
            let appended = bus.append(&topic, vec![nonce(number, 1)]).await.expect("an append works");
            assert!(matches!(appended[0], Appended::At { .. }), "{appended:?}");
        }
        let segments = bus.log.segments();
        assert!(segments.len() > 4, "{} segments", segments.len());
        assert!(segments[..segments.len() - 1].iter().all(|segment| segment.filter.get().is_some()));
        all_answer(&bus, &topic, 1, Appended::Repeated).await;
        all_answer(&bus, &topic, 2, Appended::Conflict).await;
        bus.close().await;
        drop(bus);

        let (bus, topic) = open(dir.path()).await;
        all_answer(&bus, &topic, 1, Appended::Repeated).await;
        bus.close().await;
        drop(bus);

        // As an older program left it, or one that ended before a segment was settled.
        for file in std::fs::read_dir(dir.path()).expect("a directory") {
            let path = file.expect("a file").path();
            if super::Segment::number_of(&path).is_some() {
                let options = crate::embedded::sqlite::writer_options(&path, 1 << 20);
                let mut conn = crate::embedded::sqlite::connect(&options).await.expect("it opens");
                for statement in ["DROP TABLE IF EXISTS guard_filter", "DROP INDEX IF EXISTS guard_nonce"] {
                    super::run(&mut conn, statement).await.expect("it is dropped");
                }
                super::close(conn).await;
            }
        }
        let (bus, topic) = open(dir.path()).await;
        all_answer(&bus, &topic, 2, Appended::Conflict).await;
        assert!(matches!(
            bus.append(&topic, vec![nonce(NONCES, 1)]).await.expect("an append works")[0],
            Appended::At { .. }
        ));
        bus.close().await;
    }
}
