//! Rules that lead nowhere: what they name would be owed to nobody, and nobody would know. Told at start with the configuration's other mistakes.

use crate::config::{ConfigMistake, GatewayConfig, mistake};
use gateway_connector::Connector;
use gateway_model::{ChannelId, Dataset, EventId, Operation, Part};
use gateway_pipeline::Route;
use std::sync::Arc;

/// The channels that rules can name.
pub struct Ends<'a> {
    /// Those with a connector.
    pub connectors: &'a [(ChannelId, Arc<dyn Connector>)],
    /// The bureau's own, which speaks in commands.
    pub desk: Option<&'a ChannelId>,
}

impl Ends<'_> {
    /// The connector of a channel.
    #[must_use]
    pub fn connector(&self, channel: &ChannelId) -> Option<&dyn Connector> {
        self.connectors.iter().find(|(id, _)| id == channel).map(|(_, connector)| connector.as_ref())
    }

    /// What the destination of a rule takes of a dataset, in words.
    ///
    /// # Errors
    /// Why the rule leads nowhere.
    pub fn takes(&self, rule: &Route, dataset: Dataset) -> Result<String, String> {
        let Route { from, to, .. } = rule;
        let Some(sink) = self.connector(to).and_then(|connector| connector.sink()) else {
            return Err(format!("{from} → {to}: `{to}` takes nothing"));
        };
        if self.desk == Some(from) {
            let commands = commands_of(dataset);
            let taken: Vec<&str> = commands
                .iter()
                .filter(|operation| sink.takes(**operation))
                .map(|operation| operation.as_str())
                .collect();
            return if taken.is_empty() {
                Err(format!("{from} → {to}: `{to}` takes no command of `{dataset}`"))
            } else {
                Ok(taken.join(", "))
            };
        }
        let states = self.connector(from).is_some_and(|connector| connector.descriptor().datasets.contains(&dataset));
        if !states {
            return Err(format!("{from} → {to}: `{from}` never states `{dataset}`"));
        }
        let sorts = [(Part::Cycle(0), "items 事项"), (any_event(), "events 事件")];
        let taken: Vec<&str> =
            sorts.iter().filter(|(part, _)| sink.forwards(dataset, part)).map(|(_, name)| *name).collect();
        let handles = self.connector(from).is_some_and(|connector| connector.normalizer().handles_orders());
        // A further unit is assigned by people alone.
        let asked = commands_of(dataset).iter().filter(|operation| **operation != Operation::Assign);
        let asked = asked.filter(|operation| handles && sink.takes(**operation));
        let taken: Vec<&str> = taken.into_iter().chain(asked.map(|operation| operation.as_str())).collect();
        if taken.is_empty() {
            return Err(format!(
                "{from} → {to}: the wire profile of `{to}` takes no item of `{dataset}` ([write.forward])"
            ));
        }
        Ok(taken.join(", "))
    }
}

/// Adds every rule and dataset that leads nowhere. Of a rule that names no channel, or one that can't be used, that alone is told.
pub fn check(config: &GatewayConfig, ends: &Ends<'_>, mistakes: &mut Vec<ConfigMistake>) {
    let unusable = |id: &ChannelId| {
        let configured = config.channels.iter().any(|channel| channel.id == id.as_str());
        configured && ends.connector(id).is_none()
    };
    for (at, rule) in config.routes.iter().enumerate() {
        let part = format!("route[{at}].");
        if mistakes.iter().any(|told| told.key.starts_with(&part)) || unusable(&rule.from) || unusable(&rule.to) {
            continue;
        }
        for dataset in &rule.datasets {
            let Err(why) = ends.takes(rule, *dataset) else { continue };
            let found = mistake(format!("route[{at}]"), why);
            if !mistakes.contains(&found) {
                mistakes.push(found);
            }
        }
    }
}

fn commands_of(dataset: Dataset) -> &'static [Operation] {
    match dataset {
        Dataset::Handling => &[
            Operation::Sign,
            Operation::Refuse,
            Operation::Complete,
            Operation::Extend,
            Operation::Appeal,
            Operation::Assign,
        ],
        Dataset::Completion => &[Operation::Reply],
        _ => &[],
    }
}

// Sinks take or refuse events as such, whichever their id.
fn any_event() -> Part {
    EventId::new("e".to_owned()).map_or(Part::Cycle(0), Part::Event)
}
