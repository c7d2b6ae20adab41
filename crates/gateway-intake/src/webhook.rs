//! Takes pushes: verify, remember the nonce, make durable, and only then answer 2xx.
//!
//! Nonce and first record are one transaction of the bus. A push of several records appends the first alone under the nonce and the others after
//! it under `<nonce>#<i>`, all with the digest of the whole body: when we die between, the peer's retry finds the first repeated and completes the
//! others. Another body under a used nonce is told 409; its records are kept with origin `webhook_conflict` under `<nonce>!<digest>`, so that the
//! pipeline reads their orders again instead of believing either body. Of a refused push nothing is kept but a count. The store is never asked.

use crate::channel::{bounded, envelope, sha256};
use crate::refusal::RefusalWatch;
use crate::spool::conflict_nonce;
use crate::{RefusalWarning, WebhookConfig};
use async_trait::async_trait;
use bytes::Bytes;
use gateway_bus::{Appended, Bus, BusError, Envelope, Guard, TopicName};
use gateway_connector::{
    Connector, IntakeOutcome, RawRecord, Receiver, VerifyError, WebhookIntake, WebhookReply, WebhookRequest,
};
use gateway_model::{ChannelId, Clock, Origin, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The way in for pushes, of all channels that have one.
pub struct WebhookGate {
    channels: BTreeMap<ChannelId, Arc<dyn Connector>>,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    config: WebhookConfig,
    watches: Mutex<BTreeMap<ChannelId, RefusalWatch>>,
}

/// A push that is let in.
struct Push<'a> {
    channel: &'a ChannelId,
    topic: TopicName,
    received_at: Timestamp,
    nonce: String,
    digest: [u8; 32],
    until: Timestamp,
    records: Vec<RawRecord>,
}

impl WebhookGate {
    /// A gate for those of the channels that take pushes. Their raw topics exist.
    #[must_use]
    pub fn new(
        channels: impl IntoIterator<Item = (ChannelId, Arc<dyn Connector>)>,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        config: WebhookConfig,
    ) -> Self {
        let channels: BTreeMap<_, _> =
            channels.into_iter().filter(|(_, connector)| connector.receiver().is_some()).collect();
        let window = Duration::from_millis(config.refusal_window_ms);
        let keep = Duration::from_millis(config.refusal_keep_ms);
        let watches = channels.keys().map(|channel| (channel.clone(), RefusalWatch::new(window, keep))).collect();
        Self { channels, bus, clock, config, watches: Mutex::new(watches) }
    }

    /// Channels whose every push is refused now.
    #[must_use]
    pub fn warnings(&self) -> Vec<RefusalWarning> {
        let now = self.clock.now();
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.values().filter_map(|watch| watch.warning(now)).collect()
    }

    fn receiver(&self, channel: &ChannelId) -> Option<&dyn Receiver> {
        self.channels.get(channel)?.receiver()
    }

