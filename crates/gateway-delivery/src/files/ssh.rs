//! A session with an SFTP server, through OpenSSH's own client `ssh`: keys, ciphers and the question whom we talk to are its business.
//!
//! Refused: SSH in this program. It would be a second stack of cryptography, of seventy crates and a release candidate among them, to be watched and
//! compiled by everybody for a door that few have.

use super::sftp_config::SftpConfig;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use russh_sftp::client::rawsession::RawSftpSession;
use russh_sftp::client::{Config, error::Error};
use sha2::Digest as _;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// So much of what the client complains of is kept.
const COMPLAINT: u64 = 8 * 1024;
/// A packet of the server's may be so long.
const PACKET: u32 = 256 * 1024;

/// A session.
pub(super) struct Session {
    pub(super) raw: RawSftpSession,
    /// Whether the server moves a file over another at once.
    pub(super) moves_over: bool,
    /// Whether it brings a file to disk when asked.
    pub(super) syncs: bool,
    child: std::sync::Mutex<Child>,
}

impl Session {
    /// Whether the client still runs.
    pub(super) fn lives(&self) -> bool {
        self.child.lock().is_ok_and(|mut child| matches!(child.try_wait(), Ok(None)))
    }

    /// Logs in.
    pub(super) async fn open(config: &SftpConfig) -> io::Result<Self> {
        let asking = config.secret_file.as_ref().map(|_| AskPass::new()).transpose()?;
        let mut child = command(config, asking.as_ref()).spawn().map_err(|error| {
            let text = format!("OpenSSH's client `ssh` can't be started (Debian: openssh-client): {error}");
            io::Error::new(error.kind(), text)
        })?;
        let missing = || io::Error::other("the client has no pipes");
        let stream = tokio::io::join(child.stdout.take().ok_or_else(missing)?, child.stdin.take().ok_or_else(missing)?);
        let complaints = child.stderr.take().ok_or_else(missing)?;
        let seconds = config.timeout_ms.div_ceil(1_000);
        let limits = Config { max_packet_len: PACKET, request_timeout_secs: seconds, ..Config::default() };
        let raw = RawSftpSession::new_with_config(stream, limits);
        let opened = tokio::select! {
            opened = timeout(config.timeout(), raw.init()) => opened,
            ended = child.wait() => {
                let code = ended.ok().and_then(|ended| ended.code());
                return Err(refused(config, complaint(complaints).await, code).await);
            }
        };
        let version = match opened {
            Ok(Ok(version)) => version,
            Ok(Err(Error::Timeout)) | Err(_) => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no login within {seconds} s")));
            }
            Ok(Err(error)) => {
                // The client is told apart from the server by whether it is still there.
                return match timeout(config.timeout(), child.wait()).await {
                    Ok(Ok(ended)) => Err(refused(config, complaint(complaints).await, ended.code()).await),
                    _ => Err(io::Error::other(error)),
                };
            }
        };
        // Read on, so that a client that complains is never held up.
        tokio::spawn(async move { complaint(complaints).await });
        let knows = |name: &str| version.extensions.contains_key(name);
        let (moves_over, syncs) = (knows("posix-rename@openssh.com"), knows("fsync@openssh.com"));
        Ok(Self { raw, moves_over, syncs, child: std::sync::Mutex::new(child) })
    }
}

fn command(config: &SftpConfig, asking: Option<&AskPass>) -> Command {
    let mut command = Command::new("ssh");
    // No configuration of a person's: what counts stands here.
    command.args(["-F", "none", "-x", "-a", "-T"]);
    let mut option = |name: &str, value: &str| {
        command.arg("-o").arg(format!("{name}={value}"));
    };
    option("StrictHostKeyChecking", "yes");
    option("UserKnownHostsFile", &quoted(&config.known_hosts_file));
    option("GlobalKnownHostsFile", "/dev/null");
    option("UpdateHostKeys", "no");
    option("IdentitiesOnly", "yes");
    option("IdentityAgent", "none");
    option("NumberOfPasswordPrompts", "1");
    option("ConnectTimeout", &config.timeout_ms.div_ceil(1_000).to_string());
    option("ServerAliveInterval", "15");
    option("ServerAliveCountMax", "3");
    match &config.key_file {
        Some(key) => {
            option("PreferredAuthentications", "publickey");
            option("IdentityFile", &quoted(key));
        }
        None => option("PreferredAuthentications", "keyboard-interactive,password"),
    }
    option("BatchMode", if asking.is_some() { "no" } else { "yes" });
    for more in &config.options {
        command.arg("-o").arg(more);
    }
    if let (Some(asking), Some(secret)) = (asking, &config.secret_file) {
        command
            .env("SSH_ASKPASS", &asking.0)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("GATEWAY_SFTP_SECRET_FILE", secret);
    }
    command.arg("-p").arg(config.port.to_string()).arg("-l").arg(&config.user).args(["-s", "--", &config.host, "sftp"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// As a value of an option: a path may hold spaces.
fn quoted(path: &std::path::Path) -> String {
    // Percents stand for something there.
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

async fn complaint(complaints: ChildStderr) -> String {
    let mut bytes = Vec::new();
    let mut complaints = complaints;
    // What can't be read of a complaint is not worth another.
    let _ = (&mut complaints).take(COMPLAINT).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut complaints, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Why the client gave up, in words that say what to do.
async fn refused(config: &SftpConfig, complaint: String, code: Option<i32>) -> io::Error {
    if complaint.contains("Host key verification failed") || complaint.contains("host key is known for") {
        let what = if complaint.contains("HAS CHANGED") { "is another than the one" } else { "is not among those" };
        let keys = keys_of(config).await;
        let text = format!(
            "the key of the server {what} in {}, so it is not trusted. The server shows: {}. Ask the other side for its fingerprint on another way; where it is the same, \
             put the line of `ssh-keyscan -p {} {}` into that file",
            config.known_hosts_file.display(),
            if keys.is_empty() { "no key that could be read".to_owned() } else { keys.join(", ") },
            config.port,
            config.host
        );
        return io::Error::new(io::ErrorKind::PermissionDenied, text);
    }
    let said: Vec<&str> = complaint.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said: String = said.join("; ").chars().filter(|letter| !letter.is_control()).take(300).collect();
    let kind =
        if said.contains("Permission denied") { io::ErrorKind::PermissionDenied } else { io::ErrorKind::NotConnected };
    let code = code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
    io::Error::new(kind, format!("no session with {}:{} ({code}): {said}", config.host, config.port))
}

/// The fingerprints of the keys that the server shows.
async fn keys_of(config: &SftpConfig) -> Vec<String> {
    let mut command = Command::new("ssh-keyscan");
    command.args(["-T", "5", "-p"]).arg(config.port.to_string()).arg("--").arg(&config.host);
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let Ok(Ok(output)) = timeout(config.timeout(), command.output()).await else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout);
    let fingerprint = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (kind, key) = (words.next()?, words.next()?);
        let key = STANDARD.decode(key).ok()?;
        Some(format!("{kind} SHA256:{}", STANDARD_NO_PAD.encode(sha2::Sha256::digest(key))))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(fingerprint).take(8).collect()
}

/// The program that tells `ssh` the secret. It holds none: it reads the file that the client's environment names.
struct AskPass(PathBuf);

impl AskPass {
    fn new() -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("gateway-askpass-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path)?;
        file.write_all(b"#!/bin/sh\nexec cat \"$GATEWAY_SFTP_SECRET_FILE\"\n")?;
        Ok(Self(path))
    }
}

impl Drop for AskPass {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, "a helper without secrets stays in the directory for temporary files");
        }
    }
}
