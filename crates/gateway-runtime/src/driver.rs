//! The loop around every task.

use crate::status::Record;
use crate::{Ran, Round, Schedule, Task, TaskError, TaskHost, TaskStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Starts tasks, watches them, and ends them.
#[derive(Debug)]
pub struct Driver {
    runtime: Handle,
    stopping: CancellationToken,
    handles: Mutex<Vec<TaskHandle>>,
    running: Mutex<JoinSet<()>>,
}

/// A running task.
#[derive(Debug, Clone)]
pub struct TaskHandle {
    name: Arc<str>,
    wake: Arc<Notify>,
    record: Arc<Mutex<Record>>,
}

impl TaskHandle {
    pub(crate) fn new(name: &str, schedule: &Schedule) -> Self {
        let record = Record {
            rounds: 0,
            failures: 0,
            last_success: Instant::now(),
            running_since: None,
            error: None,
            ended: false,
            stalled_after: schedule.stalled_after,
        };
        Self { name: name.into(), wake: Arc::new(Notify::new()), record: Arc::new(Mutex::new(record)) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it was woken since the last time that this was asked.
    pub(crate) async fn take_wake(&self) -> bool {
        tokio::select! {
            biased;
            () = self.wake.notified() => true,
            () = std::future::ready(()) => false,
        }
    }

    /// Runs a round and writes down how it went.
    pub(crate) async fn observe(&self, run: impl Future<Output = Result<Ran, TaskError>>) -> Result<Ran, TaskError> {
        lock(&self.record).running_since = Some(Instant::now());
        let ran = run.await;
        let mut record = lock(&self.record);
        record.running_since = None;
        match &ran {
            Ok(_) => {
                record.rounds += 1;
                record.failures = 0;
                record.last_success = Instant::now();
                record.error = None;
            }
            Err(error) => {
                record.failures += 1;
                record.error = Some((error.code.clone(), error.text.clone()));
            }
        }
        ran
    }

    /// Makes the next round due now; during a round, another follows it.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        lock(&self.record).status(&self.name)
    }
}

impl Driver {
    /// A driver without tasks, which will run on that runtime.
    #[must_use]
    pub fn on(runtime: Handle) -> Self {
        Self { runtime, stopping: CancellationToken::new(), handles: Mutex::default(), running: Mutex::default() }
    }

    /// Cancelled when the gateway stops.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// How all tasks are, in the order in which they were started.
    #[must_use]
    pub fn statuses(&self) -> Vec<TaskStatus> {
        lock(&self.handles).iter().map(TaskHandle::status).collect()
    }

    /// Asks every task to stop and waits for their rounds to end, at most `patience`. Returns the names of those that did not.
    pub async fn shutdown(&self, patience: Duration) -> Vec<String> {
        self.stopping.cancel();
        let mut running = std::mem::take(&mut *lock(&self.running));
        let drained = tokio::time::timeout(patience, async { while running.join_next().await.is_some() {} }).await;
        if drained.is_ok() {
            return Vec::new();
        }
        running.abort_all();
        let handles = lock(&self.handles);
        handles.iter().filter(|handle| !lock(&handle.record).ended).map(|handle| handle.name.to_string()).collect()
    }
}

impl TaskHost for Driver {
    fn spawn(&self, task: impl Task, schedule: Schedule) -> TaskHandle {
        let handle = TaskHandle::new(&task.name(), &schedule);
        lock(&self.handles).push(handle.clone());
        // Marks the end also when the task panics.
        let ended = EndMark(handle.record.clone());
        let round = Round { stopping: self.stopping.clone() };
        let looped = handle.clone();
        let drive = async move {
            let _ended = ended;
            drive(task, schedule, round, looped).await;
        };
        lock(&self.running).spawn_on(drive, &self.runtime);
        handle
    }
}

struct EndMark(Arc<Mutex<Record>>);

impl Drop for EndMark {
    fn drop(&mut self) {
        lock(&self.0).ended = true;
    }
}

async fn drive(mut task: impl Task, schedule: Schedule, round: Round, handle: TaskHandle) {
    let mut backoff = schedule.backoff_min;
    while !round.stopping.is_cancelled() {
        let ran = handle.observe(task.run(&round)).await;
        let wait = match &ran {
            Ok(ran) => {
                backoff = schedule.backoff_min;
                match ran {
                    Ran::Busy => Duration::ZERO,
                    Ran::Idle => schedule.every,
                    Ran::After(wait) => *wait,
                }
            }
            Err(error) => {
                let wait = backoff.max(error.retry_after.unwrap_or_default());
                backoff = (backoff * 2).min(schedule.backoff_max);
                wait
            }
        };
        if let Err(error) = &ran {
            report(&handle.name, error, wait);
        }
        let failed = ran.is_err();
        tokio::select! {
            () = round.stopping.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
            // A wake does not shorten the wait after a failure: a peer that is down stays unpestered.
            () = handle.wake.notified(), if !failed => {}
        }
    }
}

fn report(name: &str, error: &TaskError, wait: Duration) {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    tracing::warn!(task = name, code = error.code, wait_ms, "{}", error.text);
    metrics::counter!("gateway_task_failures_total", "task" => name.to_owned(), "code" => error.code.clone())
        .increment(1);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
