//! Errors as `application/problem+json` (RFC 9457) with a code of a closed list; `docs/errors.md` has a line for each.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gateway_bus::BusError;
use gateway_model::with_causes;
use gateway_store::StoreError;
use serde_json::{Map, Value};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $code:literal $status:literal $title:literal $zh:literal;)*) => {
        /// What can be wrong with a request, or with us.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub fn status(self) -> StatusCode {
                let status = match self { $(Code::$variant => $status,)* };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }

            /// The title in Chinese.
            fn title_zh(self) -> &'static str {
                match self { $(Code::$variant => $zh,)* }
            }
        }
    };
}

codes! {
    /// A body that can't be read.
    MalformedBody "malformed_body" 400 "The body can't be read" "请求内容无法读取";
    /// A query parameter or header out of its range.
    InvalidParameter "invalid_parameter" 400 "A parameter is not valid" "参数无效";
    /// A cursor that this gateway did not give.
    MalformedCursor "malformed_cursor" 400 "The cursor is not one of ours" "游标不是本网关给出的";
    /// No token, or none that we know.
    Unauthenticated "unauthenticated" 401 "A valid token is needed" "需要有效的令牌";
    /// The token's role may not do that.
    RoleNotAllowed "role_not_allowed" 403 "The token's role may not do that" "该令牌的角色无此权限";
    /// No such path.
    NoSuchPath "no_such_path" 404 "There is nothing at this path" "路径不存在";
    /// What is named does not exist.
    NotFound "not_found" 404 "It does not exist" "指定的对象不存在";
    /// No such channel, or it does not do what is asked.
    UnknownChannel "unknown_channel" 404 "There is no such channel" "没有这个渠道";
    /// The pipeline has not seen the command yet.
    NotProcessedYet "not_processed_yet" 404 "The command is not known, or not processed yet" "指令未知或尚未处理";
    /// The path does not take this method.
    MethodNotAllowed "method_not_allowed" 405 "The path does not take this method" "该路径不支持此方法";
    /// The client was too slow with its body.
    RequestTimeout "request_timeout" 408 "The request did not come in time" "请求未在时限内到达";
    /// An address of an attachment that opens nothing.
    AddressRefused "address_refused" 403 "The address opens nothing" "该地址无效";
    /// Several orders have that number.
    AmbiguousNumber "ambiguous_number" 409 "Several orders have this number" "多张工单使用同一编号，请用 --channel 缩小范围或按 id 查询";
    /// The idempotency key was used for something else.
    IdempotencyConflict "idempotency_conflict" 409 "The idempotency key was used for another request" "幂等键已用于另一请求";
    /// The order's state does not allow the command.
    StateDoesNotAllow "state_does_not_allow" 409 "The order's state does not allow it" "工单当前状态不允许该操作";
    /// What is named is in a state in which that makes no sense.
    WrongState "wrong_state" 409 "Its state does not allow it" "当前状态不允许该操作";
    /// The channel has no front-end box.
    NoFiles "no_files" 409 "The channel exchanges no files" "该渠道未配置前置机，不交换文件";
    /// The store takes no month out.
    NoArchive "no_archive" 409 "The store takes no month out" "该存储不支持按月归档";
    /// Something holds the month back.
    MonthHeld "month_held" 409 "The month can't be taken out yet" "该月暂不能归档";
    /// A record that is needed is out, and not in the database.
    MonthArchived "month_archived" 409 "A record that is needed was archived and is not in the database" "所需的原始记录已归档且不在数据库中";
    /// The channel gives no account of itself.
    UnverifiableChannel "unverifiable_channel" 409 "The channel gives no account to compare with" "该渠道不提供对账清单，无法核对";
    /// The record's bytes were erased.
    BodyErased "body_erased" 409 "The record's bytes were erased" "原始记录已被清除";
    /// The source did not give the file, or it is not taken.
    AttachmentGone "attachment_gone" 410 "The file is not to be had" "来源未能提供该附件，或该附件不予收取";
    /// The body is over the limit.
    BodyTooLarge "body_too_large" 413 "The body is too large" "内容超过上限";
    /// The command lacks something, or says too much.
    InvalidCommand "invalid_command" 422 "The command is not valid" "指令无效";
    /// A registry file with mistakes.
    InvalidRegistry "invalid_registry" 422 "The registry file has mistakes" "登记数据文件有误";
    /// A mistake of ours.
    Internal "internal" 500 "The gateway made a mistake" "网关内部错误";
    /// A file that was kept is not in the attachment directory any more, or is damaged there.
    AttachmentLost "attachment_lost" 500 "The kept file is not there any more" "附件文件已不在目录中或已损坏";
    /// The store's rows make no sense.
    StoreDamaged "store_damaged" 500 "The store does not make sense" "存储数据异常";
    /// The store can't be used now.
    StoreUnavailable "store_unavailable" 503 "The store is unavailable" "存储暂不可用";
    /// As many files are on their way as may be at once.
    AttachmentsBusy "attachments_busy" 503 "As many files are on their way as may be at once" "同时传输的附件已达上限，请稍后再试";
    /// The file is asked for and not here yet.
    AttachmentOwed "attachment_owed" 503 "The file is not here yet" "附件尚未取得，网关仍在向来源索取";
    /// The bus can't append now.
    BusUnavailable "bus_unavailable" 503 "The bus is unavailable" "总线暂不可写";
    /// It took too long here.
    Timeout "timeout" 503 "The gateway did not answer in time" "网关未在时限内答复";
}

