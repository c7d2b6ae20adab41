//! Items of another channel: what is said, and what a destination never sees.

use crate::bench::{Bench, at, config, number, run};
use async_trait::async_trait;
use bytes::Bytes;
use gateway_connector::{
    AttachmentError, AttachmentSource, Connector, Descriptor, NormalizeError, Normalizer, Outcome, Reason, RequestError,
};
use gateway_delivery::{AttachmentAddresses, DeliveryWorker, Origins};
use gateway_model::{
    AddressKey, AttachmentAddress, AttachmentId, Change, ChannelId, Dataset, Day, DeliveryState, Digest, Field,
    FieldValue, Fields, Moment, Operation, OrderId, Part, SourceNumber, Timestamp,
};
use gateway_store::{AttachmentRow, DeliveryStore, IngestStore};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A channel whose records name the flag that is set on the order, and cycle 0 as the only item.
/// Its files are fetched where it is said.
struct Origin(Descriptor, bool);

impl Normalizer for Origin {
    fn normalize(&self, body: &[u8], _received_at: Timestamp) -> Result<Vec<Change>, NormalizeError> {
        let text = std::str::from_utf8(body).map_err(|error| NormalizeError::Undecodable(error.to_string()))?;
        let pictures = if text == "no_pictures" { " ," } else { "p/1.jpg,p/2.jpg" };
        let said = [(Field::ReplyText, FieldValue::from("已处理")), (Field::Pictures, pictures.into())];
        let mut fields: Fields = said.into_iter().collect();
        if let Ok(flag) = text.parse::<Field>() {
            fields.set(flag, FieldValue::Flag(true));
        }
        let person = [(Field::RequesterName, "陈某".into()), (Field::ContactPhone, "13800000000".into())];
        Ok(vec![Change {
            number: SourceNumber::new("N1").unwrap(),
            day: None::<Day>,
            dataset: Dataset::Completion,
            part: Part::Cycle(if text == "other_cycle" { 9 } else { 0 }),
            revision: None,
            event_time: Moment::At(at(-300)),
            digest: Digest([1; 32]),
            fields,
            person: person.into_iter().collect(),
            unmapped: BTreeMap::new(),
            oddities: Vec::new(),
            operation: None,
        }])
    }

    fn projection_version(&self) -> u32 {
        1
    }
}

#[async_trait]
impl Connector for Origin {
    fn descriptor(&self) -> &Descriptor {
        &self.0
    }
    fn normalizer(&self) -> &dyn Normalizer {
        self
    }
    fn attachments(&self) -> Option<&dyn AttachmentSource> {
        self.1.then_some(self)
    }
    async fn check_connectivity(&self) -> Result<(), RequestError> {
        Ok(())
    }
}

#[async_trait]
impl AttachmentSource for Origin {
    async fn fetch(&self, _: &str, _: usize) -> Result<Bytes, AttachmentError> {
        unreachable!("a delivery fetches nothing")
    }
}

fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

fn origins() -> Origins {
    origins_of(true)
}

fn origins_of(fetched: bool) -> Origins {
    let descriptor = Descriptor { kind: "origin", datasets: vec![Dataset::Completion], manifest_grains: Vec::new() };
    // The bench's records come from here.
    Origins::new([(channel("desk"), Arc::new(Origin(descriptor, fetched)) as Arc<dyn Connector>)])
}

async fn forward(bench: &Bench, origins: Origins, body: &str) -> DeliveryState {
    let id = bench.owe_body(1, Operation::Forward, body.as_bytes().to_vec(), Some(number(1))).await;
    let mut deps = bench.deps();
    deps.origins = Arc::new(origins);
    run(&mut DeliveryWorker::new(deps, "me", config()).unwrap()).await.unwrap();
    bench.state(id).await
}

fn persons(bench: &Bench) -> Vec<Field> {
    let sent = bench.destination.sent();
    sent[0].fields.iter().map(|(field, _)| field).filter(|field| field.needs_grant()).collect()
}

#[tokio::test]
async fn the_origins_record_is_read_again_and_says_no_person_without_a_grant() {
    let bench = Bench::new().await;
    assert_eq!(forward(&bench, origins(), "plain").await, DeliveryState::Acknowledged);
    let sent = bench.destination.sent();
    assert_eq!((sent[0].operation, sent[0].event_time), (Operation::Forward, Moment::At(at(-300))));
    assert_eq!(sent[0].fields.text(Field::ReplyText), Some("已处理"));
    assert_eq!(persons(&bench), []);
}

