//! Reconciliation: a channel's own account against our state book, and the life of every difference.
//!
//! The [`Reconciler`] is one task for each channel. It compares sums, narrows only where they differ, lists ids only in differing buckets, looks
//! twice before it calls a difference a gap, repairs by reading again or sending again, and closes a gap only when a newer account agrees.
//!
//! What it promises: a difference that stays is found and named by item; a difference that was mere lateness is never a gap; an account that
//! contradicts itself is never the ground of a repair; and nothing is repaired on a mass scale without a person. What it refuses: to trust
//! our own flow (only the other side's account proves that the full volume got across), and to edit anything itself: repairs are jobs for intake and
//! new generations for delivery.

mod account_time;
mod accounts;
mod asked;
mod attachments;
mod audit;
mod carry;
mod classify;
pub mod compare;
mod config;
mod cut;
pub mod descend;
mod doubt;
mod error;
mod gaps;
mod lateness;
mod look;
mod look_sums;
mod memory;
mod plan;
mod reconciler;
pub mod reliability;
mod repair;
mod settle;
mod silence;
mod spending;
mod status;
mod stop;
mod suspect;
mod sweep;
mod tour;
mod verdict;
mod witness;

pub use audit::Auditor;
pub use config::{Defences, ReconcileConfig, Tier};
pub use error::ReconcileError;
pub use reconciler::Reconciler;
pub use status::ReconcileStatus;
