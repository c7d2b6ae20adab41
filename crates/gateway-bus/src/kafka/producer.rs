//! The way in: one idempotent producer, which every broker in sync acknowledges.
//!
//! A producer that the brokers have given up (its fatal errors) is followed by a new one: what was under way fails and is appended again by its
//! caller, as after any error. Partitions are chosen by the key's hash as every Kafka client does it (murmur2), so that tools agree.

use super::client::{Context, Trouble, apart, bus_error, common, locked};
use super::guard::{HEADER, Mark};
use super::observer::is_unknown;
use super::options::KafkaOptions;
use super::parting::Parting;
use crate::{BusError, NewMessage, TopicName};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::util::Timeout;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Semaphore;

/// What a message weighs beside its bytes, at most about.
const OVERHEAD: u64 = 256;
/// How long an append waits when the producer's own queue is full, before it tries again.
const FULL_PAUSE: Duration = Duration::from_millis(5);

type Native = Parting<FutureProducer<Context>>;

/// Appends.
pub(super) struct Producer {
    options: Arc<KafkaOptions>,
    trouble: Arc<Trouble>,
    current: RwLock<Arc<Native>>,
    queue: Arc<Semaphore>,
    /// Why the last append was not allowed; an append that works clears it.
    forbidden: Mutex<Option<String>>,
}

impl Producer {
    pub fn new(options: &Arc<KafkaOptions>, trouble: &Arc<Trouble>) -> Result<Self, BusError> {
        let native = make(options, trouble)?;
        Ok(Self {
            options: Arc::clone(options),
            trouble: Arc::clone(trouble),
            current: RwLock::new(Arc::new(native)),
            queue: Arc::new(Semaphore::new(options.queue_bytes.max(1) as usize)),
            forbidden: Mutex::default(),
        })
    }

    /// The weight of messages, or why one can't be had.
    pub fn weigh(&self, messages: &[NewMessage]) -> Result<u64, BusError> {
        let largest = u64::from(self.options.message_bytes);
        let mut bytes = 0;
        for message in messages {
            let weight = weight_of(message);
            if weight > largest {
                return Err(BusError::Refused {
                    what: format!("a message of {weight} bytes; at most {largest} can be had"),
                });
            }
            bytes += weight;
        }
        Ok(bytes)
    }

