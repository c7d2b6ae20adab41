//! `positions.db`: which topics there are, and how far every group has come.
//!
//! All of it is in memory too; the file is written first. A topic is written with a full sync, since segments refer to its number. A position
//! is written without: a killed process loses none, and after a power cut a position may be a little behind, which reading at least once allows.
//! Before segments are dropped the file is synced ([`Catalog::sync`]), so that a position never falls back into what is gone.

use super::key::{MAX_PARTITIONS, MAX_TOPIC, PartitionId};
use super::segment::close;
use super::sqlite::{Failure, connect, run, writer_options};
use crate::{BusError, TopicName, TopicSpec};
use sqlx::sqlite::SqliteConnection;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use tokio::sync::Notify;

/// A topic.
#[derive(Debug)]
pub(super) struct Topic {
    /// Its number in row keys.
    pub number: u32,
    /// Its name.
    pub name: TopicName,
    /// For each partition the offset of the next message; what is below is durable and readable.
    pub ends: Vec<AtomicU64>,
    retention_us: AtomicI64,
    readers: Mutex<Vec<Weak<Notify>>>,
}

impl Topic {
    fn new(number: u32, name: TopicName, partitions: u32, retention_us: i64) -> Self {
        let ends = (0..partitions).map(|_| AtomicU64::new(0)).collect();
        Self { number, name, ends, retention_us: AtomicI64::new(retention_us), readers: Mutex::default() }
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// Its partitions.
    pub fn ids(&self) -> impl Iterator<Item = PartitionId> + '_ {
        (0..self.partitions()).map(|partition| PartitionId { topic: self.number, partition })
    }

    /// The offset of the next message of a partition.
    pub fn end(&self, partition: u32) -> u64 {
        self.ends.get(partition as usize).map_or(0, |end| end.load(Ordering::Acquire))
    }

    /// How long messages are kept, in microseconds.
    pub fn retention_us(&self) -> i64 {
        self.retention_us.load(Ordering::Acquire)
    }

    /// Wakes `reader` whenever something was appended.
    pub fn watch(&self, reader: &Arc<Notify>) {
        let mut readers = locked(&self.readers);
        readers.retain(|reader| reader.strong_count() > 0);
        readers.push(Arc::downgrade(reader));
    }

    /// Tells the readers that there is something new.
    pub fn wake(&self) {
        for reader in locked(&self.readers).iter().filter_map(Weak::upgrade) {
            reader.notify_one();
        }
    }
}

/// A lock whose data is sound also when a holder panicked, since every change under it is a single step.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The positions of one group.
type Positions = HashMap<PartitionId, u64>;

/// Topics and positions.
#[derive(Debug)]
pub(super) struct Catalog {
    path: PathBuf,
    conn: tokio::sync::Mutex<Option<SqliteConnection>>,
    topics: RwLock<HashMap<TopicName, Arc<Topic>>>,
    positions: Mutex<HashMap<String, Positions>>,
}

impl Catalog {
    /// Opens or creates the file.
    pub async fn open(dir: &Path) -> Result<Self, BusError> {
        let path = dir.join("positions.db");
        let mut conn = Self::connect(&path).await?;
        let rows =
            sqlx::query_as::<_, (u32, String, u32, i64)>("SELECT topic_id, name, partitions, retention_us FROM topic")
                .fetch_all(&mut conn)
                .await
                .map_err(Failure::from)?;
        let mut topics = HashMap::new();
        for (number, name, partitions, retention_us) in rows {
            let name = TopicName::from_stored(name);
            topics.insert(name.clone(), Arc::new(Topic::new(number, name, partitions, retention_us)));
        }
        let rows = sqlx::query_as::<_, (String, u32, u32, i64)>(
            "SELECT group_name, topic_id, partition, \"offset\" FROM position",
        )
        .fetch_all(&mut conn)
        .await
        .map_err(Failure::from)?;
        let mut positions: HashMap<String, Positions> = HashMap::new();
        for (group, topic, partition, offset) in rows {
            positions.entry(group).or_default().insert(PartitionId { topic, partition }, offset.unsigned_abs());
        }
        let conn = tokio::sync::Mutex::new(Some(conn));
        Ok(Self { path, conn, topics: RwLock::new(topics), positions: Mutex::new(positions) })
    }

    async fn connect(path: &Path) -> Result<SqliteConnection, Failure> {
        let mut conn = connect(&writer_options(path, 1 << 20)).await?;
        for statement in [
            "CREATE TABLE IF NOT EXISTS topic (topic_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL, \
             retention_us INTEGER NOT NULL) STRICT",
            "CREATE TABLE IF NOT EXISTS position (group_name TEXT NOT NULL, topic_id INTEGER NOT NULL, partition INTEGER NOT NULL, \
             \"offset\" INTEGER NOT NULL, PRIMARY KEY (group_name, topic_id, partition)) STRICT, WITHOUT ROWID",
        ] {
            run(&mut conn, statement).await?;
        }
        run(&mut conn, "PRAGMA synchronous = NORMAL").await?;
        Ok(conn)
    }

