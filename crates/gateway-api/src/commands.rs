//! Commands of the desk: taken when durable on the bus, decided by the pipeline.
//!
//! A repeated request must get its 202 again, also when the order has moved on since. So what the pipeline has already seen answers first, then
//! the lifecycle, then the append, whose guard knows the command for a day while the pipeline has not seen it. Only a repeat that comes while the
//! command waits on the bus *and* another channel has moved the order on is refused, and finds its outcome by `GET /api/v1/commands/{id}`.

use crate::auth::Caller;
use crate::extract::{Params, Said, Segment};
use crate::orders::find;
use crate::state::{Channels, Desk};
use crate::views::DeliveryView;
use crate::{Code, Problem};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use gateway_bus::{Appended, Bus, Envelope, Guard, TopicName};
use gateway_model::{
    Clock, Command, CommandId, Day, Field, FieldValue, Fields, Moment, Operation, OrderId, Origin, SourceNumber,
    Timestamp, check_command, command_id,
};
use gateway_store::{CommandRow, Store};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// The largest request; JSON may escape a character by six bytes.
const LARGEST_BODY: usize = 256 * 1024;
/// The largest text in it, in bytes.
const LARGEST_TEXT: usize = 64 * 1024;
/// The most days by which an extension is asked for at once.
const MOST_DAYS: i64 = 366;
/// For how long the bus remembers a command.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// How far in the future a command may say that it was done; the desk's clock is not ours.
const AHEAD: Duration = Duration::from_secs(60 * 60);
/// Before this day no hotline wrote work orders by computer.
const EARLIEST: Day = Day::constant(2000, 1, 1);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommandBody {
    operation: Operation,
    round: u32,
    at: Moment,
    operator: String,
    #[serde(default)]
    fields: Fields,
}

/// What two requests must have in common to be the same request.
#[derive(Serialize)]
struct Canonical<'a> {
    order_id: OrderId,
    operation: Operation,
    round: u32,
    at: Moment,
    operator: &'a str,
    fields: &'a Fields,
}

fn digest(command: &Command) -> Result<[u8; 32], Problem> {
    let canonical = Canonical {
        order_id: command.order_id,
        operation: command.operation,
        round: command.round,
        at: command.at,
        operator: &command.operator,
        fields: &command.fields,
    };
    Ok(Sha256::digest(json_bytes(&canonical)?).into())
}

