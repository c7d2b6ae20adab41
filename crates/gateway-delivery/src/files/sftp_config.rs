//! How a box is reached over SFTP.

use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// `[channel.files.sftp]`. The box's directory is then the server's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftpConfig {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    #[serde(default = "port")]
    pub port: u16,
    /// Whom we log in as.
    pub user: String,
    /// The file with the private key, in OpenSSH's form.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// The file with the user's password, or with the passphrase of the key.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// The server's keys, as OpenSSH keeps them; a server with another key is refused.
    pub known_hosts_file: PathBuf,
    /// How long logging in, or an answer, may take.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// More of what OpenSSH's client can be told, as `KexAlgorithms=+diffie-hellman-group14-sha1`.
    #[serde(default)]
    pub options: Vec<String>,
}

fn port() -> u16 {
    22
}

fn timeout_ms() -> u64 {
    30_000
}

impl SftpConfig {
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// The paths that are relative to the configuration.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.key_file.iter_mut().chain(&mut self.secret_file).chain(std::iter::once(&mut self.known_hosts_file))
    }

    /// Every mistake in it, by key.
    pub(super) fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut mistakes = Vec::new();
        for (key, text) in [("sftp.host", &self.host), ("sftp.user", &self.user)] {
            // They stand on a command line.
            if text.is_empty()
                || text.starts_with('-')
                || text.chars().any(|letter| letter.is_whitespace() || letter.is_control())
            {
                mistakes.push((
                    key,
                    format!("`{text}` is no name: neither empty, nor with spaces, nor with a dash at its beginning"),
                ));
            }
        }
        if self.key_file.is_none() && self.secret_file.is_none() {
            mistakes.push((
                "sftp.key_file",
                "is missing: name the file of the private key, or `secret_file` with the password".to_owned(),
            ));
        }
        if self.known_hosts_file.as_os_str().is_empty() {
            mistakes.push(("sftp.known_hosts_file", "is empty: an unknown server is never trusted".to_owned()));
        }
        if self.port == 0 {
            mistakes.push(("sftp.port", "must be at least 1".to_owned()));
        }
        if !(1_000..=600_000).contains(&self.timeout_ms) {
            mistakes.push(("sftp.timeout_ms", "must be 1000 to 600000".to_owned()));
        }
        for option in &self.options {
            let name = option.split('=').next().unwrap_or_default();
            let trust = [
                "stricthostkeychecking",
                "userknownhostsfile",
                "globalknownhostsfile",
                "verifyhostkeydns",
                "updatehostkeys",
            ];
            if !option.contains('=') || option.chars().any(char::is_control) {
                mistakes.push(("sftp.options", format!("`{option}` is no option as `Name=value`")));
            } else if trust.contains(&name.trim().to_ascii_lowercase().as_str()) {
                mistakes.push(("sftp.options", format!("`{name}` decides whom we trust, and is not changed here")));
            }
        }
        mistakes
    }
}
