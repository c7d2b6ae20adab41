//! Commands of the bureau: checked against the order as it is by now, applied as the bureau's word, and routed.
//!
//! A command that the order's state does not allow any more is refused, and the refusal is its account. Only routing rules create deliveries.

use super::batch::Decision;
use gateway_model::{Change, Command, CommandState, Dataset, DeliveryId, RawId, check_command};
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
            working.touch();
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
        for destination in self.decider.routes.destinations(&meta.channel, change.dataset) {
            let member = self.member_at(command.order_id, &destination);
            self.supersede_owed(member, &destination, |other, _, _, round| {
                other == operation && round == command.round
            });
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
}
