//! `profile check FILE`: every mistake of a wire profile at once, each with its key path, without an installation.

use super::{Loaded, load};
use crate::Failure;
use crate::cli::ProfileCheckOptions;
use crate::commands::say;
use gateway_connector::profile::{MacScheme, SignPiece};
use gateway_connector::{Profile, ProfileErrors};
use gateway_model::Field;
use serde_json::json;
use std::process::ExitCode;

pub(super) fn check(options: &ProfileCheckOptions) -> Result<ExitCode, Failure> {
    let checked = load(&options.file)?;
    match (&checked, options.json) {
        (Ok(loaded), true) => say(json!({ "valid": true, "mistakes": [], "remarks": remarks(&loaded.profile) })),
        (Err(errors), true) => say(json!({ "valid": false, "mistakes": mistakes(errors), "remarks": [] })),
        (Ok(loaded), false) => tell(loaded),
        (Err(errors), false) => tell_mistakes(errors),
    }
    Ok(if checked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The mistakes, for people.
pub(super) fn tell_mistakes(errors: &ProfileErrors) {
    for mistake in &errors.0 {
        say(format_args!("{}: {}", mistake.path, mistake.what));
    }
    let count = errors.0.len();
    say(format_args!("{count} 处错误 · {count} {}", if count == 1 { "mistake" } else { "mistakes" }));
}

pub(super) fn mistakes(errors: &ProfileErrors) -> Vec<serde_json::Value> {
    errors.0.iter().map(|mistake| json!({ "key": mistake.path, "text": mistake.what })).collect()
}

fn tell(loaded: &Loaded) {
    let identity = &loaded.profile.identity;
    say(format_args!("{} {} version {}: valid 配置有效", identity.kind, identity.name, identity.version));
    let words = |there: bool| if there { "yes 有" } else { "no 无" };
    let profile = &loaded.profile;
    let datasets: Vec<_> = profile.datasets.datasets().map(|dataset| dataset.to_string()).collect();
    say(format_args!("  datasets 数据集: {}", datasets.join(", ")));
    say(format_args!("  pushes to us 推送: {}", words(profile.push.is_some())));
    say(format_args!("  takes commands or uploads 接收: {}", words(profile.write.is_some())));
    say(format_args!("  account of itself 对账: {}", words(profile.manifest.is_some())));
    say(format_args!("  files of records 附件: {}", words(profile.attachments.is_some())));
    for remark in remarks(profile) {
        say(format_args!("  note 注意: {remark}"));
    }
}

/// What is allowed, and should be known.
fn remarks(profile: &Profile) -> Vec<String> {
    let signature = &profile.signature;
    let mut remarks = Vec::new();
    let signs = |wanted: &[SignPiece]| wanted.iter().any(|piece| signature.string_to_sign.contains(piece));
    if !signs(&[SignPiece::Body, SignPiece::BodySha256, SignPiece::BodySm3]) {
        remarks.push(
            "签名不覆盖报文：只应在 TLS 和白名单之内使用 · the signature does not cover the body: use TLS and a list of addresses".to_owned(),
        );
    }
    if signature.scheme == MacScheme::Sha1 {
        remarks.push("SHA-1 已不安全，请与对端商定更换 · SHA-1 is broken: agree on another scheme".to_owned());
    }
    if profile.manifest.is_none() {
        remarks.push(
            "没有对账接口：该渠道只能显示为不可核对 · without [manifest] the channel is shown as unverifiable, never as complete".to_owned(),
        );
    }
    let refers = profile.items.iter().any(|item| item.fields.iter().any(|(_, rule)| rule.field == Field::Pictures));
    match &profile.attachments {
        None if refers => remarks.push(
            "记录引用了附件，但没有 [attachments]：只传递引用，不取文件 · records refer to files, and without [attachments] they are not fetched: their references are carried, that is all".to_owned(),
        ),
        Some(rule) if !rule.hosts.is_empty() => {
            let hosts = rule.hosts.join(", ");
            remarks.push(format!(
                "附件地址可指向 {hosts}，请求不带签名；引用可能由市民填写，这些主机必须是对端专用的 · addresses at {hosts} are followed without a signature; as citizens may write them, these must be hosts for such files alone"
            ));
        }
        _ => {}
    }
    remarks
}
