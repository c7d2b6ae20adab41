//! Orders of several months to take out and bring back.

use gateway_model::*;
use gateway_store::*;
use std::collections::BTreeMap;

pub fn channel() -> ChannelId {
    ChannelId::new("municipal-12345").unwrap()
}

pub fn desk() -> ChannelId {
    ChannelId::new("desk").unwrap()
}

pub fn month(text: &str) -> Month {
    text.parse().unwrap()
}

/// Noon of the tenth of a month in China.
pub fn noon(month: &str) -> Timestamp {
    format!("{month}-10T04:00:00Z").parse().unwrap()
}

/// Long after all of it.
pub fn now() -> Timestamp {
    "2026-11-23T01:00:00Z".parse().unwrap()
}

pub fn order_id(n: u64) -> OrderId {
    OrderId(uuid::Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + u128::from(n)))
}

pub fn number(n: u64) -> SourceNumber {
    SourceNumber::new(format!("GZ{n:08}")).unwrap()
}

fn title() -> Fields {
    [(Field::Title, FieldValue::from("路灯不亮"))].into_iter().collect()
}

pub async fn write(
    store: &PostgresStore,
    fill: impl Fn(&Loaded, &mut IngestWrites) + Send + Sync,
) -> Result<(), StoreError> {
    store
        .ingest(IngestRequest::default(), &|loaded| {
            let mut writes = IngestWrites { at: now(), ..IngestWrites::default() };
            fill(&loaded, &mut writes);
            writes
        })
        .await
}

pub fn record(id: i64, offset: u64, at: Timestamp) -> NewRaw {
    super::fault::record(id, offset, at)
}

/// Order `n` by a record at offset `n`, received then, in a state.
pub async fn order(store: &PostgresStore, n: u64, at: Timestamp, state: OrderState) -> RawId {
    let given = std::sync::Mutex::new(RawId(0));
    write(store, |loaded, writes| {
        let raw_id = RawId(loaded.next_raw_id);
        *given.lock().unwrap() = raw_id;
        writes.raws.push(record(raw_id.0, n, at));
        writes.orders.push(row(n, 1, loaded.next_feed_seq, at, state));
        let day = day_of(at);
        writes.numbers.push((order_id(n), OrderNumber { channel: channel(), number: number(n), day }));
        writes.facets.push((order_id(n), facet(raw_id, at)));
        writes.changes.push(change(n, 1, at, raw_id));
        let key = ItemKey { dataset: Dataset::Acceptance, number: number(n), day, part: Part::Cycle(0) };
        let item = BookItem { key, event_time: Moment::At(at), digest: Digest([n as u8; 32]) };
        writes.book.push(BookPut::Put { channel: channel(), side: BookSide::Source, projection_version: 1, item });
        writes.tallies.push(FlowTally {
            channel: channel(),
            dataset: Some(Dataset::Acceptance),
            outcome: FlowOutcome::Applied,
            changes: 1,
        });
        writes.positions.push(FlowPosition { topic: "raw".into(), partition: 0, next_offset: n + 1 });
    })
    .await
    .unwrap();
    given.into_inner().unwrap()
}

pub fn row(n: u64, seq: u64, feed_seq: u64, at: Timestamp, state: OrderState) -> WorkOrderRow {
    WorkOrderRow {
        id: order_id(n),
        seq,
        feed_seq,
        created_at: at,
        changed_at: at,
        state: Some(state),
        round: 0,
        fields: title(),
        conflicts: Vec::new(),
    }
}

pub fn change(n: u64, seq: u64, at: Timestamp, raw_id: RawId) -> ChangeRow {
    ChangeRow {
        order_id: order_id(n),
        seq,
        at,
        channel: channel(),
        dataset: Dataset::Acceptance,
        part: Part::Cycle(0),
        raw_id,
    }
}

pub fn facet(raw_id: RawId, at: Timestamp) -> FacetRow {
    FacetRow {
        channel: channel(),
        dataset: Dataset::Acceptance,
        part: Part::Cycle(0),
        revision: Some(Revision(1)),
        revision_doubtful: false,
        event_time: Moment::At(at),
        digest: Digest([1; 32]),
        content_hash: [9; 32],
        echo: false,
        fields: title(),
        unmapped: BTreeMap::new(),
        read_at: at,
        received_at: at,
        raw_id,
        gone_at: None,
    }
}

