//! Every check: it finds what it is for, since when and how many, does not flap at its threshold, and ends.

mod disk;
mod healthy;
mod inbound;
mod outbound;
mod process;
mod proof;
mod quiet;
pub mod world;
