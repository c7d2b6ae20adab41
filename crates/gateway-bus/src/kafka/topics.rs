//! Makes topics what they must be, or tells what they are not.
//!
//! Records hold personal data, so a topic that keeps them longer than asked for, or for ever by compaction, is as wrong as one that may lose them.

use super::client::{Context, Trouble, bus_error, common};
use super::observer::{Observer, PartitionState};
use super::options::KafkaOptions;
use super::producer::protocol_bytes;
use crate::{BusError, TopicName, TopicSpec};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::util::Timeout;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// More can't be had by one topic.
const MAX_PARTITIONS: u32 = 10_000;
/// The broker lets an unlimited retention stand as this.
const FOR_EVER: &str = "-1";

/// What is known of a topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// How many partitions it had when last looked.
    pub partitions: u32,
}

/// Topics and what they must be.
pub(super) struct Topics {
    options: Arc<KafkaOptions>,
    trouble: Arc<Trouble>,
    observer: Arc<Observer>,
    admin: AdminClient<Context>,
    known: RwLock<HashMap<TopicName, Known>>,
}

impl Topics {
    pub fn new(
        options: &Arc<KafkaOptions>,
        trouble: &Arc<Trouble>,
        observer: &Arc<Observer>,
    ) -> Result<Self, BusError> {
        let mut config = common(options)?;
        // Nobody takes what this client has to tell but its answers; the other clients say the same.
        config.remove("statistics.interval.ms").set_log_level(RDKafkaLogLevel::Emerg);
        let admin = config
            .create_with_context(Context::new(trouble, None))
            .map_err(|error| bus_error(trouble, "a client for the brokers", &error))?;
        Ok(Self {
            options: Arc::clone(options),
            trouble: Arc::clone(trouble),
            observer: Arc::clone(observer),
            admin,
            known: RwLock::default(),
        })
    }

    /// A topic that was seen, or is there.
    pub async fn find(&self, topic: &TopicName) -> Result<Known, BusError> {
        if let Some(known) = self.seen(topic) {
            return Ok(known);
        }
        self.look(topic).await.map(|(known, _)| known)
    }

