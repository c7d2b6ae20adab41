//! What a handling system says of its work is asked of the platform whose order it is: as which operation, in which order, guarded by what, and again when.

use crate::peer::{Peer, Wire, ms, whole};
use crate::world::{Record, World, command, desk, peer};
use async_trait::async_trait;
use gateway_connector::{
    Connector, Descriptor, NormalizeError, Normalizer, OutboundDelivery, Outcome, PreparedDelivery, Reason,
    RequestError, Sink,
};
use gateway_model::{
    AskBy, AuthorityTable, Change, ChannelId, CommandState, Dataset, DeliveryId, DeliveryState, Field, Operation,
    OrderNumber, Origin, Part, SourceNumber, Timestamp,
};
use gateway_pipeline::{ContentKey, Decider, Defences, Normalizers, Route, Routes};
use gateway_store::{AttemptResult, AttemptStart, DeliveryRow, DeliveryStore};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A platform that takes operations and nothing else, or a bureau that takes items and handles orders.
struct Side {
    peer: Peer,
    handles: bool,
}

impl Normalizer for Side {
    fn normalize(&self, body: &[u8], received_at: Timestamp) -> Result<Vec<Change>, NormalizeError> {
        let mut changes = self.peer.normalize(body, received_at)?;
        // What an event says is its kind, and its round after a blank.
        for change in changes.iter_mut().filter(|change| matches!(change.part, Part::Event(_))) {
            let text = change.fields.text(Field::EventText).unwrap_or_default().to_owned();
            let (kind, round) = text.split_once(' ').unwrap_or((&text, "0"));
            change.fields.set(Field::EventKind, kind.into());
            change.fields.set(Field::Round, gateway_model::FieldValue::Number(round.parse().unwrap_or(0)));
        }
        Ok(changes)
    }
    fn record_is_whole(&self) -> bool {
        true
    }
    fn handles_orders(&self) -> bool {
        self.handles
    }
    fn projection_version(&self) -> u32 {
        1
    }
}

#[async_trait]
impl Connector for Side {
    fn descriptor(&self) -> &Descriptor {
        self.peer.descriptor()
    }
    fn normalizer(&self) -> &dyn Normalizer {
        self
    }
    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }
    async fn check_connectivity(&self) -> Result<(), RequestError> {
        Ok(())
    }
}

#[async_trait]
impl Sink for Side {
    fn forwards(&self, _dataset: Dataset, _part: &Part) -> bool {
        self.handles
    }
    fn takes(&self, operation: Operation) -> bool {
        self.handles == (operation == Operation::Assign)
    }
    fn forward_number(&self, origin: &OrderNumber) -> Option<SourceNumber> {
        SourceNumber::new(format!("{}-{}", origin.channel, origin.number)).ok()
    }
    fn prepare(&self, _delivery: &OutboundDelivery) -> Result<PreparedDelivery, Reason> {
        Err(Reason::new("test", "nothing is sent here"))
    }
    async fn deliver(&self, _delivery: &OutboundDelivery) -> Outcome {
        Outcome::Ambiguous(Reason::new("test", "nothing is sent here"))
    }
    async fn find_outcome(&self, _: &OutboundDelivery) -> Result<Option<gateway_model::Receipt>, RequestError> {
        Ok(None)
    }
}

fn bureau() -> ChannelId {
    ChannelId::new("bureau").unwrap()
}

async fn world() -> World {
    let side = |handles| Arc::new(Side { peer: Peer::new(), handles }) as Arc<dyn Connector>;
    let route =
        |from, to, datasets: &[Dataset]| Route { from, to, datasets: datasets.to_vec(), person_fields: Vec::new() };
    let routes = vec![
        route(peer(), bureau(), &[Dataset::Acceptance, Dataset::Handling]),
        route(bureau(), peer(), &[Dataset::Handling, Dataset::Completion]),
    ];
    let mut world = World::new().await;
    world.decider = Arc::new(Decider {
        normalizers: Normalizers::new([(peer(), side(false)), (bureau(), side(true))]),
        routes: Routes::new(routes).unwrap(),
        authority: AuthorityTable { default: vec![peer()], fields: BTreeMap::new() },
        content_key: ContentKey::new(&[7; 32]),
        rereadable: BTreeSet::new(),
        future_tolerance_ms: 600_000,
        settle_ms: 2_000,
        verifying: None,
        defences: Defences::default(),
    });
    world
}

fn platform_says(at: i64, state: &str) -> Record {
    Record::poll(at, &whole("N1", at, &[("acceptance/c0", "a"), ("handling/c0", state)]))
}

fn bureau_record(at: i64, items: &[(&str, &str)]) -> Wire {
    whole("peer-N1", at, items)
}

fn bureau_says(at: i64, items: &[(&str, &str)]) -> Record {
    Record::poll(at, &bureau_record(at, items)).from(bureau())
}

