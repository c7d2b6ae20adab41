//! A real broker for the tests, by `deploy/dev/kafka.sh`: one for all tests of this program, others for those that stop theirs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Names a cluster that is there already; its topics get names of their own.
const ELSEWHERE: &str = "KAFKA_BOOTSTRAP_SERVERS";

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/dev/kafka.sh")
}

/// A broker that ends with this process, at the latest.
pub struct Broker {
    dir: PathBuf,
    addresses: BTreeMap<String, String>,
    // Its standard input is held open: when that ends, the script stops the broker.
    _running: Child,
}

impl Broker {
    /// Starts a broker; a test that can't have one fails.
    pub fn start(options: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kafka-{}-{number}", std::process::id()));
        let mut running = Command::new(script())
            .arg("run")
            .arg(&dir)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("deploy/dev/kafka.sh can be started");
        let mut addresses = BTreeMap::new();
        for line in BufReader::new(running.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let (name, address) =
                line.split_once('=').unwrap_or_else(|| panic!("an address of the broker, not {line}"));
            addresses.insert(name.to_owned(), address.to_owned());
        }
        assert!(
            addresses.contains_key("PLAINTEXT"),
            "no Kafka broker for the tests: deploy/dev/kafka.sh says why above; deploy/dev/install.sh brings what it needs, or {ELSEWHERE} names a cluster"
        );
        Self { dir, addresses, _running: running }
    }

    /// Its address by the name of the listener.
    pub fn address(&self, listener: &str) -> &str {
        &self.addresses[listener]
    }

    /// A file of its secrets.
    pub fn secret(&self, name: &str) -> PathBuf {
        self.dir.join("tls").join(name)
    }

    /// Stops it, or one node of it.
    pub fn stop(&self, node: Option<u32>) {
        self.script("stop", node.map(|node| node.to_string()));
    }

    /// Starts what was stopped, on the same ports and data.
    pub fn start_again(&self) {
        self.script("start", None);
    }

    fn script(&self, command: &str, node: Option<String>) {
        let done = Command::new(script()).arg(command).arg(&self.dir).args(node).stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "kafka.sh {command}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

/// The broker that all tests share, with secure listeners too. Who comes by those has the rights that docs/kafka.md asks for and no others, on names
/// that begin with `t`, as those of all tests do but of one.
pub fn shared() -> &'static Broker {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    SHARED.get_or_init(|| Broker::start(&["--secure", "--prefix", "t"]))
}

/// The brokers to test against: those that are named, or the shared one.
pub fn bootstrap_servers() -> String {
    match std::env::var(ELSEWHERE) {
        Ok(servers) if !servers.is_empty() => servers,
        _ => shared().address("PLAINTEXT").to_owned(),
    }
}
