//! A real program on loopback, in a directory of its own, ended with the test.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Program {
    child: Child,
    log: std::path::PathBuf,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens to now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Program {
    /// Starts it; fails with what to install where it is missing.
    pub fn start(command: &mut Command, directory: &Path, package: &str) -> Self {
        let log = directory.join("program.log");
        let file = std::fs::File::create(&log).unwrap();
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).spawn();
        let child = child.unwrap_or_else(|error| {
            panic!(
                "{name} can't be started ({error}): install the Debian package {package}, or run deploy/dev/install.sh"
            )
        });
        Self { child, log }
    }

    /// Waits until it is ready, and fails with its log when it ends or takes too long.
    pub async fn until<F: Future<Output = bool>>(&mut self, package: &str, ready: impl Fn() -> F) {
        let begun = Instant::now();
        while !ready().await {
            let ended = self.child.try_wait().unwrap();
            let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(
                ended.is_none(),
                "it ended ({ended:?}): is the Debian package {package} installed (deploy/dev/install.sh)?\n{}",
                log()
            );
            assert!(begun.elapsed() < Duration::from_secs(30), "it is not ready\n{}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Whether somebody listens.
pub async fn listens(port: u16) -> bool {
    tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
}