/// What was asked of the platform, oldest first.
async fn asked(world: &World) -> Vec<DeliveryRow> {
    let mut rows = world.deliveries("N1").await;
    rows.retain(|row| row.destination == peer());
    rows.sort_by_key(|row| row.id);
    rows
}

async fn shown(world: &World) -> Vec<(Operation, u32, DeliveryState)> {
    asked(world).await.into_iter().map(|row| (row.operation, row.round, row.state)).collect()
}

async fn end(world: &World, id: DeliveryId, at: i64, state: DeliveryState, code: Option<&str>) {
    let item = crate::peer::item("handling/e:x", "x");
    let item = item.book_item(&crate::peer::number("N1"), crate::peer::day(crate::peer::DAY));
    let start = AttemptStart { id, item, projection_version: 1, ask_by: AskBy::Receipt, at: ms(at) };
    world.store.begin_attempts(&[start], None).await.unwrap();
    let result = AttemptResult {
        id,
        state,
        receipt: None,
        reason_code: code.map(str::to_owned),
        reason: code.map(str::to_owned),
        unanswered: false,
        next_attempt_at: ms(at),
        at: ms(at),
    };
    world.store.end_attempts(&[result], None).await.unwrap();
}

#[tokio::test]
async fn what_one_record_says_is_asked_in_the_order_of_an_orders_life() {
    let mut world = world().await;
    world.one(platform_says(1, "dispatched 0")).await;
    let items =
        [("handling/e:3", "complete"), ("completion/c0", "done"), ("handling/e:1", "sign"), ("handling/e:2", "urge")];
    world.one(bureau_says(10, &items)).await;
    let owed = DeliveryState::Owed;
    assert_eq!(
        shown(&world).await,
        [(Operation::Sign, 0, owed), (Operation::Reply, 0, owed), (Operation::Complete, 0, owed)]
    );
    let rows = asked(&world).await;
    assert!(rows.iter().all(|row| row.from == bureau() && row.command_id.is_none()));
    // Read again, it is not asked again.
    world.one(Record::new(Origin::Backfill, 20, &bureau_record(10, &items)).from(bureau())).await;
    assert_eq!(asked(&world).await.len(), 3);
}

#[tokio::test]
async fn what_makes_no_sense_there_is_rejected_with_the_reason_and_not_sent() {
    let mut world = world().await;
    world.one(platform_says(1, "withdrawn 0")).await;
    world.one(bureau_says(10, &[("handling/e:1", "sign")])).await;
    let rows = asked(&world).await;
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].state, rows[0].attempts), (DeliveryState::Rejected, 0));
    assert_eq!(rows[0].reason_code.as_deref(), Some("state_does_not_allow"));
    assert!(rows[0].reason.as_deref().unwrap().contains("withdrawn"), "{:?}", rows[0].reason);
    // Of another round than the platform is in, too.
    world.one(platform_says(20, "dispatched 1")).await;
    world.one(bureau_says(30, &[("handling/e:1", "sign"), ("handling/e:9", "sign 0")])).await;
    assert!(asked(&world).await.iter().all(|row| row.state == DeliveryState::Rejected));
    world.one(bureau_says(40, &[("handling/e:2", "sign 1")])).await;
    assert_eq!(shown(&world).await.last(), Some(&(Operation::Sign, 1, DeliveryState::Owed)));
}

#[tokio::test]
async fn what_was_refused_for_the_state_is_asked_again_when_the_state_allows_it() {
    let mut world = world().await;
    world.one(platform_says(1, "dispatched 0")).await;
    world.one(bureau_says(10, &[("handling/e:1", "sign"), ("completion/c0", "done")])).await;
    let ids: Vec<_> = asked(&world).await.iter().map(|row| row.id).collect();
    // The platform lost the sign that it answered, so it refuses the reply.
    end(&world, ids[0], 20, DeliveryState::Rejected, Some("business_1")).await;
    end(&world, ids[1], 21, DeliveryState::Rejected, Some("state_refused")).await;
    world.one(platform_says(30, "dispatched 0")).await;
    assert_eq!(asked(&world).await.len(), 2, "it does not allow it yet");
    world.one(platform_says(40, "signed 0")).await;
    let again = asked(&world).await;
    assert_eq!(again.len(), 3, "the reply alone: the sign was refused for another reason");
    assert_eq!((again[2].operation, again[2].state), (Operation::Reply, DeliveryState::Owed));
    assert_eq!((again[2].raw_id, &again[2].part), (again[1].raw_id, &again[1].part), "the same words");
    world.one(platform_says(50, "signed 0")).await;
    assert_eq!(asked(&world).await.len(), 3, "once");
}

