//! Taking pushes, and answering in the platform's own dress. Pure.

use super::json;
use super::normalize::partial_of;
use super::source::raw_record;
use crate::profile::{Profile, PushAnswer, PushRule};
use crate::{
    Credentials, IntakeOutcome, NormalizeError, RawRecord, Receiver, VerifyError, WebhookReply, WebhookRequest,
};
use gateway_model::SourceNumber;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct PushReceiver {
    profile: Arc<Profile>,
    rule: PushRule,
    credentials: Credentials,
}

impl PushReceiver {
    pub(super) fn new(profile: Arc<Profile>, rule: PushRule, credentials: Credentials) -> Self {
        Self { profile, rule, credentials }
    }

    fn answer(&self, answer: &PushAnswer, detail: Option<String>, retry_after_s: Option<u32>) -> WebhookReply {
        let message = detail.map_or_else(|| answer.message.clone(), |detail| format!("{}: {detail}", answer.message));
        let mut body = Value::Object(Map::new());
        put(&mut body, &self.profile.answer.code, answer.code.clone());
        put(&mut body, &self.profile.answer.message, Value::String(message));
        WebhookReply {
            status: answer.status,
            content_type: "application/json; charset=utf-8",
            retry_after_s,
            body: body.to_string().into_bytes(),
        }
    }
}

// Sets the value at a path with dots between levels.
fn put(root: &mut Value, path: &str, value: Value) {
    let mut at = root;
    for key in path.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(map) = at else { return };
        at = map.entry(key.to_owned()).or_insert(Value::Null);
    }
    *at = value;
}

impl Receiver for PushReceiver {
    fn verify(&self, request: &WebhookRequest) -> Result<(), VerifyError> {
        self.profile.signature.verify(&self.credentials, request)
    }

    fn nonce(&self, request: &WebhookRequest) -> String {
        request.header(&self.profile.signature.nonce_header).unwrap_or_default().to_owned()
    }

    fn nonce_window(&self) -> Duration {
        self.rule.nonce_window
    }

    fn accept(&self, request: &WebhookRequest) -> Result<Vec<RawRecord>, NormalizeError> {
        let undecodable = |what: &str| NormalizeError::Undecodable(what.to_owned());
        let push = json::object(&request.body).map_err(|error| NormalizeError::Undecodable(json::place(&error)))?;
        if let Some(partial) = partial_of(&self.profile, &push) {
            let number = json::field(&push, &partial.number);
            let number = if number.simple { SourceNumber::new(number.text).ok() } else { None };
            return Ok(vec![RawRecord { number, body: request.body.clone(), updated_at: None, undecodable: None }]);
        }
        if json::field(&push, &self.rule.kind).text != self.rule.records_kind {
            return Err(undecodable("the push is of no known kind"));
        }
        let list = push.get(&self.rule.records).copied().ok_or_else(|| undecodable("the push has no records"))?;
        let records = json::as_list(Some(list)).ok_or_else(|| undecodable("the push's records are no list"))?;
        Ok(records.into_iter().map(|raw| raw_record(&self.profile, raw)).collect())
    }

    fn reply(&self, outcome: &IntakeOutcome) -> WebhookReply {
        let rule = &self.rule;
        match outcome {
            IntakeOutcome::Accepted | IntakeOutcome::Repeated => self.answer(&rule.accepted, None, None),
            IntakeOutcome::NonceConflict => self.answer(&rule.conflict, None, None),
            // The offset helps an honest peer with its clock; nothing else is told to a stranger.
            IntakeOutcome::Refused(error @ VerifyError::ClockSkew { .. }) => {
                self.answer(&rule.refused, Some(error.to_string()), None)
            }
            IntakeOutcome::Refused(_) => self.answer(&rule.refused, None, None),
            IntakeOutcome::Undecodable => self.answer(&rule.undecodable, None, None),
            IntakeOutcome::TooLarge => self.answer(&rule.too_large, None, None),
            IntakeOutcome::Unavailable { retry_after_s } => self.answer(&rule.unavailable, None, Some(*retry_after_s)),
        }
    }

    fn body_limit(&self) -> usize {
        self.rule.body_bytes
    }
}
