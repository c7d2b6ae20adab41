//! The API over real sockets, with the embedded bus and the SQLite store below it.
#![allow(clippy::unwrap_used)]

mod access;
mod attachments;
mod books;
mod commands;
mod duplicates;
mod gateway;
mod health;
mod history;
mod incidents;
mod letters;
mod orders;
mod repairs;
mod reports;
mod seed;
mod serving;
mod traces;
mod webhooks;
