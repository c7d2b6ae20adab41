//! A real mail server takes the beginning, the repeat and the end of an incident. The mailbox counts, read by Python's own mail library.

use crate::place::{Place, config, finding};
use crate::program::{Program, free_port, listens};
use gateway_alert::{AlertConfig, NotifierConfig};
use gateway_model::Severity;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const PACKAGE: &str = "python3-aiosmtpd";

/// Prints the mails of a Maildir, in the order in which they came, as JSON.
const READ: &str = r#"
import sys, json, mailbox, email, email.policy
box = mailbox.Maildir(sys.argv[1], create=False, factory=lambda f: email.message_from_binary_file(f, policy=email.policy.default))
mails = [{"subject": m["subject"], "from": m["from"], "to": m["to"], "id": m["message-id"], "date": m["date"], "peer": m["x-rcptto"],
          "text": m.get_content(), "key": k} for k, m in box.items()]
print(json.dumps(mails))
"#;

struct MailServer {
    port: u16,
    mailbox: PathBuf,
    _program: Program,
}

impl MailServer {
    async fn start(directory: &Path) -> Self {
        let port = free_port();
        let mailbox = directory.join("mailbox");
        let mut command = Command::new("aiosmtpd");
        command
            .args(["-n", "-l"])
            .arg(format!("127.0.0.1:{port}"))
            .args(["-c", "aiosmtpd.handlers.Mailbox"])
            .arg(&mailbox);
        let mut program = Program::start(&mut command, directory, PACKAGE);
        program.until(PACKAGE, async || listens(port).await).await;
        Self { port, mailbox, _program: program }
    }

    fn mails(&self) -> Vec<Value> {
        mails(&self.mailbox)
    }
}

/// What lies in a mailbox.
pub fn mails(mailbox: &Path) -> Vec<Value> {
    let output = Command::new("python3").args(["-c", READ]).arg(mailbox).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut mails: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    mails.sort_by_key(|mail| mail["subject"].to_string());
    mails
}

pub fn notifier(port: u16) -> NotifierConfig {
    NotifierConfig {
        id: "mail".into(),
        kind: "smtp".into(),
        host: "127.0.0.1".into(),
        port: Some(port),
        tls: "none".into(),
        from: "热线网关 <gateway@example.org>".into(),
        to: vec!["值班 <duty@example.org>".into(), "chief@example.org".into()],
        ..NotifierConfig::default()
    }
}

#[tokio::test]
async fn a_real_mail_server_takes_the_beginning_the_repeat_and_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let server = MailServer::start(directory.path()).await;
    let config =
        AlertConfig { notifiers: vec![notifier(server.port)], installation: "市局网关".into(), ..config() };
    let mut place = Place::new(config).await;
    place.find(vec![finding("delivery_stuck", "completion", Severity::Warning)]);
    place.rounds(0..=30).await;
    let opened = place.owed_rows("mail").await;
    place.send_well().await;
    place.rounds(40..=630).await;
    let repeated = place.owed_rows("mail").await;
    place.send_well().await;
    place.find(Vec::new());
    place.rounds(640..=700).await;
    let resolved = place.owed_rows("mail").await;
    place.send_well().await;
    assert!(place.owed("mail").await.is_empty());

    let mails = server.mails();
    assert_eq!(mails.len(), 3, "{mails:#?}");
    for (news, rows, title) in [
        ("新告警", &opened, "投递停滞（completion）"),
        ("仍在持续", &repeated, "投递停滞（completion）"),
        ("已恢复", &resolved, "投递停滞（completion）"),
    ] {
        let id = format!("<{}@example.org>", rows[0].key);
        let mail =
            mails.iter().find(|mail| mail["id"] == id.as_str()).unwrap_or_else(|| panic!("no {id} in {mails:#?}"));
        let subject = mail["subject"].as_str().unwrap();
        assert!(subject.contains(news) && subject.contains(title) && subject.contains("市局网关"), "{subject}");
        assert!(subject.contains("municipal-12345"), "{subject}");
        let text = mail["text"].as_str().unwrap();
        assert!(text.contains("7 件投递长时间未能送出"), "{text}");
        assert!(text.contains("2026-11-23 08:55"), "since when, in China time: {text}");
        assert_eq!(text.contains("处理："), news != "已恢复", "{text}");
        assert!(mail["to"].as_str().unwrap().contains("chief@example.org"), "{mail}");
        assert!(mail["from"].as_str().unwrap().contains("热线网关"), "{mail}");
        assert!(mail["date"].as_str().unwrap().contains("Nov 2026"), "{mail}");
    }
}

#[tokio::test]
async fn a_server_without_tls_gets_nothing_unless_it_was_agreed_to() {
    let directory = tempfile::tempdir().unwrap();
    let server = MailServer::start(directory.path()).await;
    let config =
        AlertConfig { notifiers: vec![NotifierConfig { tls: "starttls".into(), ..notifier(server.port) }], ..config() };
    let mut place = Place::new(config).await;
    place.find(vec![finding("delivery_stuck", "x", Severity::Critical)]);
    place.round(0).await;
    place.send().await;
    assert!(!server.mailbox.exists() || server.mails().is_empty());
    let row = &place.owed_rows("mail").await[0];
    assert_eq!(row.attempts, 1);
    assert!(row.error.as_deref().unwrap().to_lowercase().contains("tls"), "{row:?}");
}

#[tokio::test]
async fn a_server_that_is_away_is_tried_again_and_loses_nothing() {
    let port = free_port();
    let mut place = Place::new(AlertConfig { notifiers: vec![notifier(port)], ..config() }).await;
    place.find(vec![finding("delivery_stuck", "x", Severity::Critical)]);
    place.round(0).await;
    place.send().await;
    let row = place.owed_rows("mail").await.remove(0);
    assert_eq!(row.attempts, 1, "{row:?}");
    assert!(row.due_at > crate::place::at(0));
    let directory = tempfile::tempdir().unwrap();
    let mailbox = directory.path().join("mailbox");
    let mut command = Command::new("aiosmtpd");
    command.args(["-n", "-l"]).arg(format!("127.0.0.1:{port}"));
    command.args(["-c", "aiosmtpd.handlers.Mailbox"]).arg(&mailbox);
    let mut program = Program::start(&mut command, directory.path(), PACKAGE);
    program.until(PACKAGE, async || listens(port).await).await;
    let server = MailServer { port, mailbox, _program: program };
    place.round(60).await;
    place.send().await;
    assert_eq!(server.mails().len(), 1);
    assert_eq!(server.mails()[0]["id"], format!("<{}@example.org>", row.key));
    assert!(place.owed("mail").await.is_empty());
}
