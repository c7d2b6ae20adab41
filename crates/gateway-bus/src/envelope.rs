//! The envelope: how a channel's record stands on the bus, so that who appends and who reads agree without knowing each other.
//!
//! The payload is the record exactly as received; what is known about it stands in headers, in clear and without personal data. Times are kept
//! in whole milliseconds. A header that can't be read is an error that the reader dead-letters with the message's bytes: nothing is guessed.

use crate::{Guard, Headers, Message, NewMessage};
use gateway_model::{ChannelId, Digest, Origin, SourceNumber, Timestamp};
use sha2::{Digest as _, Sha256};

const CHANNEL: &str = "channel";
const ORIGIN: &str = "origin";
const NUMBER: &str = "number";
const RECEIVED_AT: &str = "received_at_ms";
const READ_AT: &str = "read_at_ms";
const UNDECODABLE: &str = "undecodable";

/// A record with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The channel.
    pub channel: ChannelId,
    /// How it came.
    pub origin: Origin,
    /// The order's number, where it can be read without normalizing.
    pub number: Option<SourceNumber>,
    /// When it was received.
    pub received_at: Timestamp,
    /// When the request that read it was sent, or the push received: the record is at least as new as this.
    pub read_at: Timestamp,
    /// Why the bytes can't be decoded, without any of them; only the pipeline dead-letters.
    pub undecodable: Option<String>,
    /// The bytes, exactly as received.
    pub payload: Vec<u8>,
}

/// A message that is no envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// A header is missing.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// A header does not read as what it should be.
    #[error("header {0} is unreadable")]
    Unreadable(&'static str),
}

impl EnvelopeError {
    /// A stable code for the dead letter.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "envelope"
    }
}

impl Envelope {
    /// The message to append. The key is the channel and the number, so that the records of one order keep their order; a record without a number
    /// goes by its content.
    #[must_use]
    pub fn into_message(self, guard: Option<Guard>) -> NewMessage {
        let key = match &self.number {
            Some(number) => format!("{}\x1f{number}", self.channel),
            None => format!("{}\x1f{}", self.channel, Digest(Sha256::digest(&self.payload).into())),
        };
        let mut headers = Headers::from([
            (CHANNEL.to_owned(), self.channel.to_string()),
            (ORIGIN.to_owned(), self.origin.as_str().to_owned()),
            (RECEIVED_AT.to_owned(), self.received_at.as_millisecond().to_string()),
            (READ_AT.to_owned(), self.read_at.as_millisecond().to_string()),
        ]);
        if let Some(number) = self.number {
            headers.insert(NUMBER.to_owned(), number.into());
        }
        if let Some(reason) = self.undecodable {
            headers.insert(UNDECODABLE.to_owned(), reason);
        }
        NewMessage { key, headers, payload: self.payload, guard }
    }

    /// The envelope of a message that was read.
    ///
    /// # Errors
    /// [`EnvelopeError`] with the first header that can't be used.
    pub fn from_message(message: Message) -> Result<Self, EnvelopeError> {
        let mut headers = message.headers;
        let channel = take(&mut headers, CHANNEL)?;
        let origin = take(&mut headers, ORIGIN)?;
        let received_at = take(&mut headers, RECEIVED_AT)?;
        let read_at = take(&mut headers, READ_AT)?;
        let number = headers.remove(NUMBER).map(SourceNumber::new).transpose();
        Ok(Self {
            channel: ChannelId::new(channel).map_err(|_| EnvelopeError::Unreadable(CHANNEL))?,
            origin: origin.parse().map_err(|_| EnvelopeError::Unreadable(ORIGIN))?,
            number: number.map_err(|_| EnvelopeError::Unreadable(NUMBER))?,
            received_at: time(&received_at).ok_or(EnvelopeError::Unreadable(RECEIVED_AT))?,
            read_at: time(&read_at).ok_or(EnvelopeError::Unreadable(READ_AT))?,
            undecodable: headers.remove(UNDECODABLE),
            payload: message.payload,
        })
    }
}

impl NewMessage {
    /// How the record came, where this is an envelope's message.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        self.headers.get(ORIGIN)?.parse().ok()
    }

    /// Says that it came otherwise.
    pub fn set_origin(&mut self, origin: Origin) {
        self.headers.insert(ORIGIN.to_owned(), origin.as_str().to_owned());
    }
}

fn take(headers: &mut Headers, name: &'static str) -> Result<String, EnvelopeError> {
    headers.remove(name).ok_or(EnvelopeError::Missing(name))
}

fn time(text: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(text.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TopicName;

    fn envelope() -> Envelope {
        Envelope {
            channel: ChannelId::new("municipal-12345").unwrap(),
            origin: Origin::Poll,
            number: Some(SourceNumber::new("GZ1").unwrap()),
            received_at: "2026-11-23T01:00:01.5Z".parse().unwrap(),
            read_at: "2026-11-23T01:00:00Z".parse().unwrap(),
            undecodable: None,
            payload: b"{\"a\":1}".to_vec(),
        }
    }

    fn read(new: NewMessage) -> Message {
        Message {
            topic: TopicName::raw(&envelope().channel),
            partition: 0,
            offset: 7,
            key: new.key,
            headers: new.headers,
            payload: new.payload,
            appended_at: envelope().received_at,
        }
    }

    #[test]
    fn an_envelope_comes_back_as_it_was() {
        let undecodable = Envelope { number: None, undecodable: Some("not JSON".into()), ..envelope() };
        for one in [envelope(), undecodable] {
            assert_eq!(Envelope::from_message(read(one.clone().into_message(None))), Ok(one));
        }
        assert_eq!(envelope().into_message(None).key, "municipal-12345\x1fGZ1");
    }

    #[test]
    fn what_can_not_be_read_is_told_and_not_guessed() {
        let mut message = read(envelope().into_message(None));
        message.headers.insert(ORIGIN.into(), "elsewhere".into());
        assert_eq!(Envelope::from_message(message.clone()), Err(EnvelopeError::Unreadable(ORIGIN)));
        message.headers.remove(ORIGIN);
        assert_eq!(Envelope::from_message(message), Err(EnvelopeError::Missing(ORIGIN)));
    }
}
