//! The provincial centre, in the conformance suite's default dress; it pushes nothing.

use connector_provincial_12328::KIND;
use gateway_connector::conformance::platform::{self, Book, Contract, Platform};
use gateway_connector::conformance::{ChannelUnderTest, Fault};
use gateway_connector::wire::ProfileSource;
use gateway_connector::{Connector, Credentials, OutboundDelivery, WebhookRequest};
use gateway_model::{
    ChannelId, Dataset, DeliveryId, EventId, Field, FieldValue, Fields, Operation, OrderId, OrderNumber, Part,
    SourceNumber, Timestamp, parse_moment,
};
use serde_json::{Value, json};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

pub(crate) use gateway_connector::conformance::platform::{NOW, at};

const CONTRACT: Contract = Contract {
    acceptance: &[
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
    ],
    files: &[],
};

pub(crate) struct Fake {
    platform: Platform,
    pub(crate) connector: Arc<dyn Connector>,
    unreachable: Arc<dyn Connector>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        Self::start_with(ProfileSource::Default).await
    }

    pub(crate) async fn start_with(profile: ProfileSource) -> Self {
        let platform = Platform::start(CONTRACT).await;
        let [connector, unreachable] = platform
            .connect(
                KIND,
                "provincial-12328",
                &profile,
                &Credentials { webhook_secrets: Vec::new(), ..platform::credentials() },
            )
            .await;
        Self { platform, connector, unreachable }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.platform.book()
    }
}

impl ChannelUnderTest for Fake {
    fn connector(&self) -> &dyn Connector {
        self.connector.as_ref()
    }

    fn unreachable(&self) -> &dyn Connector {
        self.unreachable.as_ref()
    }

    fn now(&self) -> Timestamp {
        self.platform.now()
    }

    fn records(&self) -> Vec<Vec<u8>> {
        ["uploaded", "without_state", "spot_check", "odd_codes"].map(|name| crate::fixture(name).into_bytes()).to_vec()
    }

    // The province pushes nothing.
    fn push_body(&self) -> Option<Vec<u8>> {
        None
    }

    fn secrets(&self) -> usize {
        0
    }

    fn push(&self, _secret: usize, _at: Timestamp, _nonce: &str, _body: &[u8]) -> WebhookRequest {
        unreachable!("the province pushes nothing")
    }

    fn required_headers(&self) -> Vec<String> {
        Vec::new()
    }

    fn skew(&self) -> Duration {
        Duration::from_secs(300)
    }

    fn deliveries(&self) -> Vec<OutboundDelivery> {
        let commands = Operation::COMMANDS.into_iter().chain([Operation::Extend, Operation::Appeal]).map(command);
        uploads().into_iter().map(|(_, upload)| upload).chain(commands).collect()
    }

    // Written from the contract alone, not from the profile.
    fn record_after(&self, delivery: &OutboundDelivery) -> Vec<u8> {
        let mut record: Value = serde_json::from_str(&crate::fixture("without_state")).unwrap();
        record["orderNo"] = delivery.number.number.as_str().into();
        record["createTime"] = "2026-11-23 09:00:01".into();
        let done = match delivery.operation {
            Operation::Sign => {
                json!({"events": [{"eventId": "d17-1", "kind": "sign", "time": "2026-11-23 09:30:00", "text": null}]})
            }
            Operation::Reply => {
                json!({"completions": [{"round": 1, "replyContent": "已责成\t企业整改。\n谢谢", "replyTime": "2026-11-23", "replyUnit": "市交通运输局"}]})
            }
            Operation::Refuse => {
                json!({"events": [{"eventId": "d17-1", "kind": "refuse", "time": "2026-11-23 09:30:00", "text": "不属本单位职责"}]})
            }
            Operation::Complete => {
                json!({"events": [{"eventId": "d17-1", "kind": "complete", "time": "2026-11-23 09:30:00"}]})
            }
            Operation::Extend => {
                json!({"events": [{"eventId": "d17-1", "kind": "extension", "time": "2026-11-23 09:30:00", "text": "需会同外市核查", "until": "2026-12-24 23:59:59"}]})
            }
            Operation::Appeal => {
                json!({"events": [{"eventId": "d17-1", "kind": "appeal", "time": "2026-11-23 09:30:00", "text": "已按规定办理", "ground": "2"}]})
            }
            Operation::Assign => unreachable!("the province takes no units"),
            Operation::Forward => match (delivery.dataset, &delivery.part) {
                (Dataset::Acceptance, _) => json!({
                    "orderType": "2", "category": "交通运输/出租车管理/拒载", "title": "举报拒载", "content": "第一行\n第二行\t制表",
                    "sourceType": "phone", "address": null, "occurTime": "2026-11-22", "urgency": "1", "isSecret": "0", "isAnonymous": "1",
                }),
                (Dataset::Handling, Part::Cycle(_)) => {
                    json!({"state": "30", "unit": "市交通运输局", "deadline": "2026-12-14 23:59:59", "round": 1})
                }
                (Dataset::Handling, Part::Event(_)) => {
                    json!({"events": [{"eventId": "E17", "kind": "urge", "time": "2026-11-23 09:10:00", "text": "请尽快"}]})
                }
                (Dataset::Completion, _) => {
                    json!({"completions": [{"round": 1, "replyContent": "已处理", "replyTime": "2026-11-24", "replyUnit": "市交通运输局"}]})
                }
                _ => {
                    json!({"visits": [{"visitNo": 2, "round": 1, "visitTime": "2026-11-25 09:20:00", "connected": "1", "satisfaction": "4", "isSolved": "0", "opinion": ""}]})
                }
            },
        };
        for (name, value) in done.as_object().unwrap() {
            record[name] = value.clone();
        }
        record.to_string().into_bytes()
    }

