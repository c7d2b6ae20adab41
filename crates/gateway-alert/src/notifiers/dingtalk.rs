//! 钉钉 (DingTalk) group robot: a Markdown message, the address signed with `timestamp` (milliseconds) and `sign` (base64 of HMAC-SHA256 with the
//! robot's secret over `timestamp`, a line feed and the secret). It answers HTTP 200 also to what it refuses; `errcode` tells. At most 20 messages
//! a minute.

use super::http::{Http, Request};
use super::wecom::judge;
use super::{Notifier, SendError};
use crate::Mistake;
use crate::config::NotifierConfig;
use crate::notice::Notice;
use crate::prepare::needed_secret;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_model::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use std::sync::Arc;
use std::time::Duration;

const MOST_BYTES: usize = 18_000;
const PER_MINUTE: usize = 20;
/// 发送速度太快而限流.
const TOO_MANY: i64 = 410_100;

struct Dingtalk {
    http: Http,
    secret: String,
}

pub(super) fn build(
    key: &str,
    config: &NotifierConfig,
    timeout: Duration,
    mistakes: &mut Vec<Mistake>,
) -> Option<Arc<dyn Notifier>> {
    let http = super::http(key, config, timeout, mistakes);
    let name = format!("{key}.secret_file");
    let secret = needed_secret(&name, config.secret_file.as_ref(), "the robot's signing secret (加签)", mistakes);
    Some(Arc::new(Dingtalk { http: http?, secret: secret? }))
}

fn sign(secret: &str, ms: i64) -> String {
    // An HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{ms}\n{secret}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[async_trait]
impl Notifier for Dingtalk {
    fn kind(&self) -> &'static str {
        "dingtalk"
    }

    async fn send(&self, notice: &Notice, now: Timestamp) -> Result<(), SendError> {
        let ms = now.as_millisecond();
        let message = json!({
            "msgtype": "markdown",
            "markdown": { "title": notice.title, "text": notice.markdown(MOST_BYTES) },
        });
        let request = Request {
            post: true,
            query: vec![("timestamp", ms.to_string()), ("sign", sign(&self.secret, ms))],
            body: message.to_string().into_bytes(),
            ..Request::default()
        };
        let answer = self.http.call(request).await?.ok()?;
        judge(&answer.body, TOO_MANY)
    }

    fn per_minute(&self) -> Option<usize> {
        Some(PER_MINUTE)
    }
}
