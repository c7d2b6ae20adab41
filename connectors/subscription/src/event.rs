//! The CloudEvents 1.0 envelope (structured mode, JSON).

use gateway_connector::OutboundDelivery;
use gateway_model::{Field, FieldValue, Moment};
use serde::Serialize;
use std::collections::BTreeMap;

/// The media type of a structured event.
pub(crate) const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// An event. The names are those of the specification.
#[derive(Serialize)]
struct Event<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    r#type: String,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    datacontenttype: &'static str,
    /// The extension "sequence" of the specification's registry: compared as text, the greater one was owed later.
    sequence: String,
    data: Data<'a>,
}

/// What a channel states of one item of an order.
#[derive(Serialize)]
pub(crate) struct Data<'a> {
    order_id: String,
    number: &'a str,
    channel: &'a str,
    dataset: &'static str,
    part: String,
    round: u32,
    event_time: Moment,
    fields: BTreeMap<Field, &'a FieldValue>,
}

impl<'a> Data<'a> {
    pub(crate) fn new(delivery: &'a OutboundDelivery) -> Self {
        Self {
            order_id: delivery.order_id.to_string(),
            number: delivery.number.number.as_str(),
            channel: delivery.from.as_str(),
            dataset: delivery.dataset.as_str(),
            part: delivery.part.to_string(),
            round: delivery.round,
            event_time: delivery.event_time,
            fields: delivery.fields.iter().collect(),
        }
    }

    /// The text of the data, which its digest covers.
    pub(crate) fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// The bytes of a delivery: the same for every attempt of a generation.
pub(crate) fn body(delivery: &OutboundDelivery) -> Result<Vec<u8>, serde_json::Error> {
    // The specification wants an instant; a day alone is in the data.
    let time = (!delivery.event_time.is_date_only()).then(|| delivery.event_time.start().to_string());
    serde_json::to_vec(&Event {
        specversion: "1.0",
        id: &delivery.idempotency_key,
        source: format!("/channels/{}", delivery.from),
        r#type: format!("gateway.work_order.{}.v1", delivery.dataset),
        subject: delivery.order_id.to_string(),
        time,
        datacontenttype: "application/json",
        sequence: format!("{:019}", delivery.id.0),
        data: Data::new(delivery),
    })
}
