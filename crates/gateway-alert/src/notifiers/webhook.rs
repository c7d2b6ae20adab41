//! A webhook of anybody's, signed by Standard Webhooks: headers `webhook-id` (the key by which a repeat is recognized), `webhook-timestamp`
//! (seconds) and `webhook-signature` (`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`).

use super::http::{Http, Request};
use super::{Notifier, SendError};
use crate::Mistake;
use crate::config::NotifierConfig;
use crate::notice::Notice;
use crate::prepare::needed_secret;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_model::{News, Timestamp, format_china};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::Arc;
use std::time::Duration;

struct Webhook {
    http: Http,
    secret: Vec<u8>,
}

pub(super) fn build(
    key: &str,
    config: &NotifierConfig,
    timeout: Duration,
    mistakes: &mut Vec<Mistake>,
) -> Option<Arc<dyn Notifier>> {
    let http = super::http(key, config, timeout, mistakes);
    let name = format!("{key}.secret_file");
    let secret = needed_secret(&name, config.secret_file.as_ref(), "the signing secret", mistakes);
    let secret = secret.and_then(|text| {
        let bytes = read_secret(&text);
        if bytes.is_none() {
            let text = "holds no secret: `whsec_` and the base64 of 24 to 64 bytes, or a text of 24 to 256 bytes";
            mistakes.push(Mistake::new(name, text));
        }
        bytes
    });
    Some(Arc::new(Webhook { http: http?, secret: secret? }))
}

fn read_secret(text: &str) -> Option<Vec<u8>> {
    let (bytes, most) = match text.strip_prefix("whsec_") {
        Some(coded) => (STANDARD.decode(coded).ok()?, 64),
        None => (text.as_bytes().to_vec(), 256),
    };
    (24..=most).contains(&bytes.len()).then_some(bytes)
}

fn sign(secret: &[u8], id: &str, seconds: i64, body: &[u8]) -> String {
    // An HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn body(notice: &Notice) -> Value {
    let incidents: Vec<Value> = notice
        .entries
        .iter()
        .map(|entry| {
            let item = &entry.item;
            json!({
                "id": item.incident_id, "news": item.news, "code": item.code, "channel": item.channel,
                "subject": item.subject, "severity": item.severity, "count": item.count,
                "since": format_china(item.since), "opened_at": format_china(item.opened_at),
                "resolved_at": item.resolved_at.map(format_china), "facts": item.facts,
                "acknowledged_by": item.acknowledged_by, "name": entry.name, "text": entry.what, "todo": entry.todo,
            })
        })
        .collect();
    let test = notice.entries.iter().all(|entry| entry.item.news == News::Test);
    json!({
        "type": if test { "incident.test" } else { "incident.notice" },
        "timestamp": format_china(notice.at),
        "data": {
            "key": notice.key, "installation": notice.installation, "title": notice.title, "incidents": incidents,
        },
    })
}

#[async_trait]
impl Notifier for Webhook {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    async fn send(&self, notice: &Notice, now: Timestamp) -> Result<(), SendError> {
        let body = body(notice).to_string().into_bytes();
        let seconds = now.as_second();
        let headers = vec![
            ("webhook-id", notice.key.clone()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", sign(&self.secret, &notice.key, seconds, &body)),
        ];
        self.http.call(Request { post: true, headers, body, ..Request::default() }).await?.ok().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secret = read_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_short_secret_is_refused() {
        for text in ["", "short", "whsec_", "whsec_AAAA", "whsec_!!"] {
            assert!(read_secret(text).is_none(), "{text}");
        }
    }
}
