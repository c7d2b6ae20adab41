//! The states of a work order and what the bureau may do in each.
//!
//! What a source says of its own state is always applied; the lifecycle guards only the commands that *we* send, so that a mistaken
//! command is refused at the desk and not by the platform hours later.

use crate::dataset::UnknownWord;
use crate::{Dataset, Field, Fields, Operation, Part};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The main line of an order's life, in the order in which it is usually walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// 已受理.
    Accepted,
    /// 已转办, 待签收.
    Dispatched,
    /// 已签收, 办理中.
    Signed,
    /// 退单待审.
    ReturnRequested,
    /// 已答复待审.
    Replied,
    /// 已办结.
    Completed,
    /// 已回访.
    Visited,
    /// 已归档.
    Archived,
    /// 已回退上级.
    Returned,
    /// 已撤销.
    Withdrawn,
}

impl OrderState {
    /// Every state, in rank order.
    pub const ALL: [OrderState; 10] = [
        OrderState::Accepted,
        OrderState::Dispatched,
        OrderState::Signed,
        OrderState::ReturnRequested,
        OrderState::Replied,
        OrderState::Completed,
        OrderState::Visited,
        OrderState::Archived,
        OrderState::Returned,
        OrderState::Withdrawn,
    ];

    /// The name in SQL, JSON and profiles.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            OrderState::Accepted => "accepted",
            OrderState::Dispatched => "dispatched",
            OrderState::Signed => "signed",
            OrderState::ReturnRequested => "return_requested",
            OrderState::Replied => "replied",
            OrderState::Completed => "completed",
            OrderState::Visited => "visited",
            OrderState::Archived => "archived",
            OrderState::Returned => "returned",
            OrderState::Withdrawn => "withdrawn",
        }
    }

    /// In Chinese.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            OrderState::Accepted => "已受理",
            OrderState::Dispatched => "已转办",
            OrderState::Signed => "已签收",
            OrderState::ReturnRequested => "退单待审",
            OrderState::Replied => "已答复",
            OrderState::Completed => "已办结",
            OrderState::Visited => "已回访",
            OrderState::Archived => "已归档",
            OrderState::Returned => "已回退",
            OrderState::Withdrawn => "已撤销",
        }
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OrderState {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownWord("state"))
    }
}

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The order is in a state in which the operation makes no sense.
    #[error("the order is {state}: {operation} is possible only when it is {allowed}")]
    State {
        /// What was asked.
        operation: Operation,
        /// The order's state.
        state: OrderState,
        /// The states in which it is possible, as a list to read.
        allowed: &'static str,
    },
    /// The command speaks of another round than the order is in.
    #[error("the order is in round {current}, the command speaks of round {asked}")]
    Round {
        /// The order's round.
        current: u32,
        /// The command's round.
        asked: u32,
    },
    /// No routing rule leads to a channel that could take it.
    #[error(
        "no routing rule leads `{0}` to a channel that takes it for this order: `routes check` shows the rules, and the wire profile of \
         the channel what it takes"
    )]
    NobodyTakes(Operation),
    /// Only routing rules forward.
    #[error("`forward` is no command: routing rules alone forward")]
    NoCommand,
    /// No channel has told the order's state yet.
    #[error("no channel has told the order's state yet")]
    Unknown,
}

/// Whether the bureau may do `operation` of `round` to an order that is in `state` of round `current`.
///
/// # Errors
/// The [`Refusal`] to show to the person who asked.
pub fn check_command(state: Option<OrderState>, current: u32, operation: Operation, round: u32) -> Result<(), Refusal> {
    let state = state.ok_or(Refusal::Unknown)?;
    // A rating or a delay of an earlier round may still be appealed against, whatever the order is by now.
    let earlier = operation == Operation::Appeal && round < current;
    if round != current && !earlier {
        return Err(Refusal::Round { current, asked: round });
    }
    let (fits, allowed) = match operation {
        Operation::Sign => (state == OrderState::Dispatched, "dispatched"),
        // A reply may be corrected until it is completed; whether the platform still takes another is its own word.
        Operation::Reply => (matches!(state, OrderState::Signed | OrderState::Replied), "signed or replied"),
        Operation::Refuse => (matches!(state, OrderState::Dispatched | OrderState::Signed), "dispatched or signed"),
        Operation::Complete => (state == OrderState::Replied, "replied"),
        // That it must be asked before the deadline, and once at a time, is the platform's own rule.
        Operation::Extend => (matches!(state, OrderState::Dispatched | OrderState::Signed), "dispatched or signed"),
        Operation::Appeal => (
            earlier
                || matches!(
                    state,
                    OrderState::Signed
                        | OrderState::Replied
                        | OrderState::Completed
                        | OrderState::Visited
                        | OrderState::Archived
                ),
            "signed, replied, completed, visited or archived",
        ),
        Operation::Assign => (matches!(state, OrderState::Dispatched | OrderState::Signed), "dispatched or signed"),
        Operation::Forward => return Err(Refusal::NoCommand),
    };
    if fits { Ok(()) } else { Err(Refusal::State { operation, state, allowed }) }
}

/// The state that an order is in, as the bureau sees it, once the operation is done; `None` = the operation changes none.
#[must_use]
pub fn state_after(operation: Operation) -> Option<OrderState> {
    match operation {
        Operation::Sign => Some(OrderState::Signed),
        Operation::Reply => Some(OrderState::Replied),
        Operation::Refuse => Some(OrderState::ReturnRequested),
        Operation::Complete => Some(OrderState::Completed),
        Operation::Extend | Operation::Appeal | Operation::Assign | Operation::Forward => None,
    }
}

/// What an item that a handling system states asks of the platform whose order it is: its sign, refusal, completion, extension and appeal by their
/// events, its reply by the completion of a round. `None` = it asks nothing.
#[must_use]
pub fn asked_by(dataset: Dataset, part: &Part, fields: &Fields) -> Option<Operation> {
    match (dataset, part) {
        (Dataset::Completion, Part::Cycle(_)) => Some(Operation::Reply),
        (Dataset::Handling, Part::Event(_)) => match fields.text(Field::EventKind)? {
            "sign" => Some(Operation::Sign),
            "refuse" => Some(Operation::Refuse),
            "complete" => Some(Operation::Complete),
            "extension" => Some(Operation::Extend),
            "appeal" => Some(Operation::Appeal),
            _ => None,
        },
        _ => None,
    }
}
