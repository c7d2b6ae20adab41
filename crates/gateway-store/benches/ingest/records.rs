//! What is written: records of about 1 KiB, 60 % new orders, 30 % newer acceptances, 10 % events.

use gateway_model::*;
use gateway_store::*;

/// Records by transaction.
pub const BATCH: u64 = 500;

/// The order that a record speaks of: new for six of ten, else one of those just before.
pub fn order_of(record: u64) -> u64 {
    let (ten, at) = (record / 10, record % 10);
    if at < 6 { ten * 6 + at } else { (ten * 6).saturating_sub((at - 5) * 97) }
}

pub fn channel() -> ChannelId {
    ChannelId::new("municipal-12345").unwrap()
}

pub fn number(n: u64) -> SourceNumber {
    SourceNumber::new(format!("GZ20261123{n:012}")).unwrap()
}

fn id(n: u64) -> OrderId {
    format!("01935c00-0000-7000-8000-{n:012x}").parse().unwrap()
}

fn time(record: u64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + record as i64).unwrap()
}

fn fields() -> Fields {
    [
        (Field::Title, FieldValue::from("路灯不亮")),
        (
            Field::Content,
            FieldValue::from(
                "某某路与某某街交叉口东北角的路灯已经连续三个晚上不亮，来电人请求尽快派人维修。".repeat(5).as_str(),
            ),
        ),
        (Field::MatterCategory, FieldValue::from("城市管理/市政设施/路灯")),
        (Field::AcceptedAt, FieldValue::Time(Moment::At(time(0)))),
    ]
    .into_iter()
    .collect()
}

pub fn order(n: u64, seq: u64, feed_seq: u64, record: u64) -> WorkOrderRow {
    WorkOrderRow {
        id: id(n),
        seq,
        feed_seq,
        created_at: time(n % 1_000_000_000),
        changed_at: time(record),
        state: Some(OrderState::Dispatched),
        round: 0,
        fields: fields(),
        conflicts: Vec::new(),
    }
}

pub fn bare_orders(writer: u64, next_feed_seq: u64, from: u64) -> Vec<WorkOrderRow> {
    (0..BATCH).map(|at| order(of_writer(writer, order_of(from + at)), 1, next_feed_seq + at, from + at)).collect()
}

/// Writers have orders of their own.
pub fn of_writer(writer: u64, order: u64) -> u64 {
    writer * 1_000_000_000 + order
}

pub fn whole_writes(writer: u64, loaded: &Loaded, from: u64) -> IngestWrites {
    let mut writes = IngestWrites::default();
    let mut seqs: std::collections::HashMap<OrderId, u64> =
        loaded.orders.iter().map(|order| (order.order.id, order.order.seq)).collect();
    for at in 0..BATCH {
        let record = from + at;
        let n = of_writer(writer, order_of(record));
        let raw_id = RawId(loaded.next_raw_id + at as i64);
        writes.raws.push(NewRaw {
            id: raw_id,
            meta: RawMeta {
                channel: channel(),
                origin: Origin::Poll,
                number: Some(number(n)),
                received_at: time(record),
                read_at: time(record),
                topic: "raw".into(),
                partition: writer as u32,
                offset: record,
            },
            body: vec![b'x'; 1024],
            key_id: "plain".into(),
        });
        let seq = seqs.entry(id(n)).or_default();
        *seq += 1;
        if *seq == 1 {
            let number = OrderNumber { channel: channel(), number: number(n), day: day_of(time(n % 1_000_000_000)) };
            writes.numbers.push((id(n), number));
        }
        writes.orders.push(order(n, *seq, loaded.next_feed_seq + at, record));
        let event = record % 10 == 9;
        let (dataset, part) = if event {
            (Dataset::Handling, Part::Event(EventId::new(format!("E{record}")).unwrap()))
        } else {
            (Dataset::Acceptance, Part::Cycle(0))
        };
        let digest = digest_of_pairs([("record", record.to_string().as_str())]);
        let event_time = Moment::At(time(n % 1_000_000_000));
        let key = ItemKey { dataset, number: number(n), day: day_of(time(n % 1_000_000_000)), part: part.clone() };
        let item = BookItem { key, event_time, digest };
        writes.book.push(BookPut::Put { channel: channel(), side: BookSide::Source, projection_version: 1, item });
        writes.changes.push(ChangeRow {
            order_id: id(n),
            seq: *seq,
            at: time(record),
            channel: channel(),
            dataset,
            part: part.clone(),
            raw_id,
        });
        if event {
            let fields = [(Field::EventText, FieldValue::from("催办"))].into_iter().collect();
            let row = EventRow {
                channel: channel(),
                dataset,
                part,
                revision: None,
                event_time,
                digest,
                content_hash: digest.0,
                echo: false,
                fields,
                read_at: time(record),
                received_at: time(record),
                raw_id,
                gone_at: None,
            };
            writes.events.push((id(n), row));
        } else {
            let row = FacetRow {
                channel: channel(),
                dataset,
                part,
                revision: Some(Revision(record as i64)),
                revision_doubtful: false,
                event_time,
                digest,
                content_hash: digest.0,
                echo: false,
                fields: fields(),
                unmapped: Default::default(),
                read_at: time(record),
                received_at: time(record),
                raw_id,
                gone_at: None,
            };
            writes.facets.push((id(n), row));
        }
    }
    let tally = |dataset, changes| FlowTally {
        channel: channel(),
        dataset: Some(dataset),
        outcome: FlowOutcome::Applied,
        changes,
    };
    writes.tallies = vec![tally(Dataset::Acceptance, BATCH * 9 / 10), tally(Dataset::Handling, BATCH / 10)];
    writes.positions = vec![FlowPosition { topic: "raw".into(), partition: writer as u32, next_offset: from + BATCH }];
    writes
}
