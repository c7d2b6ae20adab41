//! `deliveries`.

use super::client::{ApiClient, Thing};
use super::ops::show;
use super::print::{cell, json, table};
use crate::Failure;
use crate::cli::{DeliveriesAction, DeliveriesOptions};
use serde_json::json as object;
use std::process::ExitCode;

/// Lists the deliveries that wait for a person, shows one, sends it again or waives it.
///
/// # Errors
/// What the API tells.
pub async fn deliveries(options: DeliveriesOptions) -> Result<ExitCode, Failure> {
    match options.action {
        DeliveriesAction::List { channel, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let filter: Vec<(&str, &str)> = channel.iter().map(|channel| ("channel", channel.as_str())).collect();
            let left = api.list("/api/v1/deliveries", "deliveries", &filter).await?;
            if query.json {
                json(&object!({ "deliveries": left }));
                return Ok(ExitCode::SUCCESS);
            }
            let rows = left.iter().map(|delivery| {
                [
                    "id",
                    "destination",
                    "order_id",
                    "operation",
                    "dataset",
                    "state",
                    "generation",
                    "reason_code",
                    "reason",
                ]
                .map(|key| cell(&delivery[key]))
                .to_vec()
            });
            let head = [
                "id",
                "to 目的渠道",
                "order 工单",
                "operation 操作",
                "dataset 数据集",
                "state 状态",
                "generation 代次",
                "code 代码",
                "reason 原因",
            ];
            table(&head, &rows.collect::<Vec<_>>());
        }
        DeliveriesAction::Show { id, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let thing = Thing::new("delivery", "投递", id);
            let delivery = api.find(&format!("/api/v1/deliveries/{id}"), &[], thing).await?;
            show(&delivery, query.json);
        }
        DeliveriesAction::Redeliver { id, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let answer = api.post(&format!("/api/v1/deliveries/{id}/redeliver"), &object!({})).await?;
            show(&answer, query.json);
        }
        DeliveriesAction::Waive { id, reason, query } => {
            let api = ApiClient::connect(&query.installation).await?;
            let by = std::env::var("USER").unwrap_or_else(|_| "command line".into());
            let body = object!({ "reason": reason, "by": by });
            let answer = api.post(&format!("/api/v1/deliveries/{id}/waive"), &body).await?;
            show(&answer, query.json);
        }
    }
    Ok(ExitCode::SUCCESS)
}
