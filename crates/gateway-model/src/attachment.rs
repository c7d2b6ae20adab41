//! Attachments 附件: files that a channel's record refers to, told apart by their order, channel and reference.
//!
//! A reference is the channel's own word for a file (`p/2026/11/1.jpg`, or a whole address). The id is made of it and of the order, so that whoever holds
//! both gets to it without asking anybody; it tells nothing of either.

use crate::dataset::UnknownWord;
use crate::delivery::words;
use crate::{ChannelId, InvalidId, OrderId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// References that are taken of one record; what is beyond is no citizen's.
pub const MOST_ATTACHMENTS: usize = 50;

words!(
    /// How far an attachment's file is.
    AttachmentState, "attachment state",
    /// It is asked for, again and again where need be.
    Owed "owed",
    /// We have it.
    Kept "kept",
    /// The channel did not give it, however often it was asked.
    Missing "missing",
    /// It is not taken: too large, of a kind that is not kept, or at an address that is not allowed.
    Refused "refused",
    /// The channel names it no more, and it was not taken.
    Withdrawn "withdrawn",
);

impl AttachmentState {
    /// In Chinese.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            AttachmentState::Owed => "待取",
            AttachmentState::Kept => "已存",
            AttachmentState::Missing => "缺失",
            AttachmentState::Refused => "不收",
            AttachmentState::Withdrawn => "已撤",
        }
    }
}

/// An attachment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AttachmentId(pub [u8; 16]);

impl AttachmentId {
    /// The attachment of an order to which a channel refers so.
    #[must_use]
    pub fn of(order: OrderId, channel: &ChannelId, reference: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(order.0.as_bytes());
        hash.update(channel.as_str());
        hash.update([0]);
        hash.update(reference);
        let whole: [u8; 32] = hash.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&whole[..16]);
        Self(id)
    }
}

impl fmt::Display for AttachmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for AttachmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttachmentId({self})")
    }
}

impl FromStr for AttachmentId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut id = [0; 16];
        let whole = hex::decode_to_slice(text, &mut id).is_ok() && !text.bytes().any(|byte| byte.is_ascii_uppercase());
        if whole { Ok(Self(id)) } else { Err(InvalidId::of("an attachment id", 32)) }
    }
}

impl TryFrom<String> for AttachmentId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<AttachmentId> for String {
    fn from(id: AttachmentId) -> String {
        id.to_string()
    }
}

/// The references of a record's text, each once, in its order.
#[must_use]
pub fn attachment_references(text: &str) -> Vec<&str> {
    let mut references: Vec<&str> = Vec::new();
    for reference in text.split(',').map(str::trim).filter(|reference| !reference.is_empty()) {
        if references.len() < MOST_ATTACHMENTS && !references.contains(&reference) {
            references.push(reference);
        }
    }
    references
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn references_are_read_each_once() {
        assert_eq!(attachment_references(" p/1.jpg,, p/2.jpg ,p/1.jpg"), ["p/1.jpg", "p/2.jpg"]);
        assert!(attachment_references(" , ").is_empty());
        let many: Vec<String> = (0..80).map(|at| format!("p/{at}.jpg")).collect();
        assert_eq!(attachment_references(&many.join(",")).len(), MOST_ATTACHMENTS);
    }

    #[test]
    fn an_id_is_its_text_and_differs_by_order_channel_and_reference() {
        let (order, other) = (OrderId(Uuid::from_u128(1)), OrderId(Uuid::from_u128(2)));
        let channel = |id: &str| ChannelId::new(id).unwrap();
        let id = AttachmentId::of(order, &channel("taxi-qr"), "p/1.jpg");
        assert_eq!(id.to_string().parse::<AttachmentId>().unwrap(), id);
        for another in [
            AttachmentId::of(other, &channel("taxi-qr"), "p/1.jpg"),
            AttachmentId::of(order, &channel("taxi"), "p/1.jpg"),
            AttachmentId::of(order, &channel("taxi-qr"), "p/2.jpg"),
        ] {
            assert_ne!(another, id);
        }
        for wrong in ["", "12", &id.to_string().to_uppercase().replace(char::is_numeric, "A"), &format!("{id}0")] {
            assert!(wrong.parse::<AttachmentId>().is_err(), "{wrong}");
        }
    }
}
