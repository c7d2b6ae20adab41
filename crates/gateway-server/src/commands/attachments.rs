//! `order attachments`: the files of an order, for whoever has to look at them, or at why they are not there.

use super::client::{ApiClient, Thing};
use super::columns::{ATTACHMENTS, section};
use super::print::{cell, json, say};
use super::said;
use crate::Failure;
use crate::cli::QueryOptions;
use serde_json::{Value, json as object};
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Which order, and where to ask.
pub(super) struct Of {
    pub(super) number: String,
    pub(super) channel: Option<String>,
    pub(super) query: QueryOptions,
}

/// Shows them, saves those that are kept, or asks for the others again.
///
/// # Errors
/// What the API tells, and a directory that can't be written.
pub(super) async fn attachments(of: Of, save: Option<&Path>, again: bool) -> Result<ExitCode, Failure> {
    let api = ApiClient::connect(&of.query.installation).await?;
    let filter: Vec<(&str, &str)> = of.channel.iter().map(|channel| ("channel", channel.as_str())).collect();
    let (number, path) = (&of.number, format!("/api/v1/orders/{}", of.number));
    let order = api.find(&path, &filter, Thing::new("order", "工单", number)).await?;
    let mut rows: Vec<Value> = order["attachments"].as_array().cloned().unwrap_or_default();
    let mut saved = Vec::new();
    for row in &mut rows {
        if again {
            ask_again(&api, row).await?;
        } else if let Some(dir) = save.filter(|_| row["state"] == "kept") {
            saved.push(save_one(&api, row, dir).await?);
        }
    }
    if of.query.json {
        let saved: Vec<String> = saved.iter().map(|file| file.display().to_string()).collect();
        json(&object!({ "order_id": order["id"], "attachments": rows, "saved": saved }));
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() {
        say("该工单没有附件 the order refers to no files");
        return Ok(ExitCode::SUCCESS);
    }
    section(&ATTACHMENTS, &Value::Array(rows));
    for file in saved {
        say(format_args!("已保存 saved: {}", file.display()));
    }
    if again {
        say("已提交重新索取 what is not kept is asked for again");
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks for one again, unless its file is here.
async fn ask_again(api: &ApiClient, row: &mut Value) -> Result<(), Failure> {
    let path = format!("/api/v1/attachments/{}", cell(&row["id"]));
    let here = row["state"] == "kept" && api.get_bytes(&path, &[]).await.is_ok();
    if !here {
        *row = api.post(&format!("{path}/fetch"), &object!({})).await?;
    }
    Ok(())
}

/// Persons can be seen on them: what is saved is for who saved it alone.
async fn save_one(api: &ApiClient, row: &Value, dir: &Path) -> Result<PathBuf, Failure> {
    let id = cell(&row["id"]);
    let bytes = api.get_bytes(&format!("/api/v1/attachments/{id}"), &[]).await?;
    let ending = gateway_api::attachment_ending(row["media_type"].as_str().unwrap_or_default());
    let file = dir.join(format!("{id}.{ending}"));
    let write = || {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&file)?;
        written.write_all(&bytes)
    };
    write().map_err(|error| said::unwritable(&file, &error))?;
    Ok(file)
}
