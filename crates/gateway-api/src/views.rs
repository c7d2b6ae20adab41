//! Values as `docs/api.md` shows them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway_model::{
    ChannelId, Dataset, DeliveryId, DeliveryState, Operation, OrderId, Part, RawId, Receipt, ReceiptSource, Timestamp,
    format_china,
};
use gateway_store::DeliveryRow;
use serde::{Serialize, Serializer};

/// An instant in China time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChinaTime(pub(crate) Timestamp);

impl Serialize for ChinaTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_china(self.0))
    }
}

/// A destination's proof.
#[derive(Serialize)]
pub(crate) struct ReceiptView<'a> {
    receipt_number: Option<&'a str>,
    received_at: Option<ChinaTime>,
    source: ReceiptSource,
}

/// A delivery.
#[derive(Serialize)]
pub(crate) struct DeliveryView<'a> {
    id: DeliveryId,
    order_id: OrderId,
    from: &'a ChannelId,
    destination: &'a ChannelId,
    operation: Operation,
    dataset: Dataset,
    part: &'a Part,
    round: u32,
    raw_id: RawId,
    command_id: Option<gateway_model::CommandId>,
    state: DeliveryState,
    generation: u32,
    attempts: u32,
    idempotency_key: String,
    created_at: ChinaTime,
    next_attempt_at: Option<ChinaTime>,
    first_sent_at: Option<ChinaTime>,
    reason_code: Option<&'a str>,
    reason: Option<&'a str>,
    receipt: Option<ReceiptView<'a>>,
}

impl<'a> From<&'a DeliveryRow> for DeliveryView<'a> {
    fn from(row: &'a DeliveryRow) -> Self {
        Self {
            id: row.id,
            order_id: row.order_id,
            from: &row.from,
            destination: &row.destination,
            operation: row.operation,
            dataset: row.dataset,
            part: &row.part,
            round: row.round,
            raw_id: row.raw_id,
            command_id: row.command_id,
            state: row.state,
            generation: row.generation,
            attempts: row.attempts,
            idempotency_key: row.idempotency_key(),
            created_at: ChinaTime(row.created_at),
            next_attempt_at: row.state.is_in_flight().then_some(ChinaTime(row.next_attempt_at)),
            first_sent_at: row.first_sent_at.map(ChinaTime),
            reason_code: row.reason_code.as_deref(),
            reason: row.reason.as_deref(),
            receipt: row.receipt.as_ref().map(receipt),
        }
    }
}

fn receipt(receipt: &Receipt) -> ReceiptView<'_> {
    ReceiptView {
        receipt_number: receipt.receipt_number.as_deref(),
        received_at: receipt.received_at.map(ChinaTime),
        source: receipt.source,
    }
}

/// How bytes stand in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BodyEncoding {
    /// As they are, since they are UTF-8.
    Text,
    /// Base64 with padding.
    Base64,
}

/// Bytes as JSON can hold them.
pub(crate) fn show_bytes(bytes: &[u8]) -> (String, BodyEncoding) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), BodyEncoding::Text),
        Err(_) => (STANDARD.encode(bytes), BodyEncoding::Base64),
    }
}

/// The bytes that such a text stands for; `None` when it is no base64.
pub(crate) fn read_bytes(text: String, encoding: BodyEncoding) -> Option<Vec<u8>> {
    match encoding {
        BodyEncoding::Text => Some(text.into_bytes()),
        BodyEncoding::Base64 => STANDARD.decode(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_whatever_they_are() {
        for bytes in ["{\"标题\":\"a\\tb\"}".as_bytes(), b"", b"\xc4\xe3\xba\xc3"] {
            let (text, encoding) = show_bytes(bytes);
            assert_eq!(read_bytes(text, encoding).unwrap(), bytes);
        }
    }
}
