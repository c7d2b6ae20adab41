//! What we push to the peer: operations, the item that each makes at the peer, receipts.

use super::endpoint::Endpoint;
use super::identity::read_header;
use super::items::{ItemRule, ItemsRead, PartRule};
use super::reader::Section;
use super::reading::read_path;
use gateway_model::{AskBy, Dataset, Field, FieldKind, Operation, OrderNumber, Part, SourceNumber};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What HTTP 5xx to a command means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerError {
    /// It may have been done all the same.
    Ambiguous,
    /// The peer promises that nothing was done.
    NotTaken,
}

/// What "already submitted" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlreadySubmitted {
    /// Perhaps by another key: the peer's account decides.
    Ambiguous,
    /// By this very key: the peer has it.
    Acknowledged,
}

/// One place a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueSource {
    /// A canonical field of the delivery: text, number or time.
    Field(Field),
    /// A canonical code or flag of the delivery, written by the reverse of this code table.
    Code(Field, String),
    /// `$number`: the order's number at the peer.
    Number,
    /// `$event_id`: of a forwarded event, its id at the origin.
    EventId,
    /// `$cycle`: of a forwarded facet, its cycle at the origin.
    Cycle,
    /// `$round`.
    Round,
    /// `$event_time`: when it was done.
    EventTime,
    /// `$idempotency_key`.
    IdempotencyKey,
    /// `=text`.
    Literal(String),
}

/// Where a value comes from: the first source that has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueRule {
    /// The wire field that is filled.
    pub wire: String,
    /// The sources, tried in order.
    pub sources: Vec<ValueSource>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRule {
    /// The operation.
    pub operation: Operation,
    /// The HTTP method.
    pub method: String,
    /// The path; `{number}` is the order's number.
    pub path: String,
    /// What `{service}` is in envelope and headers.
    pub service: String,
    /// How an attempt without an answer is resolved.
    pub ask_by: AskBy,
    /// What "already submitted" means.
    pub already_submitted: AlreadySubmitted,
    /// The body.
    pub body: Vec<ValueRule>,
    /// Wire fields of the body without which it can't be sent.
    pub required: Vec<String>,
    /// The item that the operation makes at the peer.
    pub creates: String,
    /// That item as the peer will show it.
    pub element: Vec<ValueRule>,
}

/// What sort of item is forwarded; each has a rule of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForwardKind {
    /// What was reported.
    Acceptance,
    /// State, unit, deadline.
    State,
    /// One event of handling.
    Event,
    /// The reply of a round.
    Completion,
    /// One visit.
    Evaluation,
}

impl ForwardKind {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Acceptance, Self::State, Self::Event, Self::Completion, Self::Evaluation];

    /// The name in profiles.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acceptance => "acceptance",
            Self::State => "state",
            Self::Event => "event",
            Self::Completion => "completion",
            Self::Evaluation => "evaluation",
        }
    }

    fn fits(self, item: &ItemRule) -> bool {
        let is_event = matches!(item.part, PartRule::Event(_));
        match self {
            Self::Acceptance => item.dataset == Dataset::Acceptance && !is_event,
            // What the origin says of the state may stand beside the peer's own, as an event that is said anew.
            Self::State => item.dataset == Dataset::Handling,
            Self::Event => item.dataset == Dataset::Handling && is_event,
            Self::Completion => item.dataset == Dataset::Completion && !is_event,
            Self::Evaluation => item.dataset == Dataset::Evaluation && !is_event,
        }
    }

    /// Of an item; `None` where such an item is never forwarded.
    #[must_use]
    pub fn of(dataset: Dataset, part: &Part) -> Option<Self> {
        match (dataset, part) {
            (Dataset::Acceptance, Part::Cycle(_)) => Some(Self::Acceptance),
            (Dataset::Handling, Part::Cycle(_)) => Some(Self::State),
            (Dataset::Handling, Part::Event(_)) => Some(Self::Event),
            (Dataset::Completion, Part::Cycle(_)) => Some(Self::Completion),
            (Dataset::Evaluation, Part::Cycle(_)) => Some(Self::Evaluation),
            _ => None,
        }
    }
}

/// How a receipt is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRule {
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// The parameter, and the field of the answer, with our idempotency key.
    pub request_id: String,
    /// The field with the receipt's number, here and in the answer to the command.
    pub receipt_number: String,
    /// The field that says when the peer took it, here and in the answer to the command.
    pub received_at: String,
}

