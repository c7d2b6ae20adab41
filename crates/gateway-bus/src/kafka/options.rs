//! The configuration section of the engine on Apache Kafka.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Settings of the engine on Apache Kafka; every field but `bootstrap_servers` has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaOptions {
    /// `host:port` of some brokers, with commas between; the others are found by them.
    pub bootstrap_servers: String,
    /// How this installation is called in the brokers' logs and quotas.
    pub client_id: String,
    /// Stands before the names of topics and groups, so that several installations can share a cluster and rights can be given by prefix.
    pub prefix: String,
    /// A name of this replica that stays the same when it is started again. With it, a restart within `session_timeout_ms` moves no partition
    /// (static membership); without it, a reader that leaves hands over at once.
    pub instance: Option<String>,
    /// On how many brokers each partition of a topic is kept.
    pub replication: u16,
    /// How many of them must hold a message before it counts as appended.
    pub min_insync: u16,
    /// Whether topics are created and brought in line with these settings; otherwise they are only checked, and what is wrong is told.
    pub manage_topics: bool,
    /// The broker starts a new segment after this many seconds. Whole segments are dropped, so this is also the grain of retention.
    pub segment_seconds: u64,
    /// How messages are compressed on their way and in the log.
    pub compression: Compression,
    /// How many milliseconds an append waits for others to travel with.
    pub linger_ms: u32,
    /// Appends under way hold at most this many bytes; further ones wait before they are taken in.
    pub queue_bytes: u32,
    /// The largest message in bytes, key and headers included; a larger one is refused.
    pub message_bytes: u32,
    /// One fetch returns about this many bytes at most, and always at least one message.
    pub fetch_bytes: u64,
    /// A reader holds about this many bytes that it has not handed out yet; beyond it, partitions are paused.
    pub read_ahead_bytes: u32,
    /// How long an append is tried, in milliseconds.
    pub append_timeout_ms: u32,
    /// How long any other question to the brokers may take, in milliseconds.
    pub request_timeout_ms: u32,
    /// A reader that was not heard of for this many milliseconds has lost its partitions.
    pub session_timeout_ms: u32,
    /// How often a reader is heard of, in milliseconds; also how soon it notices that partitions are dealt anew.
    pub heartbeat_ms: u32,
    /// A reader that did not fetch for this many milliseconds has lost its partitions: longer than the longest work on what one fetch brought.
    pub max_poll_ms: u32,
    /// How far back guards are looked for at a start, in seconds; no guard may be remembered for longer.
    pub guard_seconds: u64,
    /// How often the clients' own figures become metrics, in milliseconds.
    pub statistics_ms: u32,
    /// How the brokers know us, and we them.
    pub security: Security,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            bootstrap_servers: String::new(),
            client_id: "hotline-gateway".into(),
            prefix: String::new(),
            instance: None,
            replication: 3,
            min_insync: 2,
            manage_topics: true,
            segment_seconds: 86_400,
            compression: Compression::Zstd,
            linger_ms: 2,
            queue_bytes: 32 << 20,
            message_bytes: 16 << 20,
            fetch_bytes: 8 << 20,
            read_ahead_bytes: 16 << 20,
            append_timeout_ms: 30_000,
            request_timeout_ms: 10_000,
            session_timeout_ms: 30_000,
            heartbeat_ms: 1_000,
            max_poll_ms: 300_000,
            guard_seconds: 86_400,
            statistics_ms: 10_000,
            security: Security::default(),
        }
    }
}

/// How messages are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Smallest.
    Zstd,
    /// Quickest.
    Lz4,
    /// As they are.
    None,
}

#[cfg(feature = "kafka")]
impl Compression {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::None => "none",
        }
    }
}

/// How the brokers know us, and we them. Secrets stand in files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Security {
    /// Whether the connection is encrypted. Everything but `sasl_mechanism = "plain"` and no security at all needs a program that was built
    /// with the feature `kafka-tls`.
    pub tls: bool,
    /// The authority that signed the brokers' certificates (PEM); the system's authorities where absent.
    pub ca_file: Option<PathBuf>,
    /// Our certificate (PEM), where the brokers want one.
    pub certificate_file: Option<PathBuf>,
    /// Its key (PEM).
    pub key_file: Option<PathBuf>,
    /// The password of the key, where it has one.
    pub key_password_file: Option<PathBuf>,
    /// How a user is made known; none where absent.
    pub sasl_mechanism: Option<SaslMechanism>,
    /// The user.
    pub username: Option<String>,
    /// The user's password.
    pub password_file: Option<PathBuf>,
}

/// How a user is made known to the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SaslMechanism {
    /// The password as it is; only over TLS.
    #[serde(rename = "plain")]
    Plain,
    /// The password is proved and never sent.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// The same with a longer hash.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

#[cfg(feature = "kafka")]
impl SaslMechanism {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl KafkaOptions {
    /// The defaults at these brokers.
    #[must_use]
    pub fn at(bootstrap_servers: impl Into<String>) -> Self {
        Self { bootstrap_servers: bootstrap_servers.into(), ..Self::default() }
    }

    /// The paths of files, so that relative ones can be made absolute.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let security = &mut self.security;
        [
            &mut security.ca_file,
            &mut security.certificate_file,
            &mut security.key_file,
            &mut security.key_password_file,
            &mut security.password_file,
        ]
        .into_iter()
        .flatten()
    }

