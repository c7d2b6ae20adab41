//! Alerting, against the real store.
#![allow(clippy::unwrap_used)]

mod checks;