#[tokio::test]
async fn a_grant_is_for_one_destination_and_the_named_fields() {
    let granting = |to: &str| origins().granting(channel("desk"), channel(to), [Field::ContactPhone]);
    let bench = Bench::new().await;
    forward(&bench, granting("municipal-12345"), "plain").await;
    assert_eq!(persons(&bench), [Field::ContactPhone]);
    // On pictures persons can be seen.
    let pictures = origins().granting(channel("desk"), channel("municipal-12345"), [Field::Pictures]);
    let bench = Bench::new().await;
    forward(&bench, pictures, "plain").await;
    assert_eq!(persons(&bench), [Field::Pictures]);
    assert_eq!(bench.destination.sent()[0].fields.text(Field::Pictures), Some("p/1.jpg,p/2.jpg"));
    let bench = Bench::new().await;
    forward(&bench, granting("somebody-else"), "plain").await;
    assert_eq!(persons(&bench), []);
}

#[tokio::test]
async fn secret_and_anonymous_orders_show_nobody_whatever_was_granted() {
    for flag in ["is_secret", "is_anonymous"] {
        let bench = Bench::new().await;
        let both = [Field::ContactPhone, Field::Pictures];
        let granted = origins().granting(channel("desk"), channel("municipal-12345"), both);
        forward(&bench, granted, flag).await;
        assert_eq!(persons(&bench), [], "{flag}");
    }
}

fn addressing(bench: &Bench, origins: Origins, public_url: Option<&str>) -> Origins {
    let (key, valid) = (AddressKey::of_installation(&[7; 32]), Duration::from_secs(90 * 86_400));
    let addresses = AttachmentAddresses::new(key, public_url, valid, bench.store.clone());
    origins.granting(channel("desk"), channel("municipal-12345"), [Field::Pictures]).addressing(addresses)
}

/// The address of a reference of the bench's first order.
fn address(base: &str, reference: &str) -> String {
    address_in(OrderId(uuid::Uuid::from_u128(1)), base, reference)
}

fn address_in(order: OrderId, base: &str, reference: &str) -> String {
    let address = AttachmentAddress {
        id: AttachmentId::of(order, &channel("desk"), reference),
        to: channel("municipal-12345"),
        until: at(90 * 86_400).as_second(),
    };
    AddressKey::of_installation(&[7; 32]).address(base, &address)
}

#[tokio::test]
async fn a_picture_is_told_by_an_address_of_ours() {
    for (public_url, base) in [
        (None, ""),
        (Some("https://gw.example.cn/files/"), "https://gw.example.cn/files"),
        (Some("http://h:1"), "http://h:1"),
    ] {
        let bench = Bench::new().await;
        assert_eq!(
            forward(&bench, addressing(&bench, origins(), public_url), "plain").await,
            DeliveryState::Acknowledged
        );
        let expected = ["p/1.jpg", "p/2.jpg"].map(|reference| address(base, reference)).join(",");
        assert_eq!(bench.destination.sent()[0].fields.text(Field::Pictures), Some(expected.as_str()));
    }
    // Of a channel whose files we do not fetch its own word is all that there is.
    let bench = Bench::new().await;
    forward(&bench, addressing(&bench, origins_of(false), None), "plain").await;
    assert_eq!(bench.destination.sent()[0].fields.text(Field::Pictures), Some("p/1.jpg,p/2.jpg"));
}

#[tokio::test]
async fn who_may_see_no_pictures_gets_no_address_either() {
    for (granted, body) in [(true, "is_secret"), (true, "is_anonymous"), (true, "no_pictures"), (false, "plain")] {
        let bench = Bench::new().await;
        let addresses = AttachmentAddresses::new(
            AddressKey::of_installation(&[7; 32]),
            None,
            Duration::from_secs(1),
            bench.store.clone(),
        );
        let fields = if granted { vec![Field::Pictures] } else { vec![Field::ContactPhone] };
        let origins = origins().granting(channel("desk"), channel("municipal-12345"), fields).addressing(addresses);
        forward(&bench, origins, body).await;
        let sent = bench.destination.sent();
        assert_eq!((sent.len(), sent[0].fields.get(Field::Pictures)), (1, None), "{body}");
    }
}

