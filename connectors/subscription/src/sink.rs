//! Sending: every answer but a success and a plain refusal of the content means "again later".

use crate::TAKEN;
use crate::event::{self, Data};
use crate::sign::Signer;
use async_trait::async_trait;
use gateway_connector::http::{HttpAnswer, HttpRequest, Transport};
use gateway_connector::sign::Signed;
use gateway_connector::{OutboundDelivery, Outcome, PreparedDelivery, Reason, RequestError, Sink};
use gateway_model::{
    AskBy, BookItem, Dataset, ItemKey, Operation, OrderNumber, Part, Receipt, ReceiptSource, SourceNumber,
    digest_of_pairs,
};

pub(crate) struct EventSink {
    pub(crate) transport: Transport,
    pub(crate) signer: Signer,
}

fn unsendable(error: &serde_json::Error) -> Reason {
    // What serde says may show what the event says.
    Reason::new("invalid_item", format!("the event can't be written as JSON ({:?})", error.classify()))
}

impl EventSink {
    fn outcome(&self, answer: &HttpAnswer) -> Outcome {
        let reason = |text: &str| Reason::new(format!("http_{}", answer.status), text);
        let not_before = answer.retry_after.and_then(|wait| self.transport.now().saturating_add(wait).ok());
        match answer.status {
            200..=299 => Outcome::Acknowledged(Receipt {
                receipt_number: None,
                received_at: None,
                source: ReceiptSource::Answer,
            }),
            400 | 413 | 415 | 422 => Outcome::Rejected(reason("the subscriber refuses this message")),
            410 => {
                Outcome::Rejected(reason("the subscriber is gone and wants no more: remove the rules that lead to it"))
            }
            401 | 403 => Outcome::NotTaken { reason: reason("the subscriber refuses our signature"), not_before: None },
            429 | 503 => Outcome::NotTaken { reason: reason("the subscriber asks for patience"), not_before },
            _ => Outcome::NotTaken { reason: reason("the subscriber did not take it"), not_before },
        }
    }
}

#[async_trait]
impl Sink for EventSink {
    fn forwards(&self, dataset: Dataset, _part: &Part) -> bool {
        TAKEN.contains(&dataset)
    }

    fn takes(&self, _operation: Operation) -> bool {
        false
    }

    fn forward_number(&self, origin: &OrderNumber) -> Option<SourceNumber> {
        SourceNumber::new(format!("{}-{}-{}", origin.channel, origin.day, origin.number)).ok()
    }

    fn prepare(&self, delivery: &OutboundDelivery) -> Result<PreparedDelivery, Reason> {
        if delivery.operation != Operation::Forward {
            let text = format!(
                "a subscriber takes no `{}`: let its rules begin at the channel that shows it",
                delivery.operation
            );
            return Err(Reason::new("unknown_operation", text));
        }
        let data = Data::new(delivery).text().map_err(|error| unsendable(&error))?;
        let key = ItemKey {
            dataset: delivery.dataset,
            number: delivery.number.number.clone(),
            day: delivery.number.day,
            part: delivery.part.clone(),
        };
        let digest = digest_of_pairs([("data", data.as_str())]);
        let item = BookItem { key, event_time: delivery.event_time, digest };
        // No attempt ends ambiguous, so nobody is ever asked.
        Ok(PreparedDelivery { item, ask_by: AskBy::Nothing })
    }

    async fn deliver(&self, delivery: &OutboundDelivery) -> Outcome {
        let body = match event::body(delivery) {
            Ok(body) => body,
            Err(error) => return Outcome::Rejected(unsendable(&error)),
        };
        let id = &delivery.idempotency_key;
        let sent = self.transport.send(HttpRequest::post("", body), event::CONTENT_TYPE, |leaving| {
            Signed::Headers(self.signer.headers(id, leaving.at, leaving.body))
        });
        match sent.await {
            Ok(answer) => self.outcome(&answer),
            // It may have arrived; the same id again is once, by the subscriber's contract.
            Err(RequestError::Unavailable { what, not_sent, .. }) => {
                let code = if not_sent { "unreachable" } else { "timeout" };
                Outcome::NotTaken { reason: Reason::new(code, what), not_before: None }
            }
            Err(other) => Outcome::NotTaken { reason: Reason::new(other.code(), other.to_string()), not_before: None },
        }
    }

    async fn find_outcome(&self, _delivery: &OutboundDelivery) -> Result<Option<Receipt>, RequestError> {
        Ok(None)
    }
}
