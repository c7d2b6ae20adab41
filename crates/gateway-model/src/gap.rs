//! A sync gap: a difference between two systems' accounts that a second look confirmed.

use crate::Digest;
use crate::Timestamp;
use crate::dataset::UnknownWord;
use crate::delivery::words;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

words!(
    /// What is wrong.
    GapKind, "gap kind",
    /// The source has an order of which we hold nothing (漏单).
    MissingOrder "missing_order",
    /// The source has a stage or event of an order that we hold without it.
    MissingItem "missing_item",
    /// Both hold the item, with different content.
    Differing "differing",
    /// We hold an item that the source does not.
    DeniedBySource "denied_by_source",
    /// We delivered it and had a receipt, but the destination lacks it.
    NotHeldByDestination "not_held_by_destination",
    /// We delivered it, but the destination holds other content.
    HeldDifferently "held_differently",
    /// The sums differ, and the channel can't say which items.
    CountMismatch "count_mismatch",
    /// The channel's account contradicts itself, also when asked again: nothing can be concluded from it.
    ManifestUnreliable "manifest_unreliable",
    /// The kept sums of our own book are not the sums of its items.
    BookDamaged "book_damaged",
    /// Offsets of the bus were lost before they were read.
    LostOffset "lost_offset",
    /// A process of the gateway fell silent with pushes in its spool that were answered and are not on the bus.
    SpoolSilent "spool_silent",
    /// A record of the channel refers to a file that the channel does not give.
    AttachmentMissing "attachment_missing",
);

words!(
    /// A gap's life.
    GapState, "gap state",
    /// Seen once: not a gap yet, not counted.
    Suspected "suspected",
    /// Confirmed by a second look.
    Open "open",
    /// A repair is under way.
    Repairing "repairing",
    /// A new comparison found no difference.
    Closed "closed",
    /// A person decided to live with it.
    Waived "waived",
);

words!(
    /// How much something matters, least first.
    Severity, "severity",
    /// Worth knowing.
    Info "info",
    /// Somebody should look today.
    Warning "warning",
    /// Somebody should look now.
    Critical "critical",
);

/// What the second look saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapEvidence {
    /// The digest in the channel's account.
    pub theirs: Option<Digest>,
    /// The digest in our book.
    pub ours: Option<Digest>,
    /// When the channel's account was true.
    pub as_of: Timestamp,
    /// When the two were compared.
    pub compared_at: Timestamp,
}
