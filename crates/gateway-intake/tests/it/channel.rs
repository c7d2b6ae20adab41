//! A channel whose listing, failures and pushes are scripted.

use async_trait::async_trait;
use bytes::Bytes;
use gateway_connector::{
    AttachmentError, AttachmentSource, Connector, Cursor, Descriptor, IntakeOutcome, ManifestSource, NormalizeError,
    Normalizer, Page, RawRecord, Receiver, RequestError, Sink, Source, VerifyError, WebhookReply, WebhookRequest,
};
use gateway_model::{Change, Clock, Dataset, ManualClock, SourceNumber, Timestamp, Window};
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

pub struct FakeChannel {
    descriptor: Descriptor,
    clock: Arc<ManualClock>,
    state: Mutex<State>,
    has_files: bool,
}

/// What comes of asking for a file.
#[derive(Debug, Clone, Copy)]
pub enum Given {
    Bytes(&'static [u8]),
    NotThere,
    TooLarge,
    Address,
    Down,
    Refused,
    Throttled(u64),
}

/// Tells that a file was asked for, and holds the answer back as long as the other end lives.
type Slow = (Arc<Notify>, oneshot::Receiver<()>);

#[derive(Default)]
struct State {
    listing: Vec<(Timestamp, RawRecord)>,
    /// What the next reads end with; `None` = well.
    script: VecDeque<Option<RequestError>>,
    polls: Vec<(Option<Timestamp>, Option<Cursor>)>,
    fetched: Vec<Vec<SourceNumber>>,
    every_day: bool,
    files: HashMap<String, VecDeque<Given>>,
    slow: HashMap<String, Slow>,
    asked: usize,
    before_page: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

pub fn record(number: &str, body: &str, updated_at: Option<Timestamp>) -> RawRecord {
    RawRecord {
        number: Some(SourceNumber::new(number).unwrap()),
        body: Bytes::copy_from_slice(body.as_bytes()),
        updated_at,
        undecodable: None,
    }
}

impl FakeChannel {
    pub fn new(clock: Arc<ManualClock>) -> Self {
        let descriptor = Descriptor { kind: "fake", datasets: vec![Dataset::Acceptance], manifest_grains: Vec::new() };
        Self { descriptor, clock, state: Mutex::default(), has_files: true }
    }

    pub fn without_files(clock: Arc<ManualClock>) -> Self {
        Self { has_files: false, ..Self::new(clock) }
    }

    /// What comes of asking for a file, time after time; it is not there when nothing is left.
    pub fn file(&self, reference: &str, given: impl IntoIterator<Item = Given>) {
        let mut state = self.state.lock().unwrap();
        state.slow.remove(reference);
        state.files.insert(reference.to_owned(), given.into_iter().collect());
    }

    /// A file that does not come: told when it was asked for, and not there when the other end is dropped.
    pub fn slow_file(&self, reference: &str) -> (Arc<Notify>, oneshot::Sender<()>) {
        let (begun, (sender, receiver)) = (Arc::new(Notify::new()), oneshot::channel());
        self.state.lock().unwrap().slow.insert(reference.to_owned(), (begun.clone(), receiver));
        (begun, sender)
    }

