//! What is said in a delivery: the record that it came from, as the sink wants it.
//!
//! The record is a [`Command`] of the bureau. Its time is the event time of everything it does; a reply says it once more as its own field. Person
//! fields never leave without a grant, and there is no grant yet.

use gateway_connector::{OutboundDelivery, Reason};
use gateway_model::{Command, Field, FieldValue, Fields, Operation};
use gateway_store::DeliveryWork;

/// The delivery as the sink sees it; `None` while the destination has no number for the order.
///
/// # Errors
/// Why it can't be said at all.
pub(crate) fn outbound(work: &DeliveryWork) -> Result<Option<OutboundDelivery>, Reason> {
    let row = &work.delivery;
    let body = work.raw.body.as_ref().ok_or_else(|| Reason::new("erased", "the record with the content was erased"))?;
    let command: Command = serde_json::from_slice(body)
        // The cause may show what the record says; its place is enough.
        .map_err(|error| Reason::new("content", format!("the record is no command (column {})", error.column())))?;
    let Some(number) = work.number.clone() else { return Ok(None) };
    Ok(Some(OutboundDelivery {
        id: row.id,
        order_id: row.order_id,
        number,
        from: row.from.clone(),
        operation: row.operation,
        dataset: row.dataset,
        part: row.part.clone(),
        round: row.round,
        event_time: command.at,
        fields: fields(&command, row.operation),
        generation: row.generation,
        idempotency_key: row.idempotency_key(),
    }))
}

fn fields(command: &Command, operation: Operation) -> Fields {
    let said = command.fields.iter().filter(|(field, _)| !field.is_person());
    let mut fields: Fields = said.map(|(field, value)| (field, value.clone())).collect();
    if fields.get(Field::Operator).is_none() && !command.operator.is_empty() {
        fields.set(Field::Operator, FieldValue::Text(command.operator.clone()));
    }
    if operation == Operation::Reply {
        fields.set(Field::RepliedAt, FieldValue::Time(command.at));
    }
    fields
}
