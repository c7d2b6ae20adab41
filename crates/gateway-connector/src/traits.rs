//! The contract, written on the methods.

use crate::{
    AttachmentError, Cursor, InquiryOutcome, IntakeOutcome, NormalizeError, OutboundDelivery, Outcome, Page, PeerClock,
    PreparedDelivery, RawRecord, RequestError, VerifyError, WebhookReply, WebhookRequest,
};
use async_trait::async_trait;
use bytes::Bytes;
use gateway_model::{
    Change, ChannelId, Dataset, Grain, Manifest, Operation, OrderNumber, Part, Receipt, SourceNumber, Timestamp, Window,
};
use std::time::Duration;

/// What a channel is and can do, told once at start.
#[derive(Debug, Clone)]
pub struct Descriptor {
    /// The kind of connector, as `municipal-12345`.
    pub kind: &'static str,
    /// The datasets that the channel speaks of.
    pub datasets: Vec<Dataset>,
    /// The datasets that it gives an account of, finest grain first; empty = *unverifiable*.
    pub manifest_grains: Vec<Grain>,
}

/// One configured channel. A part that the channel does not have is `None`.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// What it is.
    fn descriptor(&self) -> &Descriptor;
    /// Reads its records.
    fn normalizer(&self) -> &dyn Normalizer;
    /// What we pull from it.
    fn source(&self) -> Option<&dyn Source> {
        None
    }
    /// What it pushes to us.
    fn receiver(&self) -> Option<&dyn Receiver> {
        None
    }
    /// What its own front end may ask us.
    fn inquiry(&self) -> Option<&dyn Inquiry> {
        None
    }
    /// What we push to it.
    fn sink(&self) -> Option<&dyn Sink> {
        None
    }
    /// Its account of itself.
    fn manifest_source(&self) -> Option<&dyn ManifestSource> {
        None
    }
    /// The files that its records refer to, where they are fetched.
    fn attachments(&self) -> Option<&dyn AttachmentSource> {
        None
    }
    /// How files are exchanged with it over a front-end box.
    fn files(&self) -> Option<&crate::wire::FileDress> {
        None
    }
    /// What the channel's answers last told of its clock; `None` where nothing was told.
    fn peer_clock(&self) -> Option<PeerClock> {
        None
    }
    /// One harmless request, for `check-config --connect`.
    async fn check_connectivity(&self) -> Result<(), RequestError>;
}

/// Pulls. Stateless: everything it needs comes with the call. It neither waits, retries nor keeps anything.
#[async_trait]
pub trait Source: Send + Sync {
    /// The records updated at or after `from`, ascending by update time, from `cursor` on. Must not skip a record when others change while pages
    /// are read (page drift). `None` = from the very beginning.
    async fn poll(&self, from: Option<Timestamp>, cursor: Option<&Cursor>, limit: u32) -> Result<Page, RequestError>;
    /// The records with an item of `dataset` whose event time is inside the window.
    async fn fetch_window(
        &self,
        dataset: Dataset,
        window: Window,
        cursor: Option<&Cursor>,
    ) -> Result<Page, RequestError>;
    /// The current record of each number (at most [`Source::ids_per_fetch`]); an unknown number is absent. Authoritative: the channel's word as of `read_at`.
    async fn fetch_ids(&self, numbers: &[SourceNumber]) -> Result<Page, RequestError>;
    /// How many numbers one [`Source::fetch_ids`] takes.
    fn ids_per_fetch(&self) -> usize;
    /// Whether [`Source::fetch_ids`] gives every order of a number, of whatever day: then a day that is not in the answer is not at the channel.
    fn ids_tell_every_day(&self) -> bool {
        false
    }
}

/// Takes pushes. Pure: the gateway has read the body (bounded), and makes the records durable before it lets [`Receiver::reply`] speak.
pub trait Receiver: Send + Sync {
    /// Checks the signature in constant time, then the time.
    fn verify(&self, request: &WebhookRequest) -> Result<(), VerifyError>;
    /// The nonce of a verified request, remembered for [`Receiver::nonce_window`].
    fn nonce(&self, request: &WebhookRequest) -> String;
    /// For how long a nonce must be remembered: at least as long as the peer may try again, and twice the time window of the signature.
    fn nonce_window(&self) -> Duration;
    /// The records of a verified request. An error keeps the whole body as one undecodable record.
    fn accept(&self, request: &WebhookRequest) -> Result<Vec<RawRecord>, NormalizeError>;
    /// The answer in the peer's own dress.
    fn reply(&self, outcome: &IntakeOutcome) -> WebhookReply;
    /// The largest body in bytes.
    fn body_limit(&self) -> usize;
}

