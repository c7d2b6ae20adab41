//! What the handlers work with, as narrow parts: a handler names the part that it needs and gets no other.

use crate::refusals::{unknown_channel, unknown_code};
use crate::{ApiConfig, Code, Problem, Tokens};
use axum::extract::FromRef;
use gateway_bus::Bus;
use gateway_model::{ChannelId, Clock, Dataset, PersonKey, Severity, Timestamp};
use gateway_runtime::TaskStatus;
use gateway_store::{AttachmentDir, JobKind, Store};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A configured channel, as far as the API has to know it.
#[derive(Debug, Clone)]
pub struct ChannelInfo {
    /// Its id.
    pub channel: ChannelId,
    /// The kind of connector, as `municipal-12345`.
    pub connector: String,
    /// The datasets that it speaks of.
    pub datasets: Vec<Dataset>,
    /// Whether we pull from it.
    pub source: bool,
    /// Whether it pushes to us.
    pub receiver: bool,
    /// Whether we push to it.
    pub sink: bool,
    /// Whether it gives an account to compare with; without one it is *unverifiable*, never complete.
    pub manifest: bool,
    /// Whether files are exchanged with it over a front-end box.
    pub files: bool,
}

/// A configured notifier, or the heartbeat.
#[derive(Debug, Clone)]
pub struct NotifierInfo {
    /// Its id.
    pub id: String,
    /// What it is, as `smtp`.
    pub kind: String,
}

/// Something that a person should look at; an entry of `.warnings[]` of the status.
#[derive(Debug, Clone)]
pub struct Warning {
    /// A stable code, as `webhooks_all_refused`.
    pub code: String,
    /// About which channel.
    pub channel: Option<ChannelId>,
    /// What exactly it is about, where a channel can have several at once; empty where it can't.
    pub subject: String,
    /// How much it matters.
    pub severity: Severity,
    /// How many; 1 where nothing is counted.
    pub count: u64,
    /// What is known of it, by name.
    pub facts: BTreeMap<String, String>,
    /// A sentence without personal data.
    pub text: String,
    /// Since when.
    pub since: Timestamp,
}

/// Tells how the gateway's background work is. Implemented by the server.
pub trait StatusSource: Send + Sync + 'static {
    /// Every task, in the order in which they were started; names end in `/<channel>` where a task works for one channel.
    fn tasks(&self) -> Vec<TaskStatus>;
    /// What a person should look at now.
    fn warnings(&self) -> Vec<Warning>;
    /// When this process started.
    fn started_at(&self) -> Timestamp;
    /// Whether it is stopping; a stopping gateway is not ready.
    fn stopping(&self) -> bool;
}

/// Makes background work of this process due at once. Only a shortcut: the rows in the store are the truth, and a worker in another process
/// finds them by itself.
pub trait Waker: Send + Sync + 'static {
    /// A job was enqueued.
    fn job_enqueued(&self, kind: JobKind, channel: &ChannelId);
    /// A delivery is owed anew.
    fn delivery_owed(&self, destination: &ChannelId);
}

/// Wakes nothing, where the work is done by another process.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWaker;

impl Waker for NoWaker {
    fn job_enqueued(&self, _: JobKind, _: &ChannelId) {}
    fn delivery_owed(&self, _: &ChannelId) {}
}

/// The parts.
#[derive(Clone)]
pub struct ApiState {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Who may ask.
    pub tokens: Tokens,
    /// How the background work is.
    pub status: Arc<dyn StatusSource>,
    /// Makes it due.
    pub waker: Arc<dyn Waker>,
    /// The configured channels, the desk among them.
    pub channels: Arc<[ChannelInfo]>,
    /// The codes that incidents have.
    pub incident_codes: Arc<[&'static str]>,
    /// Who can be told of incidents.
    pub notifiers: Arc<[NotifierInfo]>,
    /// The channel that commands are records of.
    pub desk: ChannelId,
    /// Matches persons.
    pub person_key: PersonKey,
    /// Where the files of attachments are.
    pub attachments: AttachmentDir,
    /// Renders the metrics of the process.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Limits.
    pub config: Arc<ApiConfig>,
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState")
            .field("channels", &self.channels)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The channel that commands are records of.
#[derive(Clone)]
pub(crate) struct Desk(pub(crate) ChannelId);

/// The configured channels.
#[derive(Clone)]
pub(crate) struct Channels(pub(crate) Arc<[ChannelInfo]>);

impl Channels {
    pub(crate) fn find(&self, channel: &ChannelId) -> Option<&ChannelInfo> {
        self.0.iter().find(|info| info.channel == *channel)
    }

    /// Refuses a filter by a channel that is not configured: an empty answer would look like "nothing wrong".
    pub(crate) fn known(&self, channel: Option<&ChannelId>) -> Result<(), Problem> {
        match channel.filter(|channel| self.find(channel).is_none()) {
            None => Ok(()),
            Some(channel) => Err(unknown_channel(channel, self)),
        }
    }
}

/// What incidents can be about, and who is told of them.
#[derive(Clone)]
pub(crate) struct Alerts {
    pub(crate) codes: Arc<[&'static str]>,
    pub(crate) notifiers: Arc<[NotifierInfo]>,
}

impl Alerts {
    /// Refuses a code that no incident can have, as [`Channels::known`] does.
    pub(crate) fn known(&self, code: Option<&str>, refusal: Code) -> Result<(), Problem> {
        match code.filter(|code| !self.codes.contains(code)) {
            None => Ok(()),
            Some(code) => Err(unknown_code(code, self, refusal)),
        }
    }
}

/// Renders the metrics.
#[derive(Clone)]
pub(crate) struct Metrics(pub(crate) Arc<dyn Fn() -> String + Send + Sync>);

macro_rules! part {
    ($($part:ty = |$state:ident| $value:expr;)*) => {
        $(impl FromRef<ApiState> for $part {
            fn from_ref($state: &ApiState) -> Self {
                $value
            }
        })*
    };
}

part! {
    Arc<dyn Store> = |state| state.store.clone();
    Arc<dyn Bus> = |state| state.bus.clone();
    Arc<dyn Clock> = |state| state.clock.clone();
    Arc<dyn StatusSource> = |state| state.status.clone();
    Arc<dyn Waker> = |state| state.waker.clone();
    Arc<ApiConfig> = |state| state.config.clone();
    Channels = |state| Channels(state.channels.clone());
    Alerts = |state| Alerts { codes: state.incident_codes.clone(), notifiers: state.notifiers.clone() };
    AttachmentDir = |state| state.attachments.clone();
    PersonKey = |state| state.person_key.clone();
    Desk = |state| Desk(state.desk.clone());
    Metrics = |state| Metrics(state.metrics.clone());
}