/// What we push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteRule {
    /// Header of our idempotency key, lower case; `None` = it stands in each body.
    pub request_id_header: Option<String>,
    /// What 5xx means.
    pub server_error: ServerError,
    /// How a receipt is asked for.
    pub receipts: ReceiptRule,
    /// What the bureau's commands become.
    pub operations: Vec<OperationRule>,
    /// What items of other channels become.
    pub forwards: BTreeMap<ForwardKind, OperationRule>,
    /// The number under which the peer gets an order that is forwarded to it: a template of `{channel}`, `{day}` and `{number}` of the origin.
    pub forward_number: String,
}

impl WriteRule {
    pub(super) fn read(mut section: Section, items: Option<&ItemsRead>) -> Option<Self> {
        let in_header = section.keys().iter().any(|key| key == "request_id_header");
        let request_id_header =
            if in_header { read_header(&mut section, "request_id_header").map(Some) } else { Some(None) };
        let server_error = section.take_or("server_error", ServerError::Ambiguous);
        let receipts = section.section("receipts").and_then(|mut receipts| {
            let (endpoint, request_id) = (Endpoint::read(&mut receipts, "GET"), receipts.take("request_id"));
            let (receipt_number, received_at) = (receipts.take("receipt_number"), receipts.take("received_at"));
            Some(ReceiptRule {
                endpoint: endpoint?,
                request_id: request_id?,
                receipt_number: receipt_number?,
                received_at: received_at?,
            })
        });
        let operations = section.optional_section("operations").and_then(|listed| {
            let Some(mut listed) = listed else { return Some(Vec::new()) };
            let mut operations = Vec::new();
            for operation in Operation::COMMANDS.into_iter().chain(Operation::REQUESTS) {
                match listed.optional_section(operation.as_str()) {
                    None => operations.push(None),
                    Some(None) => {}
                    Some(Some(section)) => operations.push(read_operation(operation, section, items)),
                }
            }
            operations.into_iter().collect::<Option<Vec<_>>>()
        });
        let forwards = section.optional_section("forward").and_then(|listed| {
            let Some(mut listed) = listed else { return Some(BTreeMap::new()) };
            let mut forwards = Vec::new();
            for kind in ForwardKind::ALL {
                match listed.optional_section(kind.as_str()) {
                    None => forwards.push(None),
                    Some(None) => {}
                    Some(Some(section)) => {
                        let rule = read_operation(Operation::Forward, section, items);
                        if let Some((rule, items)) = rule.as_ref().zip(items) {
                            let made = items.readable.iter().find(|item| item.name == rule.creates);
                            let fits = made.is_none_or(|item| kind.fits(item));
                            listed.check(fits, kind.as_str(), format!("`{}` is no item of this kind", rule.creates));
                        }
                        forwards.push(rule.map(|rule| (kind, rule)));
                    }
                }
            }
            forwards.into_iter().collect::<Option<BTreeMap<_, _>>>()
        });
        let forward_number = read_forward_number(&mut section);
        let named = operations.iter().flatten().map(|rule| (format!("operations.{}", rule.operation), rule));
        let forwarded = forwards.iter().flatten().map(|(kind, rule)| (format!("forward.{}", kind.as_str()), rule));
        for (path, rule) in named.chain(forwarded).filter(|_| !in_header) {
            // Without our key the peer can't tell the same command from another.
            let has = rule.body.iter().any(|value| value.sources.contains(&ValueSource::IdempotencyKey));
            let path = format!("{path}.body");
            section.check(has, &path, "must hold $idempotency_key, as there is no `request_id_header`");
        }
        Some(Self {
            request_id_header: request_id_header?,
            server_error: server_error?,
            receipts: receipts?,
            operations: operations?,
            forwards: forwards?,
            forward_number: forward_number?,
        })
    }

    /// The number under which the peer gets an order of another channel; `None` = the template makes no number of it.
    #[must_use]
    pub fn number_of(&self, origin: &OrderNumber) -> Option<SourceNumber> {
        let day = origin.day.to_string().replace('-', "");
        let channel = self.forward_number.replace("{channel}", origin.channel.as_str());
        // The number last: what it holds is not a template.
        let text = channel.replace("{day}", &day).replace("{number}", origin.number.as_str());
        SourceNumber::new(text).ok()
    }

    /// The rule of a command's operation; `None` = the peer does not take it.
    #[must_use]
    pub fn operation(&self, operation: Operation) -> Option<&OperationRule> {
        self.operations.iter().find(|rule| rule.operation == operation)
    }
}

fn read_forward_number(section: &mut Section) -> Option<String> {
    let template = section.take_or("forward_number", "{number}".to_owned())?;
    let known = ["{channel}", "{day}", "{number}"].iter().map(|piece| template.matches(piece).count()).sum::<usize>();
    section.check(
        template.contains("{number}") && template.matches('{').count() == known,
        "forward_number",
        "must hold {number}; besides it only {channel} and {day} have a meaning",
    );
    Some(template)
}

