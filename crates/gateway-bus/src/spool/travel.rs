//! How a guard travels in a spooled message: the engine keeps of a nonce only a hash, and the drain needs it whole.

use crate::{Guard, Message, NewMessage};
use gateway_model::Timestamp;
use serde::{Deserialize, Serialize};

/// The header; only the drain sees it.
const HEADER: &str = "gateway-spool-guard";

#[derive(Serialize, Deserialize)]
struct Packed {
    nonce: String,
    digest: [u8; 32],
    until_us: i64,
}

/// A message for the spool.
pub(super) fn pack(mut message: NewMessage) -> NewMessage {
    if let Some(guard) = &message.guard {
        let packed =
            Packed { nonce: guard.nonce.clone(), digest: guard.digest, until_us: guard.until.as_microsecond() };
        // Text and numbers always become JSON.
        if let Ok(text) = serde_json::to_string(&packed) {
            message.headers.insert(HEADER.to_owned(), text);
        }
    }
    message
}

/// What was packed. A guard that can't be read, which only damage explains, is left out and told: the message matters more.
pub(super) fn unpack(mut message: Message) -> NewMessage {
    let guard = message.headers.remove(HEADER).and_then(|text| {
        let read = read(&text);
        if read.is_none() {
            tracing::error!(
                topic = %message.topic,
                offset = message.offset,
                "the guard of a spooled message can't be read; the message goes on without it and may come twice"
            );
        }
        read
    });
    NewMessage { key: message.key, headers: message.headers, payload: message.payload, guard }
}

fn read(text: &str) -> Option<Guard> {
    let Packed { nonce, digest, until_us } = serde_json::from_str(text).ok()?;
    Some(Guard { nonce, digest, until: Timestamp::from_microsecond(until_us).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Headers, TopicName};

    #[test]
    fn a_guard_comes_out_as_it_went_in() {
        let guard =
            Guard { nonce: "n\"1#2".into(), digest: [7; 32], until: "2026-11-26T01:00:00.000001Z".parse().unwrap() };
        let headers = Headers::from([("origin".to_owned(), "webhook".to_owned())]);
        let new =
            NewMessage { key: "k".into(), headers: headers.clone(), payload: vec![1], guard: Some(guard.clone()) };
        let packed = pack(new);
        let message = Message {
            topic: TopicName::from_stored("gateway.t.raw.v1".into()),
            partition: 0,
            offset: 0,
            key: packed.key,
            headers: packed.headers,
            payload: packed.payload,
            appended_at: Timestamp::UNIX_EPOCH,
        };
        let mut damaged = message.clone();
        let back = unpack(message);
        assert_eq!((back.guard, back.headers.clone()), (Some(guard), headers.clone()));
        damaged.headers.insert(HEADER.into(), "{}".into());
        let back = unpack(damaged);
        assert_eq!((back.guard, back.headers), (None, headers));
    }
}