    fn fill(&self, count: usize, together: usize) -> Vec<SourceNumber> {
        self.platform.fill("GZ", count, together, |place, number, time| {
            // Of some the city has told no state yet.
            let state = if place % 3 > 0 { Value::from("20") } else { Value::Null };
            json!({"orderNo": number, "createTime": time, "updateTime": time, "orderType": "2", "round": 0, "state": state})
        })
    }

    fn drift(&self) {
        self.platform.drift();
    }

    fn fail_next(&self, fault: Fault) {
        self.platform.fail_next(fault);
    }
}

pub(crate) fn command(operation: Operation) -> OutboundDelivery {
    let mut fields = Fields::new();
    fields.set(Field::Operator, "王工".into());
    match operation {
        Operation::Reply => {
            fields.set(Field::ReplyText, "已责成\t企业整改。\n谢谢".into());
            fields.set(Field::ReplyUnit, "市交通运输局".into());
            fields.set(Field::RepliedAt, FieldValue::Time(parse_moment("2026-11-23").unwrap()));
        }
        Operation::Refuse => fields.set(Field::EventText, "不属本单位职责".into()),
        Operation::Extend => {
            fields.set(Field::EventText, "需会同外市核查".into());
            fields.set(Field::ExtendedTo, FieldValue::Time(parse_moment("2026-12-24T23:59:59+08:00").unwrap()));
        }
        Operation::Appeal => {
            fields.set(Field::EventText, "已按规定办理".into());
            fields.set(Field::AppealGround, "overdue".into());
        }
        Operation::Sign | Operation::Complete | Operation::Assign | Operation::Forward => {}
    }
    let dataset = if operation == Operation::Reply { Dataset::Completion } else { Dataset::Handling };
    delivery(operation, dataset, Part::Cycle(1), "2026-11-23T09:30:00+08:00", fields)
}

/// One upload of each kind, with the last part of its path.
pub(crate) fn uploads() -> Vec<(&'static str, OutboundDelivery)> {
    let time = |text: &str| FieldValue::Time(parse_moment(text).unwrap());
    let accepted = "2026-11-23T09:00:01+08:00";
    let acceptance = [
        (Field::OrderType, "report".into()),
        (Field::MatterCategory, "交通运输/出租车管理/拒载".into()),
        (Field::Title, "举报拒载".into()),
        (Field::Content, "第一行\n第二行\t制表".into()),
        (Field::IntakeMethod, "phone".into()),
        (Field::OccurredAt, time("2026-11-22")),
        (Field::Urgency, "ordinary".into()),
        (Field::IsSecret, FieldValue::Flag(false)),
        (Field::IsAnonymous, FieldValue::Flag(true)),
        (Field::AcceptedAt, time(accepted)),
    ];
    let state = [
        (Field::State, "signed".into()),
        (Field::HandlingUnit, "市交通运输局".into()),
        (Field::DeadlineAt, time("2026-12-14T23:59:59+08:00")),
        (Field::Round, FieldValue::Number(1)),
    ];
    let event = [(Field::EventKind, "urge".into()), (Field::EventText, "请尽快".into())];
    let completion = [
        (Field::Round, FieldValue::Number(1)),
        (Field::ReplyText, "已处理".into()),
        (Field::RepliedAt, time("2026-11-24")),
        (Field::ReplyUnit, "市交通运输局".into()),
    ];
    let visit = [
        (Field::VisitNumber, FieldValue::Number(2)),
        (Field::Round, FieldValue::Number(1)),
        (Field::VisitedAt, time("2026-11-25T09:20:00+08:00")),
        (Field::VisitConnected, FieldValue::Flag(true)),
        (Field::Satisfaction, "dissatisfied".into()),
        (Field::IsSolved, FieldValue::Flag(false)),
    ];
    let forward = |dataset, part, at: &str, fields: Vec<(Field, FieldValue)>| {
        delivery(Operation::Forward, dataset, part, at, fields.into_iter().collect())
    };
    let happened = "2026-11-23T09:10:00+08:00";
    let event_part = Part::Event(EventId::new("E17").unwrap());
    vec![
        ("upload_acceptance", forward(Dataset::Acceptance, Part::Cycle(0), accepted, acceptance.into())),
        ("upload_state", forward(Dataset::Handling, Part::Cycle(0), accepted, state.into())),
        ("upload_event", forward(Dataset::Handling, event_part, happened, event.into())),
        ("upload_completion", forward(Dataset::Completion, Part::Cycle(1), "2026-11-24", completion.into())),
        ("upload_visit", forward(Dataset::Evaluation, Part::Cycle(2), "2026-11-25T09:20:00+08:00", visit.into())),
    ]
}

fn delivery(operation: Operation, dataset: Dataset, part: Part, event_time: &str, fields: Fields) -> OutboundDelivery {
    OutboundDelivery {
        id: DeliveryId(17),
        order_id: OrderId::new(at(NOW)),
        number: OrderNumber {
            channel: ChannelId::new("provincial-12328").unwrap(),
            number: SourceNumber::new("municipal-12345-GZ20261123000001").unwrap(),
            day: "2026-11-23".parse().unwrap(),
        },
        from: ChannelId::new(if operation == Operation::Forward { "municipal-12345" } else { "desk" }).unwrap(),
        operation,
        dataset,
        part,
        round: 1,
        event_time: parse_moment(event_time).unwrap(),
        fields,
        generation: 1,
        idempotency_key: "d17-1".to_owned(),
    }
}