    /// Appends those messages and tells the place of each, in order.
    pub async fn append(
        &self,
        topic: &TopicName,
        name: &str,
        messages: &[(NewMessage, Option<Mark>)],
        bytes: u64,
    ) -> Result<Vec<(u32, u64)>, BusError> {
        // An append larger than the whole queue waits until it has the queue for itself.
        let share = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.options.queue_bytes.max(1));
        let _permit = Arc::clone(&self.queue).acquire_many_owned(share).await.map_err(|_| BusError::Closed)?;
        let native = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let mut sent = Vec::with_capacity(messages.len());
        let mut failed = None;
        for (message, mark) in messages {
            match self.send(&native, name, message, *mark).await {
                Ok(delivery) => sent.push(delivery),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        // Those that were sent are waited for also after an error, so that the queue's bytes are true.
        let mut places = Vec::with_capacity(sent.len());
        for delivery in sent {
            match delivery.await {
                Ok(Ok(at)) => places.push((at.partition.unsigned_abs(), at.offset.unsigned_abs())),
                Ok(Err((error, _))) => failed = failed.or(Some(error)),
                Err(_) => failed = failed.or(Some(KafkaError::Canceled)),
            }
        }
        match failed {
            None => {
                self.trouble.clear();
                *locked(&self.forbidden) = None;
                metrics::counter!("gateway_bus_appended_messages_total", "topic" => topic.as_str().to_owned())
                    .increment(places.len() as u64);
                Ok(places)
            }
            Some(error) => {
                metrics::counter!("gateway_bus_failed_appends_total").increment(1);
                Err(self.explain(&native, topic, name, &error))
            }
        }
    }

    async fn send(
        &self,
        native: &Native,
        name: &str,
        message: &NewMessage,
        mark: Option<Mark>,
    ) -> Result<DeliveryFuture, KafkaError> {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(self.options.append_timeout_ms.into());
        let mark = mark.map(Mark::to_bytes);
        let count = message.headers.len() + usize::from(mark.is_some());
        let mut headers = OwnedHeaders::new_with_capacity(count);
        for (key, value) in message.headers.iter().filter(|(key, _)| *key != HEADER) {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        if let Some(mark) = &mark {
            headers = headers.insert(Header { key: HEADER, value: Some(mark) });
        }
        let mut record = FutureRecord::to(name).key(&message.key).payload(&message.payload).headers(headers);
        loop {
            match native.send_result(record) {
                Ok(delivery) => return Ok(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if tokio::time::Instant::now() < deadline =>
                {
                    record = back;
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    fn explain(&self, native: &Arc<Native>, topic: &TopicName, name: &str, error: &KafkaError) -> BusError {
        if let Some((code, reason)) = native.client().fatal_error() {
            tracing::warn!(?code, reason, "the brokers gave up our producer; a new one takes its place");
            metrics::counter!("gateway_bus_producers_replaced_total").increment(1);
            self.replace(native);
        }
        if is_unknown(error) {
            return BusError::UnknownTopic(topic.clone());
        }
        let forbidden = matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed)
        );
        let explained = bus_error(&self.trouble, &format!("appending to {topic}"), error);
        if forbidden && let BusError::Unavailable(why) = &explained {
            *locked(&self.forbidden) = Some(why.to_string());
            // The client denies the topic until it hears of it anew; a right that was given meanwhile is noticed so.
            let (shared, name, patience) = (native.share(), name.to_owned(), self.patience());
            drop(apart(move || shared.client().fetch_metadata(Some(&name), patience).map(drop)));
        }
        explained
    }

    fn replace(&self, native: &Arc<Native>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Another append may have been first.
        if !Arc::ptr_eq(&current, native) {
            return;
        }
        match make(&self.options, &self.trouble) {
            Ok(new) => *current = Arc::new(new),
            Err(error) => tracing::error!(%error, "no new producer"),
        }
    }

    /// Why appends are not allowed, as far as the last one told; and a producer that was given up is replaced.
    pub fn check(&self) -> Result<(), BusError> {
        let native = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        if native.client().fatal_error().is_some() {
            self.replace(&native);
        }
        match &*locked(&self.forbidden) {
            Some(why) => Err(BusError::Unavailable(why.clone().into())),
            None => Ok(()),
        }
    }

    fn patience(&self) -> Timeout {
        Timeout::After(Duration::from_millis(self.options.append_timeout_ms.into()))
    }

    /// Takes in nothing more, and returns when what is under way has ended.
    pub async fn close(&self) {
        self.queue.close();
        let native = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let patience = self.patience();
        // Whoever appends hears how it ended; here there is nobody to tell.
        apart(move || native.flush(patience)).await.ok();
    }
}

fn make(options: &KafkaOptions, trouble: &Arc<Trouble>) -> Result<Native, BusError> {
    let mut config = common(options)?;
    let most = u64::from(options.queue_bytes).max(u64::from(options.message_bytes)) / OVERHEAD * 2;
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", options.compression.as_str())
        .set("linger.ms", options.linger_ms.to_string())
        .set("partitioner", "murmur2")
        .set("message.timeout.ms", options.append_timeout_ms.to_string())
        .set("request.timeout.ms", options.request_timeout_ms.min(options.append_timeout_ms).to_string())
        .set("message.max.bytes", protocol_bytes(options).to_string())
        .set("queue.buffering.max.messages", most.clamp(1_000, 10_000_000).to_string())
        .set(
            "queue.buffering.max.kbytes",
            (u64::from(options.queue_bytes).max(u64::from(options.message_bytes)) / 512).to_string(),
        );
    let made = config.create_with_context(Context::new(trouble, None));
    // Whoever appends was told already how it ended.
    made.map(|native| Parting::new(native, |_| {}))
        .map_err(|error| bus_error(trouble, "a producer for the brokers", &error))
}

/// The largest message as the brokers count it.
pub(super) fn protocol_bytes(options: &KafkaOptions) -> u64 {
    u64::from(options.message_bytes) + 4_096
}

fn weight_of(message: &NewMessage) -> u64 {
    let headers: usize = message.headers.iter().map(|(key, value)| key.len() + value.len() + 8).sum();
    (message.key.len() + message.payload.len() + headers) as u64 + OVERHEAD
}
