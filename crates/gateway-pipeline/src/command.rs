//! Commands of the bureau, as statements of the bureau's channel.

use gateway_connector::NormalizeError;
use gateway_model::{
    Change, Command, Dataset, EventId, Field, FieldValue, Fields, Moment, Operation, Part, Revision, SourceNumber,
    digest_of_pairs, state_after,
};
use std::collections::BTreeMap;

/// What a command says of its event.
const OF_EVENT: [Field; 6] = [
    Field::EventText,
    Field::ExtendedTo,
    Field::ExtensionDays,
    Field::AppealGround,
    Field::HandlingUnit,
    Field::UnitRole,
];

/// The kind of event that a command is, by the word that other channels have for it.
fn event_kind(operation: Operation) -> &'static str {
    match operation {
        Operation::Extend => "extension",
        other => other.as_str(),
    }
}

/// What a command states: the event, the state that the bureau now sees, and of a reply the completion of its round.
pub(crate) fn changes_of(command: &Command) -> Result<Vec<Change>, NormalizeError> {
    let unreadable = |_| NormalizeError::MissingField { wire_field: "order_id".into() };
    let number = SourceNumber::new(command.order_id.to_string()).map_err(unreadable)?;
    let event = EventId::new(command.id.to_string()).map_err(unreadable)?;
    let round = FieldValue::Number(i64::from(command.round));
    let stated = |dataset, part, fields: Fields, operation| {
        let texts: Vec<(&str, String)> = fields.iter().map(|(field, value)| (field.as_str(), plain(value))).collect();
        Change {
            number: number.clone(),
            day: Some(Moment::At(command.received_at).day()),
            dataset,
            part,
            revision: Some(Revision(command.received_at.as_millisecond())),
            event_time: command.at,
            digest: digest_of_pairs(texts.iter().map(|(name, value)| (*name, value.as_str()))),
            fields,
            person: Fields::new(),
            unmapped: BTreeMap::new(),
            oddities: Vec::new(),
            operation,
        }
    };
    let is_reply = command.operation == Operation::Reply;
    let mut happened: Fields = [
        (Field::EventKind, event_kind(command.operation).into()),
        (Field::Operator, command.operator.as_str().into()),
        (Field::Round, round.clone()),
    ]
    .into_iter()
    .collect();
    for field in OF_EVENT {
        if let Some(value) = command.fields.get(field) {
            happened.set(field, value.clone());
        }
    }
    let mut changes =
        vec![stated(Dataset::Handling, Part::Event(event), happened, (!is_reply).then_some(command.operation))];
    if let Some(state) = state_after(command.operation) {
        let state = [(Field::State, state.as_str().into()), (Field::Round, round)];
        changes.push(stated(Dataset::Handling, Part::Cycle(0), state.into_iter().collect(), None));
    }
    if is_reply {
        let mut reply: Fields = command
            .fields
            .iter()
            .filter(|(field, _)| field.dataset() == Dataset::Completion)
            .map(|(f, v)| (f, v.clone()))
            .collect();
        reply.set(Field::RepliedAt, FieldValue::Time(command.at));
        changes.push(stated(Dataset::Completion, Part::Cycle(command.round), reply, Some(Operation::Reply)));
    }
    Ok(changes)
}

fn plain(value: &FieldValue) -> String {
    match value {
        FieldValue::Text(text) => text.clone(),
        FieldValue::Number(number) => number.to_string(),
        FieldValue::Flag(flag) => flag.to_string(),
        FieldValue::Time(moment) => moment.to_string(),
    }
}
