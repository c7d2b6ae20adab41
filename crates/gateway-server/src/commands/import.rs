//! `import registry`.

use super::client::ApiClient;
use super::print::{cell, json, say, table};
use super::said;
use crate::Failure;
use crate::cli::{ImportAction, ImportOptions, RegistryFileKind};
use gateway_model::RegistryKind;
use std::process::ExitCode;

/// Takes a file of operating data.
///
/// # Errors
/// When the file can't be read, has mistakes (all are shown, and nothing of it is taken), or the API refuses it.
pub async fn import(options: ImportOptions) -> Result<ExitCode, Failure> {
    let ImportAction::Registry { file, kind, whole, query } = options.action;
    let kind = match kind {
        RegistryFileKind::Vehicles => RegistryKind::Vehicles,
        RegistryFileKind::Drivers => RegistryKind::Drivers,
        RegistryFileKind::Companies => RegistryKind::Companies,
        RegistryFileKind::Trips => RegistryKind::Trips,
    };
    let bytes = std::fs::read(&file).map_err(|error| said::unreadable(&file, &error))?;
    let api = ApiClient::connect(&query.installation).await?;
    if !query.json {
        let size = bytes.len().div_ceil(1024);
        say(format_args!("{} {}: {size} KiB, checked and taken whole 整体校验并导入…", kind, kind.chinese()));
    }
    let whole = if whole { "true" } else { "false" };
    let answer = api.post_bytes(&format!("/api/v1/registry/{kind}"), &[("whole", whole)], bytes).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err((failure, problem)) => {
            let mistakes = problem["mistakes"].as_array().map(Vec::as_slice).unwrap_or_default();
            if query.json && !mistakes.is_empty() {
                json(&problem);
            } else if !mistakes.is_empty() {
                let keys = ["line", "column", "what", "what_zh"];
                let rows: Vec<Vec<String>> =
                    mistakes.iter().map(|mistake| keys.iter().map(|key| cell(&mistake[*key])).collect()).collect();
                table(&["line 行", "column 列", "what", "错误"], &rows);
            }
            return Err(failure);
        }
    };
    if query.json {
        json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let keys = ["entries", "added", "changed", "unchanged", "removed"];
    table(
        &["entries 行数", "added 新增", "changed 变更", "unchanged 未变", "removed 移除"],
        &[keys.iter().map(|key| cell(&answer[*key])).collect()],
    );
    let ignored: Vec<String> = answer["ignored_columns"].as_array().into_iter().flatten().map(cell).collect();
    if !ignored.is_empty() {
        say(format_args!("columns without a meaning here 未使用的列: {}", ignored.join(", ")));
    }
    Ok(ExitCode::SUCCESS)
}
