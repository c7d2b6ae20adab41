//! Child processes: this test program, told to run one test that does nothing otherwise.

use std::process::{Child, Command, Stdio};

/// Which part a child plays is in its environment; a value is handed over as text.
pub const DIR: &str = "GATEWAY_BUS_TEST_DIR";
/// The seed or number of the run.
pub const RUN: &str = "GATEWAY_BUS_TEST_RUN";

/// Starts the test `name` as a child. What it has to say comes by its standard error; the test harness writes to standard output.
pub fn spawn(name: &str, dir: &std::path::Path, run: u64) -> Child {
    let program = std::env::current_exe().unwrap();
    // The shell ignores SIGXFSZ, which a program inherits: a file size limit is then an error of write(2), like a full disk.
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(program)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(RUN, run.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The part of this process, when it is a child.
pub fn part() -> Option<(std::path::PathBuf, u64)> {
    let dir = std::env::var_os(DIR)?;
    let run = std::env::var(RUN).ok()?.parse().ok()?;
    Some((dir.into(), run))
}
