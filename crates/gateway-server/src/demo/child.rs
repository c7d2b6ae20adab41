//! A supervised child: started again when it dies, and unable to outlive its supervisor.
//!
//! Its standard input is a pipe that nobody writes to; when the supervisor dies, however it dies, the pipe ends and the child with it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// Between a death and the next start; longer for each death soon after a start.
const RESTART_WAIT: Duration = Duration::from_millis(100);
/// A child that lived this long had started well.
const SOON: Duration = Duration::from_secs(2);
const END_PATIENCE: Duration = Duration::from_secs(10);

/// What is run.
#[derive(Debug, Clone)]
pub struct ChildSpec {
    /// The name in `demo.json` and of the log file.
    pub name: &'static str,
    /// The arguments of this program.
    pub arguments: Vec<String>,
    /// Where its output goes.
    pub log: PathBuf,
}

/// What is known of a running child.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChildState {
    /// The process, while it runs.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u64,
    /// How often in a row it died soon after its start: many mean that it can't start at all.
    pub early_deaths: u32,
}

/// A child and its supervision.
#[derive(Debug)]
pub struct Supervised {
    /// What is run.
    pub spec: ChildSpec,
    state: Arc<Mutex<ChildState>>,
    task: tokio::task::JoinHandle<()>,
}

impl Supervised {
    /// Starts the child. `changed` is called whenever its process changes.
    ///
    /// # Errors
    /// When it can't be started the first time.
    pub fn start(
        spec: ChildSpec,
        stop: CancellationToken,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(ChildState::default()));
        let first = spawn(&spec)?;
        set(&state, |state| state.pid = first.id());
        let task = tokio::spawn(supervise(spec.clone(), first, state.clone(), stop, changed));
        Ok(Self { spec, state, task })
    }

    /// What is known of it now.
    #[must_use]
    pub fn state(&self) -> ChildState {
        self.observer().state()
    }

    /// Sees what is known of it, apart from it.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer { name: self.spec.name, state: self.state.clone() }
    }

    /// Waits until it has ended after a stop.
    pub async fn ended(self) {
        if let Err(error) = self.task.await {
            tracing::warn!(child = self.spec.name, %error, "the supervision of a child failed");
        }
    }
}

/// Sees the state of a child.
#[derive(Debug, Clone)]
pub struct Observer {
    /// The child's name.
    pub name: &'static str,
    state: Arc<Mutex<ChildState>>,
}

impl Observer {
    /// What is known of it now.
    #[must_use]
    pub fn state(&self) -> ChildState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spawn(spec: &ChildSpec) -> io::Result<Child> {
    let log = File::options().create(true).append(true).open(&spec.log)?;
    Command::new(own_program()?)
        .args(&spec.arguments)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
}

// The program may have been replaced on disk while it runs; the link still names it.
fn own_program() -> io::Result<PathBuf> {
    let link = Path::new("/proc/self/exe");
    if link.exists() { Ok(link.to_owned()) } else { std::env::current_exe() }
}

fn set(state: &Mutex<ChildState>, change: impl FnOnce(&mut ChildState)) {
    change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
}

async fn supervise(
    spec: ChildSpec,
    mut child: Child,
    state: Arc<Mutex<ChildState>>,
    stop: CancellationToken,
    changed: impl Fn() + Send + Sync + 'static,
) {
    loop {
        changed();
        // Held here: waiting for a child would close its standard input, which tells it to end.
        let input = child.stdin.take();
        let started = Instant::now();
        tokio::select! {
            status = child.wait() => {
                tracing::debug!(child = spec.name, ?status, "a child ended; starting it again");
            }
            () = stop.cancelled() => {
                drop(input);
                end(&spec, child).await;
                return;
            }
        }
        let mut wait = RESTART_WAIT;
        set(&state, |state| {
            state.pid = None;
            state.early_deaths = if started.elapsed() < SOON { state.early_deaths + 1 } else { 0 };
            wait = RESTART_WAIT * (state.early_deaths + 1).min(10);
        });
        child = loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
            match spawn(&spec) {
                Ok(child) => break child,
                Err(error) => tracing::warn!(child = spec.name, %error, "a child could not be started again"),
            }
        };
        set(&state, |state| {
            state.pid = child.id();
            state.restarts += 1;
        });
    }
}

async fn end(spec: &ChildSpec, mut child: Child) {
    if tokio::time::timeout(END_PATIENCE, child.wait()).await.is_err() {
        tracing::warn!(child = spec.name, "a child did not end in time and is killed");
        if let Err(error) = child.kill().await {
            tracing::warn!(child = spec.name, %error, "a child could not be killed");
        }
    }
}
