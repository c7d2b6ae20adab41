//! Orders, records and deliveries to test with.

use crate::*;
use gateway_model::*;

/// The order's channel in most tests.
pub(super) fn municipal() -> ChannelId {
    channel("municipal-12345")
}

pub(super) fn desk() -> ChannelId {
    channel("desk")
}

pub(super) fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

pub(super) fn number(n: u64) -> SourceNumber {
    SourceNumber::new(format!("GZ{n:08}")).unwrap()
}

/// Seconds after a Monday morning in China.
pub(super) fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-11-23T01:00:00Z".parse().unwrap();
    Timestamp::from_second(start.as_second() + seconds).unwrap()
}

pub(super) fn day() -> Day {
    day_of(at(0))
}

pub(super) fn order_id(n: u64) -> OrderId {
    OrderId(uuid::Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + u128::from(n)))
}

pub(super) fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

pub(super) fn fields(title: &str) -> Fields {
    [(Field::Title, FieldValue::from(title)), (Field::IsSecret, FieldValue::Flag(true))].into_iter().collect()
}

pub(super) fn number_row(n: u64) -> OrderNumber {
    OrderNumber { channel: municipal(), number: number(n), day: day() }
}

/// A record at an offset of partition 0 of topic `raw`.
pub(super) fn raw(id: i64, offset: u64) -> NewRaw {
    NewRaw {
        id: RawId(id),
        meta: RawMeta {
            channel: municipal(),
            origin: Origin::Poll,
            number: Some(number(offset)),
            received_at: at(1),
            read_at: at(0),
            topic: "raw".into(),
            partition: 0,
            offset,
        },
        body: format!("record\t{offset}\n").into_bytes(),
        key_id: "plain".into(),
    }
}

pub(super) fn order(n: u64, seq: u64, feed_seq: u64) -> WorkOrderRow {
    WorkOrderRow {
        id: order_id(n),
        seq,
        feed_seq,
        created_at: at(0),
        changed_at: at(seq as i64),
        state: Some(OrderState::Dispatched),
        round: 0,
        fields: fields("路灯不亮"),
        conflicts: Vec::new(),
    }
}

pub(super) fn key(n: u64) -> ItemKey {
    ItemKey { dataset: Dataset::Acceptance, number: number(n), day: day(), part: Part::Cycle(0) }
}

/// What a reply leaves at the destination.
pub(super) fn reply_item(n: u64, content: u8) -> BookItem {
    BookItem {
        key: ItemKey { dataset: Dataset::Completion, number: number(n), day: day(), part: Part::Cycle(0) },
        event_time: Moment::At(at(600)),
        digest: digest(content),
    }
}

pub(super) fn put(channel: &ChannelId, side: BookSide, projection_version: u32, item: BookItem) -> BookPut {
    BookPut::Put { channel: channel.clone(), side, projection_version, item }
}

pub(super) fn facet(raw_id: i64) -> FacetRow {
    FacetRow {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        part: Part::Cycle(0),
        revision: Some(Revision(7)),
        revision_doubtful: false,
        event_time: Moment::At(at(0)),
        digest: digest(1),
        content_hash: [9; 32],
        echo: false,
        fields: fields("路灯不亮"),
        unmapped: [("extra".to_owned(), serde_json::json!({"a": [1, null]}))].into(),
        read_at: at(0),
        received_at: at(1),
        raw_id: RawId(raw_id),
        gone_at: None,
    }
}

/// Writes an order with everything that a first record of it brings, as the record at `offset`.
pub(super) fn add_order(writes: &mut IngestWrites, loaded: &Loaded, n: u64, offset: u64) {
    let raw_id = loaded.next_raw_id + writes.raws.len() as i64;
    let feed_seq = loaded.next_feed_seq + writes.orders.len() as u64;
    writes.raws.push(raw(raw_id, offset));
    writes.orders.push(order(n, 1, feed_seq));
    writes.numbers.push((order_id(n), number_row(n)));
    writes.facets.push((order_id(n), facet(raw_id)));
    writes.changes.push(ChangeRow {
        order_id: order_id(n),
        seq: 1,
        at: at(1),
        channel: municipal(),
        dataset: Dataset::Acceptance,
        part: Part::Cycle(0),
        raw_id: RawId(raw_id),
    });
    let item = BookItem { key: key(n), event_time: Moment::At(at(n as i64 * 60)), digest: digest(1) };
    writes.book.push(put(&municipal(), BookSide::Source, 1, item));
    writes.tallies.push(applied(1));
    writes.positions.push(FlowPosition { topic: "raw".into(), partition: 0, next_offset: offset + 1 });
}

pub(super) fn applied(changes: u64) -> FlowTally {
    FlowTally { channel: municipal(), dataset: Some(Dataset::Acceptance), outcome: FlowOutcome::Applied, changes }
}

/// Orders `from..to`, each by the record at the offset of its number.
pub(super) async fn write_orders(store: &dyn Store, from: u64, to: u64) {
    write(store, |loaded, writes| (from..to).for_each(|n| add_order(writes, loaded, n, n))).await.unwrap();
}

pub(super) async fn write(
    store: &dyn Store,
    fill: impl Fn(&Loaded, &mut IngestWrites) + Send + Sync,
) -> Result<(), StoreError> {
    store
        .ingest(IngestRequest::default(), &|loaded| {
            let mut writes = IngestWrites::default();
            fill(&loaded, &mut writes);
            writes
        })
        .await
}

/// What `request` finds.
pub(super) async fn load(store: &dyn Store, request: IngestRequest) -> Loaded {
    let seen = std::sync::Mutex::new(None);
    store
        .ingest(request, &|loaded| {
            *seen.lock().unwrap() = Some(loaded);
            IngestWrites::default()
        })
        .await
        .unwrap();
    seen.into_inner().unwrap().unwrap()
}