fn read_operation(operation: Operation, mut section: Section, items: Option<&ItemsRead>) -> Option<OperationRule> {
    let method = section.take_or("method", "POST".to_owned());
    let path = read_path(&mut section, "path");
    let service = section.take_or("service", String::new());
    let ask_by = section.take::<AskBy>("ask_by");
    let already_submitted = section.take_or("already_submitted", AlreadySubmitted::Ambiguous);
    let required = section.take_or::<Vec<String>>("required", Vec::new());
    let creates = section.take::<String>("creates");
    let item =
        creates.as_ref().zip(items).and_then(|(name, items)| items.readable.iter().find(|item| item.name == *name));
    let body = section.section("body").and_then(|section| read_values(section, item));
    let element = section.section("element").and_then(|section| read_values(section, item));
    section.check(
        method.as_ref().is_none_or(|method| matches!(method.as_str(), "POST" | "PUT" | "PATCH")),
        "method",
        "must be POST, PUT or PATCH",
    );
    if let Some(path) = &path {
        section.check(
            path.matches('{').count() == path.matches("{number}").count(),
            "path",
            "only {number} has a meaning",
        );
    }
    if let (Some(path), Some(body)) = (&path, &body) {
        let named = path.contains("{number}") || body.iter().any(|value| value.sources.contains(&ValueSource::Number));
        section.check(named, "path", "must hold {number}, or the body $number");
    }
    if let (Some(body), Some(required)) = (&body, &required) {
        for wire in required {
            section.check(
                body.iter().any(|value| value.wire == *wire),
                "required",
                format!("`{wire}` is not in the body"),
            );
        }
    }
    if let (Some(items), Some(creates), Some(element)) = (items, &creates, &element) {
        section.check(items.names.contains(creates), "creates", format!("there is no item `{creates}`"));
        if let Some(item) = item {
            check_element(&section, item, element);
        }
    }
    Some(OperationRule {
        operation,
        method: method?,
        path: path?,
        service: service?,
        ask_by: ask_by?,
        already_submitted: already_submitted?,
        body: body?,
        required: required?,
        creates: creates?,
        element: element?,
    })
}

// The echo is recognised by key and digest, so both must be complete.
fn check_element(section: &Section, item: &ItemRule, element: &[ValueRule]) {
    let part = match &item.part {
        PartRule::Fixed(_) => None,
        PartRule::Cycle(field) | PartRule::Event(field) => Some(field),
    };
    for wire in item.compared.iter().chain(part).chain([&item.event_time]) {
        let there = element.iter().any(|value| value.wire == *wire);
        section.check(there, "element", format!("`{wire}` of item `{}` is missing", item.name));
    }
}

fn read_values(mut section: Section, item: Option<&ItemRule>) -> Option<Vec<ValueRule>> {
    let read: Vec<_> = section
        .keys()
        .into_iter()
        .map(|wire| {
            let text = section.take::<String>(&wire)?;
            let sources = text
                .split('|')
                .map(|source| read_source(&section, &wire, source.trim(), item))
                .collect::<Option<_>>()?;
            Some(ValueRule { wire, sources })
        })
        .collect();
    read.into_iter().collect()
}

pub(super) fn read_source(section: &Section, wire: &str, text: &str, item: Option<&ItemRule>) -> Option<ValueSource> {
    match text {
        "$round" => Some(ValueSource::Round),
        "$event_time" => Some(ValueSource::EventTime),
        "$idempotency_key" => Some(ValueSource::IdempotencyKey),
        "$number" => Some(ValueSource::Number),
        "$event_id" => Some(ValueSource::EventId),
        "$cycle" => Some(ValueSource::Cycle),
        _ => {
            if let Some(literal) = text.strip_prefix('=') {
                return Some(ValueSource::Literal(literal.to_owned()));
            }
            match text.parse::<Field>() {
                Ok(field) if matches!(field.kind(), FieldKind::Text | FieldKind::Number | FieldKind::Time) => {
                    Some(ValueSource::Field(field))
                }
                Ok(field) => match item.map(|item| item.codes_of(field)) {
                    Some(Some(table)) => Some(ValueSource::Code(field, table.to_owned())),
                    Some(None) => {
                        section.mistake(wire, format!("`{field}` is a code, and the item has no table for it"));
                        None
                    }
                    // What is wrong with the item is told where it stands.
                    None => None,
                },
                Err(_) => {
                    section.mistake(
                        wire,
                        format!(
                            "`{text}` is neither a canonical field, nor =text, $round, $event_time, $idempotency_key, $number, $event_id, $cycle"
                        ),
                    );
                    None
                }
            }
        }
    }
}
