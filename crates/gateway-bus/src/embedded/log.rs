//! What writer, readers and retention share: the catalog, the list of segments, the groups, and the lock on the directory.

use super::catalog::Catalog;
use super::group::Groups;
use super::key::PartitionId;
use super::options::EmbeddedOptions;
use super::segment::Segment;
use crate::BusError;
use gateway_model::Clock;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Segments, oldest first. Never empty: the last one is written to.
pub(super) type Segments = Arc<Vec<Arc<Segment>>>;

/// The shared part of the bus.
pub(super) struct Log {
    /// The settings.
    pub options: EmbeddedOptions,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Topics and positions.
    pub catalog: Catalog,
    /// Groups of readers.
    pub groups: Groups,
    segments: RwLock<Segments>,
    closed: AtomicBool,
    /// Held until the last user of the log is gone, so that another `open` of the directory can't overlap.
    _lock: File,
}

impl Log {
    /// A log of these segments.
    pub fn new(
        options: EmbeddedOptions,
        clock: Arc<dyn Clock>,
        catalog: Catalog,
        segments: Vec<Arc<Segment>>,
        lock: File,
    ) -> Self {
        Self {
            options,
            clock,
            catalog,
            groups: Groups::default(),
            segments: RwLock::new(Arc::new(segments)),
            closed: AtomicBool::new(false),
            _lock: lock,
        }
    }

    /// The segments now. Read the ends of partitions first: then the list reaches at least as far as they do.
    pub fn segments(&self) -> Segments {
        Arc::clone(&self.segments.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the list. Only the writer does.
    pub fn set_segments(&self, segments: Vec<Arc<Segment>>) {
        metrics::gauge!("gateway_bus_segments_count").set(segments.len() as f64);
        *self.segments.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(segments);
    }

    /// The first offset of a partition that is left.
    pub fn first(&self, id: PartitionId) -> u64 {
        self.segments().first().map_or(0, |segment| segment.start(id))
    }

    /// The time in microseconds since 1970.
    pub fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    /// Whether the bus was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Marks the bus closed and wakes all who wait.
    pub fn set_closed(&self) {
        self.closed.store(true, Ordering::Release);
        self.groups.wake_all();
    }
}

/// Locks the directory against other processes and other instances in this one.
pub(super) async fn lock_dir(options: &EmbeddedOptions) -> Result<File, BusError> {
    let unavailable = |error: std::io::Error| BusError::Unavailable(Box::new(error));
    std::fs::create_dir_all(&options.dir).map_err(unavailable)?;
    let path = options.dir.join("lock");
    let file = File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(unavailable)?;
    if file.try_lock().is_ok() {
        return Ok(file);
    }
    // The wait is for one who is leaving: an instance of this process whose last statement still runs, or a process that is ending. A thread of its
    // own, since a runtime that ends would wait for a blocking task for ever; it ends when the lock is granted at last, or with the process.
    let (granted, waiting) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || granted.send(file.lock().map(|()| file)).ok());
    match tokio::time::timeout(Duration::from_millis(options.lock_wait_ms), waiting).await {
        Ok(Ok(locked)) => locked.map_err(unavailable),
        Ok(Err(error)) => Err(BusError::Unavailable(Box::new(error))),
        Err(_) => {
            let what = format!("{} is in use by another process", path.display());
            Err(unavailable(std::io::Error::new(std::io::ErrorKind::WouldBlock, what)))
        }
    }
}
