//! `routes check` and `routes explain`: what the routing rules mean, for all orders and for one.

use super::client::{ApiClient, Thing};
use super::print::{cell, json, say, table};
use crate::Failure;
use crate::cli::{InstallationOptions, RoutesAction, RoutesOptions};
use crate::config::{self, GatewayConfig};
use crate::dead_ends::Ends;
use crate::registry;
use gateway_connector::Connector;
use gateway_model::{ChannelId, Dataset, Part, SystemClock};
use gateway_pipeline::{Route, Routes};
use serde_json::{Value, json as object};
use std::process::ExitCode;
use std::sync::Arc;

/// Shows what the routing rules mean.
///
/// # Errors
/// A configuration that can't be read; what the API tells.
pub async fn routes(options: RoutesOptions) -> Result<ExitCode, Failure> {
    match options.action {
        RoutesAction::Check { installation, json } => check(&installation, json),
        RoutesAction::Explain { number, channel, query } => {
            let map = RouteMap::read(&query.installation)?;
            let api = ApiClient::connect(&query.installation).await?;
            let filter: Vec<(&str, &str)> = channel.iter().map(|channel| ("channel", channel.as_str())).collect();
            let path = format!("/api/v1/orders/{number}");
            let order = api.find(&path, &filter, Thing::new("order", "工单", &number)).await?;
            let id = cell(&order["id"]);
            let timeline = api.must(&format!("/api/v1/orders/{id}/timeline"), &[]).await?;
            let lines = map.explain(&order, &timeline["deliveries"]);
            if query.json {
                json(&object!({ "order_id": id, "items": lines }));
            } else {
                say(format_args!("order 工单 {id}"));
                print(
                    &lines,
                    &[
                        ("channel", "channel 渠道"),
                        ("item", "item 事项"),
                        ("to", "to 去向"),
                        ("delivery_id", "delivery 投递"),
                        ("state", "state 状态"),
                        ("why", "why 原因"),
                    ],
                );
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(installation: &InstallationOptions, as_json: bool) -> Result<ExitCode, Failure> {
    let map = RouteMap::read(installation)?;
    let lines = map.lines();
    let mut faults: Vec<String> =
        lines.iter().map(|line| cell(&line["fault"])).filter(|text| !text.is_empty()).collect();
    if let Err(errors) = Routes::new(map.config.routes.clone()) {
        faults.extend(errors.iter().map(ToString::to_string));
    }
    let unowed = map.unowed();
    if as_json {
        json(&object!({ "valid": faults.is_empty(), "rules": lines, "faults": faults, "owed_to_nobody": unowed }));
    } else {
        print(
            &lines,
            &[
                ("from", "from 来自"),
                ("dataset", "dataset 数据集"),
                ("to", "to 去向"),
                ("takes", "takes 接收"),
                ("person_fields", "person fields 个人信息"),
            ],
        );
        for text in &unowed {
            say(format_args!("note 提示: {text}"));
        }
        for fault in &faults {
            say(format_args!("fault 问题: {fault}"));
        }
        if faults.is_empty() {
            say("no circle and no dead end 没有环路和断头路由");
        }
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(lines: &[Value], columns: &[(&str, &str)]) {
    let head: Vec<&str> = columns.iter().map(|(_, name)| *name).collect();
    let rows: Vec<Vec<String>> =
        lines.iter().map(|line| columns.iter().map(|(key, _)| cell(&line[*key])).collect()).collect();
    table(&head, &rows);
}

/// The rules with the channels that they name.
struct RouteMap {
    config: GatewayConfig,
    desk: Option<ChannelId>,
    connectors: Vec<(ChannelId, Arc<dyn Connector>)>,
}

impl RouteMap {
    fn read(installation: &InstallationOptions) -> Result<Self, Failure> {
        let mut mistakes = Vec::new();
        let config = config::read(&installation.dir, installation.config_file().as_deref(), &mut mistakes);
        let config = config.map_err(|unreadable| Failure(unreadable.to_string()))?;
        let connectors = registry::connect_all(&config, Arc::new(SystemClock), &mut mistakes);
        // Circles and dead ends are this command's own matter; what else is wrong would make its answer wrong.
        mistakes.retain(|mistake| !mistake.key.starts_with("route"));
        if !mistakes.is_empty() {
            return Err(Failure(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")));
        }
        let desk = config.api.desk().ok();
        Ok(Self { config, desk, connectors })
    }

    fn ends(&self) -> Ends<'_> {
        Ends { connectors: &self.connectors, desk: self.desk.as_ref() }
    }

    /// One line for each rule and dataset.
    fn lines(&self) -> Vec<Value> {
        let ends = self.ends();
        let mut lines = Vec::new();
        for rule in &self.config.routes {
            for dataset in &rule.datasets {
                let takes = ends.takes(rule, *dataset);
                let persons: Vec<&str> = rule.person_fields.iter().map(|field| field.as_str()).collect();
                lines.push(object!({
                    "from": rule.from, "dataset": dataset, "to": rule.to, "takes": takes.as_deref().unwrap_or_default(),
                    "person_fields": persons.join(", "), "fault": takes.err(),
                }));
            }
        }
        lines
    }

    /// What channels state and no rule names.
    fn unowed(&self) -> Vec<String> {
        let mut unowed = Vec::new();
        for (channel, connector) in &self.connectors {
            for dataset in &connector.descriptor().datasets {
                let named = |rule: &&Route| rule.from == *channel && rule.datasets.contains(dataset);
                if !self.config.routes.iter().any(|rule| named(&rule)) {
                    unowed.push(format!("what `{channel}` states of `{dataset}` is owed to nobody"));
                }
            }
        }
        unowed
    }

    /// One line for each item of an order and each rule that concerns it.
    fn explain(&self, order: &Value, deliveries: &Value) -> Vec<Value> {
        let mut lines = Vec::new();
        for item in items(order) {
            let concerned = |rule: &&Route| rule.from == item.channel && rule.datasets.contains(&item.dataset);
            let mut owed = self.config.routes.iter().filter(concerned).peekable();
            if owed.peek().is_none() {
                lines.push(item.line(None, &Value::Null, "no rule names it 没有路由规则".to_owned()));
            }
            for rule in owed {
                let last = deliveries.as_array().into_iter().flatten().rfind(|row| item.is_of(row, &rule.to));
                let why = match last {
                    Some(row) => cell(&row["reason"]),
                    None => self.why_not(rule, &item, order),
                };
                lines.push(item.line(Some(&rule.to), last.unwrap_or(&Value::Null), why));
            }
        }
        lines
    }

    fn why_not(&self, rule: &Route, item: &Item, order: &Value) -> String {
        let ends = self.ends();
        let Some(sink) = ends.connector(&rule.to).and_then(|connector| connector.sink()) else {
            return format!("`{}` takes nothing 对方不接收", rule.to);
        };
        if self.desk.as_ref() == Some(&rule.from) {
            return "it goes with a command of its order 随指令投递".to_owned();
        }
        let mut numbers = order["numbers"].as_array().into_iter().flatten();
        if !sink.takes_orders() && !numbers.any(|number| number["channel"] == rule.to.as_str()) {
            return format!(
                "`{}` takes no orders of others, and this is none of its own 对方不接收其他渠道的工单",
                rule.to
            );
        }
        let handles = ends.connector(&rule.from).is_some_and(|connector| connector.normalizer().handles_orders());
        if !sink.forwards(item.dataset, &item.part) && handles {
            return "it asks nothing of the platform 不要求对方办理".to_owned();
        }
        if !sink.forwards(item.dataset, &item.part) {
            return format!("the wire profile of `{}` takes no such item 对方不接收此类事项", rule.to);
        }
        if item.echo {
            return "it is what was sent there, said back, or came from there 来自对方或对方回显".to_owned();
        }
        "it was stated before the rule was there; `backfill` makes it owed 规则生效前的数据，可用 backfill 补送"
            .to_owned()
    }
}

/// What one channel states in an order.
struct Item {
    channel: ChannelId,
    dataset: Dataset,
    part: Part,
    echo: bool,
}

impl Item {
    fn is_of(&self, delivery: &Value, to: &ChannelId) -> bool {
        delivery["destination"] == to.as_str()
            && delivery["from"] == self.channel.as_str()
            && delivery["dataset"] == self.dataset.as_str()
            && delivery["part"] == self.part.to_string()
    }

    fn line(&self, to: Option<&ChannelId>, delivery: &Value, why: String) -> Value {
        object!({
            "channel": self.channel, "dataset": self.dataset, "part": self.part, "item": format!("{}/{}", self.dataset, self.part),
            "to": to, "delivery_id": delivery["id"], "operation": delivery["operation"], "state": delivery["state"], "why": why,
        })
    }
}

/// The facets and events of an order as the API shows it. What can't be read here is of a newer gateway than this command.
fn items(order: &Value) -> Vec<Item> {
    let rows = |key: &str| order[key].as_array().cloned().unwrap_or_default();
    let read = |row: &Value, part: String| {
        Some(Item {
            channel: ChannelId::new(cell(&row["channel"])).ok()?,
            dataset: cell(&row["dataset"]).parse().ok()?,
            part: part.parse().ok()?,
            echo: row["echo"] == true,
        })
    };
    let facets = rows("facets").into_iter().filter_map(|row| read(&row, cell(&row["part"])));
    let events = rows("events").into_iter().filter_map(|row| read(&row, format!("e:{}", cell(&row["event_id"]))));
    facets.chain(events).collect()
}
