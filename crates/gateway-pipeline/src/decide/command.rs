//! Commands of the bureau: checked against the order as it is by now, applied as the bureau's word, and routed.
//!
//! A command that the order's state does not allow any more is refused, and the refusal is its account. Only routing rules create deliveries.

use super::batch::Decision;
use gateway_model::{
    Change, ChannelId, Command, CommandState, Dataset, DeliveryId, Operation, OrderId, RawId, Refusal, check_command,
    state_after,
};
use gateway_store::{CommandRow, FlowOutcome, NewDelivery, RawMeta};

impl Decision<'_> {
    pub(super) fn command(&mut self, command: &Command, meta: &RawMeta, raw_id: RawId) {
        if self.commands.contains(&command.id) {
            self.tally(&meta.channel, Some(Dataset::Handling), FlowOutcome::Duplicate);
            return;
        }
        let lead = self.identity.groups.get(&command.order_id).copied();
        self.speak_together(lead);
        let shown = lead.unwrap_or(command.order_id);
        let Some(working) = self.orders.get_mut(&shown) else {
            self.dead("unknown_order", &format!("no order {}", command.order_id), meta, raw_id);
            return;
        };
        working.compose(&self.decider.authority);
        let order = &working.aggregate.order;
        let verdict = check_command(order.state, order.round, command.operation, command.round);
        let verdict = verdict.and_then(|()| self.is_taken(command, meta));
        let changes = match crate::command::changes_of(command) {
            Ok(changes) => changes,
            Err(error) => {
                self.dead(error.code(), &error.to_string(), meta, raw_id);
                return;
            }
        };
        self.commands.insert(command.id);
        self.writes.commands.push(CommandRow {
            id: command.id,
            order_id: command.order_id,
            operation: command.operation,
            round: command.round,
            state: if verdict.is_ok() { CommandState::Applied } else { CommandState::Refused },
            reason: verdict.as_ref().err().map(ToString::to_string),
            raw_id,
            at: self.now,
        });
        if verdict.is_err() {
            // The verdict is the effect; the order stays as it is.
            if let Some(working) = self.orders.get_mut(&shown) {
                working.touch();
            }
            self.tally(&meta.channel, Some(Dataset::Handling), FlowOutcome::Applied);
            return;
        }
        for change in &changes {
            let outcome = self.apply(command.order_id, change, meta, raw_id);
            self.tally(&meta.channel, Some(change.dataset), outcome);
            if outcome == FlowOutcome::Applied {
                self.route(command, change, meta, raw_id);
            }
        }
    }

    fn route(&mut self, command: &Command, change: &Change, meta: &RawMeta, raw_id: RawId) {
        let Some(operation) = change.operation else { return };
        for destination in self.destinations(command, operation, change.dataset, meta) {
            let member = self.member_at(command.order_id, &destination);
            // What moves the order on is meant anew; what is asked beside it stands for itself.
            if state_after(operation).is_some() {
                self.supersede_owed(member, &destination, |other, _, _, round| {
                    other == operation && round == command.round
                });
            }
            let delivery = NewDelivery {
                id: DeliveryId(self.next_delivery_id),
                order_id: member,
                destination,
                from: meta.channel.clone(),
                operation,
                dataset: change.dataset,
                part: change.part.clone(),
                round: command.round,
                raw_id,
                command_id: Some(command.id),
                created_at: self.now,
            };
            self.next_delivery_id += 1;
            self.writes.new_deliveries.push(delivery);
        }
    }

    /// What is asked beside the main line is only a command where somebody takes it; the main line is the desk's own word also without.
    fn is_taken(&self, command: &Command, meta: &RawMeta) -> Result<(), Refusal> {
        let operation = command.operation;
        let taken = state_after(operation).is_some()
            || !self.destinations(command, operation, Dataset::Handling, meta).is_empty();
        if taken { Ok(()) } else { Err(Refusal::NobodyTakes(operation)) }
    }

    /// To whom a command is owed: of those that the rules name the ones that take such an operation, of this order. Where none does, what moves the order on
    /// is owed to all of them, so that it ends where people look for what failed.
    fn destinations(
        &self,
        command: &Command,
        operation: Operation,
        dataset: Dataset,
        meta: &RawMeta,
    ) -> Vec<ChannelId> {
        let mut named = self.decider.routes.destinations(&meta.channel, dataset);
        let taking: Vec<ChannelId> =
            named.iter().filter(|to| self.takes_command(command.order_id, to, operation)).cloned().collect();
        if !taking.is_empty() || state_after(operation).is_none() {
            named = taking;
        }
        named
    }

    /// Whether a channel takes an operation of an order: a platform of its own orders, a handling system of those that were dispatched to it.
    fn takes_command(&self, order_id: OrderId, channel: &ChannelId, operation: Operation) -> bool {
        let member = self.member_at(order_id, channel);
        let number = || {
            let numbers = self.orders.get(&member).map(|working| working.aggregate.numbers.iter());
            numbers.is_some_and(|mut numbers| numbers.any(|number| number.channel == *channel))
        };
        self.decider.normalizers.sink(channel).is_some_and(|sink| sink.takes(operation))
            && if operation == Operation::Assign { number() } else { self.is_own(member, channel) }
    }
}
