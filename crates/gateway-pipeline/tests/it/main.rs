//! The pipeline against the real embedded store, with a channel whose records are a few lines of JSON.
#![allow(clippy::unwrap_used)]

mod absence;
mod absence_property;
mod accounts;
mod ask;
mod attach;
mod books_by_day;
mod commands;
mod convergence;
mod deliveries;
mod duplicates;
mod forward;
mod history;
mod identity;
mod parking;
mod peer;
mod replay;
mod verification;
mod versions;
mod world;
