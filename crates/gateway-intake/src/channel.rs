//! What every way in shares: one channel, its connector, the bus and the clock.

use crate::failure;
use gateway_bus::{Bus, Envelope, TopicName};
use gateway_connector::{Connector, RawRecord};
use gateway_model::{ChannelId, Clock, Origin, SourceNumber, Timestamp};
use gateway_runtime::TaskError;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;

/// The longest reason that is kept with an undecodable record, in characters.
const REASON_CHARS: usize = 200;

/// A channel that records are taken in from.
#[derive(Clone)]
pub struct ChannelIntake {
    /// The channel.
    pub channel: ChannelId,
    /// How it speaks.
    pub connector: Arc<dyn Connector>,
    /// Where its records go. The channel's raw topics exist.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl ChannelIntake {
    /// Appends records and returns when they are durable.
    pub(crate) async fn append(&self, topic: &TopicName, envelopes: Vec<Envelope>) -> Result<(), TaskError> {
        if envelopes.is_empty() {
            return Ok(());
        }
        let messages = envelopes.into_iter().map(|envelope| envelope.into_message(None)).collect();
        self.bus.append(topic, messages).await.map(|_| ()).map_err(|error| failure::bus(&error))
    }

    /// A record's envelope.
    pub(crate) fn envelope(&self, record: RawRecord, origin: Origin, read_at: Timestamp) -> Envelope {
        envelope(&self.channel, record, origin, self.clock.now(), read_at)
    }

    /// The envelope of the channel's word that it has no order under a number, beside those of the same answer.
    pub(crate) fn absence(&self, number: SourceNumber, read_at: Timestamp) -> Envelope {
        Envelope {
            channel: self.channel.clone(),
            origin: Origin::Absent,
            number: Some(number),
            received_at: self.clock.now(),
            read_at,
            undecodable: None,
            payload: Vec::new(),
        }
    }
}

pub(crate) fn envelope(
    channel: &ChannelId,
    record: RawRecord,
    origin: Origin,
    received_at: Timestamp,
    read_at: Timestamp,
) -> Envelope {
    Envelope {
        channel: channel.clone(),
        origin,
        number: record.number,
        received_at,
        read_at,
        undecodable: record.undecodable.map(|reason| bounded(&reason)),
        payload: record.body.to_vec(),
    }
}

/// A reason fit for a header: short, and one line.
pub(crate) fn bounded(reason: &str) -> String {
    reason.chars().take(REASON_CHARS).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// The first 16 hex digits of a SHA-256: enough to tell two versions of one record apart.
pub(crate) fn short_hex(digest: &[u8; 32]) -> String {
    digest.iter().take(8).fold(String::with_capacity(16), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The number that a job is about.
pub(crate) fn number_of(subject: &str) -> Option<SourceNumber> {
    SourceNumber::new(subject).ok()
}