    /// All that is wrong, as far as it can be told without asking a broker: the key within this section, and what to do.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut found: Vec<(&'static str, String)> = Vec::new();
        let mut check = |right: bool, key: &'static str, text: &str| {
            if !right {
                found.push((key, text.to_owned()));
            }
        };
        check(
            !self.bootstrap_servers.is_empty() && self.bootstrap_servers.split(',').all(is_address),
            "bootstrap_servers",
            "must name at least one broker as host:port; several with commas between",
        );
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        check(self.prefix.len() <= 60 && self.prefix.bytes().all(plain), "prefix", NAME);
        check(self.instance.as_ref().is_none_or(|name| !name.is_empty() && name.bytes().all(plain)), "instance", NAME);
        check((1..=16).contains(&self.replication), "replication", "must be 1 to 16");
        check(
            (1..=self.replication).contains(&self.min_insync),
            "min_insync",
            "must be at least 1 and at most `replication`, or nothing could ever be appended",
        );
        check(
            self.min_insync > 1 || self.replication <= 2,
            "min_insync",
            "must be at least 2 of 3 replicas: else a message that was appended is lost with one broker",
        );
        check((1..=7 * 86_400).contains(&self.segment_seconds), "segment_seconds", "must be 1 to 604800");
        check(self.linger_ms <= 1_000, "linger_ms", "must be at most 1000");
        check(self.queue_bytes >= 1 << 20, "queue_bytes", "must be at least 1048576");
        check(
            (1_024..=512 << 20).contains(&self.message_bytes),
            "message_bytes",
            "must be 1024 to 536870912; the brokers' own limit is set for our topics",
        );
        check(
            (1 << 20..=1 << 30).contains(&self.read_ahead_bytes),
            "read_ahead_bytes",
            "must be 1048576 to 1073741824",
        );
        check((1_000..=600_000).contains(&self.append_timeout_ms), "append_timeout_ms", "must be 1000 to 600000");
        check((500..=300_000).contains(&self.request_timeout_ms), "request_timeout_ms", "must be 500 to 300000");
        check(
            (1_000..=1_800_000).contains(&self.session_timeout_ms),
            "session_timeout_ms",
            "must be 1000 to 1800000, and within the brokers' group.min.session.timeout.ms and group.max.session.timeout.ms",
        );
        check(
            self.heartbeat_ms >= 10 && self.heartbeat_ms <= self.session_timeout_ms / 3,
            "heartbeat_ms",
            "must be at least 10 and at most a third of session_timeout_ms",
        );
        check(
            self.max_poll_ms >= self.session_timeout_ms && self.max_poll_ms <= 86_400_000,
            "max_poll_ms",
            "must be at least session_timeout_ms and at most 86400000",
        );
        check(self.guard_seconds >= 60, "guard_seconds", "must be at least 60");
        check((1_000..=600_000).contains(&self.statistics_ms), "statistics_ms", "must be 1000 to 600000");
        self.security.check(&mut check);
        found
    }
}

const NAME: &str = "must be letters, digits, dots, dashes and underscores: it stands in names on the brokers";

fn is_address(text: &str) -> bool {
    text.trim()
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

impl Security {
    fn check(&self, check: &mut impl FnMut(bool, &'static str, &str)) {
        let built = cfg!(feature = "kafka-tls");
        let scram = matches!(self.sasl_mechanism, Some(SaslMechanism::ScramSha256 | SaslMechanism::ScramSha512));
        check(built || !self.tls, "security.tls", "this program was built without the feature kafka-tls");
        check(
            built || !scram,
            "security.sasl_mechanism",
            "this program was built without the feature kafka-tls, which SCRAM needs",
        );
        check(
            self.tls || self.sasl_mechanism != Some(SaslMechanism::Plain),
            "security.sasl_mechanism",
            "plain would send the password in clear: set tls = true, or take scram-sha-512",
        );
        check(
            self.sasl_mechanism.is_none() || self.username.as_ref().is_some_and(|name| !name.is_empty()),
            "security.username",
            "is needed with sasl_mechanism",
        );
        check(
            self.sasl_mechanism.is_none() || self.password_file.is_some(),
            "security.password_file",
            "is needed with sasl_mechanism",
        );
        let user = self.username.is_some() || self.password_file.is_some();
        check(
            self.sasl_mechanism.is_some() || !user,
            "security.sasl_mechanism",
            "is needed with username and password_file",
        );
        check(
            self.certificate_file.is_some() || self.key_file.is_none(),
            "security.certificate_file",
            "is needed with key_file",
        );
        check(
            self.key_file.is_some() || self.certificate_file.is_none(),
            "security.key_file",
            "is needed with certificate_file",
        );
        check(
            self.key_file.is_some() || self.key_password_file.is_none(),
            "security.key_file",
            "is needed with key_password_file",
        );
        let files = self.ca_file.is_some() || self.certificate_file.is_some();
        check(self.tls || !files, "security.tls", "must be true for certificates to be used");
        for (key, file) in [
            ("security.ca_file", &self.ca_file),
            ("security.certificate_file", &self.certificate_file),
            ("security.key_file", &self.key_file),
            ("security.key_password_file", &self.key_password_file),
            ("security.password_file", &self.password_file),
        ] {
            let Some(path) = file else { continue };
            if let Err(error) = std::fs::File::open(path) {
                check(false, key, &format!("{} can't be read: {error}", path.display()));
            }
        }
    }
}
