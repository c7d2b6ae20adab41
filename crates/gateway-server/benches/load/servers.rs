//! What a gateway on Kafka and PostgreSQL has for itself: a database and a beginning of names, so that no measurement finds what another left.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The servers that the environment names; either may be missing.
pub struct Servers {
    pub kafka: Option<String>,
    pub database: Option<Database>,
    /// Before the names of topics and groups.
    pub prefix: String,
}

impl Servers {
    pub fn prepare() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("load_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let database = std::env::var("DATABASE_URL").ok().map(|server| Database::make(&server, &name));
        Self { kafka: std::env::var("KAFKA_BOOTSTRAP_SERVERS").ok(), database, prefix: format!("{name}.") }
    }

    /// Which engines, in the words of the configuration.
    pub fn config(&self) -> String {
        let mut text = String::new();
        if self.database.is_some() {
            text.push_str("store.engine = \"postgres\"\nstore.database_url_file = \"secrets/database.url\"\n");
        }
        if let Some(servers) = &self.kafka {
            text.push_str(&format!(
                "bus.engine = \"kafka\"\nbus.kafka.bootstrap_servers = \"{servers}\"\nbus.kafka.prefix = \"{}\"\n\
                 bus.kafka.replication = 1\nbus.kafka.min_insync = 1\n",
                self.prefix
            ));
        }
        text
    }
}

/// A database that is removed in the end.
pub struct Database {
    server: String,
    name: String,
    pub url: String,
}

impl Database {
    /// Makes it on a server; the user must be allowed to, and to ask for a checkpoint.
    fn make(server: &str, name: &str) -> Self {
        Psql::open(server).ask(&format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0"));
        let (head, query) = server.split_once('?').map_or((server, String::new()), |(a, b)| (a, format!("?{b}")));
        let (place, _) = head.rsplit_once('/').expect("DATABASE_URL names a database");
        Self { server: server.to_owned(), name: name.to_owned(), url: format!("{place}/{name}{query}") }
    }

    pub fn session(&self) -> Psql {
        Psql::open(&self.url)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A failing measurement says why; that it leaves a database is the lesser trouble.
        if !std::thread::panicking() {
            Psql::open(&self.server).ask(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

/// A session by PostgreSQL's own client: this package has no driver.
pub struct Psql {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

const END: &str = "-- end";

impl Psql {
    fn open(url: &str) -> Self {
        let mut command = Command::new("psql");
        command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", url]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("psql runs (Debian package postgresql-client)");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, input, output }
    }

    /// Runs a statement and returns the lines that it answers.
    pub fn ask(&mut self, sql: &str) -> String {
        let input = self.input.as_mut().expect("open");
        writeln!(input, "{sql};\n\\echo {END}").and_then(|()| input.flush()).expect("psql listens");
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).expect("psql answers") > 0, "psql ended at: {sql}");
            match line.trim_end() {
                END => return lines.join("\n"),
                line => lines.push(line.to_owned()),
            }
        }
    }

    pub fn number(&mut self, sql: &str) -> u64 {
        let said = self.ask(sql);
        said.parse().unwrap_or_else(|_| panic!("a number was asked for by {sql}, and came: {said}"))
    }

    /// Bytes of WAL that the server has written so far.
    pub fn wal(&mut self) -> u64 {
        self.number("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
    }

    /// The process of the server, of which its sessions are children.
    pub fn postmaster(&mut self) -> u64 {
        self.number("SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)")
    }
}

impl Drop for Psql {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
