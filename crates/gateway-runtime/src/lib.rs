//! Runs the gateway's background work and tells the truth about it; knows no domain type.
//!
//! A [`Task`] does one round of work and returns; the [`Driver`] owns the loop: waiting, waking, backing off after failures, shutdown, and the
//! visible [`TaskStatus`]. A task can't forget to wait, can't spin on an error, and can't look healthy while it is not.

mod driver;
mod status;
mod stepper;
mod task;
pub mod telemetry;

pub use driver::{Driver, TaskHandle};
pub use status::{TaskHealth, TaskStatus};
pub use stepper::Stepper;
pub use task::{Ran, Round, Schedule, Task, TaskError, TaskHost};
