//! What is known of one order beside its rows.

use super::{CommandRow, DeadLetterRow, RawMeta};
use gateway_model::{RawId, Timestamp};

/// Records without their bytes, commands, dead letters and what waits, of one order.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderTrace {
    /// The records that were asked for, and those that the rest refers to, ascending.
    pub records: Vec<(RawId, RawMeta)>,
    /// Its commands.
    pub commands: Vec<CommandRow>,
    /// Dead letters with one of its numbers.
    pub dead_letters: Vec<DeadLetterRow>,
    /// Records that wait for one of its numbers, with since when.
    pub parked: Vec<(RawId, Timestamp)>,
}
