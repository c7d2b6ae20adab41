//! A store, a decider and records, with what the tests ask of them.

use crate::peer::{Peer, Wire, day, ms, number};
use gateway_connector::Connector;
use gateway_model::{
    AuthorityTable, BookItem, BookSide, ChannelId, Command, CommandId, CommandState, Dataset, DeliveryId,
    DeliveryState, EventRow, FacetRow, Field, FieldValue, Fields, Moment, Operation, OrderId, OrderNumber, Origin,
    Part, Timestamp, Window,
};
use gateway_pipeline::{ContentKey, Decider, Defences, Normalized, Normalizers, Route, Routes};
use gateway_store::{
    BookStore, CommandStore, DeliveryRow, DeliveryStore, FlowOutcome, IngestRequest, IngestStore, IngestWrites, Job,
    JobKind, JobStore, Loaded, OrderReader, OrderView, RawMeta, SqliteOptions, SqliteStore, StoredItem, WorkOrderRow,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tempfile::TempDir;

pub fn peer() -> ChannelId {
    ChannelId::new("peer").unwrap()
}

/// A second channel of the same kind, which can't be read again.
pub fn deaf() -> ChannelId {
    ChannelId::new("deaf").unwrap()
}

pub fn desk() -> ChannelId {
    ChannelId::new("desk").unwrap()
}

pub const TOLERANCE_MS: i64 = 600_000;
pub const SETTLE_MS: i64 = 2_000;

/// The decider of all tests.
pub fn decider(defences: Defences) -> Arc<Decider> {
    let both = [(peer(), Arc::new(Peer::new()) as Arc<dyn Connector>), (deaf(), Arc::new(Peer::without_files()))];
    let route = Route {
        from: desk(),
        datasets: vec![Dataset::Handling, Dataset::Completion],
        to: peer(),
        person_fields: Vec::new(),
    };
    Arc::new(Decider {
        normalizers: Normalizers::new(both),
        routes: Routes::new(vec![route]).unwrap(),
        authority: AuthorityTable { default: vec![desk(), peer()], fields: BTreeMap::new() },
        content_key: ContentKey::new(&[7; 32]),
        rereadable: BTreeSet::from([peer()]),
        future_tolerance_ms: TOLERANCE_MS,
        settle_ms: SETTLE_MS,
        verifying: None,
        defences,
    })
}

/// A record on its way in. Times are milliseconds after the start.
#[derive(Debug, Clone)]
pub struct Record {
    pub channel: ChannelId,
    pub origin: Origin,
    pub read: i64,
    pub received: i64,
    pub body: Vec<u8>,
    pub number: Option<String>,
}

impl Record {
    pub fn new(origin: Origin, at: i64, wire: &Wire) -> Self {
        let number = Some(wire.number.clone());
        Self { channel: peer(), origin, read: at, received: at, body: wire.bytes(), number }
    }

    pub fn poll(at: i64, wire: &Wire) -> Self {
        Self::new(Origin::Poll, at, wire)
    }

    pub fn push(at: i64, wire: &Wire) -> Self {
        Self::new(Origin::Webhook, at, wire)
    }

    pub fn reread(at: i64, wire: &Wire) -> Self {
        Self::new(Origin::Reread, at, wire)
    }

    /// The peer, asked by number, knows no order beside those of the same answer.
    pub fn absent(at: i64, number: &str) -> Self {
        let number = Some(number.to_owned());
        Self { channel: peer(), origin: Origin::Absent, read: at, received: at, body: Vec::new(), number }
    }

    pub fn from(self, channel: ChannelId) -> Self {
        Self { channel, ..self }
    }

    pub fn command(command: &Command) -> Self {
        let at = command.received_at.as_millisecond() - ms(0).as_millisecond();
        let body = serde_json::to_vec(command).unwrap();
        Self { channel: desk(), origin: Origin::Command, read: at, received: at, body, number: None }
    }
}

/// A reply or another command of the desk, received at `at`.
pub fn command(id: u128, order_id: OrderId, operation: Operation, at: i64, text: &str) -> Command {
    let mut fields = Fields::new();
    if operation == Operation::Reply {
        fields.set(Field::ReplyText, FieldValue::from(text));
    }
    Command {
        id: CommandId(uuid::Uuid::from_u128(id)),
        order_id,
        operation,
        round: 0,
        at: Moment::At(ms(at)),
        operator: "王".into(),
        fields,
        received_at: ms(at),
    }
}

/// The gateway from the bus on, without the bus.
pub struct World {
    pub store: Arc<SqliteStore>,
    pub decider: Arc<Decider>,
    pub offset: u64,
    pub now: i64,
    dir: TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Defences::default()).await
    }

    pub async fn with(defences: Defences) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(SqliteOptions::at(dir.path().join("store.db"))).await.unwrap());
        Self { store, decider: decider(defences), offset: 0, now: 0, dir }
    }

    /// Another handle on the same file, as of a process that takes over.
    pub async fn reopen(&mut self) {
        self.store = Arc::new(SqliteStore::open(SqliteOptions::at(self.dir.path().join("store.db"))).await.unwrap());
    }

    /// The records as they come from the bus, at the next offsets.
    pub fn batch(&mut self, records: &[Record]) -> Vec<Normalized> {
        records
            .iter()
            .map(|record| {
                let meta = RawMeta {
                    channel: record.channel.clone(),
                    origin: record.origin,
                    number: record.number.as_deref().map(number),
                    received_at: ms(record.received),
                    read_at: ms(record.read),
                    topic: "raw".into(),
                    partition: 0,
                    offset: self.offset,
                };
                self.offset += 1;
                Normalized::read(&self.decider.normalizers, meta, record.body.clone(), None)
            })
            .collect()
    }

    pub async fn ingest(&self, batch: &[Normalized]) {
        let now = ms(self.now);
        self.store
            .ingest(self.decider.request(batch), &|loaded: Loaded| self.decider.decide(loaded, batch, now))
            .await
            .unwrap();
    }

    /// Takes a batch of records.
    pub async fn feed(&mut self, records: &[Record]) {
        let latest = records.iter().map(|record| record.received).max().unwrap_or(0);
        self.now = self.now.max(latest) + 1;
        let batch = self.batch(records);
        self.ingest(&batch).await;
    }

    /// Takes one record.
    pub async fn one(&mut self, record: Record) {
        self.feed(&[record]).await;
    }

    /// Writes an order that two sides know already.
    pub async fn join(&self, numbers: &[(ChannelId, &str)]) -> OrderId {
        let id = OrderId::new(ms(0));
        let numbers: Vec<OrderNumber> = numbers
            .iter()
            .map(|(channel, text)| OrderNumber {
                channel: channel.clone(),
                number: number(text),
                day: day(crate::peer::DAY),
            })
            .collect();
        let write = |loaded: Loaded| {
            let order = WorkOrderRow {
                id,
                seq: 0,
                feed_seq: loaded.next_feed_seq,
                created_at: ms(0),
                changed_at: ms(0),
                state: None,
                round: 0,
                fields: Fields::new(),
                conflicts: Vec::new(),
            };
            let numbers = numbers.iter().map(|number| (id, number.clone())).collect();
            IngestWrites { orders: vec![order], numbers, ..IngestWrites::default() }
        };
        self.store.ingest(IngestRequest::default(), &write).await.unwrap();
        id
    }

    /// The ids of the orders with this number at the peer, by day.
    pub async fn ids(&self, text: &str) -> Vec<OrderId> {
        let mut orders = Vec::new();
        for id in self.store.orders_by_number(&number(text), None).await.unwrap() {
            let view = self.store.order(id, false).await.unwrap().unwrap();
            orders.push((view.aggregate.numbers[0].day, id));
        }
        orders.sort();
        orders.into_iter().map(|(_, id)| id).collect()
    }

    /// The only order with this number.
    pub async fn id(&self, text: &str) -> OrderId {
        let ids = self.ids(text).await;
        assert_eq!(ids.len(), 1, "{text}");
        ids[0]
    }

    pub async fn order(&self, text: &str) -> OrderView {
        let id = self.id(text).await;
        self.store.order(id, true).await.unwrap().unwrap()
    }

    pub async fn facet(&self, text: &str, place: &str) -> FacetRow {
        let (dataset, part) = place_of(place);
        let order = self.order(text).await;
        let mut facets = order.aggregate.facets.into_iter();
        facets.find(|facet| facet.channel != desk() && facet.dataset == dataset && facet.part == part).unwrap()
    }

    pub async fn event(&self, text: &str, place: &str) -> EventRow {
        let (dataset, part) = place_of(place);
        let order = self.order(text).await;
        order.aggregate.events.into_iter().find(|event| event.dataset == dataset && event.part == part).unwrap()
    }

    /// The text that the head of an item says.
    pub async fn says(&self, text: &str, place: &str) -> String {
        let fields = match place_of(place).1 {
            Part::Cycle(_) => self.facet(text, place).await.fields,
            Part::Event(_) => self.event(text, place).await.fields,
        };
        fields.iter().find_map(|(_, value)| value.as_text().map(str::to_owned)).unwrap()
    }

    /// The desk's reply.
    pub async fn says_of_desk(&self, text: &str) -> String {
        let facets = self.order(text).await.aggregate.facets;
        let reply =
            facets.iter().find(|facet| facet.channel == desk() && facet.dataset == Dataset::Completion).unwrap();
        reply.fields.text(Field::ReplyText).unwrap().to_owned()
    }

    /// The peer's book.
    pub async fn book(&self) -> BTreeMap<String, (BookSide, BookItem)> {
        let mut book = BTreeMap::new();
        for dataset in Dataset::ALL {
            for StoredItem { side, item } in self.store.items(&peer(), dataset, ever()).await.unwrap() {
                book.insert(
                    format!("{} {} {}/{}", item.key.number, item.key.day, dataset, item.key.part),
                    (side, item),
                );
            }
        }
        book
    }

    /// The orders that wait to be read again, with the reasons. Claims them.
    pub async fn rereads(&self) -> Vec<(String, String)> {
        let jobs = self.store.claim_jobs(JobKind::Reread, &peer(), ms(1 << 40), ms(1 << 41), 1_000).await.unwrap();
        let done: Vec<_> = jobs.iter().map(|job| (job.id, job.requested)).collect();
        self.store.finish_jobs(&done).await.unwrap();
        jobs.into_iter().map(|Job { subject, reason, .. }| (subject, reason)).collect()
    }

    /// Changes by outcome, over all channels and datasets.
    pub async fn tally(&self, outcome: FlowOutcome) -> u64 {
        let tallies = self.store.flow_tallies().await.unwrap();
        tallies.iter().filter(|tally| tally.outcome == outcome).map(|tally| tally.changes).sum()
    }

    pub async fn in_flight(&self) -> u64 {
        self.store.parked_changes().await.unwrap().iter().map(|(_, changes)| changes).sum()
    }

    /// Everything that was taken: the sum over all outcomes and what is in flight.
    pub async fn captured(&self) -> u64 {
        let tallies = self.store.flow_tallies().await.unwrap();
        tallies.iter().map(|tally| tally.changes).sum::<u64>() + self.in_flight().await
    }

    pub async fn anomaly(&self, kind: &str) -> u64 {
        let anomalies = self.store.anomalies().await.unwrap();
        anomalies.iter().filter(|anomaly| anomaly.kind == kind).map(|anomaly| anomaly.count).sum()
    }

    pub async fn deliveries(&self, text: &str) -> Vec<DeliveryRow> {
        self.order(text).await.aggregate.deliveries
    }

    pub async fn states(&self, text: &str) -> Vec<DeliveryState> {
        self.deliveries(text).await.into_iter().map(|delivery| delivery.state).collect()
    }

    pub async fn verdict(&self, command: &Command) -> Option<CommandState> {
        self.store.command(command.id).await.unwrap().map(|(row, _)| row.state)
    }

    pub async fn delivery(&self, id: DeliveryId) -> DeliveryRow {
        self.store.delivery(id).await.unwrap().unwrap()
    }
}

pub fn ever() -> Window {
    Window::new(Timestamp::from_second(0).unwrap(), Timestamp::from_second(5_000_000_000).unwrap())
}

pub fn place_of(place: &str) -> (Dataset, Part) {
    let (dataset, part) = place.split_once('/').unwrap();
    (dataset.parse().unwrap(), part.parse().unwrap())
}
