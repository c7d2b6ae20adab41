//! The taxi platform of the conformance suite's default dress, with cars and pictures.

use connector_taxi_qr::KIND;
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

const PICTURE: &[u8] = b"\xff\xd8\xff\xe0 {\"code\":1404} \xff\xd9";

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
        "qrCodeId",
        "plateNo",
        "plateColor",
        "companyName",
        "tripFrom",
        "tripTo",
        "pickup",
        "dropoff",
        "pictures",
    ],
    files: &[("p/%E7%85%A7%E7%89%87%201.jpg", PICTURE)],
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
        let [connector, unreachable] = platform.connect(KIND, "taxi-qr", &profile, &platform::credentials()).await;
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
        let plates = crate::golden::PLATES.into_iter();
        plates.chain(["plain", "odd_codes", "partial_event"]).map(|name| crate::fixture(name).into_bytes()).collect()
    }

    fn push_body(&self) -> Option<Vec<u8>> {
        let record: Value = serde_json::from_str(&crate::fixture("plain")).unwrap();
        Some(json!({"pushId": "p1", "kind": "order", "records": [record]}).to_string().into_bytes())
    }

    fn secrets(&self) -> usize {
        2
    }

    fn push(&self, secret: usize, at: Timestamp, nonce: &str, body: &[u8]) -> WebhookRequest {
        platform::push("taxi-qr", secret, at, nonce, body)
    }

    fn required_headers(&self) -> Vec<String> {
        platform::push_headers()
    }

    fn skew(&self) -> Duration {
        Duration::from_secs(300)
    }

    fn deliveries(&self) -> Vec<OutboundDelivery> {
        Operation::COMMANDS.into_iter().map(delivery).chain(forwards()).collect()
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
            Operation::Forward if delivery.dataset == Dataset::Completion => (
                "completions",
                json!({"round": 1, "replyContent": "已处理", "replyTime": "2026-11-24", "replyUnit": "市交通运输局"}),
            ),
            Operation::Extend | Operation::Appeal | Operation::Assign => unreachable!("it takes none"),
            Operation::Forward => {
                ("events", json!({"eventId": "B7", "kind": "sign", "time": "2026-11-23 09:30:00", "text": "已签收"}))
            }
        };
        record[list].as_array_mut().unwrap().push(element);
        record.to_string().into_bytes()
    }

    fn fill(&self, count: usize, together: usize) -> Vec<SourceNumber> {
        self.platform.fill("QR", count, together, |_, number, time| {
            json!({"orderNo": number, "createTime": time, "updateTime": time, "plateNo": "粤A12345", "state": "20", "round": 0})
        })
    }

    fn drift(&self) {
        self.platform.drift();
    }

    fn fail_next(&self, fault: Fault) {
        self.platform.fail_next(fault);
    }

    fn attachment(&self) -> Option<(String, Vec<u8>)> {
        Some(("p/照片 1.jpg".to_owned(), PICTURE.to_vec()))
    }

    fn requests(&self) -> usize {
        self.book().requests.len()
    }
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
        _ => {}
    }
    OutboundDelivery {
        id: DeliveryId(17),
        order_id: OrderId::new(at(NOW)),
        number: OrderNumber {
            channel: ChannelId::new("taxi-qr").unwrap(),
            number: SourceNumber::new("QR20261123000001").unwrap(),
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

/// Progress and result, as the bureau's channel says them.
pub(crate) fn forwards() -> [OutboundDelivery; 2] {
    let forward = |dataset, part, at: &str, fields: Vec<(Field, FieldValue)>| OutboundDelivery {
        from: ChannelId::new("bureau").unwrap(),
        dataset,
        part,
        event_time: parse_moment(at).unwrap(),
        fields: fields.into_iter().collect(),
        ..delivery(Operation::Forward)
    };
    let signed = vec![(Field::EventKind, "sign".into()), (Field::EventText, "已签收".into())];
    let replied = vec![
        (Field::ReplyText, "已处理".into()),
        (Field::ReplyUnit, "市交通运输局".into()),
        (Field::RepliedAt, FieldValue::Time(parse_moment("2026-11-24").unwrap())),
    ];
    let event = Part::Event(EventId::new("B7").unwrap());
    [
        forward(Dataset::Handling, event, "2026-11-23T09:30:00+08:00", signed),
        forward(Dataset::Completion, Part::Cycle(1), "2026-11-24", replied),
    ]
}
