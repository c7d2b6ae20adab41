//! Uploads 上报 (section 4 of `docs/channels/provincial-12328.md`): what a city tells the province of its orders, item by item; and dispatches
//! 转办 (section 4 of `docs/channels/bureau.md`), by which an order gets to the bureau.
//!
//! The first upload of an acceptance makes the order; everything else of an order that is not there is refused. The same request id is
//! answered as the first time and changes nothing. Unknown keys and codes are refused, so that a city that maps wrongly hears of it.

use std::sync::MutexGuard;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::inject::hit;
use super::life::next_update;
use super::server::{Answer, Way};
use super::write::receipt;
use super::{Platform, PlatformKind};
use crate::book::Book;
use crate::book::entry::{Edit, Entry, Operation, upload_form, uploaded_part};
use crate::clock;
use crate::digest::ItemKey;
use crate::faults::injected::{Heals, Hit};
use crate::faults::{FaultKind, FaultPlan};
use crate::record::{Completion, Event, Order, Unit, Upstream, Visit, state};

/// The code of a row that was refused for a reason of business.
const REFUSED: u16 = 2001;

const ACCEPTANCE: &[&str] = &[
    "createTime",
    "orderType",
    "category",
    "title",
    "content",
    "sourceType",
    "address",
    "occurTime",
    "urgency",
    "isSecret",
    "isAnonymous",
    "callerName",
    "callerPhone",
    "contactPhone",
];
/// What a dispatch may tell besides.
const GIVEN: &str = "pictures";
const STATE: &[&str] = &["state", "unit", "deadline", "round"];
const EVENT: &[&str] = &["eventId", "kind", "time", "text", "days", "until", "ground"];
const COMPLETION: &[&str] = &["round", "replyContent", "replyTime", "replyUnit"];
const VISIT: &[&str] = &["visitNo", "round", "visitTime", "connected", "satisfaction", "isSolved", "opinion"];
const ASSIGN: &[&str] = &["assignTime", "unit", "role", "note", "operator"];
const UPSTREAM: &[&str] = &["time", "state", "unit", "deadline", "round"];
const STATES: &[&str] = &["10", "20", "30", "35", "40", "50", "60", "70", "80", "90"];

/// The answer to an assignment of a unit that is at work on the order already.
const AT_WORK: u16 = 1005;

/// A further unit 加派, as it is asked for.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Assignment {
    assign_time: String,
    unit: String,
    role: String,
}

/// What an upload says, checked.
enum Said {
    Acceptance(Box<Order>),
    Part(Vec<Edit>),
    /// A further unit, of which only the order says the rest.
    Unit(Assignment),
}

impl Said {
    /// The item that it makes or replaces, of the order of that number and day.
    fn item(&self, number: &str, day: &str) -> ItemKey {
        let (dataset, part) = match self {
            Self::Acceptance(_) => uploaded_part(&[]),
            Self::Part(edits) => uploaded_part(edits),
            Self::Unit(_) => uploaded_part(&[Edit::PutUnit(Unit::default())]),
        };
        ItemKey { dataset, number: number.to_owned(), day: day.to_owned(), part }
    }

    /// The day of the order that it makes.
    fn day(&self) -> String {
        match self {
            Self::Acceptance(told) => clock::day_of(&told.create_time).to_owned(),
            Self::Part(_) | Self::Unit(_) => String::new(),
        }
    }
}

impl Platform {
    /// `POST /gateway/orders/{orderNo}/upload_{kind}`
    pub(super) fn upload(&self, number: &str, kind: &str, request_id: &str, body: &[u8]) -> Answer {
        if request_id.is_empty() || request_id.len() > 128 {
            return Answer::invalid("X-Request-Id");
        }
        if number.is_empty() || number.len() > 128 || number.chars().any(char::is_control) {
            return Answer::invalid("orderNo");
        }
        let bureau = self.options.kind == PlatformKind::Bureau;
        let said = match read(kind, body, bureau) {
            Ok(said) => said,
            Err(field) => return Answer::invalid(field),
        };
        let mut book = self.ledger.lock();
        let operation = if bureau { kind.to_owned() } else { format!("upload_{kind}") };
        if let Some(earlier) = book.operations.get(request_id) {
            return match earlier.operation == operation && earlier.order_no == number {
                false => Answer::invalid("X-Request-Id"),
                true if earlier.refused => Answer::refused(REFUSED, "数据校验不通过"),
                true => receipt(earlier),
            };
        }
        let place = place_of(&book, number, &said);
        if place.is_none() && !matches!(said, Said::Acceptance(_)) {
            return Answer::refused(1002, "工单不存在");
        }
        if place.as_ref().and_then(|place| book.order(place)).is_some_and(|held| !held.uploaded) {
            // The province's own order is the province's to tell.
            return Answer::refused(1003, "状态不允许");
        }
        let held = place.as_ref().and_then(|place| book.order(place));
        let said = match (said, held) {
            (Said::Unit(unit), Some(held)) => match assigned(unit, &held.order, request_id) {
                Ok(said) => said,
                Err(answer) => return answer,
            },
            (said, _) => said,
        };
        self.keep(&mut book, number, place, said, operation, request_id)
    }