#[tokio::test]
async fn only_the_platform_whose_order_it_is_is_asked() {
    let mut world = world().await;
    world.one(platform_says(1, "dispatched 0")).await;
    let to_bureau = world.deliveries("N1").await;
    assert!(to_bureau.iter().all(|row| row.destination == bureau() && row.operation == Operation::Forward));
    assert_eq!(to_bureau.len(), 2);
    // The platform's own sign is nothing that it asks of the bureau.
    world.one(Record::poll(5, &whole("N1", 5, &[("acceptance/c0", "a"), ("handling/e:P", "sign")]))).await;
    assert!(world.deliveries("N1").await.iter().all(|row| row.operation == Operation::Forward));
}

#[tokio::test]
async fn an_extension_and_an_appeal_are_asked_beside_the_main_line() {
    let mut world = world().await;
    world.one(platform_says(1, "dispatched 0")).await;
    let items = [("handling/e:1", "sign"), ("handling/e:2", "extension"), ("handling/e:3", "extension")];
    world.one(bureau_says(10, &items)).await;
    let owed = DeliveryState::Owed;
    let mut made = shown(&world).await;
    made.sort_by_key(|(operation, ..)| *operation);
    // Each stands for itself: the second takes nothing's place.
    assert_eq!(made, [(Operation::Sign, 0, owed), (Operation::Extend, 0, owed), (Operation::Extend, 0, owed)]);

    // What the order has passed can't be extended; a rating of a round that has passed may still be appealed against.
    world.one(platform_says(20, "dispatched 1")).await;
    world.one(bureau_says(30, &[("handling/e:4", "extension 0"), ("handling/e:5", "appeal 0")])).await;
    let rows = asked(&world).await;
    let of = |operation| rows.iter().rfind(|row| row.operation == operation).unwrap();
    assert_eq!(of(Operation::Extend).state, DeliveryState::Rejected);
    assert_eq!(of(Operation::Extend).reason_code.as_deref(), Some("state_does_not_allow"));
    assert_eq!((of(Operation::Appeal).state, of(Operation::Appeal).round), (owed, 0));
}

#[tokio::test]
async fn an_extension_that_was_refused_by_a_rule_of_the_platform_is_not_asked_again() {
    let mut world = world().await;
    world.one(platform_says(1, "signed 0")).await;
    world.one(bureau_says(10, &[("handling/e:2", "extension")])).await;
    let id = asked(&world).await[0].id;
    end(&world, id, 20, DeliveryState::Rejected, Some("business_1005")).await;
    world.one(platform_says(30, "dispatched 0")).await;
    world.one(platform_says(40, "signed 0")).await;
    assert_eq!(shown(&world).await, [(Operation::Extend, 0, DeliveryState::Rejected)]);
}

/// What a person asks goes to those that take it: more time to the platform whose order it is, a further unit to the bureau that has it.
#[tokio::test]
async fn a_persons_request_is_owed_to_whom_it_concerns_or_refused() {
    let mut world = world().await;
    let mut decider =
        Arc::into_inner(std::mem::replace(&mut world.decider, crate::world::decider(Defences::default())))
            .expect("nobody else has it");
    let route = |to| Route { from: desk(), to, datasets: vec![Dataset::Handling], person_fields: Vec::new() };
    let to_bureau = Route {
        from: peer(),
        to: bureau(),
        datasets: vec![Dataset::Acceptance, Dataset::Handling],
        person_fields: Vec::new(),
    };
    decider.routes = Routes::new(vec![route(bureau()), route(peer()), to_bureau]).unwrap();
    world.decider = Arc::new(decider);
    world.one(platform_says(1, "signed 0")).await;
    let order = world.id("N1").await;
    for (id, operation) in
        [(1, Operation::Extend), (2, Operation::Assign), (3, Operation::Assign), (4, Operation::Reply)]
    {
        let command = command(id, order, operation, 10, "已修复");
        world.one(Record::command(&command)).await;
        assert_eq!(world.verdict(&command).await, Some(CommandState::Applied), "{operation}");
    }
    let rows = world.deliveries("N1").await;
    let made: Vec<_> = rows
        .iter()
        .filter(|row| row.command_id.is_some())
        .map(|row| (row.operation, row.destination.clone(), row.state))
        .collect();
    let owed = DeliveryState::Owed;
    // A reply is of another dataset, which no rule names; two units are two.
    assert_eq!(
        made,
        [(Operation::Extend, peer(), owed), (Operation::Assign, bureau(), owed), (Operation::Assign, bureau(), owed)]
    );
    let event = world.order("N1").await.aggregate.events.into_iter().find(|event| event.channel == desk()).unwrap();
    assert_eq!(event.fields.text(Field::EventKind), Some("extension"));

    // Where nobody takes it, it is refused with the reason, and leaves nothing.
    let mut alone = World::new().await;
    alone.one(platform_says(1, "signed 0")).await;
    let assign = command(9, alone.id("N1").await, Operation::Assign, 10, "");
    alone.one(Record::command(&assign)).await;
    assert_eq!(alone.verdict(&assign).await, Some(CommandState::Refused));
    assert!(alone.order("N1").await.aggregate.events.is_empty());
}
