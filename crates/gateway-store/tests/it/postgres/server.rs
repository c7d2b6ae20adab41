//! One PostgreSQL for the test binary, and databases in it.
//!
//! `DATABASE_URL` names a server whose user may create databases; without it `deploy/dev/postgres.sh` starts one, which ends with this process. There is
//! no third way: without a server these tests fail.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Who owns the databases of the tests: an ordinary user, so that whatever needs more rights than are documented fails.
pub const OWNER: &str = "gateway_test_owner";

/// A server that this process started or was told of.
pub struct Server {
    url: String,
}

impl Server {
    /// The one that all tests share.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("DATABASE_URL") {
            Ok(url) => Server { url },
            Err(_) => Owned::start().server,
        })
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        let (head, query) =
            self.url.split_once('?').map_or((&*self.url, String::new()), |(head, query)| (head, format!("?{query}")));
        let (server, _) = head.rsplit_once('/').expect("DATABASE_URL names a database");
        format!("{server}/{database}{query}")
    }

    /// The address of a database for a user who is made as docs/postgres.md says, and no more.
    pub fn url_of_owner(&self, database: &str) -> String {
        self.url_as(&format!("{OWNER}:plain"), database)
    }

    /// Makes that user, unless another test process has.
    pub async fn make_owner(&self) {
        let make = format!("CREATE ROLE {OWNER} LOGIN PASSWORD 'plain'");
        self.run(format!("DO $$ BEGIN {make}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"))
            .await;
    }

    /// The address of a database for another user, without password.
    pub fn url_as(&self, user: &str, database: &str) -> String {
        let url = self.url(database);
        let (scheme, rest) = url.split_once("://").unwrap();
        let place = rest.split_once('@').map_or(rest, |(_, place)| place);
        format!("{scheme}://{user}@{place}")
    }

    /// A session in the database that the address names.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the server for the tests can't be reached")
    }

    /// Runs statements there.
    pub async fn run(&self, sql: String) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Runs a statement in a database.
    pub async fn run_in(&self, database: &str, sql: &'static str) {
        let mut connection = PgConnection::connect(&self.url(database)).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The name of a database that there was not.
    pub fn fresh(what: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        format!("gateway_test_{process}_{next}_{what}")
    }
}

/// A server of a test's own, to be stopped and started.
pub struct Owned {
    pub directory: PathBuf,
    pub server: Server,
}

impl Owned {
    /// Starts one; it ends with this process at the latest.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap().keep();
        Self { server: Server { url: script_start(&directory, &[], &[]) }, directory }
    }

    /// Starts one that is reached over TLS only. Its address asks for the certificate of the authority `tls/ca.pem` in its directory; another authority,
    /// that signed nothing, is `tls/other-ca.pem`.
    pub fn start_with_tls() -> Self {
        let directory = tempfile::tempdir().unwrap().keep();
        Self { server: Server { url: script_start(&directory, &["-t"], &[]) }, directory }
    }

    /// Stops it; what is committed stays.
    pub fn stop(&self) {
        script(&["stop".as_ref(), self.directory.as_os_str()]);
    }

    /// Starts it again where it was.
    pub fn start_again(&self) {
        let port = self.server.url.rsplit_once(':').unwrap().1.split_once('/').unwrap().0;
        assert_eq!(script_start(&self.directory, &[], &[("POSTGRES_PORT", port)]), self.server.url);
    }
}

fn script_start(directory: &Path, more: &[&str], environment: &[(&str, &str)]) -> String {
    let process = std::process::id().to_string();
    let mut command = script_command();
    command.arg("start").arg(directory).args(more).args(["-u", &process]);
    // Nothing here survives the machine, and every test makes a database.
    command.args(["-c", "fsync=off", "-c", "max_connections=200", "-c", "shared_buffers=64MB"]);
    command.envs(environment.iter().copied());
    finish(command)
}

fn script(arguments: &[&std::ffi::OsStr]) -> String {
    let mut command = script_command();
    command.args(arguments);
    finish(command)
}

fn script_command() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/dev/postgres.sh"))
}

fn finish(mut command: Command) -> String {
    let done = command.output().unwrap();
    let (said, complained) = (String::from_utf8(done.stdout).unwrap(), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?} failed: {complained}");
    said.trim().to_owned()
}
