//! Alerting: check → incident → notifier, independent of who is notified.
//!
//! A [`Check`] looks at the books and tells what is wrong now, as findings. Findings of one cause are one incident, for as long as they last.

pub mod checks;
mod finding;

pub use finding::{Check, CheckError, Finding};