    /// How often files were asked for; forgotten with this call.
    pub fn asked(&self) -> usize {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    /// The listing now says this of an order; what it said before under that number is gone.
    pub fn put(&self, number: &str, body: &str, updated_at: Timestamp) {
        self.put_record(updated_at, record(number, body, Some(updated_at)));
    }

    pub fn put_record(&self, position: Timestamp, record: RawRecord) {
        let mut state = self.state.lock().unwrap();
        if record.number.is_some() {
            state.listing.retain(|(_, other)| other.number != record.number);
        }
        state.listing.push((position, record));
        state.listing.sort_by(|one, other| (one.0, &one.1.number).cmp(&(other.0, &other.1.number)));
    }

    /// How the next reads end.
    pub fn script(&self, ends: impl IntoIterator<Item = Option<RequestError>>) {
        self.state.lock().unwrap().script.extend(ends);
    }

    /// What happens before the next page is answered.
    pub fn before_page(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.state.lock().unwrap().before_page = Some(Box::pin(work));
    }

    /// Where the polls began, and with which cursor; forgotten with this call.
    pub fn polls(&self) -> Vec<(Option<Timestamp>, Option<Cursor>)> {
        std::mem::take(&mut self.state.lock().unwrap().polls)
    }

    /// From now on what is read by number is every order of that number.
    pub fn tell_every_day(&self) {
        self.state.lock().unwrap().every_day = true;
    }

    pub fn fetched(&self) -> Vec<Vec<SourceNumber>> {
        std::mem::take(&mut self.state.lock().unwrap().fetched)
    }

    fn page(&self, records: Vec<RawRecord>, next: Option<Cursor>) -> Page {
        Page { records, next, datasets: vec![Dataset::Acceptance], read_at: self.clock.now() }
    }

    fn scripted(&self) -> Result<(), RequestError> {
        self.state.lock().unwrap().script.pop_front().flatten().map_or(Ok(()), Err)
    }
}

pub fn down() -> Option<RequestError> {
    Some(RequestError::Unavailable { what: "HTTP 503".into(), not_sent: false, source: None })
}

fn page_of(all: Vec<RawRecord>, cursor: Option<&Cursor>, limit: usize) -> (Vec<RawRecord>, Option<Cursor>) {
    let start = cursor.map_or(0, |cursor| cursor.0.parse().unwrap());
    let end = all.len().min(start + limit);
    let next = (end < all.len()).then(|| Cursor(end.to_string()));
    (all[start.min(end)..end].to_vec(), next)
}

#[async_trait]
impl Source for FakeChannel {
    async fn poll(&self, from: Option<Timestamp>, cursor: Option<&Cursor>, limit: u32) -> Result<Page, RequestError> {
        let all = {
            let mut state = self.state.lock().unwrap();
            state.polls.push((from, cursor.cloned()));
            let inside = state.listing.iter().filter(|(at, _)| from.is_none_or(|from| *at >= from));
            inside.map(|(_, record)| record.clone()).collect()
        };
        let before = self.state.lock().unwrap().before_page.take();
        if let Some(before) = before {
            before.await;
        }
        self.scripted()?;
        let (records, next) = page_of(all, cursor, limit as usize);
        Ok(self.page(records, next))
    }

    async fn fetch_window(&self, _: Dataset, window: Window, cursor: Option<&Cursor>) -> Result<Page, RequestError> {
        self.scripted()?;
        let all = {
            let state = self.state.lock().unwrap();
            let inside = state.listing.iter().filter(|(at, _)| window.contains(*at));
            inside.map(|(_, record)| record.clone()).collect()
        };
        let (records, next) = page_of(all, cursor, 2);
        Ok(self.page(records, next))
    }

    async fn fetch_ids(&self, numbers: &[SourceNumber]) -> Result<Page, RequestError> {
        self.state.lock().unwrap().fetched.push(numbers.to_vec());
        self.scripted()?;
        let records = {
            let state = self.state.lock().unwrap();
            let asked =
                state.listing.iter().filter(|(_, one)| one.number.as_ref().is_none_or(|one| numbers.contains(one)));
            asked.map(|(_, record)| record.clone()).collect()
        };
        Ok(self.page(records, None))
    }

    fn ids_per_fetch(&self) -> usize {
        3
    }

