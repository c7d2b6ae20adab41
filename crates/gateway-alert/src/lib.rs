//! Alerting: check → incident → notifier, independent of who is notified.
//!
//! A [`Check`] looks at the books and tells what is wrong now, as findings. Findings of one cause (code, channel, subject) are one incident, for as
//! long as they last. The [`Alerter`] follows the incidents and writes down who is owed a notice of what; a [`Sender`] for each [`Notifier`] sends
//! what is owed, until it was taken. Between the two lies the store, so that a kill loses no notice; the worst is that one is sent again, under
//! the same key.
//!
//! A notice is repeated for as long as its incident lasts: one that is sent once is forgotten.

mod alerter;
pub mod checks;
mod config;
mod finding;
mod heartbeat;
mod life;
pub mod node;
mod notice;
mod notifiers;
mod policy;
mod prepare;
mod sender;
mod tell;
pub mod texts;

pub use alerter::Alerter;
pub use config::{AlertConfig, HeartbeatConfig, Language, NotifierConfig, PaceConfig, QuietConfig, RouteConfig};
pub use finding::{Check, CheckError, Finding};
pub use heartbeat::Heartbeat;
pub use node::NodeConfig;
pub use notice::{Entry, Notice, Writer};
pub use notifiers::{Notifier, SendError};
pub use prepare::{Alerting, Mistake, Tried, prepare};
pub use sender::Sender;

/// The code of a check that can't look.
pub const CHECK_FAILED: &str = "check_failed";
/// The code of a notifier, or the heartbeat, that fails.
pub const NOTIFIER_FAILING: &str = "notifier_failing";
/// The heartbeat among the notifiers; no notifier may have this id.
pub const HEARTBEAT: &str = "heartbeat";
