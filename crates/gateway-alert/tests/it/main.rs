//! Alerting against a real store, real listeners, a real Alertmanager and a real mail server.
#![allow(clippy::unwrap_used, missing_docs)]

mod alertmanager;
mod checks;
mod engine;
mod lease;
mod mail;
mod mail_tls;
mod mistakes;
mod nodes;
mod place;
mod program;
mod property;
mod receiver;
mod robots;
mod sending;
mod texts;
mod webhook;
