//! The store: the canonical records, the books, what is owed, and what went wrong.
//!
//! One trait by concern ([`IngestStore`], [`DeliveryStore`], …), together [`Store`]; one conformance suite (feature `conformance`) runs
//! against every engine. Rules that hold on every engine:
//! - Every method is one transaction: it happened whole and durable, or not at all. A lost connection or a lock that can't be had in time is
//!   [`StoreError::Unavailable`]; the caller waits and tries again.
//! - SQL has no clock; every time comes with the call. Times are kept to the millisecond, event times exactly as stated.
//! - Statements are batched: a method that takes a list sends a handful of statements, never one per row.
//! - The bytes of a record are written once, into `raw_record`; everything else refers to them by id. Person fields live in `raw_record` and
//!   `work_order_person` only.
//! - The state book is kept with the rows: [`BookPut`] takes the old item out of its buckets and puts the new one in, in the row's transaction,
//!   so the sums never need a scan and never drift from the items.

mod attachment_dir;
#[cfg(feature = "postgres")]
pub mod carry;
#[cfg(feature = "conformance")]
pub mod conformance;
mod engine;
mod error;
mod keeper;
#[cfg(feature = "postgres")]
mod postgres;
mod rows;
mod sqlite;
mod traits;

pub use attachment_dir::AttachmentDir;
pub use error::StoreError;
pub use keeper::LeaseKeeper;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresLimits, PostgresOptions, PostgresStore};
pub use rows::*;
pub use sqlite::{SqliteOptions, SqliteStore};
pub use traits::{
    AlertStore, ArchiveStore, AttachmentStore, AuditStore, BookStore, CommandStore, DeadLetterStore, DeliveryStore,
    GapGroupStore, GapStore, HistoryStore, IdentityStore, IngestStore, JobStore, LeaseStore, NodeStore, OrderReader,
    RegistryStore, RepairStopStore, Store, TraceStore, WatchStore,
};
