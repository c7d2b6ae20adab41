//! The bureau's system, in the conformance suite's default dress.

use connector_bureau::KIND;
use gateway_connector::conformance::platform::{self, Book, Contract, Platform};
use gateway_connector::conformance::{ChannelUnderTest, Fault};
use gateway_connector::wire::ProfileSource;
use gateway_connector::{Connector, OutboundDelivery, WebhookRequest};
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
        let [connector, unreachable] = platform.connect(KIND, "bureau", &profile, &platform::credentials()).await;
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
        ["handled", "dispatched", "odd_codes"].map(|name| crate::fixture(name).into_bytes()).to_vec()
    }

    fn push_body(&self) -> Option<Vec<u8>> {
        let record: Value = serde_json::from_str(&crate::fixture("handled")).unwrap();
        Some(json!({"pushId": "p1", "kind": "order", "records": [record]}).to_string().into_bytes())
    }

    fn secrets(&self) -> usize {
        2
    }

    fn push(&self, secret: usize, at: Timestamp, nonce: &str, body: &[u8]) -> WebhookRequest {
        platform::push("bureau", secret, at, nonce, body)
    }

    fn required_headers(&self) -> Vec<String> {
        platform::push_headers()
    }

    fn skew(&self) -> Duration {
        Duration::from_secs(300)
    }

    fn deliveries(&self) -> Vec<OutboundDelivery> {
        dispatches().into_iter().map(|(_, dispatch)| dispatch).chain([assignment()]).collect()
    }

    // Written from the contract alone, not from the profile.
    fn record_after(&self, delivery: &OutboundDelivery) -> Vec<u8> {
        let mut record: Value = serde_json::from_str(&crate::fixture("dispatched")).unwrap();
        record["orderNo"] = delivery.number.number.as_str().into();
        record["createTime"] = "2026-11-23 09:00:01".into();
        let done = match (delivery.dataset, &delivery.part) {
            _ if delivery.operation == Operation::Assign => json!({"units": [{
                "unitTask": "d17-1", "unit": "客运管理处", "role": "2", "state": "20", "dispatchTime": "2026-11-23 10:00:00", "round": 1,
            }]}),
            (Dataset::Acceptance, _) => json!({
                "orderType": "04", "category": "交通运输/出租车管理/拒载", "title": "举报拒载", "content": "第一行\n第二行\t制表",
                "sourceType": "phone", "address": null, "occurTime": "2026-11-22", "urgency": "1", "isSecret": "0", "isAnonymous": "1",
            }),
            (Dataset::Handling, Part::Cycle(_)) => json!({"upstream": [{
                "source": "upstream", "time": "2026-11-23 09:00:01", "state": "20", "unit": "市交通运输局", "deadline": "2026-12-14 23:59:59", "round": 1,
            }]}),
            (Dataset::Handling, Part::Event(_)) => {
                json!({"events": [{"eventId": "E17", "kind": "urge", "time": "2026-11-23 09:10:00", "text": "请尽快"}]})
            }
            _ => {
                json!({"visits": [{"visitNo": 2, "round": 1, "visitTime": "2026-11-25 09:20:00", "connected": "1", "satisfaction": "4", "isSolved": "0", "opinion": ""}]})
            }
        };
        for (name, value) in done.as_object().unwrap() {
            record[name] = value.clone();
        }
        record.to_string().into_bytes()
    }

    fn fill(&self, count: usize, together: usize) -> Vec<SourceNumber> {
        self.platform.fill("GZ", count, together, |place, number, time| {
            // Of some the task is not there yet.
            let state = if place % 3 > 0 { Value::from("20") } else { Value::Null };
            json!({"orderNo": number, "createTime": time, "updateTime": time, "orderType": "03", "round": 0, "state": state})
        })
    }

    fn drift(&self) {
        self.platform.drift();
    }

    fn fail_next(&self, fault: Fault) {
        self.platform.fail_next(fault);
    }
}

/// A further unit, named by a person.
pub(crate) fn assignment() -> OutboundDelivery {
    let part = Part::Event(EventId::new("0b6e4f0e-7f0a-8000-8000-000000000001").unwrap());
    let fields = [
        (Field::HandlingUnit, "客运管理处".into()),
        (Field::UnitRole, "assisting".into()),
        (Field::EventText, "请协助核查行程".into()),
        (Field::Operator, "王工".into()),
    ];
    let at = "2026-11-23T10:00:00+08:00";
    delivery(Operation::Assign, Dataset::Handling, part, at, fields.into_iter().collect())
}

/// One dispatch of each kind, with the last part of its path.
pub(crate) fn dispatches() -> Vec<(&'static str, OutboundDelivery)> {
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
        (Field::State, "dispatched".into()),
        (Field::HandlingUnit, "市交通运输局".into()),
        (Field::DeadlineAt, time("2026-12-14T23:59:59+08:00")),
        (Field::Round, FieldValue::Number(1)),
    ];
    let event = [(Field::EventKind, "urge".into()), (Field::EventText, "请尽快".into())];
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
        ("dispatch", forward(Dataset::Acceptance, Part::Cycle(0), accepted, acceptance.into())),
        ("upstream", forward(Dataset::Handling, Part::Cycle(0), accepted, state.into())),
        ("event", forward(Dataset::Handling, event_part, happened, event.into())),
        ("visit", forward(Dataset::Evaluation, Part::Cycle(2), "2026-11-25T09:20:00+08:00", visit.into())),
    ]
}

fn delivery(operation: Operation, dataset: Dataset, part: Part, event_time: &str, fields: Fields) -> OutboundDelivery {
    OutboundDelivery {
        id: DeliveryId(17),
        order_id: OrderId::new(at(NOW)),
        number: OrderNumber {
            channel: ChannelId::new("bureau").unwrap(),
            number: SourceNumber::new("municipal-12345-GZ20261123000001").unwrap(),
            day: "2026-11-23".parse().unwrap(),
        },
        from: ChannelId::new("municipal-12345").unwrap(),
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
