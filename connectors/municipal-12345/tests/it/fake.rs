//! The municipal platform, in the conformance suite's default dress.

use connector_municipal_12345::KIND;
use gateway_connector::conformance::platform::{self, Book, Contract, Platform};
use gateway_connector::conformance::{ChannelUnderTest, Fault};
use gateway_connector::wire::ProfileSource;
use gateway_connector::{Connector, OutboundDelivery, WebhookRequest};
use gateway_model::{
    ChannelId, Dataset, DeliveryId, Field, FieldValue, Fields, Operation, OrderId, OrderNumber, Part, SourceNumber,
    Timestamp, parse_moment,
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
        let [connector, unreachable] =
            platform.connect(KIND, "municipal-12345", &profile, &platform::credentials()).await;
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
        ["plain", "odd_times", "odd_codes", "number_typed", "partial_event"]
            .map(|name| crate::fixture(name).into_bytes())
            .to_vec()
    }

    fn push_body(&self) -> Option<Vec<u8>> {
        let record: Value = serde_json::from_str(&crate::fixture("plain")).unwrap();
        Some(json!({"pushId": "p1", "kind": "order", "records": [record]}).to_string().into_bytes())
    }

    fn secrets(&self) -> usize {
        2
    }

    fn push(&self, secret: usize, at: Timestamp, nonce: &str, body: &[u8]) -> WebhookRequest {
        platform::push("municipal-12345", secret, at, nonce, body)
    }

    fn required_headers(&self) -> Vec<String> {
        platform::push_headers()
    }

    fn skew(&self) -> Duration {
        Duration::from_secs(300)
    }

    fn deliveries(&self) -> Vec<OutboundDelivery> {
        taken().map(delivery).collect()
    }

    // Written from the contract alone, not from the profile.
    fn record_after(&self, delivery: &OutboundDelivery) -> Vec<u8> {
        let mut record: Value = serde_json::from_str(&crate::fixture("plain")).unwrap();
        record["orderNo"] = delivery.number.number.as_str().into();
        let (list, element) = match delivery.operation {
            Operation::Sign => {
                ("events", json!({"eventId": "d17-1", "kind": "sign", "time": "2026-11-23 09:30:00", "text": null}))
            }
            Operation::Reply => (
                "completions",
                json!({"round": 1, "replyContent": "已责成\t企业整改。\n谢谢", "replyTime": "2026-11-23", "replyUnit": "市交通运输局"}),
            ),
            Operation::Refuse => (
                "events",
                json!({"eventId": "d17-1", "kind": "refuse", "time": "2026-11-23 09:30:00", "text": "不属本单位职责"}),
            ),
            Operation::Complete => {
                ("events", json!({"eventId": "d17-1", "kind": "complete", "time": "2026-11-23 09:30:00"}))
            }
            Operation::Extend => (
                "events",
                json!({"eventId": "d17-1", "kind": "extension", "time": "2026-11-23 09:30:00", "text": "需会同外单位核查", "days": 5}),
            ),
            Operation::Appeal => (
                "events",
                json!({"eventId": "d17-1", "kind": "appeal", "time": "2026-11-23 09:30:00", "text": "已按规定办理", "ground": "1"}),
            ),
            Operation::Assign | Operation::Forward => {
                unreachable!("the platform takes no units and no items of other channels")
            }
        };
        record[list].as_array_mut().unwrap().push(element);
        record.to_string().into_bytes()
    }

    fn fill(&self, count: usize, together: usize) -> Vec<SourceNumber> {
        self.platform.fill("GZ", count, together, |_, number, time| {
            json!({"orderNo": number, "createTime": time, "updateTime": time, "state": "20", "round": 0})
        })
    }

    fn drift(&self) {
        self.platform.drift();
    }

    fn fail_next(&self, fault: Fault) {
        self.platform.fail_next(fault);
    }
}

/// What the platform takes.
pub(crate) fn taken() -> impl Iterator<Item = Operation> {
    Operation::COMMANDS.into_iter().chain([Operation::Extend, Operation::Appeal])
}

pub(crate) fn delivery(operation: Operation) -> OutboundDelivery {
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
            fields.set(Field::EventText, "需会同外单位核查".into());
            fields.set(Field::ExtensionDays, FieldValue::Number(5));
        }
        Operation::Appeal => {
            fields.set(Field::EventText, "已按规定办理".into());
            fields.set(Field::AppealGround, "bad_rating".into());
        }
        Operation::Sign | Operation::Complete | Operation::Assign | Operation::Forward => {}
    }
    OutboundDelivery {
        id: DeliveryId(17),
        order_id: OrderId::new(at(NOW)),
        number: OrderNumber {
            channel: ChannelId::new("municipal-12345").unwrap(),
            number: SourceNumber::new("GZ20261123000001").unwrap(),
            day: "2026-11-23".parse().unwrap(),
        },
        from: ChannelId::new("desk").unwrap(),
        operation,
        dataset: if operation == Operation::Reply { Dataset::Completion } else { Dataset::Handling },
        part: Part::Cycle(1),
        round: 1,
        event_time: parse_moment("2026-11-23T09:30:00+08:00").unwrap(),
        fields,
        generation: 1,
        idempotency_key: "d17-1".to_owned(),
    }
}