/// Owes a reply of order `n` whose content is a record; its delivery.
pub async fn owe(store: &PostgresStore, n: u64, raw_id: RawId) -> DeliveryId {
    let given = std::sync::Mutex::new(DeliveryId(0));
    write(store, |loaded, writes| {
        let id = DeliveryId(loaded.next_delivery_id);
        *given.lock().unwrap() = id;
        writes.new_deliveries.push(NewDelivery {
            id,
            order_id: order_id(n),
            destination: channel(),
            from: desk(),
            operation: Operation::Reply,
            dataset: Dataset::Completion,
            part: Part::Cycle(0),
            round: 0,
            raw_id,
            command_id: None,
            created_at: noon("2025-01"),
        });
    })
    .await
    .unwrap();
    given.into_inner().unwrap()
}

/// Sends a delivery, which ends so.
pub async fn send(store: &PostgresStore, n: u64, id: DeliveryId, state: DeliveryState) {
    let day = day_of(noon("2025-01"));
    let key = ItemKey { dataset: Dataset::Completion, number: number(n), day, part: Part::Cycle(0) };
    let item = BookItem { key, event_time: Moment::At(noon("2025-01")), digest: Digest([2; 32]) };
    let start = AttemptStart { id, item, projection_version: 1, ask_by: AskBy::Receipt, at: noon("2025-01") };
    store.begin_attempts(&[start], None).await.unwrap();
    let acknowledged = state == DeliveryState::Acknowledged;
    let result = AttemptResult {
        id,
        state,
        receipt: acknowledged.then(|| Receipt {
            receipt_number: Some("R1".into()),
            received_at: None,
            source: ReceiptSource::Answer,
        }),
        reason_code: (!acknowledged).then(|| "refused".to_owned()),
        reason: None,
        unanswered: false,
        next_attempt_at: noon("2025-01"),
        at: noon("2025-01"),
    };
    store.end_attempts(&[result], None).await.unwrap();
}

/// What keeps a month back, by kind and count.
pub async fn holds(store: &PostgresStore, of: &str) -> Vec<(HoldKind, u64)> {
    let rows = store.months(now()).await.unwrap();
    let row = rows.iter().find(|row| row.month == month(of)).unwrap();
    row.holds.iter().map(|hold| (hold.kind, hold.count)).collect()
}

pub async fn take(store: &PostgresStore, of: &str) -> Taking {
    store.take_month(month(of), "a test", now(), None).await.unwrap()
}

pub async fn must_take(store: &PostgresStore, of: &str) -> u64 {
    match take(store, of).await {
        Taking::Taken { records, .. } => records,
        other => panic!("{of}: {other:?}"),
    }
}

pub async fn must_return(store: &PostgresStore, of: &str) {
    assert_eq!(store.return_month(month(of)).await.unwrap(), Returning::Returned);
}

/// Where a month is, how many records it has, and how many are beside it.
pub async fn place(store: &PostgresStore, of: &str) -> (MonthPlace, Option<u64>, Option<u64>) {
    let rows = store.months(now()).await.unwrap();
    let row = rows.iter().find(|row| row.month == month(of)).unwrap();
    (row.place, row.records, row.beside)
}

/// Everything that must be the same whether a month is out or not, as text.
pub async fn whole(store: &PostgresStore, orders: u64) -> Vec<String> {
    let mut told = vec![format!("{:?}", store.orders_after(0, 1_000, true).await.unwrap())];
    for dataset in [Dataset::Acceptance, Dataset::Completion] {
        let window = Window::new(noon("2020-01"), noon("2030-01"));
        told.push(format!("{:?}", store.items(&channel(), dataset, window).await.unwrap()));
        for grain in Grain::BUCKETS {
            told.push(format!("{:?}", store.buckets(&channel(), dataset, 1, grain, window).await.unwrap()));
        }
    }
    told.push(format!("{:?}", store.outbound_tallies().await.unwrap()));
    told.push(format!("{:?}", store.flow_tallies().await.unwrap()));
    told.push(format!("{:?}", store.missing_offsets("raw", 0, 0, orders).await.unwrap()));
    for id in 1..=20 {
        told.push(format!("{:?}", store.delivery(DeliveryId(id)).await.unwrap()));
        told.push(format!("{:?}", store.raw(RawId(id)).await.unwrap()));
    }
    let days = Days { from: day_of(noon("2024-12")), to: day_of(noon("2026-12")) };
    told.push(format!("{:?}", store.flow_days(&channel(), days).await.unwrap()));
    told.push(format!("{:?}", store.next_due(&channel()).await.unwrap()));
    told
}