/// Answers what the channel's own front end asks of an order's progress (办理进度). Pure: the gateway looks the order up. A question is read-only, so no
/// nonce is remembered: the same one again, while it is fresh, is answered again.
pub trait Inquiry: Send + Sync {
    /// Checks the signature in constant time, then the time.
    fn verify(&self, request: &WebhookRequest) -> Result<(), VerifyError>;
    /// The answer in the channel's own dress, without person fields.
    fn reply(&self, outcome: &InquiryOutcome) -> WebhookReply;
}

/// Pushes. One call is one attempt: it neither waits nor retries.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Whether it takes such an item of another channel ([`gateway_model::Operation::Forward`]).
    fn forwards(&self, _dataset: Dataset, _part: &Part) -> bool {
        false
    }
    /// Whether orders of other channels can be made there. Another one is owed only what concerns orders of its own.
    fn takes_orders(&self) -> bool {
        self.forwards(Dataset::Acceptance, &Part::Cycle(0))
    }
    /// Whether it takes what the bureau commands by this operation.
    fn takes(&self, _operation: Operation) -> bool {
        true
    }
    /// The number under which it gets an order of another channel that it has no number for yet. Must differ for different orders of all channels.
    fn forward_number(&self, _origin: &OrderNumber) -> Option<SourceNumber> {
        None
    }
    /// Works out what will be sent; pure and the same for every call with the same delivery.
    ///
    /// # Errors
    /// A [`crate::Reason`] why it can't be sent at all; the delivery is dead-lettered.
    fn prepare(&self, delivery: &OutboundDelivery) -> Result<PreparedDelivery, crate::Reason>;
    /// Sends it.
    async fn deliver(&self, delivery: &OutboundDelivery) -> Outcome;
    /// Asks the peer by our idempotency key what became of an earlier attempt; `None` = the peer knows nothing of it. Called only where
    /// [`PreparedDelivery::ask_by`] is a receipt.
    async fn find_outcome(&self, delivery: &OutboundDelivery) -> Result<Option<Receipt>, RequestError>;
}

/// Fetches files that the channel's records refer to (attachments 附件). One call is one attempt: it neither waits, retries nor keeps anything.
///
/// A reference may come from a citizen's form. It is followed only to the counterparty's own files and to hosts that the channel names, so that nobody can
/// let the gateway ask what stands inside its network; what is signed is never more than a file's address.
#[async_trait]
pub trait AttachmentSource: Send + Sync {
    /// The file's bytes as they came, at most `largest`. That they are no answer of the counterparty and no web page is seen to; of what type they are
    /// is for the caller to judge, by the bytes themselves.
    ///
    /// # Errors
    /// [`AttachmentError`].
    async fn fetch(&self, reference: &str, largest: usize) -> Result<Bytes, AttachmentError>;
}

/// Gives the channel's own account of what it holds.
#[async_trait]
pub trait ManifestSource: Send + Sync {
    /// The account of `dataset` over `window` at `grain`, whole (paging, if any, inside).
    async fn manifest(&self, dataset: Dataset, window: Window, grain: Grain) -> Result<Manifest, RequestError>;
    /// The datasets that the channel gives an account of.
    fn datasets(&self) -> &[Dataset];
    /// The grains that it offers, coarse to fine.
    fn grains(&self) -> &[Grain];
    /// The oldest event time that the channel can have, where the profile says.
    fn since(&self) -> Option<Timestamp>;
}

/// Reads a record. Pure, so that it can be tested by golden files and replayed: the same bytes always give the same changes.
pub trait Normalizer: Send + Sync {
    /// The changes that the record states; `received_at` only judges whether a time is implausible.
    ///
    /// # Errors
    /// [`NormalizeError`]; the record is dead-lettered.
    fn normalize(&self, body: &[u8], received_at: Timestamp) -> Result<Vec<Change>, NormalizeError>;
    /// Whether a record with a creation day states everything that the channel holds of the order: then what it does not state is not there.
    fn record_is_whole(&self) -> bool {
        false
    }
    /// Whether the channel handles orders of others (承办单位): its sign, reply, refusal and completion are asked of the platform whose order it is.
    fn handles_orders(&self) -> bool {
        false
    }
    /// The version of the compared fields' projection; items of different versions are never compared.
    fn projection_version(&self) -> u32;
}

/// Makes a channel's push durable. Implemented by intake, called by the API, handed over by the server.
#[async_trait]
pub trait WebhookIntake: Send + Sync + 'static {
    /// Verifies, decodes, makes durable and answers. `None` when no such channel takes pushes.
    async fn take(&self, channel: &ChannelId, request: WebhookRequest) -> Option<WebhookReply>;
    /// The largest body that the channel takes, in bytes.
    fn body_limit(&self, channel: &ChannelId) -> Option<usize>;
    /// The answer to a body over the limit.
    fn too_large(&self, channel: &ChannelId) -> Option<WebhookReply>;
}
