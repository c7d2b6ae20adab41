//! Intake against the real embedded engines and a scripted channel.
#![allow(clippy::unwrap_used)]

mod attachments;
mod bench;
mod bus;
mod channel;
mod jobs;
mod lease;
mod poll;
mod webhook;
