//! What these commands say to people.

use crate::Failure;
use crate::registry::KINDS;
use gateway_connector::profile::Mistake;
use gateway_connector::{AttachmentError, RequestError};
use std::path::Path;

pub(super) fn unknown_kind(named: &str) -> Mistake {
    let kinds = KINDS.map(|kind| format!("`{}`", kind.name)).join(", ");
    Mistake {
        path: "identity.kind".to_owned(),
        what: format!("`{named}` is no kind of connector with a wire profile: {kinds}"),
    }
}

pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    let file = file.display();
    Failure::told(format!("读不了文件 {file}: {error}"), format!("{file} can't be read: {error}"))
}

pub(super) fn not_utf8(file: &Path) -> Failure {
    let file = file.display();
    Failure::told(
        format!("{file} 不是 UTF-8 编码；配置文件一律用 UTF-8 保存，对端的编码写在 exchange.encoding"),
        format!(
            "{file} is not in UTF-8: save profiles in UTF-8; the counterparty's encoding is said by exchange.encoding"
        ),
    )
}

pub(super) fn no_such_channel(named: &str, known: &[&str]) -> Failure {
    let known = known.join(", ");
    Failure::told(
        format!("配置里没有渠道 {named}；现有: {known}"),
        format!("the configuration has no channel {named}; it has: {known}. Or name a profile by --profile FILE"),
    )
}

pub(super) fn no_profile(channel: &str, kind: &str) -> Failure {
    Failure::told(
        format!("渠道 {channel}（{kind}）没有对接参数，没有可映射的字段"),
        format!("channel {channel} is of kind {kind}, which has no wire profile: there is nothing to map"),
    )
}

/// What to do about a request that failed.
pub(super) fn remedy(error: &RequestError) -> &'static str {
    match error {
        RequestError::Throttled { .. } => {
            "对端限流：调低 limits.requests_per_second 后再试 · too fast: lower limits.requests_per_second and try later"
        }
        RequestError::Unavailable { not_sent: true, .. } => {
            "连不上：核对 --base-url、端口、防火墙和白名单 · not reachable: check --base-url, port, firewall and the counterparty's list of addresses"
        }
        RequestError::Unavailable { .. } => {
            "对端没有正常应答：看 HTTP 状态；404 多为 path 不对，超时可调大 limits.request_timeout_ms · no proper answer: 404 is mostly a wrong `path`; for time-outs raise limits.request_timeout_ms"
        }
        RequestError::Undecodable { .. } => {
            "应答与对接参数不符：核对 [exchange] 的格式、编码、unwrap，[answer] 的路径，以及 [read] 的 records · the answer is not what the profile says: compare [exchange] (format, encoding, unwrap), the paths of [answer], and `records`"
        }
        RequestError::Unauthorized { .. } => {
            "签名被拒：核对 --app-id、密钥文件、[signature] 的 string_to_sign 与时间格式，以及双方时钟 · the signature was refused: check --app-id, the secret's file, `string_to_sign` and `timestamp` of [signature], and both clocks"
        }
        RequestError::Business { .. } => {
            "对端按业务拒绝：核对参数名、时间格式、service；若其实是成功，改 answer.success · refused as business: check names of parameters, [times] write, `service`; if it means success, name it in answer.success"
        }
    }
}

/// What to do about a file that did not come.
pub(super) fn file_remedy(error: &AttachmentError) -> &'static str {
    match error {
        AttachmentError::NotThere { .. } => {
            "对端没有该文件：可能还在上传；若其他文件也没有，核对 attachments.path · perhaps it is uploaded later; if no file comes, compare attachments.path"
        }
        AttachmentError::TooLarge { .. } => {
            "文件过大，不会保存 · such a file is not kept: see attachments.largest_bytes of the configuration"
        }
        AttachmentError::Address { .. } => {
            "引用指向别处，按安全规则不取：若是对端的文件主机，写进 attachments.hosts · it leads elsewhere and is not followed; if that host is theirs, name it in attachments.hosts"
        }
        AttachmentError::Request(RequestError::Business { .. }) => {
            "若该代码表示还没有该文件，写进 attachments.absent · if the code means that there is no such file, name it in attachments.absent"
        }
        AttachmentError::Request(error) => remedy(error),
    }
}
