//! Tasks on a driven clock: the same tasks and schedules as under the driver, run when the time that somebody sets says so.
//!
//! A simulation of weeks sets its clock forward and calls [`Stepper::run_due`]; every task that is due then runs, one after the other, again and again
//! until none has anything left to do at that time. Nothing waits in real time, and rounds follow each other in the order in which tasks were
//! started, so that a run can be repeated.

use crate::{Ran, Round, Schedule, Task, TaskError, TaskHandle, TaskHost};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A task that is busy so often in a row at one moment will never be done with it.
const MOST_PASSES: u32 = 100_000;

/// Runs tasks when a driven clock says that they are due.
#[derive(Default)]
pub struct Stepper {
    stopping: CancellationToken,
    /// Tasks that were started since the last step.
    started: Mutex<Vec<Stepped>>,
    tasks: Vec<Stepped>,
}

struct Stepped {
    handle: TaskHandle,
    task: Box<dyn Task>,
    schedule: Schedule,
    due: Duration,
    backoff: Duration,
    /// Its last round said that it has no time of its own: it is asked in every pass.
    eager: bool,
}

impl Stepper {
    /// A stepper without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// When the next task falls due by its schedule; `now` when there is work already.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.tasks.iter().filter(|task| !task.eager).map(|task| task.due).min()
    }

    /// Runs everything that is due at `now` (since any fixed beginning; the same one at every call) until nothing is left to do at that time. Returns
    /// the failures; a failed task waits out its back-off on the driven clock.
    pub async fn run_due(&mut self, now: Duration) -> Vec<(String, TaskError)> {
        self.tasks.append(&mut self.started.lock().unwrap_or_else(PoisonError::into_inner));
        let round = Round { stopping: self.stopping.clone() };
        let mut failures = Vec::new();
        // The first pass may make work for a task that it had asked before.
        let mut quiet_passes = 0;
        let mut passes = 0;
        while quiet_passes < 2 && passes < MOST_PASSES {
            passes += 1;
            let mut busy = false;
            for task in &mut self.tasks {
                let woken = task.handle.take_wake().await;
                if !(woken || task.eager || task.due <= now) {
                    continue;
                }
                let ran = task.handle.observe(task.task.run(&round)).await;
                task.eager = false;
                match ran {
                    Ok(Ran::Busy) => {
                        task.due = now;
                        busy = true;
                    }
                    Ok(Ran::After(Duration::ZERO)) => {
                        task.due = now;
                        task.eager = true;
                    }
                    Ok(Ran::After(wait)) => task.due = now + wait,
                    Ok(Ran::Idle) => task.due = now + task.schedule.every,
                    Err(error) => {
                        let wait = task.backoff.max(error.retry_after.unwrap_or_default());
                        task.due = now + wait;
                        task.backoff = (task.backoff * 2).min(task.schedule.backoff_max);
                        failures.push((task.handle.name().to_owned(), error));
                        continue;
                    }
                }
                task.backoff = task.schedule.backoff_min;
            }
            quiet_passes = if busy { 0 } else { quiet_passes + 1 };
        }
        failures
    }
}

impl TaskHost for Stepper {
    fn spawn(&self, task: impl Task, schedule: Schedule) -> TaskHandle {
        let handle = TaskHandle::new(&task.name(), &schedule);
        let backoff = schedule.backoff_min;
        let stepped = Stepped {
            handle: handle.clone(),
            task: Box::new(task),
            schedule,
            due: Duration::ZERO,
            backoff,
            eager: false,
        };
        self.started.lock().unwrap_or_else(PoisonError::into_inner).push(stepped);
        handle
    }
}

impl Drop for Stepper {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::collections::VecDeque;
    use std::sync::Arc;

    type Script = Arc<Mutex<VecDeque<Result<Ran, TaskError>>>>;

    struct Scripted(Script, Arc<Mutex<u32>>);

    #[async_trait]
    impl Task for Scripted {
        fn name(&self) -> String {
            "scripted".into()
        }

        async fn run(&mut self, _round: &Round) -> Result<Ran, TaskError> {
            *self.1.lock().unwrap() += 1;
            self.0.lock().unwrap().pop_front().unwrap_or(Ok(Ran::Idle))
        }
    }

    fn scripted(stepper: &Stepper, script: Vec<Result<Ran, TaskError>>) -> (TaskHandle, Arc<Mutex<u32>>) {
        let rounds = Arc::new(Mutex::new(0));
        let script = Arc::new(Mutex::new(script.into()));
        let task = Scripted(script, rounds.clone());
        (stepper.spawn(task, Schedule::every(Duration::from_secs(10))), rounds)
    }

    #[tokio::test]
    async fn a_task_runs_when_it_is_due_and_when_it_is_woken() {
        let mut stepper = Stepper::new();
        let (handle, rounds) = scripted(&stepper, vec![Ok(Ran::Busy), Ok(Ran::After(Duration::from_secs(3)))]);
        assert!(stepper.run_due(Duration::from_secs(100)).await.is_empty());
        assert_eq!(*rounds.lock().unwrap(), 2, "busy: once more at the same time");
        stepper.run_due(Duration::from_secs(102)).await;
        assert_eq!(*rounds.lock().unwrap(), 2);
        stepper.run_due(Duration::from_secs(103)).await;
        assert_eq!(*rounds.lock().unwrap(), 3);
        handle.wake();
        stepper.run_due(Duration::from_secs(104)).await;
        assert_eq!(*rounds.lock().unwrap(), 4);
        assert_eq!(stepper.next_due(), Some(Duration::from_secs(114)));
    }

    #[tokio::test]
    async fn a_failed_task_waits_out_its_back_off_on_the_driven_clock() {
        let mut stepper = Stepper::new();
        let fault = || Err(TaskError { code: "down".into(), text: "down".into(), retry_after: None });
        let (_, rounds) = scripted(&stepper, vec![fault(), fault()]);
        let at = |ms| Duration::from_secs(100) + Duration::from_millis(ms);
        assert_eq!(stepper.run_due(at(0)).await.len(), 1);
        stepper.run_due(at(199)).await;
        assert_eq!(*rounds.lock().unwrap(), 1);
        stepper.run_due(at(200)).await;
        stepper.run_due(at(599)).await;
        assert_eq!(*rounds.lock().unwrap(), 2, "the second wait is twice the first");
        stepper.run_due(at(600)).await;
        assert_eq!(*rounds.lock().unwrap(), 3);
    }
}
