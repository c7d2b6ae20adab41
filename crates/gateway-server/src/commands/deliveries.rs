//! `deliveries`.

use super::client::{ApiClient, Thing};
use super::ops::show;
use super::print::{cell, json, table};
use crate::Failure;
use crate::cli::{DeliveriesAction, DeliveriesOptions};
use serde_json::{Value, json as object};
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
            let keys = ["operation", "dataset", "state", "generation", "created_at", "reason_code", "reason"];
            let rows = left.iter().map(|delivery| {
                let of = |key: &str| cell(&delivery[key]);
                [of("id"), of("destination"), number(delivery)].into_iter().chain(keys.map(of)).collect()
            });
            let head = [
                "id",
                "to 目的渠道",
                "order 工单",
                "operation 操作",
                "dataset 数据集",
                "state 状态",
                "generation 代次",
                "since 产生时间",
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

/// The number by which people know the order: where the word came from, else where it goes, else any.
fn number(delivery: &Value) -> String {
    let numbers = || delivery["numbers"].as_array().into_iter().flatten();
    let at = |channel: &Value| numbers().find(|number| number["channel"] == *channel);
    let known = at(&delivery["from"]).or_else(|| at(&delivery["destination"])).or_else(|| numbers().next());
    known.map_or_else(|| cell(&delivery["order_id"]), |number| cell(&number["number"]))
}
