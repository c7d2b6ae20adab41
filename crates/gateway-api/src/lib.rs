//! The gateway's HTTP face: what channels push to, and what people, the desk, the judge and our own commands read and ask.
//!
//! Two listeners, so that what the outside can reach is little: [`public_router`] has `POST /webhooks/{channel}`, [`inquiry_router`] the question
//! of a channel's own front end and [`attachment_router`] the files that destinations fetch beside it, and there is nothing else;
//! [`admin_router`], on loopback, has `/api/v1/…`, `/healthz`, `/readyz` and `/metrics`. `docs/api.md` is the contract.
//!
//! The API decides nothing: it reads the store, appends to the bus, and enqueues jobs. A handler sees only the part of [`ApiState`] that it
//! names. Every failure is a [`Problem`] with a code of the closed list [`Code`]; bodies and tokens are never logged.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod admin;
mod archive;
mod attachment_desk;
mod attachments;
mod auth;
mod backfill;
mod commands;
mod config;
mod cursor;
mod dead_letters;
mod deliveries;
mod duplicates;
mod exports;
mod extract;
mod flow;
mod gap_export;
mod gap_groups;
mod gaps;
mod health;
mod incidents;
mod inquiry;
mod kept_file;
mod nodes;
mod observe;
mod order_json;
mod orders;
mod problem;
mod raw;
mod reconcile;
mod refusals;
mod registry;
mod repair_stops;
mod report;
mod serve;
mod settling;
mod silences;
mod state;
mod status;
mod trace;
mod views;
mod webhook;

pub use admin::{admin_router, node_router};
pub use attachment_desk::{AttachmentDesk, attachment_router};
pub use auth::{Role, Token, TokenError, Tokens};
pub use config::ApiConfig;
pub use inquiry::{InquiryDesk, inquiry_router};
pub use kept_file::ending as attachment_ending;
pub use problem::{Code, Problem};
pub use serve::serve;
pub use state::{ApiState, ChannelInfo, NoWaker, NotifierInfo, StatusSource, Waker, Warning};
pub use webhook::public_router;
