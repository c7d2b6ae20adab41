//! Mail over real TLS, with a login: a server with a certificate of an authority of the house, from the first byte or from STARTTLS on.

use crate::mail::{PACKAGE, mails, notifier};
use crate::place::{Place, config, finding};
use crate::program::{Program, free_port, listens};
use gateway_alert::{AlertConfig, NotifierConfig};
use gateway_model::Severity;
use gateway_store::NotificationRow;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mail_server.py");
/// The interpreter of the Debian package, whatever else is in the path.
const PYTHON: &str = "/usr/bin/python3";
const USER: &str = "gateway";
const PASSWORD: &str = "p4ss 口令";

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, and the server's certificate by it.
fn certificates(directory: &Path) {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let authority = ["req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=house"];
    openssl(directory, &[&authority[..], &key[..]].concat());
    let request = ["req", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost"];
    openssl(directory, &[&request[..], &key[..]].concat());
    let extensions =
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n";
    std::fs::write(directory.join("extensions"), extensions).unwrap();
    let sign =
        ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
    openssl(directory, &[&sign[..], &["-extfile", "extensions", "-out", "server.pem"]].concat());
}

struct Sent {
    mails: Vec<Value>,
    owed: Vec<NotificationRow>,
}

/// What comes of a notice to a server that takes TLS in this mode, with the notifier changed by `change`.
async fn send(mode: &str, change: impl Fn(NotifierConfig) -> NotifierConfig) -> Sent {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { directory.path().join(name) };
    certificates(directory.path());
    std::fs::write(path("password"), format!("{PASSWORD}\n")).unwrap();
    std::fs::write(path("wrong"), "guess").unwrap();
    let (port, mailbox) = (free_port(), path("mailbox"));
    let mut command = Command::new(PYTHON);
    command.args([SERVER, mode, &port.to_string()]).arg(&mailbox);
    command.args([path("server.pem"), path("server.key")]).args([USER, PASSWORD]);
    let mut program = Program::start(&mut command, directory.path(), PACKAGE);
    program.until(PACKAGE, async || listens(port).await).await;
    let tls = NotifierConfig {
        tls: mode.into(),
        username: USER.into(),
        password_file: Some(path("password")),
        ca_file: Some(path("ca.pem")),
        ..notifier(port)
    };
    let mut changed = change(tls);
    if changed.password_file == Some("wrong".into()) {
        changed.password_file = Some(path("wrong"));
    }
    let mut place = Place::new(AlertConfig { notifiers: vec![changed], ..config() }).await;
    place.find(vec![finding("delivery_stuck", "x", Severity::Critical)]);
    place.round(0).await;
    place.send().await;
    let mails = if mailbox.exists() { mails(&mailbox) } else { Vec::new() };
    Sent { mails, owed: place.owed_rows("mail").await }
}

#[tokio::test]
async fn a_notice_goes_through_tls_with_a_login() {
    for mode in ["starttls", "implicit"] {
        let sent = send(mode, |config| config).await;
        assert!(sent.owed.is_empty(), "{mode}: {:?}", sent.owed);
        assert_eq!(sent.mails.len(), 1, "{mode}");
        assert!(sent.mails[0]["text"].as_str().unwrap().contains("7 件投递长时间未能送出"), "{mode}: {:?}", sent.mails);
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_neither_password_nor_notice() {
    for mode in ["starttls", "implicit"] {
        let sent = send(mode, |config| NotifierConfig { ca_file: None, ..config }).await;
        assert!(sent.mails.is_empty(), "{mode}");
        let error = sent.owed[0].error.clone().unwrap();
        assert!(error.contains("certificate"), "{mode}: {error}");
        assert!(!error.contains(PASSWORD), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_and_nothing_gets_lost() {
    let sent = send("implicit", |config| NotifierConfig { password_file: Some("wrong".into()), ..config }).await;
    assert!(sent.mails.is_empty());
    let error = sent.owed[0].error.clone().unwrap();
    assert!(error.contains("535"), "{error}");
    assert!(!error.contains("guess"), "{error}");
}
