//! The tests of the gateway as a whole.

mod architecture;
mod attachments;
mod bad_input;
mod balance;
mod campaign;
mod channels;
mod commands;
mod corruption;
mod defences;
mod demo;
mod dresses;
mod files;
mod fronts;
mod gateway;
mod identity;
mod incidents;
mod kafka;
mod kills;
mod moveup;
mod outages;
mod postgres;
mod program;
mod province;
mod scaled;
#[allow(clippy::unwrap_used)]
#[path = "../../../crates/gateway-delivery/tests/it/sshd.rs"]
mod sshd;
mod subscription;
mod verification;