#[tokio::test]
async fn of_orders_that_are_one_the_files_stay_those_of_the_order_whose_record_it_is() {
    let bench = Bench::new().await;
    let id = bench.owe_body(1, Operation::Forward, b"plain".to_vec(), Some(number(1))).await;
    let raw_id = bench.row(id).await.raw_id;
    let [one, two] = [1, 2].map(|n| OrderId(uuid::Uuid::from_u128(n)));
    let decide = |loaded: gateway_store::Loaded| gateway_store::IngestWrites {
        orders: vec![gateway_store::WorkOrderRow {
            id: two,
            seq: 1,
            feed_seq: loaded.next_feed_seq,
            created_at: at(0),
            changed_at: at(0),
            state: None,
            round: 0,
            fields: Fields::new(),
            conflicts: Vec::new(),
        }],
        // The destination knows the first; the record is of the second.
        aliases: vec![(one, one), (two, one)],
        attachments: ["p/1.jpg", "p/2.jpg"]
            .map(|reference| AttachmentRow::owed(two, channel("desk"), reference, raw_id, at(0)))
            .to_vec(),
        ..gateway_store::IngestWrites::default()
    };
    bench.store.ingest(gateway_store::IngestRequest::default(), &decide).await.unwrap();
    let mut deps = bench.deps();
    deps.origins = Arc::new(addressing(&bench, origins(), None));
    run(&mut DeliveryWorker::new(deps, "me", config()).unwrap()).await.unwrap();
    let expected = ["p/1.jpg", "p/2.jpg"].map(|reference| address_in(two, "", reference)).join(",");
    assert_eq!(bench.destination.sent()[0].fields.text(Field::Pictures), Some(expected.as_str()));
}

#[tokio::test]
async fn what_is_sent_again_much_later_has_the_same_address() {
    let bench = Bench::new().await;
    forward(&bench, addressing(&bench, origins(), Some("http://h")), "plain").await;
    let id = gateway_model::DeliveryId(1);
    bench.set_time(200 * 86_400);
    bench.store.redeliver(id, at(200 * 86_400)).await.unwrap();
    let mut deps = bench.deps();
    deps.origins = Arc::new(addressing(&bench, origins(), Some("http://h")));
    run(&mut DeliveryWorker::new(deps, "me", config()).unwrap()).await.unwrap();
    let sent = bench.destination.sent();
    assert_eq!((sent[0].generation, sent[1].generation), (1, 2));
    assert_eq!(sent[0].fields, sent[1].fields);
}

#[tokio::test]
async fn what_can_not_be_read_again_is_a_dead_letter_that_says_why() {
    for (origins, body, code) in
        [(origins(), "other_cycle", "content"), (Origins::default(), "plain", "unknown_origin")]
    {
        let bench = Bench::new().await;
        assert_eq!(forward(&bench, origins, body).await, DeliveryState::DeadLettered);
        assert_eq!(bench.destination.sent().len(), 0);
        let id = gateway_model::DeliveryId(1);
        assert_eq!(bench.row(id).await.reason_code.as_deref(), Some(code));
    }
}

#[tokio::test]
async fn an_item_of_an_order_that_is_not_there_yet_waits_for_its_acceptance() {
    let unknown = || Outcome::Rejected(Reason::new("unknown_order", "the platform answered 1002"));
    let bench = Bench::new().await;
    bench.destination.answers_attempts([unknown(), unknown()]);
    assert_eq!(forward(&bench, origins(), "plain").await, DeliveryState::Owed);
    let id = gateway_model::DeliveryId(1);
    assert_eq!(bench.row(id).await.reason_code.as_deref(), Some("unknown_order"));
    let mut deps = bench.deps();
    deps.origins = Arc::new(origins());
    let mut worker = DeliveryWorker::new(deps, "me", config()).unwrap();
    let mut minutes = 0;
    while bench.state(id).await == DeliveryState::Owed {
        minutes += 1;
        bench.set_time(minutes * 60);
        run(&mut worker).await.unwrap();
    }
    assert_eq!(bench.state(id).await, DeliveryState::Acknowledged);
    assert_eq!(bench.destination.sent().len(), 3);

    // A command on an order that is unknown there is refused for good.
    let bench = Bench::new().await;
    bench.destination.answers_attempts([unknown()]);
    let id = bench.owe(1, Operation::Sign).await;
    run(&mut bench.worker()).await.unwrap();
    assert_eq!(bench.state(id).await, DeliveryState::Rejected);
}