    fn keep(
        &self,
        book: &mut MutexGuard<'_, Book>,
        number: &str,
        place: Option<String>,
        said: Said,
        operation: String,
        request_id: &str,
    ) -> Answer {
        let now = self.now();
        let shown = clock::wire_time(self.shown_ms(now));
        let fault = self.befall(book, (number, place.as_deref()), &said, &operation, now);
        let held = place.as_ref().and_then(|place| book.order(place));
        let version = held.map_or(0, |held| held.version);
        let update = held.map_or_else(|| shown.clone(), |held| next_update(self, held, now));
        let done = Operation {
            request_id: request_id.to_owned(),
            operation,
            order_no: number.to_owned(),
            receipt_no: format!("S{}", book.operations.len() + 1),
            received_at: shown,
            lost: fault == Some(FaultKind::LostUpload),
            refused: fault == Some(FaultKind::RefusedUpload),
            receipt_from: (fault == Some(FaultKind::LostReceipt)).then(|| self.receipt_from(version, now)),
        };
        let mut answer = match fault {
            Some(FaultKind::RefusedUpload) => Answer::refused(REFUSED, "数据校验不通过"),
            Some(FaultKind::SubmittedUpload) => Answer::refused(1001, "重复提交"),
            _ => receipt(&done),
        };
        answer.way = match fault {
            Some(FaultKind::LostReceipt) => Way::Lost,
            Some(FaultKind::UploadHangUp) => Way::Cut,
            _ => Way::Open,
        };
        let (mut new, mut edits) = match (said, held) {
            (Said::Acceptance(told), None) => (Some(told), Vec::new()),
            (Said::Acceptance(told), Some(held)) => (None, vec![Edit::Whole(Box::new(with(&held.order, *told)))]),
            (Said::Part(edits), _) => (None, edits),
            (Said::Unit(_), _) => (None, Vec::new()),
        };
        if done.lost || done.refused {
            (new, edits) = (None, Vec::new());
        }
        let no = match (&new, place) {
            (_, Some(place)) => place,
            (Some(told), None) if !book.keys(number).is_empty() => {
                format!("{number}@{}", clock::day_of(&told.create_time))
            }
            _ => number.to_owned(),
        };
        if let Some(told) = &mut new {
            number.clone_into(&mut told.order_no);
            told.update_time.clone_from(&update);
        }
        let update = (!edits.is_empty()).then_some(update);
        self.ledger.write(book, &Entry::Upload { at: now, no: no.clone(), new, update, edits, operation: done });
        if self.options.kind == PlatformKind::Bureau {
            self.plan(book, &no, now);
        }
        answer
    }

    /// Which fault befalls an upload that is about to be kept.
    fn befall(
        &self,
        book: &mut MutexGuard<'_, Book>,
        (number, place): (&str, Option<&str>),
        said: &Said,
        operation: &str,
        now: i64,
    ) -> Option<FaultKind> {
        let kinds = [
            FaultKind::RefusedUpload,
            FaultKind::LostUpload,
            FaultKind::SubmittedUpload,
            FaultKind::UploadHangUp,
            FaultKind::LostReceipt,
        ];
        let possible = |kind: &FaultKind| *kind != FaultKind::RefusedUpload || operation != "upload_acceptance";
        let kind = kinds.into_iter().filter(possible).find(|kind| self.take(book, *kind, now))?;
        let key = place.unwrap_or(number);
        let made = hit(book, key, operation);
        let day = made.order.as_ref().map(|(_, day)| day.clone()).unwrap_or_else(|| said.day());
        let item = said.item(number, &day);
        let variant = upload_form(operation, &item.part);
        let hit =
            Hit { variant, order: Some((number.to_owned(), day)), items: vec![item], heals: Heals::Redone, ..made };
        self.log(book, kind, now, hit);
        Some(kind)
    }

    /// From when on a receipt that was lost is known: seconds later, in a campaign hours.
    fn receipt_from(&self, version: u64, now: i64) -> i64 {
        let hours = matches!(self.options.faults, FaultPlan::Campaign { .. });
        now + (1 + version as i64 % 6) * if hours { 3_600_000 } else { 1_000 }
    }
}

/// The place of the order that an upload speaks of: where a number was given more than once, the order of that day, else the last one.
fn place_of(book: &Book, number: &str, said: &Said) -> Option<String> {
    match said {
        Said::Acceptance(told) => book.key_of(number, clock::day_of(&told.create_time)).cloned(),
        Said::Part(_) | Said::Unit(_) => book.keys(number).last().cloned(),
    }
}

/// The unit's part in the round at hand; or why it gets none.
fn assigned(asked: Assignment, order: &Order, request_id: &str) -> Result<Said, Answer> {
    if !matches!(order.state.as_str(), state::DISPATCHED | state::SIGNED) {
        return Err(Answer::refused(1003, "状态不允许"));
    }
    if order.units.iter().any(|unit| unit.round == order.round && unit.unit == asked.unit) {
        return Err(Answer::refused(AT_WORK, "该单位已在办理"));
    }
    Ok(Said::Part(vec![Edit::PutUnit(Unit {
        unit_task: request_id.to_owned(),
        unit: asked.unit,
        role: asked.role,
        state: state::DISPATCHED.to_owned(),
        dispatch_time: asked.assign_time,
        round: order.round,
    })]))
}

