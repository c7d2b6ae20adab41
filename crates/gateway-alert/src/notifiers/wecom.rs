//! 企业微信 (WeCom) group robot: a Markdown message of at most 4096 bytes to the robot's address, which holds its key. It answers HTTP 200 also to
//! what it refuses; `errcode` tells. At most 20 messages a minute.

use super::http::Http;
use super::{Notifier, SendError};
use crate::Mistake;
use crate::config::NotifierConfig;
use crate::notice::Notice;
use async_trait::async_trait;
use gateway_model::Timestamp;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const MOST_BYTES: usize = 4096;
const PER_MINUTE: usize = 20;
/// 接口调用超过限制.
const TOO_MANY: i64 = 45009;

struct Wecom(Http);

/// The answer of both robots.
#[derive(Deserialize)]
pub(super) struct RobotAnswer {
    errcode: i64,
    #[serde(default)]
    errmsg: String,
}

pub(super) fn build(
    key: &str,
    config: &NotifierConfig,
    timeout: Duration,
    mistakes: &mut Vec<Mistake>,
) -> Option<Arc<dyn Notifier>> {
    Some(Arc::new(Wecom(super::http(key, config, timeout, mistakes)?)))
}

/// Reads a robot's answer; `too_many` is its code for being asked too often.
pub(super) fn judge(body: &[u8], too_many: i64) -> Result<(), SendError> {
    let answer: RobotAnswer = serde_json::from_slice(body)
        .map_err(|_| SendError::refused("undecodable", "the answer is not that of a robot: look at the address"))?;
    match answer.errcode {
        0 => Ok(()),
        code if code == too_many => Err(SendError::Throttled { retry_after: Some(Duration::from_secs(60)) }),
        code => Err(SendError::refused(format!("errcode_{code}"), &answer.errmsg)),
    }
}

#[async_trait]
impl Notifier for Wecom {
    fn kind(&self) -> &'static str {
        "wecom"
    }

    async fn send(&self, notice: &Notice, _now: Timestamp) -> Result<(), SendError> {
        let message = json!({ "msgtype": "markdown", "markdown": { "content": notice.markdown(MOST_BYTES) } });
        let answer = self.0.post("", message.to_string().into_bytes()).await?;
        judge(&answer.body, TOO_MANY)
    }

    fn per_minute(&self) -> Option<usize> {
        Some(PER_MINUTE)
    }
}
