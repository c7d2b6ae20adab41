//! Writing: sign, reply, refuse, complete, and items of other channels; and what became of an attempt.
//!
//! The item that an operation makes at the platform is worked out by the very code that reads the platform's records, from the element that the
//! profile says will come back, so the echo's digest can't differ from ours by accident.
//!
//! An answer is believed only as far as it goes: "already submitted" to a reply may mean another key, "state does not allow it" may be the echo of our own
//! earlier attempt. Both are told with the name of the class ([`crate::profile::AnswerClass`]) as code; what follows is decided by the worker, who knows the earlier attempts.

use super::answer::{self, Answer, Refused};
use super::normalize::{Context, RecordNormalizer};
use super::{json, request, xml};
use crate::http::{HttpAnswer, HttpClient, HttpRequest, encode};
use crate::profile::{
    AlreadySubmitted, AnswerClass, Format, ForwardKind, OperationRule, Profile, ServerError, ValueRule, ValueSource,
    WriteRule,
};
use crate::sign::is_token;
use crate::{OutboundDelivery, Outcome, PreparedDelivery, Reason, RequestError, Sink};
use async_trait::async_trait;
use gateway_model::{
    AskBy, Dataset, Field, FieldValue, Operation, OrderNumber, Part, Receipt, ReceiptSource, SourceNumber, Timestamp,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::sync::Arc;

pub(super) struct OrderSink {
    http: Arc<HttpClient>,
    rule: WriteRule,
    normalizer: Arc<RecordNormalizer>,
}

impl OrderSink {
    pub(super) fn new(http: Arc<HttpClient>, rule: WriteRule, normalizer: Arc<RecordNormalizer>) -> Self {
        Self { http, rule, normalizer }
    }

    fn profile(&self) -> &Profile {
        self.http.profile()
    }

    fn operation(&self, delivery: &OutboundDelivery) -> Result<&OperationRule, Reason> {
        let unknown = || Reason::new("unknown_operation", format!("the platform takes no `{}`", delivery.operation));
        let rule = match delivery.operation {
            Operation::Forward => self.forward(delivery.dataset, &delivery.part),
            operation => self.rule.operation(operation),
        };
        rule.ok_or_else(unknown)
    }

    fn forward(&self, dataset: Dataset, part: &Part) -> Option<&OperationRule> {
        self.rule.forwards.get(&ForwardKind::of(dataset, part)?)
    }

    /// The value of the first source that has one.
    fn value(&self, delivery: &OutboundDelivery, rule: &ValueRule) -> Result<Option<Value>, Reason> {
        for source in &rule.sources {
            if let Some(value) = self.value_of(delivery, source)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn value_of(&self, delivery: &OutboundDelivery, source: &ValueSource) -> Result<Option<Value>, Reason> {
        let times = &self.profile().times;
        Ok(match source {
            ValueSource::Round => Some(Value::from(delivery.round)),
            ValueSource::EventTime => Some(Value::String(times.write(delivery.event_time))),
            ValueSource::IdempotencyKey => Some(Value::String(delivery.idempotency_key.clone())),
            ValueSource::Number => Some(Value::String(delivery.number.number.to_string())),
            ValueSource::EventId => match &delivery.part {
                Part::Event(id) => Some(Value::String(id.to_string())),
                Part::Cycle(_) => None,
            },
            ValueSource::Cycle => match &delivery.part {
                Part::Cycle(cycle) => Some(Value::from(*cycle)),
                Part::Event(_) => None,
            },
            ValueSource::Literal(text) => Some(Value::String(text.clone())),
            ValueSource::Field(field) => delivery.fields.get(*field).map(|value| match value {
                FieldValue::Text(text) => Value::String(text.clone()),
                FieldValue::Number(number) => Value::from(*number),
                FieldValue::Flag(flag) => Value::Bool(*flag),
                FieldValue::Time(moment) => Value::String(times.write(*moment)),
            }),
            ValueSource::Code(field, table) => match delivery.fields.get(*field) {
                Some(value) => Some(Value::String(self.code(delivery, *field, table, value)?)),
                None => None,
            },
        })
    }

    /// The peer's code for a canonical one.
    fn code(
        &self,
        delivery: &OutboundDelivery,
        field: Field,
        table: &str,
        value: &FieldValue,
    ) -> Result<String, Reason> {
        let canonical = match value {
            FieldValue::Flag(flag) => flag.to_string(),
            FieldValue::Text(text) => text.clone(),
            FieldValue::Number(_) | FieldValue::Time(_) => String::new(),
        };
        let wire = self.profile().codes.wire(table, &canonical, Some(delivery.number.day)).map(ToOwned::to_owned);
        // The code itself may be anything that the origin wrote, so the field alone is told.
        wire.ok_or_else(|| {
            let text =
                format!("the platform has no code for this `{field}`: add it to code table `{table}` of its profile");
            Reason::new("unmapped_code", text)
        })
    }

    /// The texts of these wire fields of a forwarded item's body, in this order; a field without a value is an empty text.
    ///
    /// # Errors
    /// Why the item can't be told.
    pub(super) fn texts(
        &self,
        delivery: &OutboundDelivery,
        columns: &[String],
        each: &mut dyn FnMut(&str),
    ) -> Result<(), Reason> {
        let rule = self.operation(delivery)?;
        for column in columns {
            let value = rule.body.iter().find(|value| value.wire == *column);
            let value = value.map(|value| self.value(delivery, value)).transpose()?.flatten();
            let empty = match &value {
                None | Some(Value::Null) => true,
                Some(Value::String(text)) => text.is_empty(),
                Some(_) => false,
            };
            if empty && rule.required.contains(column) {
                return Err(Reason::new("missing_field", format!("`{column}` is missing")));
            }
            match value {
                None | Some(Value::Null) => each(""),
                Some(Value::String(text)) => each(&text),
                Some(other) => each(&other.to_string()),
            }
        }
        Ok(())
    }

    fn object(&self, delivery: &OutboundDelivery, rules: &[ValueRule]) -> Result<Map<String, Value>, Reason> {
        let mut object = Map::new();
        for rule in rules {
            if let Some(value) = self.value(delivery, rule)? {
                object.insert(rule.wire.clone(), value);
            }
        }
        Ok(object)
    }

    fn body(&self, delivery: &OutboundDelivery, rule: &OperationRule) -> Result<Map<String, Value>, Reason> {
        if !is_token(&delivery.idempotency_key) {
            return Err(Reason::new("invalid_key", "the idempotency key must be 1 to 64 of A-Z a-z 0-9 _ -"));
        }
        let body = self.object(delivery, &rule.body)?;
        for wire in &rule.required {
            if body.get(wire).is_none_or(|value| value == "" || value.is_null()) {
                return Err(Reason::new("missing_field", format!("`{wire}` is missing")));
            }
        }
        let body = Value::Object(body);
        if self.profile().exchange.format == Format::Xml && !xml::can_hold(&body) {
            return Err(Reason::new("unwritable", "the text holds control characters, which XML can't"));
        }
        let Value::Object(body) = body else { return Ok(Map::new()) };
        Ok(body)
    }

    fn outcome(&self, rule: &OperationRule, answer: &HttpAnswer) -> Outcome {
        let not_before = |now: Timestamp| answer.retry_after.and_then(|wait| now.checked_add(wait).ok());
        let status = |text: &str| Reason::new(format!("http_{}", answer.status), text);
        match answer.status {
            200..=299 => {}
            401 | 403 => {
                let reason = status("the platform refused our credentials");
                return Outcome::NotTaken { reason, not_before: None };
            }
            429 => {
                let reason = status("the platform asks for patience");
                return Outcome::NotTaken { reason, not_before: not_before(self.http.now()) };
            }
            500..=599 if self.rule.server_error == ServerError::NotTaken => {
                let reason = status("the platform failed and promises that nothing was done");
                return Outcome::NotTaken { reason, not_before: not_before(self.http.now()) };
            }
            408 | 500..=599 => return Outcome::Ambiguous(status("the platform failed; it may have been done")),
            _ => return Outcome::Rejected(status("the platform refused the request")),
        }
        let body = answer::body(self.profile(), &answer.body);
        match body.as_ref().map(|body| answer::open(self.profile(), body)) {
            Err(_) | Ok(Err(_)) => {
                Outcome::Ambiguous(Reason::new("undecodable", "the platform's answer can't be decoded"))
            }
            Ok(Ok(Answer::Data(data))) => Outcome::Acknowledged(self.receipt(data, ReceiptSource::Answer)),
            Ok(Ok(Answer::Refused(refused))) => refusal(rule, refused, not_before(self.http.now())),
        }
    }

    // What the peer leaves out of a receipt is not known; that it acknowledged is.
    fn receipt(&self, data: Option<&RawValue>, source: ReceiptSource) -> Receipt {
        let rule = &self.rule.receipts;
        let text =
            |path: &str| data.map(|data| json::scalar(json::lookup(data, path)).text).filter(|text| !text.is_empty());
        Receipt {
            receipt_number: text(&rule.receipt_number),
            received_at: text(&rule.received_at)
                .and_then(|text| self.profile().times.read(&text))
                .map(gateway_model::Moment::start),
            source,
        }
    }
}

fn refusal(rule: &OperationRule, refused: Refused, not_before: Option<Timestamp>) -> Outcome {
    let text = format!("the platform answered {}: {}", refused.code, refused.message);
    let Some(class) = refused.class else {
        return Outcome::Rejected(Reason::new(format!("business_{}", refused.code), text));
    };
    let reason = Reason::new(class.as_str(), text);
    match class {
        AnswerClass::AlreadySubmitted if rule.already_submitted == AlreadySubmitted::Acknowledged => {
            let source = ReceiptSource::AlreadySubmitted;
            Outcome::Acknowledged(Receipt { receipt_number: None, received_at: None, source })
        }
        AnswerClass::AlreadySubmitted => Outcome::Ambiguous(reason),
        AnswerClass::Throttled | AnswerClass::Unauthorized => Outcome::NotTaken { reason, not_before },
        AnswerClass::UnknownOrder | AnswerClass::StateRefused | AnswerClass::Invalid => Outcome::Rejected(reason),
    }
}

// The sink never learns less than this from a request without an answer.
fn unanswered(error: &RequestError) -> Outcome {
    match error {
        RequestError::Unavailable { what, not_sent: true, .. } => {
            Outcome::NotTaken { reason: Reason::new("unreachable", what.clone()), not_before: None }
        }
        RequestError::Unavailable { what, .. } => {
            let code = if what == "timeout" { "timeout" } else { "broken_off" };
            Outcome::Ambiguous(Reason::new(code, what.clone()))
        }
        other => Outcome::Ambiguous(Reason::new(other.code(), other.to_string())),
    }
}

#[async_trait]
impl Sink for OrderSink {
    fn forwards(&self, dataset: Dataset, part: &Part) -> bool {
        self.forward(dataset, part).is_some()
    }

    fn takes(&self, operation: Operation) -> bool {
        self.rule.operation(operation).is_some()
    }

    fn forward_number(&self, origin: &OrderNumber) -> Option<SourceNumber> {
        self.rule.number_of(origin)
    }

    fn prepare(&self, delivery: &OutboundDelivery) -> Result<PreparedDelivery, Reason> {
        let rule = self.operation(delivery)?;
        self.body(delivery, rule)?;
        let invalid =
            |what: &str| Reason::new("invalid_item", format!("the platform's item can't be worked out: {what}"));
        let item = self.profile().item(&rule.creates).ok_or_else(|| invalid(&rule.creates))?;
        let element = Value::Object(self.object(delivery, &rule.element)?).to_string();
        let object = json::object(&element).map_err(|error| invalid(&json::place(&error)))?;
        let context = Context {
            number: delivery.number.number.clone(),
            day: Some(delivery.number.day),
            // Without a time of its own the item can't be found again, so there is none to fall back on.
            created: None,
            revision: None,
            latest: Timestamp::MAX,
        };
        let change = self.normalizer.change(&context, item, &object).map_err(invalid)?;
        Ok(PreparedDelivery { item: change.book_item(delivery.number.day), ask_by: rule.ask_by })
    }

    async fn deliver(&self, delivery: &OutboundDelivery) -> Outcome {
        let request = self.operation(delivery).and_then(|rule| {
            let body = self.body(delivery, rule)?;
            let path = rule.path.replace("{number}", &encode(delivery.number.number.as_str()));
            let body = request::body(&self.http, &rule.service, body.into_iter().collect());
            let mut request = HttpRequest::post(path, body);
            request.headers = request::headers(&self.http, &rule.service);
            request.method = match rule.method.as_str() {
                "PUT" => "PUT",
                "PATCH" => "PATCH",
                _ => "POST",
            };
            let key = self.rule.request_id_header.iter().map(|name| (name.clone(), delivery.idempotency_key.clone()));
            request.headers.extend(key);
            Ok((rule, request))
        });
        let (rule, request) = match request {
            Ok(request) => request,
            Err(reason) => return Outcome::Rejected(reason),
        };
        match self.http.send(request).await {
            Ok(answer) => self.outcome(rule, &answer),
            Err(error) => unanswered(&error),
        }
    }

    async fn find_outcome(&self, delivery: &OutboundDelivery) -> Result<Option<Receipt>, RequestError> {
        if self.operation(delivery).map_or(true, |rule| rule.ask_by != AskBy::Receipt) {
            return Ok(None);
        }
        let rule = &self.rule.receipts;
        let parameters = vec![request::text(&rule.request_id, delivery.idempotency_key.clone())];
        let answer = self.http.send(request::question(&self.http, &rule.endpoint, parameters)).await?.ok()?;
        let body = answer::body(self.profile(), &answer.body)?;
        let Some(data) = answer::data(self.profile(), &body)? else { return Ok(None) };
        let key = json::scalar(json::lookup(data, &rule.request_id)).text;
        if key != delivery.idempotency_key {
            return Err(RequestError::Undecodable { what: "the receipt is for another request".to_owned() });
        }
        Ok(Some(self.receipt(Some(data), ReceiptSource::Query)))
    }
}
