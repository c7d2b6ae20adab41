//! Taking pushes, and answering in the platform's own dress. Pure.

use super::normalize::partial_of;
use super::open::{Opened, below};
use super::source::raw_record;
use super::{charset, json, request};
use crate::profile::{Profile, PushAnswer, PushRule};
use crate::sign::is_token;
use crate::{
    Credentials, IntakeOutcome, NormalizeError, RawRecord, Receiver, VerifyError, WebhookReply, WebhookRequest,
};
use gateway_model::SourceNumber;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
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
        dressed(&self.profile, answer, detail, retry_after_s)
    }

    // Where the signature has none, the push's own id stands for it; a body without one is known by its digest.
    fn own_nonce(&self, request: &WebhookRequest) -> Option<String> {
        let opened = Opened::new(&self.profile.exchange, &request.body).ok()?;
        let push = json::lookup(opened.root().ok()?, &self.rule.root)?;
        let nonce = json::scalar(json::lookup(push, self.rule.nonce.as_ref()?));
        (nonce.simple && is_token(&nonce.text)).then_some(nonce.text)
    }
}

/// An answer without data in the peer's dress.
pub(super) fn dressed(
    profile: &Profile,
    answer: &PushAnswer,
    detail: Option<String>,
    retry_after_s: Option<u32>,
) -> WebhookReply {
    let exchange = &profile.exchange;
    let message = detail.map_or_else(|| answer.message.clone(), |detail| format!("{}: {detail}", answer.message));
    let body = match &answer.body {
        Some(body) => body.replace("{message}", &request::escape(exchange, &message)),
        None => {
            let mut body = Value::Object(Map::new());
            json::put(&mut body, &profile.answer.code, answer.code.clone());
            json::put(&mut body, &profile.answer.message, Value::String(message));
            body.to_string()
        }
    };
    WebhookReply {
        status: answer.status,
        content_type: exchange.content_type(),
        retry_after_s,
        body: charset::encode(exchange.encoding, &body).to_vec(),
    }
}

impl Receiver for PushReceiver {
    fn verify(&self, request: &WebhookRequest) -> Result<(), VerifyError> {
        self.profile.signature.verify(&self.credentials, request)
    }

    fn nonce(&self, request: &WebhookRequest) -> String {
        match self.profile.signature.nonce(request) {
            Some(nonce) => nonce.into_owned(),
            None => self.own_nonce(request).unwrap_or_else(|| hex::encode(Sha256::digest(&request.body))),
        }
    }

    fn nonce_window(&self) -> Duration {
        self.rule.nonce_window
    }

    fn accept(&self, request: &WebhookRequest) -> Result<Vec<RawRecord>, NormalizeError> {
        let undecodable = |what: &str| NormalizeError::Undecodable(what.to_owned());
        let opened = Opened::new(&self.profile.exchange, &request.body).map_err(NormalizeError::Undecodable)?;
        let root = opened.root().map_err(NormalizeError::Undecodable)?;
        let push = json::lookup(root, &self.rule.root).ok_or_else(|| undecodable("there is no push in it"))?;
        let push = json::object(push.get()).map_err(|error| NormalizeError::Undecodable(json::place(&error)))?;
        let push = json::opened(push, &self.rule.containers);
        if let Some(partial) = partial_of(&self.profile, &push) {
            let number = json::field(&push, &partial.number);
            let number = if number.simple { SourceNumber::new(number.text).ok() } else { None };
            return Ok(vec![RawRecord { number, body: request.body.clone(), updated_at: None, undecodable: None }]);
        }
        if json::field(&push, &self.rule.kind).text != self.rule.records_kind {
            return Err(undecodable("the push is of no known kind"));
        }
        let list = opened.list(&below(&self.rule.root, &self.rule.records));
        let records = list.ok_or_else(|| undecodable("the push's records are no list"))?;
        Ok(records.into_iter().map(|(raw, body)| raw_record(&self.profile, raw, body)).collect())
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
