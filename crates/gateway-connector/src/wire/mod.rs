//! A channel that is spoken to by a wire profile alone: read, taken, written and accounted for over HTTP, in JSON or XML.
//!
//! The profile says what the counterparty calls things; what is code here is the shape that such counterparties share: wide records by number,
//! paging by update time, signed pushes, operations with receipts, an account by buckets. A connector of such a kind is its default profile and a
//! call of [`connect`]; one of another shape implements [`crate::Connector`] itself and may use single parts.

mod answer;
mod attachments;
mod charset;
mod files;
mod inquiry;
mod json;
mod manifest;
mod normalize;
mod open;
mod operating_data;
mod receiver;
mod request;
mod sink;
mod source;
mod xml;

pub use files::{DataFile, FileDigest, FileDress, FileFault, ReadyMark, ReceiptReading, ReceiptRow, Verdict};

pub use operating_data::{DriverAsked, OperatingData};

use crate::http::HttpClient;
use crate::profile::Mistake;
use crate::{
    AttachmentSource, Connector, Credentials, Descriptor, Inquiry, ManifestSource, Normalizer, PeerClock, Profile,
    ProfileErrors, Receiver, RequestError, Sink, Source,
};
use async_trait::async_trait;
use gateway_model::{ChannelId, Clock};
use std::sync::Arc;

/// Which profile a channel uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileSource {
    /// The one that is shipped with its kind of connector.
    Default,
    /// The text of another, read from its file by the server.
    Text(String),
}

/// A kind of channel: its name and the profile that is shipped with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// As a profile and a channel's configuration name it.
    pub name: &'static str,
    /// The text of the default profile.
    pub default_profile: &'static str,
}

impl Kind {
    /// Reads and checks a profile of this kind.
    ///
    /// # Errors
    /// [`ProfileErrors`] with every mistake.
    pub fn load(&self, source: &ProfileSource) -> Result<Profile, ProfileErrors> {
        let text = match source {
            ProfileSource::Default => self.default_profile,
            ProfileSource::Text(text) => text,
        };
        let profile = Profile::parse(text)?;
        if profile.identity.kind != self.name {
            let what = format!("is `{}`; this connector is `{}`", profile.identity.kind, self.name);
            return Err(ProfileErrors(vec![Mistake { path: "identity.kind".to_owned(), what }]));
        }
        Ok(profile)
    }
}

/// Reads a record without a channel, for a dry run (`hotline-gateway map`) and for tests.
#[must_use]
pub fn normalizer(profile: Profile) -> impl Normalizer {
    normalize::RecordNormalizer::new(Arc::new(profile))
}