    fn seen(&self, topic: &TopicName) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(topic).copied()
    }

    /// All topics that were seen.
    pub fn all(&self) -> Vec<TopicName> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// A topic as it is now; it may have got more partitions, or be gone.
    pub async fn look(&self, topic: &TopicName) -> Result<(Known, Vec<PartitionState>), BusError> {
        let found = self.observer.partitions(topic).await;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(states) => {
                let now = Known { partitions: u32::try_from(states.len()).unwrap_or(u32::MAX) };
                known.insert(topic.clone(), now);
                Ok((now, states))
            }
            Err(error) => {
                if matches!(error, BusError::UnknownTopic(_)) {
                    known.remove(topic);
                }
                Err(error)
            }
        }
    }

    fn patience(&self) -> AdminOptions {
        let patience = Timeout::After(Duration::from_millis(self.options.request_timeout_ms.into()));
        AdminOptions::new().request_timeout(Some(patience)).operation_timeout(Some(patience))
    }

    /// Creates a topic, or checks the one there is.
    pub async fn ensure(&self, spec: &TopicSpec) -> Result<(), BusError> {
        if spec.partitions == 0 || spec.partitions > MAX_PARTITIONS {
            let what = format!("topic {}: {} partitions; 1 to {MAX_PARTITIONS} can be had", spec.name, spec.partitions);
            return Err(BusError::Refused { what });
        }
        match self.look(&spec.name).await {
            Ok((_, states)) => self.check(spec, &states).await,
            Err(BusError::UnknownTopic(_)) => self.create(spec).await,
            Err(error) => Err(error),
        }
    }

    /// What a topic's settings must be.
    fn wanted(&self, spec: &TopicSpec) -> Vec<(&'static str, String)> {
        let retention_ms = u64::try_from(spec.retention.as_millis()).unwrap_or(u64::MAX);
        let segment_ms = self.options.segment_seconds.saturating_mul(1_000).min(retention_ms.max(1));
        vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", retention_ms.to_string()),
            ("segment.ms", segment_ms.to_string()),
            ("min.insync.replicas", self.options.min_insync.to_string()),
            ("max.message.bytes", protocol_bytes(&self.options).to_string()),
            // The broker's clock decides what is old, whatever the clocks of replicas say.
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            ("unclean.leader.election.enable", "false".to_owned()),
        ]
    }

    async fn create(&self, spec: &TopicSpec) -> Result<(), BusError> {
        let name = self.observer.topic_name(&spec.name);
        let refuse = |what: String| BusError::Refused { what: format!("topic {name} {what}") };
        if !self.options.manage_topics {
            return Err(refuse(format!(
                "is missing and manage_topics is off: have it made with {} partitions, {} replicas and {}",
                spec.partitions,
                self.options.replication,
                as_text(&self.wanted(spec))
            )));
        }
        let brokers = self.observer.brokers().await?;
        if brokers < usize::from(self.options.replication) {
            return Err(refuse(format!(
                "can't be made with replication = {}: the cluster has {brokers} broker(s) now; start the others, or set replication and \
                 min_insync lower",
                self.options.replication
            )));
        }
        let wanted = self.wanted(spec);
        let replication = TopicReplication::Fixed(self.options.replication.into());
        let mut new = NewTopic::new(&name, i32::try_from(spec.partitions).unwrap_or(i32::MAX), replication);
        for (key, value) in &wanted {
            new = new.set(key, value);
        }
        let made = self.admin.create_topics([&new], &self.patience()).await;
        let made = made.map_err(|error| self.error(&name, &error))?;
        match made.into_iter().next() {
            // Another replica may have been first.
            Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {}
            Some(Err((
                _,
                code @ (RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed),
            ))) => {
                return Err(refuse(format!(
                    "can't be made: {code}; give the user the right to create it, or have it made with {} partitions, {} replicas and {}",
                    spec.partitions,
                    self.options.replication,
                    as_text(&wanted)
                )));
            }
            Some(Err((_, code))) => return Err(self.error(&name, &KafkaError::AdminOp(code))),
            None => return Err(BusError::Damaged { what: format!("no answer to making topic {name}"), source: None }),
        }
        self.appears(&spec.name, spec.partitions).await
    }

    /// A new topic is not known to every broker at once.
    async fn appears(&self, topic: &TopicName, partitions: u32) -> Result<(), BusError> {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(self.options.request_timeout_ms.into());
        loop {
            match self.look(topic).await {
                Ok((known, states)) if known.partitions >= partitions && states.iter().all(|state| state.led) => {
                    return Ok(());
                }
                Ok(_) | Err(BusError::UnknownTopic(_)) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Ok(_) => return Err(BusError::Unavailable(format!("the new topic {topic} has no leader yet").into())),
                Err(error) => return Err(error),
            }
        }
    }

    async fn check(&self, spec: &TopicSpec, states: &[PartitionState]) -> Result<(), BusError> {
        let name = self.observer.topic_name(&spec.name);
        let found = u32::try_from(states.len()).unwrap_or(u32::MAX);
        if found < spec.partitions {
            tracing::warn!(
                topic = name,
                found,
                wanted = spec.partitions,
                "the topic has fewer partitions than asked for; it keeps them, since more would move keys from one to another"
            );
        }
        if let Some(least) = states.iter().map(|state| state.replicas).min()
            && least < usize::from(self.options.replication)
        {
            let what = format!(
                "topic {name} has {least} replica(s), and replication = {}: have partitions reassigned (kafka-reassign-partitions.sh), or set \
                 replication lower",
                self.options.replication
            );
            return Err(BusError::Refused { what });
        }
        let config = self.describe(&name).await?;
        let value = |key: &str| config.get(key).and_then(|entry| entry.value.as_deref());
        let wrong: Vec<(&str, String)> = self
            .wanted(spec)
            .into_iter()
            .filter(|(key, wanted)| value(key).is_some_and(|found| !is_right(key, found, wanted)))
            .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let is: Vec<_> = wrong.iter().map(|(key, _)| (*key, value(key).unwrap_or(FOR_EVER).to_owned())).collect();
        let remedy = format!(
            "topic {name} has {} and must have {}: kafka-configs.sh --alter --entity-type topics --entity-name {name} --add-config {}",
            as_text(&is),
            as_text(&wrong),
            as_text(&wrong)
        );
        if !self.options.manage_topics {
            return Err(BusError::Refused { what: remedy });
        }
        self.alter(&name, &config, &wrong, &remedy).await
    }

    async fn describe(&self, name: &str) -> Result<ConfigResource, BusError> {
        let asked = self.admin.describe_configs([&ResourceSpecifier::Topic(name)], &self.patience()).await;
        match asked.map_err(|error| self.error(name, &error))?.into_iter().next() {
            Some(Ok(config)) => Ok(config),
            Some(Err(code)) => Err(self.error(name, &KafkaError::AdminOp(code))),
            None => Err(BusError::Damaged { what: format!("no answer to describing topic {name}"), source: None }),
        }
    }

    async fn alter(
        &self,
        name: &str,
        config: &ConfigResource,
        wrong: &[(&str, String)],
        remedy: &str,
    ) -> Result<(), BusError> {
        // The protocol replaces all settings of a topic, so those that somebody else made are sent along.
        let mut alter = AlterConfig::new(ResourceSpecifier::Topic(name));
        for entry in config.entries.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic) {
            if let Some(value) = &entry.value {
                alter = alter.set(&entry.name, value);
            }
        }
        for (key, value) in wrong {
            alter = alter.set(key, value);
        }
        let altered = self.admin.alter_configs([&alter], &self.patience()).await;
        match altered.map_err(|error| self.error(name, &error))?.into_iter().next() {
            Some(Ok(_)) => {
                tracing::info!(topic = name, settings = as_text(wrong), "the topic's settings were brought in line");
                Ok(())
            }
            Some(Err((_, code))) => {
                Err(BusError::Refused { what: format!("{remedy} (it could not be altered from here: {code})") })
            }
            None => Err(BusError::Damaged { what: format!("no answer to altering topic {name}"), source: None }),
        }
    }

    fn error(&self, name: &str, error: &KafkaError) -> BusError {
        bus_error(&self.trouble, &format!("topic {name}"), error)
    }
}

/// Whether a setting serves: some may be better than asked for.
fn is_right(key: &str, found: &str, wanted: &str) -> bool {
    let numbers = || Some((found.parse::<i64>().ok()?, wanted.parse::<i64>().ok()?));
    match (key, numbers()) {
        ("min.insync.replicas" | "max.message.bytes", Some((found, wanted))) => found >= wanted,
        ("segment.ms", Some((found, wanted))) => (1..=wanted).contains(&found),
        _ => found == wanted,
    }
}

fn as_text(settings: &[(&str, String)]) -> String {
    settings.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::is_right;

    #[test]
    fn a_setting_may_be_better_than_asked_for() {
        assert!(is_right("min.insync.replicas", "3", "2") && !is_right("min.insync.replicas", "1", "2"));
        assert!(is_right("segment.ms", "1000", "86400000") && !is_right("segment.ms", "604800000", "86400000"));
        assert!(is_right("retention.ms", "1000", "1000"));
        assert!(!is_right("retention.ms", "-1", "1000") && !is_right("retention.ms", "2000", "1000"));
        assert!(!is_right("cleanup.policy", "compact,delete", "delete"));
    }
}