    /// The topic of a name.
    pub fn topic(&self, name: &TopicName) -> Result<Arc<Topic>, BusError> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.get(name).cloned().ok_or_else(|| BusError::UnknownTopic(name.clone()))
    }

    /// All topics.
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Creates a topic, or gives an existing one a new retention.
    pub async fn ensure(&self, spec: &TopicSpec) -> Result<(), BusError> {
        let what = |wrong: String| BusError::Refused { what: format!("topic {}: {wrong}", spec.name) };
        if spec.partitions == 0 || spec.partitions > MAX_PARTITIONS {
            return Err(what(format!("{} partitions; 1 to {MAX_PARTITIONS} can be had", spec.partitions)));
        }
        let retention_us = i64::try_from(spec.retention.as_micros()).unwrap_or(i64::MAX);
        let mut slot = self.conn.lock().await;
        let known = self.topic(&spec.name).ok();
        if known.as_ref().is_some_and(|topic| topic.retention_us() == retention_us) {
            return Ok(());
        }
        let number = match &known {
            Some(topic) => topic.number,
            None => self.topics().iter().map(|topic| topic.number).max().unwrap_or(0) + 1,
        };
        if number > MAX_TOPIC {
            return Err(what(format!("there are {MAX_TOPIC} topics already")));
        }
        let write = async |conn: &mut SqliteConnection| {
            run(conn, "PRAGMA synchronous = FULL").await?;
            sqlx::query(
                "INSERT INTO topic VALUES (?, ?, ?, ?) ON CONFLICT (topic_id) DO UPDATE SET retention_us = excluded.retention_us",
            )
            .bind(number)
            .bind(spec.name.as_str())
            .bind(spec.partitions)
            .bind(retention_us)
            .execute(&mut *conn)
            .await?;
            run(conn, "PRAGMA synchronous = NORMAL").await
        };
        let mut conn = self.take(&mut slot).await?;
        write(&mut conn).await?;
        *slot = Some(conn);
        match known {
            Some(topic) => topic.retention_us.store(retention_us, Ordering::Release),
            None => {
                let topic = Arc::new(Topic::new(number, spec.name.clone(), spec.partitions, retention_us));
                self.topics.write().unwrap_or_else(PoisonError::into_inner).insert(spec.name.clone(), topic);
            }
        }
        Ok(())
    }

    /// Takes the connection out, or opens it again after a failure; whoever succeeds puts it back.
    async fn take(&self, slot: &mut Option<SqliteConnection>) -> Result<SqliteConnection, Failure> {
        match slot.take() {
            Some(conn) => Ok(conn),
            None => Self::connect(&self.path).await,
        }
    }

    /// What a group committed of a partition.
    pub fn position(&self, group: &str, id: PartitionId) -> u64 {
        locked(&self.positions).get(group).and_then(|positions| positions.get(&id)).copied().unwrap_or(0)
    }

    /// The greatest position that any group committed, for each partition.
    pub fn furthest(&self) -> Positions {
        let mut furthest = Positions::new();
        for (id, offset) in locked(&self.positions).values().flatten() {
            let entry = furthest.entry(*id).or_default();
            *entry = (*entry).max(*offset);
        }
        furthest
    }

    /// Saves positions of a group; none goes back.
    pub async fn commit(&self, group: &str, positions: &[(PartitionId, u64)]) -> Result<(), BusError> {
        if positions.is_empty() {
            return Ok(());
        }
        let mut slot = self.conn.lock().await;
        let mut conn = self.take(&mut slot).await?;
        let rows: Vec<_> = positions.iter().map(|(id, offset)| (id.topic, id.partition, offset)).collect();
        let rows = serde_json::to_string(&rows).unwrap_or_default();
        sqlx::query(
            "INSERT INTO position SELECT ?1, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2) WHERE true \
             ON CONFLICT DO UPDATE SET \"offset\" = max(\"offset\", excluded.\"offset\")",
        )
        .bind(group)
        .bind(rows)
        .execute(&mut conn)
        .await
        .map_err(Failure::from)?;
        *slot = Some(conn);
        let mut all = locked(&self.positions);
        let group = all.entry(group.to_owned()).or_default();
        for (id, offset) in positions {
            let entry = group.entry(*id).or_default();
            *entry = (*entry).max(*offset);
        }
        Ok(())
    }

    /// Makes every position so far survive a power cut.
    pub async fn sync(&self) -> Result<(), Failure> {
        let mut slot = self.conn.lock().await;
        let mut conn = self.take(&mut slot).await?;
        run(&mut conn, "PRAGMA wal_checkpoint(FULL)").await?;
        *slot = Some(conn);
        Ok(())
    }

    /// Closes the file.
    pub async fn close(&self) {
        if let Some(conn) = self.conn.lock().await.take() {
            close(conn).await;
        }
    }

    /// How long each topic keeps its messages, in microseconds, by the topic's number.
    pub fn retentions(&self) -> HashMap<u32, i64> {
        self.topics().iter().map(|topic| (topic.number, topic.retention_us())).collect()
    }
}
