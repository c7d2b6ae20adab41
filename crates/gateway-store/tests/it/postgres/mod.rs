//! The scaled-out engine against the suite, on a real server, and what only it has. The user is an ordinary one who owns his database: the rights that
//! docs/postgres.md asks for are enough for all of it.

mod archive;
mod archive_moves;
mod archive_scene;
mod carry;
mod crash;
mod expand;
mod fault;
mod month;
mod place;
mod refusal;
mod schema;
mod server;
mod tls;

gateway_store::store_conformance!(place::Place::new());
