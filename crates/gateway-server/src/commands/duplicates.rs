//! `duplicates`: orders that may be one, and orders that are.

use super::client::{ApiClient, Thing};
use super::ops::show;
use super::print::{cell, json, say, table};
use crate::Failure;
use crate::cli::{DuplicatesAction, DuplicatesOptions, QueryOptions};
use serde_json::{Value, json as object};
use std::process::ExitCode;

/// Lists, shows and decides pairs of orders.
///
/// # Errors
/// What the API tells.
pub async fn duplicates(options: DuplicatesOptions) -> Result<ExitCode, Failure> {
    match options.action {
        DuplicatesAction::List { state, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let pairs = api.list("/api/v1/duplicates", "duplicates", &[("state", &state)]).await?;
            if query.json {
                json(&object!({ "duplicates": pairs }));
                return Ok(ExitCode::SUCCESS);
            }
            if pairs.is_empty() {
                say(format_args!("no pair of orders is {state} 没有此状态的疑似重复"));
                return Ok(ExitCode::SUCCESS);
            }
            let rows: Vec<Vec<String>> = pairs.iter().map(row).collect();
            let head = ["id", "score 得分", "alike in 依据", "one 工单甲", "other 工单乙", "by 判定者", "at 时间"];
            table(&head, &rows);
        }
        DuplicatesAction::Show { id, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let thing = Thing::new("pair of orders", "疑似重复", &id);
            let pair = api.find(&format!("/api/v1/duplicates/{id}"), &[], thing).await?;
            show(&pair, query.json);
        }
        DuplicatesAction::Confirm { id, reason, query } => {
            say_of(&query, &format!("/api/v1/duplicates/{id}/confirm"), object!({"reason": reason})).await?;
        }
        DuplicatesAction::Reject { id, reason, query } => {
            say_of(&query, &format!("/api/v1/duplicates/{id}/reject"), object!({"reason": reason})).await?;
        }
        DuplicatesAction::Join { order, other, reason, query } => {
            let body = object!({"order": order, "other": other, "reason": reason});
            say_of(&query, "/api/v1/duplicates", body).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn say_of(query: &QueryOptions, path: &str, mut body: Value) -> Result<(), Failure> {
    let api = ApiClient::connect(&query.installation).await?;
    body["by"] = std::env::var("USER").unwrap_or_else(|_| "command line".into()).into();
    let answer = api.post(path, &body).await?;
    show(&answer, query.json);
    Ok(())
}

fn row(pair: &Value) -> Vec<String> {
    let likeness = pair["likeness"].as_array().into_iter().flatten();
    let likeness: Vec<String> =
        likeness.map(|one| format!("{} {:+}", cell(&one["what"]), one["points"].as_i64().unwrap_or(0))).collect();
    let side = |at: usize| {
        let numbers = pair["numbers"][at].as_array().into_iter().flatten();
        let numbers: Vec<String> =
            numbers.map(|number| format!("{} {}", cell(&number["channel"]), cell(&number["number"]))).collect();
        numbers.join(", ")
    };
    vec![
        cell(&pair["id"]),
        cell(&pair["score"]),
        likeness.join(", "),
        side(0),
        side(1),
        cell(&pair["by"]),
        cell(&pair["at"]),
    ]
}