/// A failed request.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: Box<str>,
    detail_zh: Option<Box<str>>,
    retry_after_s: Option<u32>,
    more: Map<String, Value>,
}

impl Problem {
    /// A problem with a sentence for the person who asked; no personal data, no secrets.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let retry_after_s = (code.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(5);
        Self { code, detail: detail.into().into_boxed_str(), detail_zh: None, retry_after_s, more: Map::new() }
    }

    /// The same sentence in Chinese; without one, the title of the code stands for it.
    #[must_use]
    pub fn zh(mut self, detail: impl Into<String>) -> Self {
        self.detail_zh = Some(detail.into().into_boxed_str());
        self
    }

    /// Who asks is to come again after so many seconds, where the code is one of coming again at all.
    #[must_use]
    pub fn after(mut self, seconds: u32) -> Self {
        self.retry_after_s = self.retry_after_s.map(|_| seconds);
        self
    }

    /// With another member.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// Something of a kind that does not exist.
    #[must_use]
    pub fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        let zh = format!("没有{} {id}", crate::refusals::thing(what));
        Self::new(Code::NotFound, format!("there is no {what} {id}")).zh(zh)
    }

    /// A parameter out of its range.
    #[must_use]
    pub fn parameter(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidParameter, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = Map::new();
        body.insert("type".into(), format!("urn:hotline-gateway:error:{}", self.code.as_str()).into());
        body.insert("title".into(), self.code.title().into());
        body.insert("status".into(), self.code.status().as_u16().into());
        body.insert("detail".into(), self.detail.into_string().into());
        body.insert("detail_zh".into(), self.detail_zh.as_deref().unwrap_or(self.code.title_zh()).into());
        body.insert("code".into(), self.code.as_str().into());
        body.extend(self.more);
        let mut response = (self.code.status(), Value::Object(body).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable(_) => Self::new(Code::StoreUnavailable, with_causes(&error)),
            StoreError::NotFound { what, id } => Self::not_found(what, id),
            StoreError::WrongState { .. } => Self::new(Code::WrongState, error.to_string()),
            StoreError::Archived { what, month, table } => {
                let zh = format!(
                    "需要 {month} 的原始记录，但该月已归档，表 archive.{table} 不在数据库中或不完整：请先从备份恢复该表再重试（{what}）"
                );
                Self::new(Code::MonthArchived, error.to_string()).zh(zh)
            }
            StoreError::Damaged { .. } | StoreError::Schema { .. } | StoreError::Refused { .. } => {
                let text = with_causes(&error);
                tracing::error!("{text}");
                Self::new(Code::StoreDamaged, text)
            }
            // The API works under no lease.
            StoreError::LeaseLost { .. } => Self::new(Code::Internal, error.to_string()),
        }
    }
}

impl From<BusError> for Problem {
    fn from(error: BusError) -> Self {
        let text = with_causes(&error);
        match error {
            BusError::Unavailable(_) | BusError::Closed => Self::new(Code::BusUnavailable, text),
            // A topic that is not there, or files that make no sense: nothing was made durable, and trying again is right once somebody mended it.
            BusError::UnknownTopic(_) | BusError::Damaged { .. } => {
                tracing::error!("{text}");
                Self::new(Code::BusUnavailable, text)
            }
            BusError::Refused { .. } => Self::new(Code::BodyTooLarge, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_line_in_the_docs() {
        let page = include_str!("../../../docs/errors.md");
        for code in Code::ALL {
            assert!(page.contains(&format!("| `{}` |", code.as_str())), "docs/errors.md lacks {}", code.as_str());
        }
    }

    #[test]
    fn only_ours_to_mend_asks_to_come_again() {
        for code in Code::ALL {
            let asks = Problem::new(*code, "").into_response().headers().contains_key(header::RETRY_AFTER);
            assert_eq!(asks, code.status() == StatusCode::SERVICE_UNAVAILABLE, "{code:?}");
        }
    }
}
