//! A gateway's API, served on loopback, with everything else played by the test.

use async_trait::async_trait;
use gateway_api::{
    ApiConfig, ApiState, AttachmentDesk, ChannelInfo, NotifierInfo, Role, StatusSource, Token, Tokens, Waker, Warning,
};
use gateway_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use gateway_bus::{Bus, Message, TopicName, TopicSpec};
use gateway_connector::{WebhookIntake, WebhookReply, WebhookRequest};
use gateway_model::{AddressKey, ChannelId, Clock, ManualClock, Timestamp};
use gateway_runtime::telemetry::{MetricsHandle, start_metrics};
use gateway_runtime::{TaskHealth, TaskStatus};
use gateway_store::{AttachmentDir, JobKind, SqliteOptions, SqliteStore, Store};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const ADMIN: &str = "admin-token-0123456789abcdef";
pub const DESK: &str = "desk-token-0123456789abcdef";
pub const JUDGE: &str = "judge-token-0123456789abcdef";

/// The largest push that the played intake takes.
pub const PUSH_LIMIT: usize = 1000;

pub fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

pub fn municipal() -> ChannelId {
    channel("municipal-12345")
}

pub fn desk() -> ChannelId {
    channel("desk")
}

/// What addresses of attachments are made with.
pub fn address_key() -> AddressKey {
    AddressKey::of_installation(&[7; 32])
}

/// Seconds after a Monday morning in China.
pub fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-11-23T01:00:00Z".parse().unwrap();
    Timestamp::from_second(start.as_second() + seconds).unwrap()
}

pub struct Gateway {
    pub store: Arc<SqliteStore>,
    pub bus: Arc<EmbeddedBus>,
    pub clock: Arc<ManualClock>,
    pub status: Arc<PlayedStatus>,
    pub waker: Arc<PlayedWaker>,
    pub intake: Arc<PlayedIntake>,
    pub files: AttachmentDir,
    pub admin: String,
    pub public: String,
    pub stopping: CancellationToken,
    pub servers: Vec<JoinHandle<()>>,
    client: Client,
    _dir: tempfile::TempDir,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub retry_after: Option<String>,
    pub body: Value,
}

impl Answer {
    /// Asserts a problem with a code, and gives its members.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> &Value {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.content_type, "application/problem+json");
        assert_eq!(self.body["status"], status);
        for member in ["type", "title", "detail", "detail_zh"] {
            assert!(self.body[member].is_string(), "{self:?}");
        }
        &self.body
    }

    /// Asserts the status, and gives the body.
    #[track_caller]
    pub fn ok(&self, status: u16) -> &Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.content_type, "application/json");
        &self.body
    }
}

pub fn metrics() -> &'static MetricsHandle {
    static METRICS: OnceLock<MetricsHandle> = OnceLock::new();
    METRICS.get_or_init(|| start_metrics().unwrap())
}

impl Gateway {
    pub async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(at(3600)));
        let told: Arc<dyn Clock> = clock.clone();
        let bus =
            Arc::new(EmbeddedBus::open(EmbeddedOptions::in_dir(dir.path().join("bus")), told.clone()).await.unwrap());
        for channel in [municipal(), desk()] {
            for name in [TopicName::raw(&channel), TopicName::raw_backfill(&channel)] {
                let spec = TopicSpec { name, partitions: 2, retention: Duration::from_secs(86_400) };
                bus.ensure_topic(&spec).await.unwrap();
            }
        }
        let store = Arc::new(SqliteStore::open(SqliteOptions::at(dir.path().join("store.db"))).await.unwrap());
        let files = AttachmentDir::open(dir.path().join("attachments")).unwrap();
        let status = Arc::new(PlayedStatus::default());
        let waker = Arc::new(PlayedWaker::default());
        let intake = Arc::new(PlayedIntake::default());
        let config = Arc::new(ApiConfig::default());
        let tokens = [(Role::Admin, ADMIN), (Role::Desk, DESK), (Role::Judge, JUDGE)];
        let state = ApiState {
            store: store.clone(),
            bus: bus.clone(),
            clock: told.clone(),
            tokens: Tokens::new(tokens.map(|(role, text)| Token { role, text: text.to_owned() })).unwrap(),
            status: status.clone(),
            waker: waker.clone(),
            channels: [info(municipal(), true), info(desk(), false)].into(),
            incident_codes: ["delivery_stuck", "disk_low", "pipeline_lag"].into(),
            notifiers: [("duty-phone", "wecom"), ("mail", "smtp")]
                .map(|(id, kind)| NotifierInfo { id: id.to_owned(), kind: kind.to_owned() })
                .into(),
            desk: desk(),
            person_key: gateway_model::PersonKey::of_installation(&[7; 32]),
            attachments: files.clone(),
            metrics: Arc::new(|| metrics().render()),
            config: config.clone(),
        };
        let desk = AttachmentDesk {
            key: address_key(),
            grants: [(municipal(), channel("bureau"))].into(),
            store: store.clone(),
            dir: files.clone(),
            clock: told.clone(),
        };
        metrics();
        let stopping = CancellationToken::new();
        let mut servers = Vec::new();
        let mut bases = Vec::new();
        let public = gateway_api::public_router(intake.clone(), told, &config);
        let public = public.merge(gateway_api::attachment_router(desk, &config));
        for router in [gateway_api::admin_router(state), public] {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            bases.push(format!("http://{}", listener.local_addr().unwrap()));
            let (config, stopping) = (config.clone(), stopping.clone());
            servers.push(tokio::spawn(async move { gateway_api::serve(listener, router, &config, stopping).await }));
        }
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        let public = bases.pop().unwrap();
        let admin = bases.pop().unwrap();
        Self { store, bus, clock, status, waker, intake, files, admin, public, stopping, servers, client, _dir: dir }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.admin))
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        send(self.request(Method::GET, path).bearer_auth(token)).await
    }

    pub async fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).bearer_auth(token).json(body)).await
    }

    pub async fn command(&self, token: &str, order: &str, key: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, &format!("/api/v1/orders/{order}/commands"));
        send(request.bearer_auth(token).header("Idempotency-Key", key).json(body)).await
    }

    /// What somebody from outside asks for.
    pub fn outside(&self, method: Method, target: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{target}", self.public))
    }

    pub fn push(&self, target: &str) -> RequestBuilder {
        self.client.post(format!("{}{target}", self.public))
    }

    /// All messages that a channel's raw topic holds.
    pub async fn messages(&self, channel: &ChannelId) -> Vec<Message> {
        let topic = TopicName::raw(channel);
        let there: u64 = self.bus.end_positions(&topic).await.unwrap().iter().map(|end| end.offset).sum();
        let mut consumer = self.bus.subscribe("test", std::slice::from_ref(&topic)).await.unwrap();
        consumer.rewind().await.unwrap();
        let mut messages = Vec::new();
        while (messages.len() as u64) < there {
            messages.extend(consumer.fetch(100, Duration::from_secs(10)).await.unwrap().messages);
        }
        messages
    }

    pub fn store(&self) -> &dyn Store {
        &*self.store
    }
}

pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, content_type, retry_after) =
        (response.status().as_u16(), header("content-type"), header("retry-after"));
    let bytes = response.bytes().await.unwrap();
    let body =
        serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Answer { status, content_type: content_type.unwrap_or_default(), retry_after, body }
}

fn info(channel: ChannelId, peer: bool) -> ChannelInfo {
    let connector = channel.to_string();
    let datasets = if peer { gateway_model::Dataset::ALL[..4].to_vec() } else { Vec::new() };
    ChannelInfo { channel, connector, datasets, source: peer, receiver: peer, sink: peer, manifest: peer, files: peer }
}

#[derive(Default)]
pub struct PlayedStatus {
    pub tasks: Mutex<Vec<TaskStatus>>,
    pub warnings: Mutex<Vec<Warning>>,
    pub stopping: AtomicBool,
}

pub fn task(name: &str, health: TaskHealth) -> TaskStatus {
    TaskStatus {
        name: name.to_owned(),
        health,
        rounds: 1,
        failures: 0,
        since_success_ms: 5,
        running_ms: None,
        error_code: None,
        error: None,
    }
}

impl StatusSource for PlayedStatus {
    fn tasks(&self) -> Vec<TaskStatus> {
        self.tasks.lock().unwrap().clone()
    }
    fn warnings(&self) -> Vec<Warning> {
        self.warnings.lock().unwrap().clone()
    }
    fn started_at(&self) -> Timestamp {
        at(0)
    }
    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
pub struct PlayedWaker(pub Mutex<Vec<String>>);

impl Waker for PlayedWaker {
    fn job_enqueued(&self, kind: JobKind, channel: &ChannelId) {
        self.0.lock().unwrap().push(format!("{}/{channel}", kind.as_str()));
    }
    fn delivery_owed(&self, destination: &ChannelId) {
        self.0.lock().unwrap().push(format!("deliver/{destination}"));
    }
}

/// Takes every push; while `closed`, a push waits until the test lets it through.
pub struct PlayedIntake {
    pub taken: Mutex<Vec<WebhookRequest>>,
    pub closed: AtomicBool,
    pub waiting: Semaphore,
    pub released: Semaphore,
}

impl Default for PlayedIntake {
    fn default() -> Self {
        Self {
            taken: Mutex::default(),
            closed: AtomicBool::new(false),
            waiting: Semaphore::new(0),
            released: Semaphore::new(0),
        }
    }
}

fn dressed(status: u16, code: u32) -> WebhookReply {
    let retry_after_s = (status == 503).then_some(7);
    let body = format!("{{\"code\":{code}}}").into_bytes();
    WebhookReply { status, content_type: "application/json", retry_after_s, body }
}

#[async_trait]
impl WebhookIntake for PlayedIntake {
    async fn take(&self, channel: &ChannelId, request: WebhookRequest) -> Option<WebhookReply> {
        if self.closed.load(Ordering::SeqCst) {
            self.waiting.add_permits(1);
            self.released.acquire().await.unwrap().forget();
        }
        let full = request.header("x-full").is_some();
        self.taken.lock().unwrap().push(request);
        (*channel == municipal()).then(|| if full { dressed(503, 5) } else { dressed(200, 0) })
    }

    fn body_limit(&self, channel: &ChannelId) -> Option<usize> {
        (*channel == municipal()).then_some(PUSH_LIMIT)
    }

    fn too_large(&self, channel: &ChannelId) -> Option<WebhookReply> {
        (*channel == municipal()).then(|| dressed(413, 4))
    }
}
