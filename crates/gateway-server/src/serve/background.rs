//! The threads of the tasks: deciding a batch takes milliseconds of computing, which nobody who waits for an answer shall wait for.

use crate::Failure;
use tokio::runtime::{Builder, Handle, Runtime};

/// By how much the threads of the tasks step back behind those that answer, as `nice` counts.
const NICENESS: i32 = 5;

/// A runtime beside the one that answers pushes and the API: where processors are short, who asks comes first.
pub struct Background {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Background {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system refuses threads.
    pub fn start() -> Result<Self, Failure> {
        let step_back = || {
            // On Linux this is the thread's own. Where it is refused, the threads merely compete.
            if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
                tracing::debug!(%error, "the threads of the tasks keep their priority");
            }
        };
        let runtime =
            Builder::new_multi_thread().enable_all().thread_name("task").on_thread_start(step_back).build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Where tasks are started.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Nothing may block within another runtime; what did not end has been told as unfinished.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
