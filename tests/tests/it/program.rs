//! The program under test, and processes that never outlive their test.

use rand::RngExt as _;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Scenarios that measure time against a whole demo go one by one; the others go beside each other, but never beside those.
static MACHINE: RwLock<()> = RwLock::const_new(());

/// The machine for one scenario alone.
pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().await
}

/// The machine shared with other small scenarios.
pub async fn together() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().await
}

/// The program, built with the profile of these tests and with the switches of the defences; `GATEWAY_E2E_PROGRAM` names another one.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(program) = std::env::var_os("GATEWAY_E2E_PROGRAM") {
            return PathBuf::from(program);
        }
        let own = std::env::current_exe().expect("a test binary has a path");
        let profile_dir = own.parent().and_then(Path::parent).expect("it lies in TARGET/PROFILE/deps");
        let target = profile_dir.parent().expect("it lies in TARGET/PROFILE/deps");
        let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(name) => name,
        };
        let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--package", "gateway-server", "--bin", "hotline-gateway"])
            .args(["--features", "defence-switches,kafka-tls", "--profile", profile])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("CARGO_TARGET_DIR", target)
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the program under test could not be built");
        profile_dir.join("hotline-gateway")
    })
}

/// Runs the program to its end and returns its code, standard output and standard error.
pub fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(program()).args(arguments).stdin(Stdio::null()).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// The seed of a scenario: `GATEWAY_E2E_SEED`, or a new one. Printed, so that a failure can be played again.
pub fn seed(scenario: &str) -> u64 {
    let given = std::env::var("GATEWAY_E2E_SEED").ok();
    let seed = given.map_or_else(
        || u64::from(rand::rng().random::<u32>()),
        |seed| seed.parse().expect("GATEWAY_E2E_SEED is a number"),
    );
    println!("{scenario}: GATEWAY_E2E_SEED={seed}");
    seed
}

/// A directory that is kept when its test fails.
pub struct Scratch(Option<tempfile::TempDir>);

impl Scratch {
    /// An empty one.
    pub fn new() -> Self {
        Self(Some(tempfile::Builder::new().prefix("gateway-e2e-").tempdir().expect("a temporary directory")))
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.as_ref().expect("it is there until it is dropped").path().join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let (true, Some(dir)) = (std::thread::panicking(), self.0.take()) {
            println!("kept for a look: {}", dir.keep().display());
        }
    }
}

/// A process that is killed when it is dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts it, its output appended to two files.
    pub fn start(command: &mut Command, out: &Path, err: &Path) -> Self {
        let append = |file: &Path| File::options().create(true).append(true).open(file).expect("a log can be written");
        let child = command.stdin(Stdio::null()).stdout(append(out)).stderr(append(err)).spawn();
        Self { child: child.expect("the process starts") }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("a child can be waited for");
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for its end.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let pid = self.pid();
        wait_for(&format!("the end of process {pid}"), within, async || self.has_ended()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process that may be gone already.
pub fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process number");
    let _ = kill_process(pid, signal);
}

/// Whether a process runs that names this directory; a number alone may have gone to another process.
pub fn runs_in(pid: u64, dir: &Path) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    String::from_utf8_lossy(&line).contains(&dir.display().to_string())
}

/// What a shell would show.
pub fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Looks again and again until it sees what it waits for; how long that takes is no matter, but the deadline.
pub async fn wait_for<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: not within {} s", within.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Runs SQL on a database by the `sqlite3` shell (deploy/dev/install.sh brings it): a hand other than ours.
pub fn sql(database: &Path, statement: &str) -> String {
    let output =
        Command::new("sqlite3").args(["-batch", "-cmd", ".timeout 10000"]).arg(database).arg(statement).output();
    let output = output.expect("sqlite3 is installed: see deploy/dev/install.sh");
    assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}