    fn ids_tell_every_day(&self) -> bool {
        self.state.lock().unwrap().every_day
    }
}

#[async_trait]
impl AttachmentSource for FakeChannel {
    async fn fetch(&self, reference: &str, largest: usize) -> Result<Bytes, AttachmentError> {
        let (given, slow) = {
            let mut state = self.state.lock().unwrap();
            state.asked += 1;
            (state.files.get_mut(reference).and_then(VecDeque::pop_front), state.slow.remove(reference))
        };
        if let Some((begun, held)) = slow {
            begun.notify_one();
            let _ = held.await;
        }
        Err(match given.unwrap_or(Given::NotThere) {
            Given::Bytes(bytes) => return Ok(Bytes::from_static(bytes)),
            Given::NotThere => AttachmentError::NotThere { code: "http_404".into() },
            Given::TooLarge => AttachmentError::TooLarge { largest },
            Given::Address => AttachmentError::Address { what: "leads elsewhere" },
            Given::Down => down().unwrap().into(),
            Given::Refused => RequestError::Unauthorized { code: "401".into() }.into(),
            Given::Throttled(seconds) => {
                RequestError::Throttled { retry_after: Some(Duration::from_secs(seconds)) }.into()
            }
        })
    }
}

/// Pushes are lines of `number:text`; a body that begins with `!` can't be decoded, a line without `:` neither.
impl Receiver for FakeChannel {
    fn verify(&self, request: &WebhookRequest) -> Result<(), VerifyError> {
        match request.header("x-sign") {
            Some("good") => Ok(()),
            Some("stale") => Err(VerifyError::ClockSkew { offset_ms: -400_000 }),
            _ => Err(VerifyError::BadSignature),
        }
    }

    fn nonce(&self, request: &WebhookRequest) -> String {
        request.header("x-nonce").unwrap_or_default().to_owned()
    }

    fn nonce_window(&self) -> Duration {
        Duration::from_secs(600)
    }

    fn accept(&self, request: &WebhookRequest) -> Result<Vec<RawRecord>, NormalizeError> {
        let text = std::str::from_utf8(&request.body).unwrap();
        if text.starts_with('!') {
            return Err(NormalizeError::Undecodable("line 1 column 1".into()));
        }
        Ok(text
            .lines()
            .map(|line| match line.split_once(':') {
                Some((number, _)) => record(number, line, None),
                None => RawRecord {
                    number: None,
                    body: Bytes::copy_from_slice(line.as_bytes()),
                    updated_at: None,
                    undecodable: Some("no number".into()),
                },
            })
            .collect())
    }

    fn reply(&self, outcome: &IntakeOutcome) -> WebhookReply {
        let (status, retry_after_s) = match outcome {
            IntakeOutcome::Accepted | IntakeOutcome::Repeated => (200, None),
            IntakeOutcome::NonceConflict => (409, None),
            IntakeOutcome::Refused(_) => (401, None),
            IntakeOutcome::Undecodable => (400, None),
            IntakeOutcome::TooLarge => (413, None),
            IntakeOutcome::Unavailable { retry_after_s } => (503, Some(*retry_after_s)),
        };
        WebhookReply { status, content_type: "text/plain", retry_after_s, body: Vec::new() }
    }

    fn body_limit(&self) -> usize {
        1_024
    }
}

impl Normalizer for FakeChannel {
    fn normalize(&self, _: &[u8], _: Timestamp) -> Result<Vec<Change>, NormalizeError> {
        Ok(Vec::new())
    }

    fn projection_version(&self) -> u32 {
        1
    }
}

#[async_trait]
impl Connector for FakeChannel {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn normalizer(&self) -> &dyn Normalizer {
        self
    }

    fn source(&self) -> Option<&dyn Source> {
        Some(self)
    }

    fn attachments(&self) -> Option<&dyn AttachmentSource> {
        self.has_files.then_some(self as &dyn AttachmentSource)
    }

    fn receiver(&self) -> Option<&dyn Receiver> {
        Some(self)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        None
    }

    fn manifest_source(&self) -> Option<&dyn ManifestSource> {
        None
    }

    async fn check_connectivity(&self) -> Result<(), RequestError> {
        Ok(())
    }
}
