//! What one channel states is owed to others: numbers, superseding, and whose word comes back.

use crate::peer::{DAY, Peer, Wire, day, item, ms, number, whole};
use crate::world::{Record, World, command, desk, peer};
use async_trait::async_trait;
use gateway_connector::{
    Connector, Descriptor, Normalizer, OutboundDelivery, Outcome, PreparedDelivery, Reason, RequestError, Sink,
};
use gateway_model::{
    AskBy, AuthorityTable, BookSide, ChannelId, Dataset, DeliveryId, DeliveryState, Operation, OrderNumber, Origin,
    Part, Receipt, ReceiptSource, SourceNumber,
};
use gateway_pipeline::{ContentKey, Decider, Defences, Normalizers, Route, Routes};
use gateway_store::{AttemptResult, AttemptStart, BookStore, DeliveryRow, DeliveryStore};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A channel that takes every item but events, under numbers made of the origin's.
struct Taker(Peer);

#[async_trait]
impl Connector for Taker {
    fn descriptor(&self) -> &Descriptor {
        self.0.descriptor()
    }
    fn normalizer(&self) -> &dyn Normalizer {
        &self.0
    }
    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }
    async fn check_connectivity(&self) -> Result<(), RequestError> {
        Ok(())
    }
}

#[async_trait]
impl Sink for Taker {
    fn forwards(&self, _dataset: Dataset, part: &Part) -> bool {
        matches!(part, Part::Cycle(_))
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
    async fn find_outcome(&self, _delivery: &OutboundDelivery) -> Result<Option<Receipt>, RequestError> {
        Ok(None)
    }
}

pub fn province() -> ChannelId {
    ChannelId::new("province").unwrap()
}

pub fn route(from: ChannelId, to: ChannelId) -> Route {
    let datasets = vec![Dataset::Acceptance, Dataset::Handling, Dataset::Completion];
    Route { from, datasets, to, person_fields: Vec::new() }
}

pub async fn world(routes: Vec<Route>) -> World {
    let channels = [
        (peer(), Arc::new(Taker(Peer::new())) as Arc<dyn Connector>),
        (province(), Arc::new(Taker(Peer::new())) as Arc<dyn Connector>),
    ];
    let mut world = World::new().await;
    world.decider = Arc::new(Decider {
        normalizers: Normalizers::new(channels),
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

fn at_province(revision: i64, items: &[(&str, &str)]) -> Wire {
    whole("peer-N1", revision, items)
}

async fn owed(world: &World, to: &ChannelId) -> Vec<DeliveryRow> {
    world.deliveries("N1").await.into_iter().filter(|delivery| delivery.destination == *to).collect()
}

async fn begin(world: &World, id: DeliveryId, at: i64, place: &str, text: &str) {
    let item = item(place, text).book_item(&number("peer-N1"), day(DAY));
    let start = AttemptStart { id, item, projection_version: 1, ask_by: AskBy::Receipt, at: ms(at) };
    world.store.begin_attempts(&[start], None).await.unwrap();
}

async fn end(world: &World, id: DeliveryId, at: i64, state: DeliveryState) {
    let receipt = Receipt { receipt_number: None, received_at: None, source: ReceiptSource::Answer };
    let result = AttemptResult {
        id,
        state,
        receipt: (state == DeliveryState::Acknowledged).then_some(receipt),
        reason_code: None,
        reason: None,
        unanswered: state == DeliveryState::Ambiguous,
        next_attempt_at: ms(at),
        at: ms(at),
    };
    world.store.end_attempts(&[result], None).await.unwrap();
}

#[tokio::test]
async fn what_a_channel_states_is_owed_under_a_number_of_the_destination() {
    let mut world = world(vec![route(peer(), province())]).await;
    let wire = whole("N1", 1, &[("acceptance/c0", "a"), ("handling/c0", "signed 0"), ("handling/e:E1", "urge")]);
    world.one(Record::poll(1, &wire)).await;
    let places: Vec<_> = owed(&world, &province()).await;
    let places: Vec<_> = places.iter().map(|row| (row.operation, row.dataset, row.part.to_string())).collect();
    let forward = |dataset, part: &str| (Operation::Forward, dataset, part.to_owned());
    let taken = [forward(Dataset::Acceptance, "c0"), forward(Dataset::Handling, "c0")];
    assert_eq!(places, taken, "in the order of the record, without the events that the destination does not take");
    let numbers = world.order("N1").await.aggregate.numbers;
    assert!(numbers.iter().any(|held| held.channel == province() && held.number == number("peer-N1")));
    // The evaluation is owed to nobody: no rule names it.
    world.one(Record::poll(2, &whole("N1", 2, &[("acceptance/c0", "a"), ("evaluation/c1", "good")]))).await;
    assert_eq!(owed(&world, &province()).await.len(), 2);
}

#[tokio::test]
async fn a_newer_word_takes_the_place_of_one_that_was_never_sent() {
    let mut world = world(vec![route(peer(), province())]).await;
    world.one(Record::poll(1, &whole("N1", 1, &[("acceptance/c0", "a")]))).await;
    world.one(Record::poll(2, &whole("N1", 2, &[("acceptance/c0", "b")]))).await;
    let states: Vec<_> = owed(&world, &province()).await.iter().map(|row| row.state).collect();
    assert_eq!(states, [DeliveryState::Superseded, DeliveryState::Owed]);
    // One that is under way is not: the newer one follows it.
    let second = owed(&world, &province()).await[1].id;
    begin(&world, second, 10, "acceptance/c0", "b").await;
    world.one(Record::poll(20, &whole("N1", 3, &[("acceptance/c0", "c")]))).await;
    let states: Vec<_> = owed(&world, &province()).await.iter().map(|row| row.state).collect();
    assert_eq!(states, [DeliveryState::Superseded, DeliveryState::Sending, DeliveryState::Owed]);
}

#[tokio::test]
async fn what_the_destination_shows_is_a_receipt_of_the_same_order_and_goes_nowhere_back() {
    let mut world = world(vec![route(peer(), province()), route(province(), peer())]).await;
    world.one(Record::poll(1, &whole("N1", 1, &[("acceptance/c0", "a")]))).await;
    let id = owed(&world, &province()).await[0].id;
    begin(&world, id, 10, "acceptance/c0", "a").await;
    end(&world, id, 11, DeliveryState::Ambiguous).await;
    world.one(Record::poll(20, &at_province(1, &[("acceptance/c0", "a")])).from(province())).await;
    assert_eq!(world.delivery(id).await.state, DeliveryState::Acknowledged);
    assert_eq!(owed(&world, &peer()).await, [], "its own word does not come back to it");
    assert_eq!(world.ids("N1").await, world.ids("peer-N1").await, "one order");
    let book = world.store.items(&province(), Dataset::Acceptance, crate::world::ever()).await.unwrap();
    assert_eq!(book.iter().map(|held| held.side).collect::<Vec<_>>(), [BookSide::Sent]);
    // A word of the destination's own goes the other way.
    world.one(Record::poll(30, &at_province(2, &[("acceptance/c0", "own")])).from(province())).await;
    assert_eq!(owed(&world, &peer()).await.len(), 1);
    assert_eq!(owed(&world, &province()).await.len(), 1);
}

#[tokio::test]
async fn what_the_bureau_said_and_a_channel_took_goes_on_to_a_third() {
    let desk_to_peer =
        Route { from: desk(), datasets: vec![Dataset::Completion], to: peer(), person_fields: Vec::new() };
    let mut world = world(vec![desk_to_peer, route(peer(), province())]).await;
    world.one(Record::poll(1, &whole("N1", 1, &[("handling/c0", "signed 0")]))).await;
    let order = world.id("N1").await;
    world.one(Record::command(&command(1, order, Operation::Reply, 10, "done"))).await;
    let reply = owed(&world, &peer()).await[0].id;
    let booked = item("completion/c0", "done").book_item(&number("N1"), day(DAY));
    let start = AttemptStart { id: reply, item: booked, projection_version: 1, ask_by: AskBy::Record, at: ms(20) };
    world.store.begin_attempts(&[start], None).await.unwrap();
    end(&world, reply, 21, DeliveryState::Acknowledged).await;
    world.one(Record::poll(30, &whole("N1", 2, &[("handling/c0", "replied 0"), ("completion/c0", "done")]))).await;
    let forwarded = owed(&world, &province()).await;
    let completions: Vec<_> = forwarded.iter().filter(|row| row.dataset == Dataset::Completion).collect();
    assert_eq!(completions.len(), 1);
    assert_eq!(completions[0].from, peer(), "as the channel that took it shows it");
}

#[tokio::test]
async fn an_earlier_delivery_of_the_same_words_proves_no_later_one() {
    let mut world = world(vec![route(peer(), province())]).await;
    for (at, text) in [(1, "a"), (20, "b")] {
        world.one(Record::poll(at, &whole("N1", at, &[("acceptance/c0", text)]))).await;
        let id = owed(&world, &province()).await.last().unwrap().id;
        begin(&world, id, at + 5, "acceptance/c0", text).await;
        end(&world, id, at + 6, DeliveryState::Acknowledged).await;
    }
    world.one(Record::poll(40, &whole("N1", 40, &[("acceptance/c0", "a")]))).await;
    let third = owed(&world, &province()).await.last().unwrap().id;
    begin(&world, third, 45, "acceptance/c0", "a").await;
    // Read before the second arrived, heard while the third is under way.
    let old = Record { read: 8, ..Record::poll(46, &at_province(1, &[("acceptance/c0", "a")])).from(province()) };
    world.one(old).await;
    assert_eq!(world.delivery(third).await.state, DeliveryState::Sending);
    end(&world, third, 50, DeliveryState::Ambiguous).await;
    let fresh = at_province(2, &[("acceptance/c0", "a")]);
    world.one(Record::poll(60, &fresh).from(province())).await;
    assert_eq!(world.delivery(third).await.state, DeliveryState::Acknowledged);
}

#[tokio::test]
async fn what_was_stated_before_the_rule_is_owed_when_it_is_read_again() {
    let mut world = world(Vec::new()).await;
    let wire = whole("N1", 1, &[("acceptance/c0", "a"), ("completion/c0", "done")]);
    world.one(Record::poll(1, &wire)).await;
    assert_eq!(owed(&world, &province()).await, []);
    let ruled = self::world(vec![route(peer(), province())]).await;
    world.decider = ruled.decider;
    for at in [10, 20] {
        world.one(Record::new(Origin::Backfill, at, &wire)).await;
        let places: Vec<_> = owed(&world, &province()).await.iter().map(|row| row.dataset).collect();
        assert_eq!(places, [Dataset::Acceptance, Dataset::Completion], "once, however often it is read");
    }
}