/// The order with what an acceptance tells.
fn with(held: &Order, told: Order) -> Order {
    Order {
        order_no: held.order_no.clone(),
        state: held.state.clone(),
        unit: held.unit.clone(),
        deadline: held.deadline.clone(),
        round: held.round,
        events: held.events.clone(),
        completions: held.completions.clone(),
        visits: held.visits.clone(),
        units: held.units.clone(),
        upstream: held.upstream.clone(),
        ..told
    }
}

/// What a body says, or the field that is wrong.
fn read(kind: &str, body: &[u8], bureau: bool) -> Result<Said, &'static str> {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else { return Err("body") };
    let types: &[&str] = if bureau { &["01", "02", "03", "04", "05", "06", "09"] } else { &["1", "2", "3", "9"] };
    match kind {
        "upstream" if bureau => {
            let told: Upstream = typed(body, UPSTREAM)?;
            check(is_time(&told.time), "time")?;
            check(among(&told.state, STATES), "state")?;
            check(told.deadline.is_empty() || is_time(&told.deadline), "deadline")?;
            Ok(Said::Part(vec![Edit::Upstream(Upstream { source: "upstream".to_owned(), ..told })]))
        }
        "assign" if bureau => {
            let asked: Assignment = typed(body, ASSIGN)?;
            check(is_time(&asked.assign_time), "assignTime")?;
            check(!asked.unit.is_empty(), "unit")?;
            check(among(&asked.role, &["1", "2"]), "role")?;
            Ok(Said::Unit(asked))
        }
        "acceptance" | "state" | "completion" if bureau => Err("operation"),
        "acceptance" | "dispatch" if bureau == (kind == "dispatch") => {
            let mut body = body;
            let given = if bureau { body.remove(GIVEN) } else { None };
            let mut order: Order = typed(body, ACCEPTANCE)?;
            if let Some(given) = given {
                given.as_str().ok_or(GIVEN)?.clone_into(&mut order.given_pictures);
            }
            check(is_time(&order.create_time), "createTime")?;
            check(among(&order.order_type, types), "orderType")?;
            check(order.occur_time.is_empty() || is_time(&order.occur_time), "occurTime")?;
            check(among(&order.urgency, &["", "1", "2", "3"]), "urgency")?;
            check(is_flag(&order.is_secret), "isSecret")?;
            check(is_flag(&order.is_anonymous), "isAnonymous")?;
            Ok(Said::Acceptance(Box::new(order)))
        }
        "state" => {
            let order: Order = typed(body, STATE)?;
            check(among(&order.state, STATES), "state")?;
            check(order.deadline.is_empty() || is_time(&order.deadline), "deadline")?;
            Ok(Said::Part(vec![
                Edit::State(order.state),
                Edit::Unit(order.unit),
                Edit::Deadline(order.deadline),
                Edit::Round(order.round),
            ]))
        }
        "event" => {
            let event: Event = typed(body, EVENT)?;
            check(!event.event_id.is_empty(), "eventId")?;
            check(!event.kind.is_empty(), "kind")?;
            check(is_time(&event.time), "time")?;
            check(event.until.is_empty() || is_time(&event.until), "until")?;
            check(among(&event.ground, &["", "1", "2"]), "ground")?;
            Ok(Said::Part(vec![Edit::PutEvent(event)]))
        }
        "completion" => {
            check(body.contains_key("round"), "round")?;
            let completion: Completion = typed(body, COMPLETION)?;
            check(!completion.reply_content.is_empty(), "replyContent")?;
            check(is_time(&completion.reply_time), "replyTime")?;
            Ok(Said::Part(vec![Edit::PutCompletion(completion)]))
        }
        "visit" => {
            check(body.contains_key("visitNo"), "visitNo")?;
            let visit: Visit = typed(body, VISIT)?;
            check(is_time(&visit.visit_time), "visitTime")?;
            check(is_flag(&visit.connected), "connected")?;
            check(among(&visit.satisfaction, &["", "1", "2", "3", "4", "5", "9"]), "satisfaction")?;
            check(is_flag(&visit.is_solved), "isSolved")?;
            Ok(Said::Part(vec![Edit::PutVisit(visit)]))
        }
        _ => Err("operation"),
    }
}

fn typed<T: DeserializeOwned>(body: Map<String, Value>, known: &[&str]) -> Result<T, &'static str> {
    check(body.keys().all(|key| known.contains(&key.as_str())), "unknown key")?;
    serde_json::from_value(Value::Object(body)).map_err(|_| "body")
}

fn check(right: bool, field: &'static str) -> Result<(), &'static str> {
    if right { Ok(()) } else { Err(field) }
}

fn is_time(text: &str) -> bool {
    clock::wire_ms(text).is_some()
}

fn is_flag(text: &str) -> bool {
    among(text, &["", "0", "1"])
}

fn among(text: &str, list: &[&str]) -> bool {
    list.contains(&text)
}
