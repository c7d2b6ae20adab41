//! Attachments: files that records refer to.

use gateway_model::{AttachmentId, AttachmentState, ChannelId, Digest, OrderId, RawId, Timestamp};

/// A file that a record refers to, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentRow {
    /// The attachment.
    pub id: AttachmentId,
    /// Its order.
    pub order_id: OrderId,
    /// Who refers to it.
    pub channel: ChannelId,
    /// The channel's own word for the file.
    pub reference: String,
    /// The record that referred to it last.
    pub raw_id: RawId,
    /// How far it is.
    pub state: AttachmentState,
    /// SHA-256 of the bytes, under which they lie in the attachment directory; of what is kept.
    pub digest: Option<Digest>,
    /// How long it is, in bytes; 0 = not known.
    pub size_bytes: u64,
    /// What the bytes themselves show it to be.
    pub media_type: Option<String>,
    /// How often it was asked for since it is owed.
    pub attempts: u32,
    /// The code of what came of the last attempt, where it failed.
    pub error: Option<String>,
    /// Since when it is owed.
    pub owed_at: Timestamp,
    /// When it was fetched.
    pub fetched_at: Option<Timestamp>,
    /// When it is asked for next; `None` where nothing is owed.
    pub fetch_at: Option<Timestamp>,
}

impl AttachmentRow {
    /// One that is owed since `at`.
    #[must_use]
    pub fn owed(order_id: OrderId, channel: ChannelId, reference: &str, raw_id: RawId, at: Timestamp) -> Self {
        Self {
            id: AttachmentId::of(order_id, &channel, reference),
            order_id,
            channel,
            reference: reference.to_owned(),
            raw_id,
            state: AttachmentState::Owed,
            digest: None,
            size_bytes: 0,
            media_type: None,
            attempts: 0,
            error: None,
            owed_at: at,
            fetched_at: None,
            fetch_at: Some(at),
        }
    }
}

/// What a channel says of an order's files with a new word: those of its former words that this one does not name, and that are not kept, are withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentsNamed {
    /// The order.
    pub order_id: OrderId,
    /// Who says it.
    pub channel: ChannelId,
    /// The record in which it is said.
    pub raw_id: RawId,
}
