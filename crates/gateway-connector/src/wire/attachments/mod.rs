//! Fetching the files that records refer to (attachments 附件), as the profile says.
//!
//! HTTP 200 says nothing here either: what comes may be the counterparty's own refusal in its dress, or a page of something in between. Neither is a
//! file. Of what type a file is, its reader judges.

mod address;
#[cfg(test)]
mod address_tests;

use super::answer::{self, Answer};
use super::request;
use crate::http::{HttpAnswer, HttpClient, HttpRequest, HttpSetupError, Leaving, Transport};
use crate::profile::{AttachmentRule, Format, Profile};
use crate::sign::Signed;
use crate::{AttachmentError, AttachmentSource, RequestError};
use address::{Addresses, Place};
use async_trait::async_trait;
use bytes::Bytes;
use gateway_model::Clock;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How a page begins that no record refers to.
const PAGES: [&str; 4] = ["<!doctype html", "<html", "<head", "<body"];

pub(super) struct FileSource {
    http: Arc<HttpClient>,
    rule: AttachmentRule,
    addresses: Addresses,
    /// One for each of the rule's hosts.
    named: Vec<Transport>,
    /// A file takes long; so that the channel's other requests get their turn, files have half of them at most.
    turns: Semaphore,
}

impl FileSource {
    /// # Errors
    /// [`HttpSetupError`] where a named host can't be asked from here.
    pub(super) fn new(
        http: Arc<HttpClient>,
        rule: AttachmentRule,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, HttpSetupError> {
        let limits = http.profile().limits;
        let transport = |host: &String| Transport::new(&format!("https://{host}"), limits, Arc::clone(clock));
        let named = rule.hosts.iter().map(transport).collect::<Result<_, _>>()?;
        let addresses = Addresses::new(http.base(), rule.clone()).ok_or(HttpSetupError::BaseUrl)?;
        let turns = Semaphore::new((limits.concurrency / 2).max(1));
        Ok(Self { http, rule, addresses, named, turns })
    }

    fn profile(&self) -> &Profile {
        self.http.profile()
    }

    /// The file in an answer.
    fn file(&self, answer: HttpAnswer, own: bool) -> Result<Bytes, AttachmentError> {
        let not_there = |code: String| AttachmentError::NotThere { code };
        match answer.status {
            200 if answer.body.is_empty() => Err(not_there("empty".to_owned())),
            200 => self.body(answer.body),
            status @ (201..=299 | 404 | 410) => Err(not_there(format!("http_{status}"))),
            // We showed that host no credentials that it could refuse.
            status @ (401 | 403) if !own => Err(self.refused(format!("http_{status}"), String::new())),
            _ => match answer.ok() {
                Err(RequestError::Business { code, message }) => Err(self.refused(code, message)),
                Err(error) => Err(error.into()),
                Ok(_) => Err(no_file()),
            },
        }
    }

    fn refused(&self, code: String, message: String) -> AttachmentError {
        if self.rule.is_absent(&code) {
            return AttachmentError::NotThere { code };
        }
        RequestError::Business { code, message }.into()
    }

    /// The body of an HTTP 200, if it is a file.
    fn body(&self, body: Bytes) -> Result<Bytes, AttachmentError> {
        let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body).trim_ascii_start();
        if PAGES
            .iter()
            .any(|page| text.get(..page.len()).is_some_and(|start| start.eq_ignore_ascii_case(page.as_bytes())))
        {
            return Err(no_file());
        }
        let exchange = &self.profile().exchange;
        let sign = if exchange.format == Format::Json { b'{' } else { b'<' };
        if text.first() != Some(&sign) {
            return Ok(body);
        }
        // A picture may be XML, but only an answer has its code.
        let rule = &self.profile().answer;
        let told = match answer::body_in(exchange, &body) {
            Ok(opened) if exchange.format == Format::Json || answer::has_code(rule, &opened) => {
                match answer::open_by(rule, &opened) {
                    Ok(Answer::Data(_)) => no_file(),
                    Ok(Answer::Refused(refused)) if self.rule.is_absent(&refused.code) => {
                        AttachmentError::NotThere { code: refused.code }
                    }
                    Ok(Answer::Refused(refused)) => RequestError::from(refused).into(),
                    Err(error) => error.into(),
                }
            }
            _ => return Ok(body),
        };
        Err(told)
    }
}

fn unsigned(_: &Leaving<'_>) -> Signed {
    Signed::Headers(Vec::new())
}

fn no_file() -> AttachmentError {
    RequestError::Undecodable { what: "an answer or a web page came in place of a file".to_owned() }.into()
}

#[async_trait]
impl AttachmentSource for FileSource {
    async fn fetch(&self, reference: &str, largest: usize) -> Result<Bytes, AttachmentError> {
        let place = self.addresses.place(reference)?;
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await.ok();
        let timeout = self.rule.timeout;
        match place {
            Place::Own(path) => {
                let mut request = HttpRequest::get(path, Vec::new());
                request.headers = request::headers(&self.http, &self.rule.service);
                let answer = self.http.fetch(request, largest, timeout).await?;
                self.file(answer, true)
            }
            Place::Named { host, path } => {
                let transport = self.named.get(host).ok_or(AttachmentError::Address { what: "is of no host" })?;
                let answer = transport.fetch(HttpRequest::get(path, Vec::new()), unsigned, largest, timeout).await?;
                self.file(answer, false)
            }
        }
    }
}
