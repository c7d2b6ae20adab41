//! Routing rules: which change of which channel is owed to whom. Only these create deliveries.

use gateway_model::{ChannelId, Dataset};
use serde::{Deserialize, Serialize};

/// A rule: what `from` says of `datasets` is owed to `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Whose changes.
    pub from: ChannelId,
    /// Of which datasets.
    pub datasets: Vec<Dataset>,
    /// Owed to whom.
    pub to: ChannelId,
}

/// The routing table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes(Vec<Route>);

/// A rule that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// It would deliver a change back to where it came from.
    #[error("a change of {0} would be delivered back to it")]
    Back(ChannelId),
    /// It names no dataset.
    #[error("the rule from {from} to {to} names no dataset")]
    Empty {
        /// Whose changes.
        from: ChannelId,
        /// Owed to whom.
        to: ChannelId,
    },
}

impl Routes {
    /// A table of rules.
    ///
    /// # Errors
    /// All rules that make no sense.
    pub fn new(rules: Vec<Route>) -> Result<Self, Vec<RouteError>> {
        let mut errors = Vec::new();
        for rule in &rules {
            if rule.from == rule.to {
                errors.push(RouteError::Back(rule.from.clone()));
            }
            if rule.datasets.is_empty() {
                errors.push(RouteError::Empty { from: rule.from.clone(), to: rule.to.clone() });
            }
        }
        if errors.is_empty() { Ok(Self(rules)) } else { Err(errors) }
    }

    /// To whom a change is owed; each once, in the order of the rules.
    #[must_use]
    pub fn destinations(&self, from: &ChannelId, dataset: Dataset) -> Vec<ChannelId> {
        let mut to = Vec::new();
        for rule in self.0.iter().filter(|rule| rule.from == *from && rule.datasets.contains(&dataset)) {
            if !to.contains(&rule.to) {
                to.push(rule.to.clone());
            }
        }
        to
    }
}
