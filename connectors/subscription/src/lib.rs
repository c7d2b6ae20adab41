//! Channel: any system that follows what routing rules grant it, by signed webhooks.
//!
//! What is sent is a CloudEvents 1.0 event in JSON, signed as Standard Webhooks says; the page is `docs/channels/subscription.md`. A subscriber only
//! takes: nothing is read from it, and it gives no account. **It knows a message by its `webhook-id`**, which is the same for every attempt, so an
//! attempt without an answer is simply made again. Refused: asking a person about every time-out of a system whose contract says that twice is once.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod event;
mod sign;
mod sink;

use async_trait::async_trait;
use gateway_connector::http::{HttpRequest, Transport};
use gateway_connector::profile::{Limits, Mistake};
use gateway_connector::sign::Signed;
use gateway_connector::{
    Connector, Credentials, Descriptor, NormalizeError, Normalizer, PeerClock, ProfileErrors, RequestError, Sink,
};
use gateway_model::{Change, ChannelId, Clock, Dataset, Timestamp};
use std::sync::Arc;
use std::time::Duration;

pub use sign::{Signer, SignerError};

/// The kind of connector, as a channel's configuration names it.
pub const KIND: &str = "subscription";

/// What we allow ourselves towards a subscriber. Its answer says nothing but its status, so a small one is enough.
const LIMITS: Limits = Limits {
    requests_per_second: 50.0,
    concurrency: 4,
    connect_timeout: Duration::from_secs(3),
    request_timeout: Duration::from_secs(15),
    answer_bytes: 65_536,
};

/// A channel ready to work. Nothing is asked of the subscriber yet.
///
/// # Errors
/// Every mistake in `base_url` and the secrets.
pub fn connect(
    channel: ChannelId,
    base_url: &str,
    credentials: &Credentials,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Connector>, ProfileErrors> {
    let mut mistakes = Vec::new();
    let mut mistake = |path: &str, what: String| mistakes.push(Mistake { path: path.to_owned(), what });
    let signer = Signer::new(credentials).map_err(|error| mistake("credentials.request_secret", error.to_string()));
    let transport = Transport::new(base_url, LIMITS, clock).map_err(|error| mistake("base_url", error.to_string()));
    match (signer, transport) {
        (Ok(signer), Ok(transport)) => Ok(Arc::new(Subscription {
            channel,
            descriptor: Descriptor { kind: KIND, datasets: Vec::new(), manifest_grains: Vec::new() },
            sink: sink::EventSink { transport, signer },
        })),
        _ => Err(ProfileErrors(mistakes)),
    }
}

struct Subscription {
    channel: ChannelId,
    descriptor: Descriptor,
    sink: sink::EventSink,
}

impl Normalizer for Subscription {
    fn normalize(&self, _body: &[u8], _received_at: Timestamp) -> Result<Vec<Change>, NormalizeError> {
        Err(NormalizeError::Undecodable(format!("{} is a subscriber: it states nothing", self.channel)))
    }

    fn projection_version(&self) -> u32 {
        1
    }
}

#[async_trait]
impl Connector for Subscription {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn normalizer(&self) -> &dyn Normalizer {
        self
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(&self.sink)
    }

    fn peer_clock(&self) -> Option<PeerClock> {
        self.sink.transport.peer_clock()
    }

    /// Any answer will do: a subscriber has nothing that could be asked for.
    async fn check_connectivity(&self) -> Result<(), RequestError> {
        let request = HttpRequest { method: "HEAD", ..HttpRequest::get("", Vec::new()) };
        self.sink.transport.send(request, event::CONTENT_TYPE, |_| Signed::Headers(Vec::new())).await.map(drop)
    }
}

/// The datasets whose items a subscriber takes: all of an order's life.
const TAKEN: [Dataset; 4] = [Dataset::Acceptance, Dataset::Handling, Dataset::Completion, Dataset::Evaluation];
