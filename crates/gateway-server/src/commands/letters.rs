//! `dead-letters`.

use super::client::{ApiClient, Thing};
use super::ops::show;
use super::print::{cell, json, table};
use crate::Failure;
use crate::cli::{DeadLettersAction, DeadLettersOptions};
use serde_json::json as object;
use std::process::ExitCode;

/// Lists, shows, retries and waives dead letters.
///
/// # Errors
/// What the API tells.
pub async fn dead_letters(options: DeadLettersOptions) -> Result<ExitCode, Failure> {
    match options.action {
        DeadLettersAction::List { state, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let filter: Vec<(&str, &str)> = state.iter().map(|state| ("state", state.as_str())).collect();
            let letters = api.list("/api/v1/dead-letters", "dead_letters", &filter).await?;
            if query.json {
                json(&object!({ "dead_letters": letters }));
                return Ok(ExitCode::SUCCESS);
            }
            let rows = letters.iter().map(|letter| {
                ["id", "channel", "number", "code", "reason", "state", "at", "settled_reason"]
                    .map(|key| cell(&letter[key]))
                    .to_vec()
            });
            let head = [
                "id",
                "channel 渠道",
                "number 工单编号",
                "code 代码",
                "reason 原因",
                "state 状态",
                "at 时间",
                "settled 处置",
            ];
            table(&head, &rows.collect::<Vec<_>>());
        }
        DeadLettersAction::Show { id, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let thing = Thing::new("dead letter", "死信", id);
            let letter = api.find(&format!("/api/v1/dead-letters/{id}"), &[], thing).await?;
            show(&letter, query.json);
        }
        DeadLettersAction::Retry { id, body, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let request = match body {
                Some(file) => object!({ "body": std::fs::read_to_string(&file)? }),
                None => object!({}),
            };
            let answer = api.post(&format!("/api/v1/dead-letters/{id}/retry"), &request).await?;
            show(&answer, query.json);
        }
        DeadLettersAction::Waive { id, reason, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let by = std::env::var("USER").unwrap_or_else(|_| "command line".into());
            let answer =
                api.post(&format!("/api/v1/dead-letters/{id}/waive"), &object!({ "reason": reason, "by": by })).await?;
            show(&answer, query.json);
        }
    }
    Ok(ExitCode::SUCCESS)
}