    fn watch<T>(&self, channel: &ChannelId, tell: impl FnOnce(&mut RefusalWatch) -> T) -> Option<T> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.get_mut(channel).map(tell)
    }

    fn refused(&self, channel: &ChannelId, code: &'static str, offset_ms: Option<i64>) {
        let name = channel.to_string();
        metrics::counter!("gateway_webhook_refused_total", "channel" => name.clone(), "code" => code).increment(1);
        if let Some(offset) = offset_ms {
            metrics::gauge!("gateway_webhook_clock_offset_milliseconds", "channel" => name).set(offset as f64);
        }
        let now = self.clock.now();
        if let Some(Some(warning)) = self.watch(channel, |watch| watch.refused(channel, code, offset_ms, now)) {
            tracing::warn!(channel = %channel, code, "{warning}");
        }
    }

    /// What became of a verified push.
    async fn keep(&self, receiver: &dyn Receiver, channel: &ChannelId, request: &WebhookRequest) -> IntakeOutcome {
        let (records, decoded) = match receiver.accept(request) {
            Ok(records) => {
                let decoded = records.iter().all(|record| record.undecodable.is_none());
                (records, decoded)
            }
            Err(error) => (vec![whole_body(&request.body, &error.to_string())], false),
        };
        let received_at = request.received_at;
        let push = Push {
            channel,
            topic: TopicName::raw(channel),
            received_at,
            nonce: receiver.nonce(request),
            digest: sha256(&request.body),
            until: received_at.saturating_add(receiver.nonce_window()).unwrap_or(received_at),
            records,
        };
        let patience = Duration::from_millis(self.config.append_timeout_ms);
        match tokio::time::timeout(patience, self.append(&push)).await {
            Ok(Ok(Appended::Conflict)) => IntakeOutcome::NonceConflict,
            Ok(Ok(_)) if !decoded => IntakeOutcome::Undecodable,
            Ok(Ok(Appended::Repeated)) => IntakeOutcome::Repeated,
            Ok(Ok(Appended::At { .. })) => IntakeOutcome::Accepted,
            Ok(Err(error)) => {
                tracing::warn!(channel = %channel, error = &error as &dyn std::error::Error, "a push can't be made durable");
                self.unavailable()
            }
            Err(_) => {
                tracing::warn!(channel = %channel, "a push was not made durable in time");
                self.unavailable()
            }
        }
    }

    fn unavailable(&self) -> IntakeOutcome {
        IntakeOutcome::Unavailable { retry_after_s: self.config.retry_after_s }
    }

    /// Makes a push durable as a whole; what became of its first record decides.
    async fn append(&self, push: &Push<'_>) -> Result<Appended, BusError> {
        if push.records.is_empty() {
            return Ok(Appended::Repeated);
        }
        let first = self.append_some(push, Origin::Webhook, &push.nonce, 0..1).await?;
        let rest = 1..push.records.len();
        if first != Appended::Conflict {
            self.append_some(push, Origin::Webhook, &push.nonce, rest).await?;
            return Ok(first);
        }
        let nonce = conflict_nonce(&push.nonce, &push.digest);
        self.append_some(push, Origin::WebhookConflict, &nonce, 0..push.records.len()).await?;
        Ok(Appended::Conflict)
    }

    async fn append_some(
        &self,
        push: &Push<'_>,
        origin: Origin,
        nonce: &str,
        range: std::ops::Range<usize>,
    ) -> Result<Appended, BusError> {
        let messages: Vec<_> = range
            .map(|index| {
                let nonce = if index == 0 { nonce.to_owned() } else { format!("{nonce}#{index}") };
                let guard = Guard { nonce, digest: push.digest, until: push.until };
                push.envelope(index, origin).into_message(Some(guard))
            })
            .collect();
        if messages.is_empty() {
            return Ok(Appended::Repeated);
        }
        let appended = self.bus.append(&push.topic, messages).await?;
        Ok(appended.first().copied().unwrap_or(Appended::Repeated))
    }
}

impl Push<'_> {
    fn envelope(&self, index: usize, origin: Origin) -> Envelope {
        envelope(self.channel, self.records[index].clone(), origin, self.received_at, self.received_at)
    }
}

/// A body that can't be decoded is kept as it is.
fn whole_body(body: &Bytes, reason: &str) -> RawRecord {
    RawRecord { number: None, body: body.clone(), updated_at: None, undecodable: Some(bounded(reason)) }
}

fn word(outcome: &IntakeOutcome) -> &'static str {
    match outcome {
        IntakeOutcome::Accepted => "accepted",
        IntakeOutcome::Repeated => "repeated",
        IntakeOutcome::NonceConflict => "nonce_conflict",
        IntakeOutcome::Refused(_) => "refused",
        IntakeOutcome::Undecodable => "undecodable",
        IntakeOutcome::TooLarge => "too_large",
        IntakeOutcome::Unavailable { .. } => "unavailable",
    }
}

#[async_trait]
impl WebhookIntake for WebhookGate {
    async fn take(&self, channel: &ChannelId, request: WebhookRequest) -> Option<WebhookReply> {
        let receiver = self.receiver(channel)?;
        let outcome = match receiver.verify(&request) {
            Err(error) => {
                let offset_ms = match &error {
                    VerifyError::ClockSkew { offset_ms } => Some(*offset_ms),
                    _ => None,
                };
                self.refused(channel, error.code(), offset_ms);
                IntakeOutcome::Refused(error)
            }
            Ok(()) => {
                let now = self.clock.now();
                self.watch(channel, |watch| watch.accepted(now));
                self.keep(receiver, channel, &request).await
            }
        };
        let name = channel.to_string();
        metrics::counter!("gateway_webhook_requests_total", "channel" => name, "outcome" => word(&outcome))
            .increment(1);
        Some(receiver.reply(&outcome))
    }

    fn body_limit(&self, channel: &ChannelId) -> Option<usize> {
        self.receiver(channel).map(Receiver::body_limit)
    }

    fn too_large(&self, channel: &ChannelId) -> Option<WebhookReply> {
        let receiver = self.receiver(channel)?;
        self.refused(channel, "too_large", None);
        Some(receiver.reply(&IntakeOutcome::TooLarge))
    }
}
