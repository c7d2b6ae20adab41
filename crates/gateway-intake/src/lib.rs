//! Intake: everything by which records of a channel get onto the bus.
//!
//! Three ways in, one promise: nothing is told to be done (checkpoint moved, job finished, push answered with 2xx) before the bus has made the
//! record durable. What comes twice is appended twice rather than lost; the pipeline makes it one.
//! - [`Poller`] reads a channel's listing by update time, with an overlap.
//! - [`Rereader`] and [`Backfiller`] do the jobs that others enqueue: read orders again by number, fetch a window again.
//! - [`AttachmentFetcher`] fetches the files that records refer to; they go to the attachment directory, not onto the bus.
//! - [`WebhookGate`] takes pushes. It needs the bus and nothing else, so pushes are taken while the store is down; before a bus that is
//!   elsewhere stands a spool, which [`SpoolDrainer`] drains, so that they are taken while the bus is away as well.
//!
//! Nothing here looks into a record: what it says is the pipeline's matter. Refused: a second journal of what was received (the bus is it), and
//! deciding here what is new (only byte-equal repeats within the overlap are left out, since they say nothing).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod attachments;
mod backfill;
mod channel;
mod checkpoint;
mod config;
mod failure;
mod poll;
mod progress;
mod refusal;
mod reread;
mod spool;
mod webhook;

pub use attachments::AttachmentFetcher;
pub use backfill::Backfiller;
pub use channel::ChannelIntake;
pub use config::{BackfillConfig, Defences, FetchConfig, IntakeConfig, PollConfig, RereadConfig, WebhookConfig};
pub use poll::Poller;
pub use progress::{PollProgress, Polled};
pub use refusal::RefusalWarning;
pub use reread::Rereader;
pub use spool::{PushConflicts, SpoolDrainer};
pub use webhook::WebhookGate;
