//! The desk's book: how it saw each order last, and every command that it meant, with what became of it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// One line of the desk's journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub(super) enum Entry {
    /// A page of orders was read.
    Look { cursor: String, orders: Vec<Seen> },
    /// A command is about to be sent.
    Intend(Command),
    /// The gateway accepted it.
    Accept { key: String, command_id: String },
    /// The gateway refused it for good.
    Refuse { key: String, code: String },
    /// It was accepted, but refused or rejected later; another attempt may be made.
    Undone { key: String },
}

/// An order as the gateway showed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// The gateway's id.
    pub(super) id: String,
    /// The channel's number.
    pub(super) number: String,
    pub(super) state: String,
    pub(super) round: u32,
}

/// A command of the desk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Command {
    /// `Idempotency-Key`.
    pub(super) key: String,
    pub(super) order_id: String,
    pub(super) number: String,
    pub(super) round: u32,
    pub(super) operation: String,
    pub(super) attempt: u32,
    /// The body exactly as it is sent.
    pub(super) body: serde_json::Value,
}

/// What became of a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Fate {
    /// Meant; perhaps sent.
    #[default]
    Intended,
    /// 202, with the command's id.
    Accepted(String),
    /// Refused for good, with the code.
    Refused(String),
}

/// Commands of one operation in one round.
#[derive(Clone, Debug, Default)]
pub(super) struct Tries {
    /// Position of the newest command.
    pub(super) newest: usize,
    /// Whether the newest came to nothing.
    pub(super) undone: bool,
}

/// The state that the journal adds up to.
#[derive(Default)]
pub(super) struct DeskBook {
    pub(super) cursor: Option<String>,
    pub(super) seen: HashMap<String, Seen>,
    pub(super) commands: Vec<(Command, Fate)>,
    by_key: HashMap<String, usize>,
    tries: HashMap<(String, u32, String), Tries>,
}

impl DeskBook {
    /// Applies one entry.
    pub(super) fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Look { cursor, orders } => {
                self.cursor = Some(cursor.clone());
                for order in orders {
                    self.seen.insert(order.id.clone(), order.clone());
                }
            }
            Entry::Intend(command) => {
                let position = self.commands.len();
                self.by_key.insert(command.key.clone(), position);
                let place = (command.order_id.clone(), command.round, command.operation.clone());
                self.tries.insert(place, Tries { newest: position, undone: false });
                self.commands.push((command.clone(), Fate::Intended));
            }
            Entry::Accept { key, command_id } => self.settle(key, Fate::Accepted(command_id.clone())),
            Entry::Refuse { key, code } => self.settle(key, Fate::Refused(code.clone())),
            Entry::Undone { key } => {
                let Some((command, _)) = self.by_key.get(key).and_then(|&position| self.commands.get(position)) else {
                    return;
                };
                let place = (command.order_id.clone(), command.round, command.operation.clone());
                if let Some(tries) = self.tries.get_mut(&place) {
                    tries.undone = true;
                }
            }
        }
    }

    fn settle(&mut self, key: &str, fate: Fate) {
        if let Some(entry) = self.by_key.get(key).and_then(|&position| self.commands.get_mut(position)) {
            entry.1 = fate;
        }
    }

    /// The newest command of an operation in a round, its fate, and whether it came to nothing.
    pub(super) fn newest(&self, order: &str, round: u32, operation: &str) -> Option<(&Command, &Fate, bool)> {
        let tries = self.tries.get(&(order.to_owned(), round, operation.to_owned()))?;
        let (command, fate) = self.commands.get(tries.newest)?;
        Some((command, fate, tries.undone))
    }
}
