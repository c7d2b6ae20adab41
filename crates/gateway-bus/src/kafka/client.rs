//! What all clients of the brokers have in common: how they are set up, what they tell, and how they are asked without holding up the runtime.

use super::options::{KafkaOptions, Security};
use crate::BusError;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a client said last about why it can't reach the brokers is worth telling for so long.
const FRESH: Duration = Duration::from_secs(60);

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last trouble that any client had with the brokers. A time-out alone says nothing; this says why.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<(Instant, String)>>);

impl Trouble {
    fn note(&self, text: String) {
        *locked(&self.0) = Some((Instant::now(), text));
    }

    /// What was said lately.
    pub fn lately(&self) -> Option<String> {
        locked(&self.0).as_ref().filter(|(at, _)| at.elapsed() < FRESH).map(|(_, text)| text.clone())
    }

    /// Nothing is wrong any more.
    pub fn clear(&self) {
        *locked(&self.0) = None;
    }
}

/// What a client tells, wherever it goes.
pub(super) struct Context {
    trouble: Arc<Trouble>,
    group: Option<String>,
    /// Set when the client told something that was no message: an empty answer of a poll then does not mean an empty queue.
    told: AtomicBool,
}

impl Context {
    pub fn new(trouble: &Arc<Trouble>, group: Option<&str>) -> Self {
        Self { trouble: Arc::clone(trouble), group: group.map(str::to_owned), told: AtomicBool::new(false) }
    }

    /// Whether something was told since the last time this was asked.
    pub fn take_told(&self) -> bool {
        self.told.swap(false, Ordering::AcqRel)
    }

    pub fn tell(&self) {
        self.told.store(true, Ordering::Release);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, about: &str, text: &str) {
        self.tell();
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!(target: "gateway_bus::kafka", about, group = self.group, "{text}");
            }
            RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "gateway_bus::kafka", about, group = self.group, "{text}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "gateway_bus::kafka", about, "{text}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.tell();
        let Some(group) = &self.group else {
            metrics::gauge!("gateway_bus_queue_bytes").set(statistics.msg_size as f64);
            return;
        };
        for topic in statistics.topics.values() {
            for partition in
                topic.partitions.values().filter(|partition| partition.desired && partition.consumer_lag >= 0)
            {
                metrics::gauge!("gateway_bus_lag_messages", "group" => group.clone(), "topic" => topic.topic.clone(),
                    "partition" => partition.partition.to_string())
                .set(partition.consumer_lag as f64);
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.tell();
        let remedy = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
                "; look at security.username and security.password_file"
            }
            Some(RDKafkaErrorCode::SSL) => "; look at security.tls, security.ca_file and security.certificate_file",
            // It follows the error that says why.
            Some(RDKafkaErrorCode::AllBrokersDown) if self.trouble.lately().is_some() => return,
            _ => "",
        };
        tracing::info!(target: "gateway_bus::kafka", group = self.group, %error, "{reason}{remedy}");
        self.trouble.note(format!("{reason}{remedy}"));
    }
}

/// What every client is set up with.
///
/// # Errors
/// [`BusError::Refused`] when a file of the settings can't be read.
pub(super) fn common(options: &KafkaOptions) -> Result<ClientConfig, BusError> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.bootstrap_servers)
        .set("client.id", &options.client_id)
        .set("socket.keepalive.enable", "true")
        .set("socket.nagle.disable", "true")
        // A broker that comes back is found within about this time.
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "2000")
        .set("topic.metadata.refresh.interval.ms", "60000")
        .set("allow.auto.create.topics", "false")
        .set("statistics.interval.ms", options.statistics_ms.to_string());
    config.set_log_level(RDKafkaLogLevel::Info);
    secure(&mut config, &options.security)?;
    Ok(config)
}

fn secure(config: &mut ClientConfig, security: &Security) -> Result<(), BusError> {
    let protocol = match (security.tls, security.sasl_mechanism.is_some()) {
        (false, false) => return Ok(()),
        (true, false) => "ssl",
        (false, true) => "sasl_plaintext",
        (true, true) => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    for (key, file) in [
        ("ssl.ca.location", &security.ca_file),
        ("ssl.certificate.location", &security.certificate_file),
        ("ssl.key.location", &security.key_file),
    ] {
        if let Some(path) = file {
            config.set(key, path.to_string_lossy());
        }
    }
    if let Some(path) = &security.key_password_file {
        config.set("ssl.key.password", secret("security.key_password_file", path)?);
    }
    if let Some(mechanism) = security.sasl_mechanism {
        config.set("sasl.mechanism", mechanism.as_str());
        if let (Some(user), Some(path)) = (&security.username, &security.password_file) {
            config.set("sasl.username", user).set("sasl.password", secret("security.password_file", path)?);
        }
    }
    Ok(())
}

fn secret(key: &str, path: &Path) -> Result<String, BusError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| BusError::Refused { what: format!("{key}: {} can't be read: {error}", path.display()) })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks the brokers something that blocks, on a thread of its own: a runtime that ends would wait for a blocking task of its pool. Who stops
/// waiting leaves the thread to its own time limit.
pub(super) fn apart<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> tokio::sync::oneshot::Receiver<T> {
    let (tell, answer) = tokio::sync::oneshot::channel();
    let spawned = std::thread::Builder::new().name("bus-kafka".into()).spawn(move || tell.send(ask()).ok());
    if let Err(error) = spawned {
        // The receiver sees that nobody answers.
        tracing::error!(%error, "no thread for a question to the brokers");
    }
    answer
}

/// The answer of [`apart`].
pub(super) async fn answer<T>(asked: tokio::sync::oneshot::Receiver<T>) -> Result<T, BusError> {
    asked.await.map_err(|_| BusError::Unavailable("a question to the brokers was not answered".into()))
}

/// An error of a client in the bus's words.
pub(super) fn bus_error(trouble: &Trouble, doing: &str, error: &KafkaError) -> BusError {
    use RDKafkaErrorCode as Code;
    let code = error.rdkafka_error_code();
    let hint = match code {
        Some(Code::TopicAuthorizationFailed) => {
            "; the user lacks a right on the topic: read, write, describe, create, alter"
        }
        Some(Code::GroupAuthorizationFailed) => "; the user lacks the right to read the group",
        Some(Code::ClusterAuthorizationFailed) => "; the user lacks a right on the cluster: create, idempotent write",
        Some(Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend) => {
            "; fewer brokers than min_insync have the partition now"
        }
        _ => "",
    };
    let why = match code {
        Some(
            Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::RequestTimedOut,
        ) => trouble.lately().map(|text| format!(" ({text})")).unwrap_or_default(),
        _ => String::new(),
    };
    let what = format!("{doing}: {error}{hint}{why}");
    match code {
        Some(
            Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge | Code::InvalidTopic,
        ) => BusError::Refused { what },
        _ => BusError::Unavailable(what.into()),
    }
}

impl rdkafka::consumer::ConsumerContext for Context {
    fn commit_callback(&self, _: rdkafka::error::KafkaResult<()>, _: &rdkafka::TopicPartitionList) {
        self.tell();
    }
}