/// Owes the desk's reply of order `n` to the municipal platform; returns the delivery's id.
pub(super) async fn owe(store: &dyn Store, n: u64, operation: Operation, created_at: Timestamp) -> DeliveryId {
    owe_item(store, n, operation, Dataset::Completion, created_at).await
}

/// As [`owe`], of another dataset.
pub(super) async fn owe_item(
    store: &dyn Store,
    n: u64,
    operation: Operation,
    dataset: Dataset,
    created_at: Timestamp,
) -> DeliveryId {
    let id = std::sync::Mutex::new(DeliveryId(0));
    write(store, |loaded, writes| {
        *id.lock().unwrap() = DeliveryId(loaded.next_delivery_id);
        writes.new_deliveries.push(NewDelivery {
            id: DeliveryId(loaded.next_delivery_id),
            order_id: order_id(n),
            destination: municipal(),
            from: desk(),
            operation,
            dataset,
            part: Part::Cycle(0),
            round: 0,
            raw_id: RawId(1),
            command_id: None,
            created_at,
        });
    })
    .await
    .unwrap();
    id.into_inner().unwrap()
}

pub(super) fn start(id: DeliveryId, item: BookItem, at: Timestamp) -> AttemptStart {
    AttemptStart { id, item, projection_version: 1, ask_by: AskBy::Receipt, at }
}

pub(super) fn receipt() -> Receipt {
    Receipt { receipt_number: Some("R1".into()), received_at: Some(at(9)), source: ReceiptSource::Answer }
}

pub(super) fn end(id: DeliveryId, state: DeliveryState, when: Timestamp) -> AttemptResult {
    AttemptResult {
        id,
        state,
        receipt: (state == DeliveryState::Acknowledged).then(receipt),
        reason_code: (state != DeliveryState::Acknowledged).then(|| "timeout".to_owned()),
        reason: None,
        unanswered: state == DeliveryState::Ambiguous,
        next_attempt_at: when,
        at: when,
    }
}

/// Sends a delivery and has it end in a state.
pub(super) async fn attempt(store: &dyn Store, id: DeliveryId, item: BookItem, state: DeliveryState) {
    store.begin_attempts(&[start(id, item, at(700))], None).await.unwrap();
    store.end_attempts(&[end(id, state, at(701))], None).await.unwrap();
}

pub(super) async fn state_of(store: &dyn Store, id: DeliveryId) -> DeliveryState {
    store.delivery(id).await.unwrap().unwrap().state
}

/// All time.
pub(super) fn always() -> Window {
    Window::new("1990-01-01T00:00:00Z".parse().unwrap(), "2200-01-01T00:00:00Z".parse().unwrap())
}

/// Buckets as they follow from items, by scanning them.
pub(super) fn recomputed<'a>(items: impl Iterator<Item = &'a BookItem>, grain: Grain) -> Vec<Bucket> {
    let mut buckets = std::collections::BTreeMap::<Timestamp, Bucket>::new();
    for item in items {
        let Some(start) = grain.bucket_start(item.event_time) else { continue };
        let bucket = buckets.entry(start).or_insert(Bucket { start, count: 0, sum: BucketSum::ZERO });
        bucket.count += 1;
        bucket.sum = bucket.sum.plus(item.element());
    }
    buckets.into_values().collect()
}

/// Asserts that a channel's sums of version 1 equal its items at all grains.
pub(super) async fn assert_book_agrees(store: &dyn Store, channel: &ChannelId) {
    for dataset in Dataset::ALL {
        let items = store.items(channel, dataset, always()).await.unwrap();
        for grain in Grain::BUCKETS {
            let kept = store.buckets(channel, dataset, 1, grain, always()).await.unwrap();
            assert_eq!(kept, recomputed(items.iter().map(|one| &one.item), grain), "{dataset} by {grain}");
        }
    }
}

/// Fills a store with orders, deliveries in several states, gaps, jobs and what the books say of them.
pub async fn fill(store: &dyn Store, orders: u64) {
    write_orders(store, 0, orders).await;
    for n in 0..orders / 2 {
        let id = owe(store, n, Operation::Reply, at(600)).await;
        let state = [DeliveryState::Acknowledged, DeliveryState::Ambiguous, DeliveryState::Rejected][n as usize % 3];
        attempt(store, id, reply_item(n, 1), state).await;
    }
    owe(store, orders - 1, Operation::Reply, at(600)).await;
    let gap = |kind, detail: &str| NewGap {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        kind,
        key: Some(key(1)),
        window: Window::new(at(0), at(600)),
        delivery_id: None,
        evidence: GapEvidence { theirs: Some(digest(1)), ours: None, as_of: at(1), compared_at: at(2) },
        detail: Some(detail.to_owned()),
        at: at(10),
    };
    let gaps = [gap(GapKind::Differing, "a code"), gap(GapKind::LostOffset, "offsets raw 0 90 93")];
    let ids = store.suspect(&gaps).await.unwrap();
    store.move_gap(ids[1], GapState::Open, None, Some("they are gone"), None, at(11)).await.unwrap();
    // The last id is given and not there any more.
    let forgotten = store.suspect(&[gap(GapKind::MissingOrder, "another code")]).await.unwrap();
    store.forget(&forgotten).await.unwrap();
    let job = |subject: &str| NewJob {
        kind: JobKind::Reread,
        channel: municipal(),
        subject: subject.to_owned(),
        reason: "tie".to_owned(),
        run_at: at(20),
    };
    store.enqueue(&[job("GZ1"), job("GZ2")]).await.unwrap();
}