fn json_bytes(value: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(value).map_err(|error| Problem::new(Code::Internal, error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendParams {
    channel: Option<String>,
}

/// What taking a command needs.
#[derive(Clone)]
pub(crate) struct Taking {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) desk: Desk,
    pub(crate) channels: Channels,
}

impl axum::extract::FromRef<crate::ApiState> for Taking {
    fn from_ref(state: &crate::ApiState) -> Self {
        Self {
            store: state.store.clone(),
            bus: state.bus.clone(),
            clock: state.clock.clone(),
            desk: Desk(state.desk.clone()),
            channels: Channels(state.channels.clone()),
        }
    }
}

/// `POST /api/v1/orders/{id}/commands`
pub(crate) async fn send(
    State(taking): State<Taking>,
    Extension(Caller(role)): Extension<Caller>,
    segment: Segment,
    Params(params): Params<SendParams>,
    headers: HeaderMap,
    Said(body): Said<CommandBody, LARGEST_BODY>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let now = taking.clock.now();
    validate(&body, now)?;
    let view = find(&*taking.store, &taking.channels, &segment.0, params.channel, false).await?;
    let order = &view.aggregate.order;
    let command = Command {
        id: command_id(role.as_str(), key),
        order_id: order.id,
        operation: body.operation,
        round: body.round,
        at: body.at,
        operator: body.operator,
        fields: body.fields,
        received_at: now,
    };
    if let Some(answer) = seen_before(&*taking.store, &command).await? {
        return answer;
    }
    if let Err(refusal) = check_command(order.state, order.round, command.operation, command.round) {
        // The command itself may have been what moved the order on, since we looked.
        return match seen_before(&*taking.store, &command).await? {
            Some(answer) => answer,
            None => Err(Problem::new(Code::StateDoesNotAllow, refusal.to_string())
                .with("state", json!(order.state))
                .with("round", json!(order.round))),
        };
    }
    append(&taking, &command).await
}

fn accepted(command: &Command) -> Response {
    (StatusCode::ACCEPTED, Json(json!({"command_id": command.id, "order_id": command.order_id}))).into_response()
}

fn conflict() -> Problem {
    Problem::new(
        Code::IdempotencyConflict,
        "this key came with another request before; use a new key for a new command",
    )
}

/// The answer to a command that the pipeline has seen already; compared with the bytes that it was taken with, while they are kept.
async fn seen_before(store: &dyn Store, command: &Command) -> Result<Option<Result<Response, Problem>>, Problem> {
    let Some((row, _)) = store.command(command.id).await? else { return Ok(None) };
    let kept = store.raw(row.raw_id).await?.and_then(|raw| raw.body);
    let kept = kept.and_then(|body| serde_json::from_slice::<Command>(&body).ok());
    let same = match kept {
        Some(kept) => digest(&kept)? == digest(command)?,
        None => (row.order_id, row.operation, row.round) == (command.order_id, command.operation, command.round),
    };
    Ok(Some(if same { Ok(accepted(command)) } else { Err(conflict()) }))
}

async fn append(taking: &Taking, command: &Command) -> Result<Response, Problem> {
    let desk = &taking.desk.0;
    let number = SourceNumber::new(command.order_id.to_string())
        .map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
    let until = command.received_at.checked_add(REMEMBERED).unwrap_or(Timestamp::MAX);
    let guard = Guard { nonce: command.id.to_string(), digest: digest(command)?, until };
    let envelope = Envelope {
        channel: desk.clone(),
        origin: Origin::Command,
        number: Some(number),
        received_at: command.received_at,
        read_at: command.received_at,
        undecodable: None,
        payload: json_bytes(command)?,
    };
    let appended = taking.bus.append(&TopicName::raw(desk), vec![envelope.into_message(Some(guard))]).await?;
    match appended.first() {
        Some(Appended::At { .. } | Appended::Repeated) => Ok(accepted(command)),
        Some(Appended::Conflict) => Err(conflict()),
        None => Err(Problem::new(Code::Internal, "the bus answered nothing for a message")),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let key = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    };
    key.filter(|key| (1..=128).contains(&key.len()) && key.bytes().all(|byte| (0x20..0x7f).contains(&byte)))
        .ok_or_else(|| Problem::parameter("send one header `Idempotency-Key` of 1 to 128 printable ASCII characters"))
}

fn validate(body: &CommandBody, now: Timestamp) -> Result<(), Problem> {
    let wrong = |detail: String| Err(Problem::new(Code::InvalidCommand, detail));
    if body.operator.is_empty() || body.operator.len() > 128 || body.operator.chars().any(char::is_control) {
        return wrong("`operator` is 1 to 128 bytes without control characters".to_owned());
    }
    let latest = now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    if body.at.day() < EARLIEST || body.at.start() > latest {
        return wrong("`at` is before 2000 or in the future".to_owned());
    }
    let (needed, allowed): (Option<Field>, &[Field]) = match body.operation {
        Operation::Extend => (Some(Field::EventText), &[Field::EventText, Field::ExtendedTo, Field::ExtensionDays]),
        Operation::Appeal => (Some(Field::EventText), &[Field::EventText, Field::AppealGround]),
        Operation::Assign => (Some(Field::HandlingUnit), &[Field::HandlingUnit, Field::UnitRole, Field::EventText]),
        Operation::Reply => (Some(Field::ReplyText), &[Field::ReplyText, Field::ReplyUnit]),
        Operation::Refuse => (Some(Field::EventText), &[Field::EventText]),
        Operation::Sign | Operation::Complete => (None, &[]),
        Operation::Forward => return wrong(gateway_model::Refusal::NoCommand.to_string()),
    };
    for (field, value) in body.fields.iter() {
        if !allowed.contains(&field) {
            return wrong(format!("`{field}` does not belong to {}", body.operation));
        }
        if let Some(why) = mistake(field, value) {
            return wrong(format!("`{field}` {why}"));
        }
    }
    if let Some(field) = needed
        && body.fields.text(field).is_none_or(|text| text.trim().is_empty())
    {
        return wrong(format!("{} needs `{field}`", body.operation));
    }
    match (body.operation, body.fields.get(Field::ExtendedTo), body.fields.get(Field::ExtensionDays)) {
        (Operation::Extend, None, None) | (Operation::Extend, Some(_), Some(_)) => {
            wrong("extend needs either `extended_to` (the deadline asked for) or `extension_days`".to_owned())
        }
        _ if body.operation == Operation::Appeal && body.fields.text(Field::AppealGround).is_none() => {
            wrong("appeal needs `appeal_ground`: `bad_rating` 差评 or `overdue` 超期".to_owned())
        }
        _ => Ok(()),
    }
}

/// What is wrong with a value; `None` = nothing.
fn mistake(field: Field, value: &FieldValue) -> Option<String> {
    let fits = match (field, value) {
        (Field::ExtendedTo, value) => value.as_moment().is_some(),
        (Field::ExtensionDays, value) => value.as_number().is_some_and(|days| (1..=MOST_DAYS).contains(&days)),
        (Field::AppealGround, value) => matches!(value.as_text(), Some("bad_rating" | "overdue")),
        (Field::UnitRole, value) => matches!(value.as_text(), Some("main" | "assisting")),
        (_, FieldValue::Text(text)) if text.len() > LARGEST_TEXT => {
            return Some(format!("is longer than {LARGEST_TEXT} bytes"));
        }
        (_, value) => value.as_text().is_some(),
    };
    let wanted = match field {
        Field::ExtendedTo => "is a time, as 2026-12-31T23:59:59+08:00, or a day".to_owned(),
        Field::ExtensionDays => format!("is a whole number from 1 to {MOST_DAYS}"),
        Field::AppealGround => "is `bad_rating` 差评 or `overdue` 超期".to_owned(),
        Field::UnitRole => "is `main` 主办 or `assisting` 协办".to_owned(),
        _ => "is a text".to_owned(),
    };
    (!fits).then_some(wanted)
}

/// `GET /api/v1/commands/{id}`
pub(crate) async fn outcome(State(store): State<Arc<dyn Store>>, segment: Segment) -> Result<Json<Value>, Problem> {
    let unseen = || Problem::new(Code::NotProcessedYet, "the pipeline has seen no command of this id");
    let id: CommandId = segment.0.parse().map_err(|_| unseen())?;
    let (row, deliveries) = store.command(id).await?.ok_or_else(unseen)?;
    let CommandRow { order_id, operation, round, state, reason, raw_id, at, .. } = row;
    let deliveries: Vec<_> = deliveries.iter().map(DeliveryView::from).collect();
    Ok(Json(json!({
        "id": id, "order_id": order_id, "operation": operation, "round": round, "state": state, "reason": reason,
        "raw_id": raw_id, "decided_at": crate::views::ChinaTime(at), "deliveries": deliveries,
    })))
}
