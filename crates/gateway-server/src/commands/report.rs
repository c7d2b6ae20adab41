//! `report`, `balance`, `trace`: what the API tells of the past, printed or written to a file.

use super::client::{ApiClient, Thing};
use super::print::{cell, json, say, table};
use super::said;
use crate::Failure;
use crate::cli::{BalanceOptions, ReportAction, ReportForm, ReportOptions, TraceOptions};
use serde_json::Value;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// Makes a report.
///
/// # Errors
/// What the API tells, or that the file can't be written.
pub async fn report(options: ReportOptions) -> Result<ExitCode, Failure> {
    let (path, form) = match options.action {
        ReportAction::Daily { date, form } => (format!("/api/v1/reports/daily/{date}"), form),
        ReportAction::Monthly { month, form } => (format!("/api/v1/reports/monthly/{month}"), form),
    };
    let ReportForm { format, out, as_of, language, query } = form;
    let asked = if query.json { Some("json") } else { format.as_deref() };
    let format = form_of(asked, out.as_deref())?;
    if format == "xlsx" && out.is_none() && std::io::stdout().is_terminal() {
        return Err(said::workbook_on_terminal());
    }
    let api = ApiClient::connect(&query.installation).await?;
    let mut asked = vec![("format", format), ("language", language.as_str())];
    if let Some(as_of) = &as_of {
        asked.push(("as_of", as_of));
    }
    write(&api.get_bytes(&path, &asked).await?, out.as_deref(), format == "json")?;
    Ok(ExitCode::SUCCESS)
}

/// The form that is asked for, or that the name of the file says; a contradiction is a slip that would be noticed only when the file is opened.
fn form_of<'a>(asked: Option<&'a str>, out: Option<&Path>) -> Result<&'a str, Failure> {
    let Some(file) = out else { return Ok(asked.unwrap_or("text")) };
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let by_name = match ending.as_deref() {
        Some("html" | "htm") => Some("html"),
        Some("xlsx") => Some("xlsx"),
        Some("csv") => Some("csv"),
        Some("json") => Some("json"),
        Some("txt") => Some("text"),
        _ => None,
    };
    match (asked, by_name) {
        (Some(asked), Some(by_name)) if asked != by_name => Err(said::other_form(file, by_name, asked)),
        (Some(form), _) | (None, Some(form)) => Ok(form),
        (None, None) if ending.is_none() => Ok("text"),
        (None, None) => Err(said::unknown_form(file)),
    }
}

/// Writes to the file whole or not at all, or to standard output.
fn write(bytes: &[u8], out: Option<&Path>, end_line: bool) -> Result<(), Failure> {
    let Some(file) = out else {
        match std::str::from_utf8(bytes) {
            Ok(text) => say(text.trim_end_matches('\n')),
            Err(_) => std::io::stdout().write_all(bytes)?,
        }
        return Ok(());
    };
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let part = file.with_file_name(name);
    let failed = |error: std::io::Error| said::unwritable(file, &error);
    let mut bytes = bytes.to_vec();
    if end_line {
        bytes.push(b'\n');
    }
    std::fs::write(&part, bytes).map_err(failed)?;
    std::fs::rename(&part, file).map_err(failed)?;
    say(format_args!("written 已写入 {}", file.display()));
    Ok(())
}

/// Shows both books of some days, then and now.
///
/// # Errors
/// What the API tells.
pub async fn balance(options: BalanceOptions) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(&options.query.installation).await?;
    let asked: Vec<(&str, &str)> =
        [("from", &options.day), ("to", &options.to), ("as_of", &options.as_of), ("channel", &options.channel)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
            .collect();
    let told = api.must("/api/v1/balance", &asked).await?;
    if options.query.json {
        json(&told);
        return Ok(ExitCode::SUCCESS);
    }
    let head = [
        "day 日期",
        "channel 渠道",
        "dataset 数据集",
        "as of 截至日",
        "theirs 对方",
        "ours 我方",
        "difference 差异",
        "standing 核对结论",
        "applied 已应用",
        "duplicate 重复",
        "dead 死信",
        "owed 应投递",
        "acknowledged 已确认",
        "superseded 已被取代",
        "rejected 被拒绝",
        "in flight 在途",
    ];
    let mut rows = Vec::new();
    for line in told["lines"].as_array().into_iter().flatten() {
        for (when, mark) in [("then", ""), ("now", " now 现在")] {
            let side = &line[when];
            // The name of the line stands once; the second row is how it is now.
            let of = |key: &str| if when == "then" { cell(&line[key]) } else { String::new() };
            let as_of = format!("{}{mark}", cell(&side["as_of"]));
            let mut row = vec![of("day"), of("channel"), of("dataset"), as_of];
            row.extend(["theirs", "ours", "difference", "standing"].map(|key| cell(&side["account"][key])));
            row.extend(["applied", "duplicate", "dead_lettered"].map(|key| cell(&side["inbound"][key])));
            row.extend(
                ["owed", "acknowledged", "superseded", "rejected", "in_flight"].map(|key| cell(&side["outbound"][key])),
            );
            rows.push(row);
        }
    }
    if rows.is_empty() {
        say(format_args!("nothing from {} to {} 该期间无数据", cell(&told["from"]), cell(&told["to"])));
        return Ok(ExitCode::SUCCESS);
    }
    table(&head, &rows);
    Ok(ExitCode::SUCCESS)
}

/// Shows every stage of one order.
///
/// # Errors
/// What the API tells; several orders of that number are listed in it.
pub async fn trace(options: TraceOptions) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(&options.query.installation).await?;
    let path = format!("/api/v1/orders/{}/trace", options.number);
    let mut asked = vec![("language", options.language.as_str())];
    if let Some(channel) = &options.channel {
        asked.push(("channel", channel));
    }
    if options.query.json {
        let told: Value = api.find(&path, &asked, Thing::new("order", "工单", &options.number)).await?;
        json(&told);
        return Ok(ExitCode::SUCCESS);
    }
    asked.push(("format", "text"));
    write(&api.get_bytes(&path, &asked).await?, None, false)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_name_of_a_file_says_its_form() {
        let by_name = |name: &str| form_of(None, Some(Path::new(name))).map_err(|failure| failure.0);
        for (name, wanted) in
            [("a.xlsx", "xlsx"), ("a.b.HTML", "html"), ("x/a.csv", "csv"), ("a.txt", "text"), ("a", "text")]
        {
            assert_eq!(by_name(name).unwrap(), wanted, "{name}");
        }
        assert!(by_name("a.pdf").unwrap_err().contains("看不出格式"));
        assert_eq!(form_of(Some("csv"), Some(Path::new("a.dat"))).unwrap(), "csv");
        assert_eq!(form_of(None, None).unwrap(), "text");
        let refused = form_of(Some("csv"), Some(Path::new("a.xlsx"))).unwrap_err().0;
        assert!(refused.contains("a.xlsx 表示 xlsx") && refused.contains("csv is asked for"), "{refused}");
    }
}
