//! The words of the domain: what a work order (工单) is, what a channel says of it, and how the accounts of two systems are compared.
//!
//! Everything here is plain data and pure functions; there is no I/O, no clock but [`Clock`], and no engine. Every other crate speaks in these
//! types, so a word has one meaning from the wire to the report. The glossary with the Chinese terms is `docs/GLOSSARY.md`.

mod attachment;
mod attachment_address;
mod authority;
mod book;
mod causes;
mod change;
mod clock;
mod command;
mod dataset;
mod delivery;
mod field;
mod gap;
mod gap_group;
mod gap_repair;
mod identity;
mod ids;
mod incident;
mod lifecycle;
mod likeness;
mod manifest;
mod moment;
mod order;
mod overlay;
mod plate;
mod verification;

pub use attachment::{AttachmentId, AttachmentState, MOST_ATTACHMENTS, attachment_references};
pub use attachment_address::{AddressKey, AttachmentAddress};
pub use authority::{AuthorityTable, ChannelState, Composed, Conflict, ConflictingValue, channel_states, compose};
pub use book::{BookItem, BookSide, BucketSum, Digest, ItemKey, digest_of_pairs};
pub use causes::with_causes;
pub use change::{Change, Oddity, Origin, Revision};
pub use clock::{Clock, ManualClock, SystemClock};
pub use command::{Command, CommandState, command_id};
pub use dataset::{Dataset, Part};
pub use delivery::{AskBy, DeliveryState, Operation, Receipt, ReceiptSource};
pub use field::{Field, FieldKind, FieldValue, Fields};
pub use gap::{GapEvidence, GapKind, GapState, Severity};
pub use gap_group::{Direction, GapStanding, Owner, gap_severity};
pub use gap_repair::RepairStep;
pub use identity::{Likeness, OrderPair, PairId, PairState, groups};
pub use ids::{
    ChannelId, CommandId, DeadLetterId, DeliveryId, EventId, GapGroupId, GapId, IncidentId, InvalidId, JobId,
    NotificationId, OrderId, RawId, SilenceId, SourceNumber,
};
pub use incident::{IncidentState, News, NotificationState};
pub use lifecycle::{OrderState, Refusal, asked_by, check_command, state_after};
pub use likeness::{CANDIDATE_SCORE, InvalidSubject, MATCH_WINDOW_MS, MatchKey, MatchSubject};
pub use manifest::{Bucket, Grain, Manifest, ManifestBody};
pub use moment::{CHINA, Day, Moment, MomentError, Timestamp, Window, day_of, format_china, parse_moment};
pub use order::{EventRow, FacetRow, OrderNumber};
pub use overlay::{Overlay, OverlayKind, OverlayState, overlays};
pub use plate::{Plate, PlateForm};
pub use verification::{
    LookedUp, Mismatch, PersonHash, PersonKey, RegistryEntry, RegistryExtract, RegistryFacts, RegistryKind,
    RegistryLookup, Verdict, Verification, VerificationSubject, company_key,
};
