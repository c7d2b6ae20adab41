//! The servers of a demo on the scaled engines: a broker and a database of its own, by the scripts of `deploy/dev/`.

use crate::Failure;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long a server may take to start.
const START_PATIENCE: Duration = Duration::from_secs(180);
/// How long the broker may take to end, once its input has.
const END_PATIENCE: Duration = Duration::from_secs(60);

/// Running servers. The broker ends with this process at the latest; the database with it too, or at [`Servers::stop`] where the demo's directory is
/// kept.
#[derive(Debug)]
pub struct Servers {
    bootstrap: String,
    database_url: String,
    broker: Child,
    scripts: PathBuf,
    database: PathBuf,
}

impl Servers {
    /// The address of the database, in a file of its own, and what a gateway's configuration says of both; `secret` is the file's path as the
    /// configuration names it.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn configure(&self, file: &Path, secret: &str) -> std::io::Result<String> {
        std::fs::write(file, &self.database_url)?;
        Ok(format!(
            r#"
[bus]
engine = "kafka"

[bus.kafka]
bootstrap_servers = "{}"
replication = 1
min_insync = 1
heartbeat_ms = 200
session_timeout_ms = 6000

[store]
engine = "postgres"
database_url_file = "{secret}"
"#,
            self.bootstrap
        ))
    }

    /// Starts both in the demo's directory; with `temporary`, the database's files go when this process ends, however it ends.
    ///
    /// # Errors
    /// With what is missing, when one of them does not start.
    pub async fn start(dir: &Path, temporary: bool) -> Result<Self, Failure> {
        if !cfg!(all(feature = "kafka", feature = "postgres")) {
            return Err(Failure::told(
                "本程序编译时未包含 Kafka 或 PostgreSQL：请用 cargo run --release --features kafka -- demo --engines scaled",
                "this program was built without Kafka or PostgreSQL: use cargo run --release --features kafka -- demo --engines scaled",
            ));
        }
        let scripts = scripts()?;
        let database = dir.join("postgres");
        // PostgreSQL refuses to run as root; the user that it runs as then must reach its files through this directory, and read nothing else here.
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o711))?;
        if database.join("data").exists() {
            // Of a demo in this directory that was killed.
            Command::new(scripts.join("postgres.sh")).arg("stop").arg(&database).status().await?;
        }
        let mut start = Command::new(scripts.join("postgres.sh"));
        start.arg("start").arg(&database);
        if temporary {
            start.args(["-u", &std::process::id().to_string()]);
        }
        let started = start.stdin(Stdio::null()).output();
        let started = tokio::time::timeout(START_PATIENCE, started).await.map_err(|_| late("PostgreSQL"))??;
        let told = String::from_utf8_lossy(&started.stdout);
        let Some(database_url) = told.lines().find(|line| line.starts_with("postgres://")).map(str::to_owned) else {
            let why = String::from_utf8_lossy(&started.stderr);
            return Err(Failure(format!("PostgreSQL did not start: {}", why.trim())));
        };
        let mut broker = Command::new(scripts.join("kafka.sh"))
            .arg("run")
            .arg(dir.join("kafka"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let told = broker.stdout.take().ok_or_else(|| Failure("the broker's script has no output".into()))?;
        let mut told = BufReader::new(told).lines();
        let address = async {
            while let Some(line) = told.next_line().await? {
                if let Some(address) = line.strip_prefix("PLAINTEXT=") {
                    return Ok(address.to_owned());
                }
            }
            Err(Failure("Apache Kafka did not start: what its script says stands above; deploy/dev/install.sh installs what it needs".into()))
        };
        let bootstrap = tokio::time::timeout(START_PATIENCE, address).await.map_err(|_| late("Apache Kafka"))??;
        // Whatever it says later is read, so that it never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = told.next_line().await {} });
        Ok(Self { bootstrap, database_url, broker, scripts, database })
    }

    /// Stops both.
    pub async fn stop(mut self) {
        drop(self.broker.stdin.take());
        if tokio::time::timeout(END_PATIENCE, self.broker.wait()).await.is_err() {
            tracing::warn!("the broker did not end in time and is killed");
        }
        let stopped = Command::new(self.scripts.join("postgres.sh")).arg("stop").arg(&self.database).status().await;
        if !stopped.as_ref().is_ok_and(std::process::ExitStatus::success) {
            tracing::warn!(?stopped, directory = %self.database.display(), "PostgreSQL was not stopped");
        }
    }
}

fn late(server: &str) -> Failure {
    Failure(format!("{server} did not start within {} s", START_PATIENCE.as_secs()))
}

/// The scripts of the source tree: below the present directory or one above it, or above the program.
fn scripts() -> Result<PathBuf, Failure> {
    let (here, program) = (std::env::current_dir()?, std::env::current_exe()?);
    let found = here.ancestors().chain(program.ancestors()).map(|dir| dir.join("deploy/dev"));
    let found = found.into_iter().find(|dir| dir.join("kafka.sh").is_file() && dir.join("postgres.sh").is_file());
    found.ok_or_else(|| {
        Failure::told(
            "找不到 deploy/dev/kafka.sh 与 deploy/dev/postgres.sh：请在源代码目录中运行 demo --engines scaled",
            "deploy/dev/kafka.sh and deploy/dev/postgres.sh are not there: run demo --engines scaled in the source tree",
        )
    })
}
