//! A message as the brokers have it, in the bus's words. Its bytes are whatever somebody wrote into the topic.

use super::guard::HEADER;
use crate::{Headers, Message, TopicName};
use gateway_model::{Clock, Timestamp};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

/// Text that is not UTF-8 is replaced as far as it is not: what a reader can't use it dead-letters with the payload, which is kept as it is.
pub(super) fn read(borrowed: &BorrowedMessage<'_>, topic: &TopicName, clock: &dyn Clock) -> Message {
    let mut headers = Headers::new();
    if let Some(all) = borrowed.headers() {
        for header in all.iter().filter(|header| header.key != HEADER) {
            let value = header.value.map(String::from_utf8_lossy).unwrap_or_default();
            headers.insert(header.key.to_owned(), value.into_owned());
        }
    }
    let appended_at = borrowed.timestamp().to_millis().and_then(|at| Timestamp::from_millisecond(at).ok());
    Message {
        topic: topic.clone(),
        partition: borrowed.partition().unsigned_abs(),
        offset: borrowed.offset().unsigned_abs(),
        key: borrowed.key().map(String::from_utf8_lossy).unwrap_or_default().into_owned(),
        headers,
        payload: borrowed.payload().unwrap_or_default().to_vec(),
        appended_at: appended_at.unwrap_or_else(|| clock.now()),
    }
}
