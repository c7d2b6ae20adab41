//! A delivery: one change owed to one destination, and the destination's proof of it.

use crate::Timestamp;
use crate::dataset::UnknownWord;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, $($(#[$vdoc:meta])* $variant:ident $text:literal,)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every one.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The name in SQL, JSON and profiles.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or(UnknownWord($what))
            }
        }
    };
}
pub(crate) use words;

words!(
    /// What is done to an order at another system: what the bureau commands, or an item that is forwarded.
    Operation, "operation",
    /// 签收.
    Sign "sign",
    /// 答复.
    Reply "reply",
    /// 退单.
    Refuse "refuse",
    /// 办结.
    Complete "complete",
    /// 申请延期: a later deadline is asked for; the platform decides.
    Extend "extend",
    /// 申诉 of a bad rating (差评) or of being overdue (超期); the platform decides.
    Appeal "appeal",
    /// 加派: a further unit at the bureau's own system.
    Assign "assign",
    /// 转送: an item that another channel stated, as it stands. Made by routing rules alone, never by a command.
    Forward "forward",
);

impl Operation {
    /// What the bureau may command, and what moves an order on.
    pub const COMMANDS: [Operation; 4] = [Operation::Sign, Operation::Reply, Operation::Refuse, Operation::Complete];

    /// What the bureau may command besides: it stands beside the order's main line and moves nothing.
    pub const REQUESTS: [Operation; 3] = [Operation::Extend, Operation::Appeal, Operation::Assign];

    /// In Chinese.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            Operation::Sign => "签收",
            Operation::Reply => "答复",
            Operation::Refuse => "退单",
            Operation::Complete => "办结",
            Operation::Extend => "申请延期",
            Operation::Appeal => "申诉",
            Operation::Assign => "加派",
            Operation::Forward => "转送",
        }
    }
}

words!(
    /// Where a delivery stands. The first five are in flight, the rest have ended.
    DeliveryState, "delivery state",
    /// Owed, waiting for its turn or its next attempt.
    Owed "owed",
    /// An attempt is under way; found after a crash, it is ambiguous.
    Sending "sending",
    /// The destination took it and will tell the outcome later.
    Pending "pending",
    /// An attempt ended without an answer: it may or may not have arrived.
    Ambiguous "ambiguous",
    /// Can't be resolved by itself; a person decides.
    Held "held",
    /// The destination proved that it has it.
    Acknowledged "acknowledged",
    /// A newer delivery of the same matter made it needless before it was sent.
    Superseded "superseded",
    /// The destination refused it for a reason of business.
    Rejected "rejected",
    /// Can't be sent at all (can't be encoded, destination gone).
    DeadLettered "dead_lettered",
    /// A person decided that it need not be delivered.
    Waived "waived",
);

impl DeliveryState {
    /// In Chinese.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            DeliveryState::Owed => "待投递",
            DeliveryState::Sending => "投递中",
            DeliveryState::Pending => "待回执",
            DeliveryState::Ambiguous => "结果不明",
            DeliveryState::Held => "待人工处理",
            DeliveryState::Acknowledged => "已确认",
            DeliveryState::Superseded => "已被取代",
            DeliveryState::Rejected => "被拒绝",
            DeliveryState::DeadLettered => "死信",
            DeliveryState::Waived => "已豁免",
        }
    }

    /// Whether it is still owed in some form.
    #[must_use]
    pub fn is_in_flight(self) -> bool {
        matches!(
            self,
            DeliveryState::Owed
                | DeliveryState::Sending
                | DeliveryState::Pending
                | DeliveryState::Ambiguous
                | DeliveryState::Held
        )
    }
}

words!(
    /// How to find out what became of a delivery whose attempt had no answer.
    AskBy, "way of asking",
    /// The peer can be asked by our idempotency key.
    Receipt "receipt",
    /// Its effect shows in the order's record: read the order again and look for the echo.
    Record "record",
    /// It can't be found out: a person decides.
    Nothing "nothing",
);

words!(
    /// Where a receipt came from.
    ReceiptSource, "receipt source",
    /// The answer to our request.
    Answer "answer",
    /// The peer was asked by our idempotency key.
    Query "query",
    /// The peer's record said it back.
    Echo "echo",
    /// The peer answered that it has it already.
    AlreadySubmitted "already_submitted",
    /// A receipt file named its row.
    File "file",
);

/// A destination's proof of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The destination's number for it, if it gives one.
    pub receipt_number: Option<String>,
    /// When the destination says it took it.
    pub received_at: Option<Timestamp>,
    /// How we know.
    pub source: ReceiptSource,
}
