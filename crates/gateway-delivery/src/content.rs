//! What is said in a delivery: the record that it came from, as the sink wants it.
//!
//! The record is a [`Command`] of the bureau, or, of a forwarded item and of what a handling system asks, a record of the channel that stated it. A command's time is the event time of everything it does; a
//! reply says it once more as its own field. Person fields never leave without a grant, and a command has none.

use crate::Origins;
use crate::address::Elsewhere;
use gateway_connector::{OutboundDelivery, Reason};
use gateway_model::{Command, Field, FieldValue, Fields, Moment, Operation};
use gateway_store::DeliveryWork;

/// The delivery as the sink sees it; `None` while the destination has no number for the order. `elsewhere` is what [`Origins::elsewhere`] said of it.
///
/// # Errors
/// Why it can't be said at all.
pub(crate) fn outbound(
    work: &DeliveryWork,
    origins: &Origins,
    elsewhere: &Elsewhere,
) -> Result<Option<OutboundDelivery>, Reason> {
    let row = &work.delivery;
    let body = work.raw.body.as_ref().ok_or_else(|| Reason::new("erased", "the record with the content was erased"))?;
    let (event_time, fields) = match row.command_id {
        Some(_) => commanded(body, row.operation)?,
        None => forwarded(work, body, origins, elsewhere)?,
    };
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
        event_time,
        fields,
        generation: row.generation,
        idempotency_key: row.idempotency_key(),
    }))
}

fn forwarded(
    work: &DeliveryWork,
    body: &[u8],
    origins: &Origins,
    elsewhere: &Elsewhere,
) -> Result<(Moment, Fields), Reason> {
    let (row, raw) = (&work.delivery, &work.raw.meta);
    let change = origins.change(&raw.channel, body, raw.received_at, (row.dataset, &row.part))?;
    let event_time = change.event_time;
    let order = elsewhere.get(&row.id).copied().unwrap_or(row.order_id);
    Ok((event_time, origins.visible(change, &raw.channel, order, row)))
}

fn commanded(body: &[u8], operation: Operation) -> Result<(Moment, Fields), Reason> {
    let command: Command = serde_json::from_slice(body)
        // The cause may show what the record says; its place is enough.
        .map_err(|error| Reason::new("content", format!("the record is no command (column {})", error.column())))?;
    Ok((command.at, fields(&command, operation)))
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
