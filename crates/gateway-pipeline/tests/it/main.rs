//! The pipeline against the real embedded store, with a channel whose records are a few lines of JSON.
#![allow(clippy::unwrap_used)]

mod accounts;
mod commands;
mod convergence;
mod deliveries;
mod life;
mod parking;
mod peer;
mod replay;
mod settling;
mod versions;
mod world;
