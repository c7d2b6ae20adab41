//! Answering a channel's own front end, in the channel's dress: what the canonical record says of an order, and nobody's person data. Pure.

use super::receiver::dressed;
use super::{charset, json};
use crate::profile::{InquiryRule, Profile, PushAnswer, ValueSource};
use crate::{Credentials, Inquiry, InquiryOutcome, Progress, VerifyError, WebhookReply, WebhookRequest};
use gateway_model::{Field, FieldValue};
use serde_json::{Map, Value};
use std::sync::Arc;

pub(super) struct OrderInquiry {
    profile: Arc<Profile>,
    rule: InquiryRule,
    credentials: Credentials,
}

impl OrderInquiry {
    pub(super) fn new(profile: Arc<Profile>, rule: InquiryRule, credentials: Credentials) -> Self {
        Self { profile, rule, credentials }
    }

    fn value(&self, progress: &Progress, source: &ValueSource) -> Option<Value> {
        let coded = |field: Field, table: &str| {
            let canonical = match progress.fields.get(field)? {
                FieldValue::Flag(flag) => flag.to_string(),
                FieldValue::Text(text) => text.clone(),
                FieldValue::Number(_) | FieldValue::Time(_) => return None,
            };
            // What the peer has no code for is left out: a word that it does not know would tell a citizen nothing.
            self.profile.codes.wire(table, &canonical, Some(progress.number.day)).map(Value::from)
        };
        match source {
            ValueSource::Number => Some(Value::from(progress.number.number.as_str())),
            ValueSource::Round => Some(Value::from(progress.round)),
            ValueSource::Code(field, table) => coded(*field, table),
            ValueSource::Field(field) if !field.is_person() => Some(match progress.fields.get(*field)? {
                FieldValue::Text(text) => Value::from(text.as_str()),
                FieldValue::Number(number) => Value::from(*number),
                FieldValue::Flag(flag) => Value::from(*flag),
                FieldValue::Time(moment) => Value::from(self.profile.times.write(*moment)),
            }),
            _ => None,
        }
    }

    fn told(&self, progress: &Progress) -> WebhookReply {
        let mut data = Value::Object(Map::new());
        for rule in &self.rule.body {
            let value = rule.sources.iter().find_map(|source| self.value(progress, source));
            json::put(&mut data, &rule.wire, value.unwrap_or(Value::Null));
        }
        let (answer, rule) = (&self.profile.answer, &self.rule.found);
        let mut body = Value::Object(Map::new());
        json::put(&mut body, &answer.code, rule.code.clone());
        json::put(&mut body, &answer.message, Value::from(rule.message.as_str()));
        json::put(&mut body, &answer.data, data);
        let exchange = &self.profile.exchange;
        let body = charset::encode(exchange.encoding, &body.to_string()).to_vec();
        WebhookReply { status: rule.status, content_type: exchange.content_type(), retry_after_s: None, body }
    }

    fn plain(&self, answer: &PushAnswer, detail: Option<String>, retry_after_s: Option<u32>) -> WebhookReply {
        dressed(&self.profile, answer, detail, retry_after_s)
    }
}

impl Inquiry for OrderInquiry {
    fn verify(&self, request: &WebhookRequest) -> Result<(), VerifyError> {
        self.profile.signature.verify(&self.credentials, request)
    }

    fn reply(&self, outcome: &InquiryOutcome) -> WebhookReply {
        let rule = &self.rule;
        match outcome {
            InquiryOutcome::Found(progress) => self.told(progress),
            InquiryOutcome::Unknown => self.plain(&rule.unknown, None, None),
            // As with pushes: the offset helps an honest peer with its clock.
            InquiryOutcome::Refused(error @ VerifyError::ClockSkew { .. }) => {
                self.plain(&rule.refused, Some(error.to_string()), None)
            }
            InquiryOutcome::Refused(_) => self.plain(&rule.refused, None, None),
            InquiryOutcome::Unavailable { retry_after_s } => self.plain(&rule.unavailable, None, Some(*retry_after_s)),
        }
    }
}
