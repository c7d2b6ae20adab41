//! What commands refuse most often, in Chinese and English: people at the bureau read the first line, and whoever helps them the second.

use super::client::Thing;
use crate::Failure;
use reqwest::StatusCode;
use serde_json::Value;
use std::path::Path;

/// Whatever the API refuses; it says why in both languages.
pub(super) fn refused(status: StatusCode, problem: &Value) -> Failure {
    let detail =
        problem["detail"].as_str().or_else(|| problem["title"].as_str()).unwrap_or("the gateway gave no reason");
    let zh = problem["detail_zh"].as_str().unwrap_or("网关未说明原因");
    match problem["code"].as_str() {
        Some(code) => Failure::told(
            format!("{zh}（{code}，见 docs/errors.md）"),
            format!("{detail} ({code}; see docs/errors.md)"),
        ),
        None => Failure::told(format!("{zh}（HTTP {status}）"), format!("{detail} (HTTP {status})")),
    }
}

/// The API did not answer.
pub(super) fn unreachable(error: reqwest::Error) -> Failure {
    let Failure(text) = Failure::from(error.without_url());
    Failure::told(
        "网关没有应答；请用 hotline-gateway status 查看，并查看其日志",
        format!("the gateway does not answer: {text}; see hotline-gateway status, and its log"),
    )
}

pub(super) fn no_directory(dir: &Path) -> Failure {
    let dir = dir.display();
    Failure::told(
        format!("目录 {dir} 不存在：请用 --dir 指定网关目录"),
        format!("{dir} does not exist: name the gateway's directory with --dir"),
    )
}

pub(super) fn no_gateway(dir: &Path) -> Failure {
    // A demo keeps its gateway beside its counterparties.
    let demo = dir.join("demo.json").exists().then(|| dir.join("gateway"));
    let (zh, en) = match demo {
        Some(gateway) => {
            let gateway = gateway.display();
            (format!("演示的网关在 {gateway}"), format!("the gateway of a demo lies in {gateway}"))
        }
        None => ("请用 --dir 指定网关目录".to_owned(), "name the gateway's directory with --dir".to_owned()),
    };
    let dir = dir.display();
    Failure::told(format!("{dir} 中没有网关：{zh}"), format!("there is no gateway in {dir}: {en}"))
}

/// It holds its lock and has written no address.
pub(super) fn between(file: &Path, error: &std::io::Error) -> Failure {
    Failure::told(
        "网关正在启动或停止，请稍后再试",
        format!("the gateway is starting or ending ({}: {error}); try again", file.display()),
    )
}

pub(super) fn not_there(thing: &Thing) -> Failure {
    Failure::told(format!("没有{}", thing.zh), format!("there is no {}", thing.en))
}

pub(super) fn runs_here() -> Failure {
    Failure::told("该目录中的网关正在运行：请先停止", "a gateway runs in this directory: stop it first")
}

pub(super) fn no_time(text: &str) -> Failure {
    Failure::told(
        format!("`{text}` 不是时间：写法如 2026-11-25T22:00:00+08:00"),
        format!("`{text}` is no time as 2026-11-25T22:00:00+08:00"),
    )
}

pub(super) fn no_length(text: &str) -> Failure {
    Failure::told(
        format!("`{text}` 不是时长：写法如 30m（分）、8h（小时）、2d（天）"),
        format!("`{text}` is no length of time as 30m, 8h or 2d"),
    )
}

pub(super) fn no_end() -> Failure {
    Failure::told(
        "请用 --until 指定截止时间，或用 --for 指定时长",
        "say until when with --until, or for how long with --for",
    )
}

pub(super) fn workbook_on_terminal() -> Failure {
    Failure::told("工作簿不能显示在终端：请用 --out 指定文件", "a workbook is no text: write it to a file with --out")
}

/// The file's name says one form, and the option another.
pub(super) fn other_form(file: &Path, by_name: &str, asked: &str) -> Failure {
    let file = file.display();
    Failure::told(
        format!("文件名 {file} 表示 {by_name}，而要求的格式是 {asked}：请改其一"),
        format!("the name of {file} means {by_name}, and {asked} is asked for: change one of them"),
    )
}

pub(super) fn unknown_form(file: &Path) -> Failure {
    let file = file.display();
    Failure::told(
        format!("由文件名 {file} 看不出格式：请用 .html、.xlsx、.csv、.json、.txt，或加 --format"),
        format!("the name of {file} tells no form: end it in .html, .xlsx, .csv, .json or .txt, or add --format"),
    )
}

pub(super) fn unwritable(file: &Path, error: &std::io::Error) -> Failure {
    let file = file.display();
    Failure::told(format!("无法写入 {file}：{error}"), format!("{file} can't be written: {error}"))
}

pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    let file = file.display();
    Failure::told(format!("无法读取 {file}：{error}"), format!("{file} can't be read: {error}"))
}

pub(super) fn no_notifier_configured() -> Failure {
    Failure::told(
        "尚未配置通知渠道：请添加 [[alert.notifier]]，见 docs/alerts.md",
        "no notifier is configured: add an [[alert.notifier]], see docs/alerts.md",
    )
}

pub(super) fn unknown_notifier(id: &str, known: &[&str]) -> Failure {
    let known = known.join(", ");
    Failure::told(
        format!("没有通知渠道 {id}；已配置的有：{known}"),
        format!("there is no notifier `{id}`: there are {known}"),
    )
}

pub(super) fn notifiers_wrong(lines: &str) -> Failure {
    Failure::told("通知渠道配置有误：", format!("the notifiers are not configured right:\n{lines}"))
}