/// A channel ready to work. Nothing is asked of the counterparty yet.
///
/// # Errors
/// Every mistake in the profile; else in `base_url` and `credentials`.
pub fn connect(
    kind: Kind,
    channel: ChannelId,
    profile: &ProfileSource,
    base_url: &str,
    credentials: Credentials,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Connector>, ProfileErrors> {
    let profile = Arc::new(kind.load(profile)?);
    let mut mistakes = Vec::new();
    let mut mistake = |path: &str, what: &str| mistakes.push(Mistake { path: path.to_owned(), what: what.to_owned() });
    let app_id = &credentials.app_id;
    if app_id.is_empty() || !app_id.bytes().all(|byte| byte.is_ascii_graphic()) {
        mistake("credentials.app_id", "must be printable ASCII, and not empty");
    }
    if credentials.request_secret.is_empty() {
        mistake("credentials.request_secret", "is empty");
    }
    if (profile.push.is_some() || profile.inquiry.is_some()) && credentials.webhook_secrets.is_empty() {
        mistake("credentials.webhook_secrets", "must have at least one secret");
    }
    if credentials.webhook_secrets.iter().any(crate::Secret::is_empty) {
        mistake("credentials.webhook_secrets", "has an empty secret");
    }
    let http = HttpClient::new(base_url, Arc::clone(&profile), credentials.clone(), Arc::clone(&clock))
        .map(Arc::new)
        .map_err(|error| mistake("base_url", &error.to_string()))
        .ok();
    let attachments = match (&http, profile.attachments.clone()) {
        (Some(http), Some(rule)) => attachments::FileSource::new(Arc::clone(http), rule, &clock)
            .map_err(|error| mistake("attachments.hosts", &error.to_string()))
            .ok(),
        _ => None,
    };
    match http {
        Some(http) if mistakes.is_empty() => {
            Ok(Arc::new(WireChannel::new(kind, channel, &profile, http, attachments, credentials)))
        }
        _ => Err(ProfileErrors(mistakes)),
    }
}

struct WireChannel {
    channel: ChannelId,
    descriptor: Descriptor,
    normalizer: Arc<normalize::RecordNormalizer>,
    source: source::RecordSource,
    receiver: Option<receiver::PushReceiver>,
    inquiry: Option<inquiry::OrderInquiry>,
    sink: Option<sink::OrderSink>,
    manifest: Option<manifest::AccountSource>,
    attachments: Option<attachments::FileSource>,
    files: Option<FileDress>,
    http: Arc<HttpClient>,
}

impl WireChannel {
    fn new(
        kind: Kind,
        channel: ChannelId,
        profile: &Arc<Profile>,
        http: Arc<HttpClient>,
        attachments: Option<attachments::FileSource>,
        credentials: Credentials,
    ) -> Self {
        let normalizer = Arc::new(normalize::RecordNormalizer::new(Arc::clone(profile)));
        let manifest = profile.manifest.clone().map(|rule| manifest::AccountSource::new(Arc::clone(&http), rule));
        let mut manifest_grains: Vec<_> =
            profile.manifest.iter().flat_map(|rule| rule.grains.iter().map(|(grain, _)| *grain)).collect();
        manifest_grains.sort_by(|a, b| b.cmp(a));
        Self {
            channel,
            descriptor: Descriptor {
                kind: kind.name,
                datasets: profile.datasets.datasets().collect(),
                manifest_grains,
            },
            source: source::RecordSource::new(Arc::clone(&http)),
            inquiry: profile
                .inquiry
                .clone()
                .map(|rule| inquiry::OrderInquiry::new(Arc::clone(profile), rule, credentials.clone())),
            receiver: profile
                .push
                .clone()
                .map(|rule| receiver::PushReceiver::new(Arc::clone(profile), rule, credentials)),
            files: profile.files.clone().zip(profile.write.clone()).map(|(files, write)| {
                FileDress::new(sink::OrderSink::new(Arc::clone(&http), write, Arc::clone(&normalizer)), files)
            }),
            sink: profile
                .write
                .clone()
                .map(|rule| sink::OrderSink::new(Arc::clone(&http), rule, Arc::clone(&normalizer))),
            manifest,
            attachments,
            normalizer,
            http,
        }
    }
}

#[async_trait]
impl Connector for WireChannel {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn normalizer(&self) -> &dyn Normalizer {
        self.normalizer.as_ref()
    }

    fn source(&self) -> Option<&dyn Source> {
        Some(&self.source)
    }

    fn receiver(&self) -> Option<&dyn Receiver> {
        self.receiver.as_ref().map(|receiver| receiver as &dyn Receiver)
    }

    fn inquiry(&self) -> Option<&dyn Inquiry> {
        self.inquiry.as_ref().map(|inquiry| inquiry as &dyn Inquiry)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        self.sink.as_ref().map(|sink| sink as &dyn Sink)
    }

    fn manifest_source(&self) -> Option<&dyn ManifestSource> {
        self.manifest.as_ref().map(|manifest| manifest as &dyn ManifestSource)
    }

    fn attachments(&self) -> Option<&dyn AttachmentSource> {
        self.attachments.as_ref().map(|attachments| attachments as &dyn AttachmentSource)
    }

    fn files(&self) -> Option<&FileDress> {
        self.files.as_ref()
    }

    fn peer_clock(&self) -> Option<PeerClock> {
        self.http.peer_clock()
    }

    async fn check_connectivity(&self) -> Result<(), RequestError> {
        tracing::debug!(channel = %self.channel, "checking connectivity");
        self.source.check().await
    }
}
