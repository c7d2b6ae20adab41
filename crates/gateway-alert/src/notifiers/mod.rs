//! Who can be told: one file for each kind.

mod alertmanager;
mod dingtalk;
pub(crate) mod http;
mod smtp;
mod webhook;
mod wecom;

use crate::Mistake;
use crate::config::NotifierConfig;
use crate::notice::Notice;
use crate::prepare::set_keys;
use async_trait::async_trait;
use gateway_model::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Tells somebody. Told twice under one key, the receiver may recognize it; told of an error, it comes again.
#[async_trait]
pub trait Notifier: Send + Sync + 'static {
    /// Its kind, as in the configuration.
    fn kind(&self) -> &'static str;

    /// Tells. `Ok` only when the receiver said that it took it: an error of business inside an HTTP 200 is a refusal.
    async fn send(&self, notice: &Notice, now: Timestamp) -> Result<(), SendError>;

    /// How many notices the receiver takes in a minute, where it counts.
    fn per_minute(&self) -> Option<usize> {
        None
    }

    /// How often the receiver wants to hear of all that lasts, where it forgets what is not repeated.
    fn refresh_every(&self) -> Option<Duration> {
        None
    }
}

/// Why a notice was not taken. Never holds the address or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No whole answer came in time; it may have been taken all the same.
    #[error("no answer: {what}")]
    Unreachable {
        /// What happened.
        what: String,
    },
    /// It answered that it does not take it.
    #[error("refused: {code} {text}")]
    Refused {
        /// Its code.
        code: String,
        /// Its words.
        text: String,
    },
    /// It asks for patience.
    #[error("refused for now: too many")]
    Throttled {
        /// How much.
        retry_after: Option<Duration>,
    },
}

impl SendError {
    /// The stable code of the kind of error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            SendError::Unreachable { .. } => "unavailable",
            SendError::Refused { .. } => "notice_refused",
            SendError::Throttled { .. } => "throttled",
        }
    }

    /// How long to wait at least, where the receiver said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            SendError::Throttled { retry_after } => *retry_after,
            _ => None,
        }
    }

    /// Whether the receiver was there and does not want this notice.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, SendError::Refused { .. })
    }

    pub(crate) fn refused(code: impl Into<String>, text: &str) -> Self {
        // What a stranger writes is bounded, and on one line.
        let clean = |character: char| if character.is_control() { ' ' } else { character };
        SendError::Refused { code: code.into(), text: text.chars().take(200).map(clean).collect() }
    }
}

/// Every kind, with the keys that it takes.
const KINDS: [(&str, &[&str]); 5] = [
    ("webhook", &["url", "url_file", "secret_file"]),
    ("smtp", &["host", "port", "tls", "username", "password_file", "ca_file", "from", "to"]),
    ("alertmanager", &["url", "url_file", "refresh_ms", "watchdog"]),
    ("wecom", &["url", "url_file"]),
    ("dingtalk", &["url", "url_file", "secret_file"]),
];

/// Makes a notifier; what is wrong is added to the mistakes.
pub(crate) fn build(key: &str, config: &NotifierConfig, mistakes: &mut Vec<Mistake>) -> Option<Arc<dyn Notifier>> {
    let Some((_, takes)) = KINDS.iter().find(|(kind, _)| *kind == config.kind) else {
        let known = KINDS.map(|(kind, _)| kind).join(", ");
        mistakes.push(Mistake::new(format!("{key}.kind"), format!("`{}` is none of {known}", config.kind)));
        return None;
    };
    for name in set_keys(config) {
        if !takes.contains(&name) {
            mistakes.push(Mistake::new(
                format!("{key}.{name}"),
                format!("means nothing to a notifier of kind {}: it takes {}", config.kind, takes.join(", ")),
            ));
        }
    }
    let timeout = Duration::from_millis(config.timeout_ms.unwrap_or(10_000).clamp(100, 60_000));
    match config.kind.as_str() {
        "webhook" => webhook::build(key, config, timeout, mistakes),
        "smtp" => smtp::build(key, config, timeout, mistakes),
        "alertmanager" => alertmanager::build(key, config, timeout, mistakes),
        "wecom" => wecom::build(key, config, timeout, mistakes),
        _ => dingtalk::build(key, config, timeout, mistakes),
    }
}

/// The client of the configured address.
fn http(key: &str, config: &NotifierConfig, timeout: Duration, mistakes: &mut Vec<Mistake>) -> Option<http::Http> {
    let url = crate::prepare::read_url(key, &config.url, config.url_file.as_deref(), mistakes)?;
    match http::Http::new(&url, timeout) {
        Ok(http) => Some(http),
        Err(text) => {
            let name = if config.url.is_empty() { "url_file" } else { "url" };
            mistakes.push(Mistake::new(format!("{key}.{name}"), text));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_answers_is_bounded_and_on_one_line() {
        let error = SendError::refused("http_500", &format!("a\nb{}", "x".repeat(1_000)));
        assert!(error.to_string().len() < 300 && !error.to_string().contains('\n'));
    }
}
