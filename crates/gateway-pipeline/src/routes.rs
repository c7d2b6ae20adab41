//! Routing rules: which change of which channel is owed to whom. Only these create deliveries.
//!
//! Two channels may owe each other the same dataset: what one says back of the other's word never returns. A longer circle would, since the third hears it
//! as the second's word, and is refused at start.

use gateway_model::{ChannelId, Dataset, Field};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Person fields that `to` may see of it; none unless named. Those of secret and anonymous orders are never sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub person_fields: Vec<Field>,
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
    /// It grants a field that is none of a person.
    #[error("the rule from {from} to {to} grants `{field}`, which is no person field")]
    Grant {
        /// Whose changes.
        from: ChannelId,
        /// Owed to whom.
        to: ChannelId,
        /// The field.
        field: Field,
    },
    /// What is owed along it would come round to where it began.
    #[error("changes of `{dataset}` would go in a circle: {}", circle(.channels))]
    Circle {
        /// The dataset.
        dataset: Dataset,
        /// The channels of the circle, in its direction.
        channels: Vec<ChannelId>,
    },
}

fn circle(channels: &[ChannelId]) -> String {
    let mut names: Vec<&str> = channels.iter().map(ChannelId::as_str).collect();
    names.extend(channels.first().map(ChannelId::as_str));
    names.join(" → ")
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
            for field in rule.person_fields.iter().filter(|field| !field.needs_grant()) {
                errors.push(RouteError::Grant { from: rule.from.clone(), to: rule.to.clone(), field: *field });
            }
        }
        for dataset in Dataset::ALL {
            errors.extend(circles(&rules, dataset));
        }
        if errors.is_empty() { Ok(Self(rules)) } else { Err(errors) }
    }

    /// Whether anything of a channel is owed to anybody.
    #[must_use]
    pub fn any_from(&self, from: &ChannelId) -> bool {
        self.0.iter().any(|rule| rule.from == *from)
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

/// Every circle of more than two channels, each once, told from its first channel by name.
fn circles(rules: &[Route], dataset: Dataset) -> Vec<RouteError> {
    let mut next: BTreeMap<&ChannelId, BTreeSet<&ChannelId>> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| rule.datasets.contains(&dataset) && rule.from != rule.to) {
        next.entry(&rule.from).or_default().insert(&rule.to);
    }
    let mut found = Vec::new();
    let mut ways: Vec<Vec<&ChannelId>> = next.keys().map(|start| vec![*start]).collect();
    while let Some(way) = ways.pop() {
        let (Some(first), Some(last)) = (way.first(), way.last()) else { continue };
        for to in next.get(*last).into_iter().flatten() {
            if to == first && way.len() > 2 {
                let channels = way.iter().map(|channel| (*channel).clone()).collect();
                found.push(RouteError::Circle { dataset, channels });
            } else if *to > *first && !way.contains(to) {
                ways.push(way.iter().copied().chain([*to]).collect());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(from: &str, to: &str) -> Route {
        let channel = |name: &str| ChannelId::new(name).unwrap();
        Route { from: channel(from), datasets: vec![Dataset::Handling], to: channel(to), person_fields: Vec::new() }
    }

    #[test]
    fn a_circle_of_three_is_refused_and_told_once() {
        let errors = Routes::new(vec![rule("b", "c"), rule("a", "b"), rule("c", "a")]).unwrap_err();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].to_string(), "changes of `handling` would go in a circle: a → b → c → a");
    }

    #[test]
    fn two_may_owe_each_other_and_a_third() {
        assert!(Routes::new(vec![rule("a", "b"), rule("b", "a"), rule("a", "c"), rule("b", "c")]).is_ok());
    }

    #[test]
    fn only_person_fields_are_granted() {
        let mut granting = rule("a", "b");
        granting.person_fields = vec![Field::ContactPhone, Field::Title];
        let errors = Routes::new(vec![granting]).unwrap_err();
        assert_eq!(errors.len(), 1);
        assert!(errors[0].to_string().contains("`title`"));
    }
}
