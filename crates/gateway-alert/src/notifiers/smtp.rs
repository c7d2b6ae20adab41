//! Mail. TLS from the first byte (`implicit`), from STARTTLS on, without which nothing is sent (`starttls`), or not at all (`none`, for a server
//! beside us). The notice's key is the Message-ID, so that a repeat is recognized.

use super::{Notifier, SendError};
use crate::Mistake;
use crate::config::NotifierConfig;
use crate::notice::Notice;
use crate::prepare::needed_secret;
use async_trait::async_trait;
use gateway_model::{Timestamp, with_causes};
use lettre::message::{Mailbox, Message, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use std::sync::Arc;
use std::time::Duration;

/// More is read by nobody; the mail says how many there are.
const MOST_ENTRIES: usize = 50;

struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    timeout: Duration,
}

pub(super) fn build(
    key: &str,
    config: &NotifierConfig,
    timeout: Duration,
    mistakes: &mut Vec<Mistake>,
) -> Option<Arc<dyn Notifier>> {
    let before = mistakes.len();
    if config.host.is_empty() {
        mistakes.push(Mistake::new(format!("{key}.host"), "is missing: name the mail server"));
    }
    let mut mailbox = |key: String, text: &str| match text.parse::<Mailbox>() {
        Ok(mailbox) => Some(mailbox),
        Err(_) => {
            mistakes.push(Mistake::new(key, format!("`{text}` is no mail address as `Name <name@example.org>`")));
            None
        }
    };
    let from = mailbox(format!("{key}.from"), &config.from);
    let to: Vec<Option<Mailbox>> =
        config.to.iter().enumerate().map(|(at, text)| mailbox(format!("{key}.to[{at}]"), text)).collect();
    if to.is_empty() {
        mistakes.push(Mistake::new(format!("{key}.to"), "is empty: name at least one recipient"));
    }
    let credentials = match (config.username.is_empty(), &config.password_file) {
        (true, None) => None,
        (true, Some(_)) => {
            mistakes.push(Mistake::new(format!("{key}.username"), "is missing beside `password_file`"));
            None
        }
        (false, file) => needed_secret(&format!("{key}.password_file"), file.as_ref(), "the password", mistakes)
            .map(|password| Credentials::new(config.username.clone(), password)),
    };
    let tls = tls(key, config, mistakes);
    if mistakes.len() > before {
        return None;
    }
    let (tls, port) = tls?;
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
        .port(config.port.unwrap_or(port))
        .tls(tls)
        .timeout(Some(timeout));
    if let Some(credentials) = credentials {
        transport = transport.credentials(credentials);
    }
    let to = to.into_iter().flatten().collect();
    Some(Arc::new(Smtp { transport: transport.build(), from: from?, to, timeout }))
}

fn tls(key: &str, config: &NotifierConfig, mistakes: &mut Vec<Mistake>) -> Option<(Tls, u16)> {
    gateway_connector::install_crypto();
    let authority = config.ca_file.as_ref().map(|file| {
        let pem = std::fs::read(file).map_err(|error| error.to_string());
        let read = pem.and_then(|pem| Certificate::from_pem(&pem).map_err(|error| shortened(&error)));
        read.map_err(|text| {
            mistakes.push(Mistake::new(format!("{key}.ca_file"), format!("{}: {text}", file.display())))
        })
    });
    let mut parameters = || {
        let mut builder = TlsParameters::builder(config.host.clone());
        if let Some(authority) = authority.clone() {
            builder = builder.add_root_certificate(authority.ok()?);
        }
        match builder.build_rustls() {
            Ok(parameters) => Some(parameters),
            Err(error) => {
                mistakes.push(Mistake::new(format!("{key}.tls"), format!("TLS can't be set up: {error}")));
                None
            }
        }
    };
    match config.tls.as_str() {
        "" | "starttls" => Some((Tls::Required(parameters()?), 587)),
        "implicit" => Some((Tls::Wrapper(parameters()?), 465)),
        "none" => Some((Tls::None, 25)),
        other => {
            let text = format!("`{other}` is none of implicit, starttls, none");
            mistakes.push(Mistake::new(format!("{key}.tls"), text));
            None
        }
    }
}

impl Smtp {
    fn message(&self, notice: &Notice) -> Result<Message, lettre::error::Error> {
        let domain = self.from.email.domain();
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(notice.title.clone())
            .message_id(Some(format!("<{}@{domain}>", notice.key)))
            .date(std::time::SystemTime::from(notice.at));
        for to in &self.to {
            message = message.to(to.clone());
        }
        message.header(ContentType::TEXT_PLAIN).body(notice.plain(MOST_ENTRIES))
    }
}

#[async_trait]
impl Notifier for Smtp {
    fn kind(&self) -> &'static str {
        "smtp"
    }

    async fn send(&self, notice: &Notice, _now: Timestamp) -> Result<(), SendError> {
        let message = self.message(notice).map_err(|error| SendError::refused("unwritable", &error.to_string()))?;
        // The transport's limit is for each step; this one is for the whole.
        let sent = tokio::time::timeout(self.timeout * 3, self.transport.send(message)).await;
        let error = match sent {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => return Err(SendError::Unreachable { what: "timeout".into() }),
        };
        if error.is_permanent() {
            let code = error.status().map_or_else(|| "smtp".to_owned(), |code| format!("smtp_{code}"));
            return Err(SendError::refused(code, &shortened(&error)));
        }
        if error.is_timeout() {
            return Err(SendError::Unreachable { what: "timeout".into() });
        }
        Err(SendError::Unreachable { what: shortened(&error) })
    }
}

fn shortened(error: &dyn std::error::Error) -> String {
    with_causes(error).chars().take(200).collect()
}
