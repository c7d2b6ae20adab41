//! Rows a second of the whole transaction, beside the same without the state book and beside bare batched upserts of the order rows alone, on the
//! same machine in the same run.
//!
//! `cargo bench -p gateway-store` — records of about 1 KiB, in batches of 500: 60 % new orders, 30 % newer acceptances, 10 % events.
//! Set `GATEWAY_BENCH_ROWS` for another number of records (default 100000).
#![allow(clippy::unwrap_used, missing_docs)]

use gateway_model::*;
use gateway_store::*;
use std::time::Instant;

const BATCH: u64 = 500;
const TURNS: u64 = 4;

#[tokio::main]
async fn main() {
    let rows = std::env::var("GATEWAY_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(100_000);
    let directory = tempfile::tempdir_in(".").unwrap();
    let store = SqliteStore::open(SqliteOptions::at(directory.path().join("bare.db"))).await.unwrap();
    let bare = measure("bare upserts of order rows", rows, &store, What::Bare).await;
    store.close().await;
    // In turns, so that what else the machine does falls on both.
    let (mut whole, mut bookless) = (0.0, 0.0);
    for turn in 0..TURNS {
        for what in [What::Bookless, What::Whole] {
            let path = directory.path().join(format!("{what:?}{turn}.db"));
            let store = SqliteStore::open(SqliteOptions::at(path)).await.unwrap();
            let (name, sum) = match what {
                What::Bookless => ("whole transaction without the book", &mut bookless),
                _ => ("whole transaction", &mut whole),
            };
            *sum += measure(name, rows / TURNS, &store, what).await / TURNS as f64;
            store.close().await;
        }
    }
    println!("whole / bare = {:.2}", whole / bare);
    println!("the state book slows ingest by {:.0} %", (1.0 - whole / bookless) * 100.0);
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    /// Order rows alone.
    Bare,
    /// Everything but the state book.
    Bookless,
    /// Everything.
    Whole,
}

async fn measure(name: &str, rows: u64, store: &SqliteStore, what: What) -> f64 {
    let began = Instant::now();
    let mut written = 0;
    while written < rows {
        let numbers = (0..BATCH).map(|at| order_of(written + at)).map(|n| (channel(), number(n))).collect();
        let request = if what == What::Bare {
            IngestRequest::default()
        } else {
            IngestRequest { partitions: vec![("raw".into(), 0)], numbers, ..IngestRequest::default() }
        };
        store
            .ingest(request, &|loaded| {
                if what == What::Bare {
                    return bare_writes(&loaded, written);
                }
                let mut writes = whole_writes(&loaded, written);
                if what == What::Bookless {
                    writes.book.clear();
                }
                writes
            })
            .await
            .unwrap();
        written += BATCH;
    }
    let rate = written as f64 / began.elapsed().as_secs_f64();
    println!("{name}: {rate:.0} records/s");
    rate
}

/// The order that a record speaks of: new for six of ten, else one of those just before.
fn order_of(record: u64) -> u64 {
    let (ten, at) = (record / 10, record % 10);
    if at < 6 { ten * 6 + at } else { (ten * 6).saturating_sub((at - 5) * 97) }
}

fn channel() -> ChannelId {
    ChannelId::new("municipal-12345").unwrap()
}

fn number(n: u64) -> SourceNumber {
    SourceNumber::new(format!("GZ20261123{n:08}")).unwrap()
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

fn order(n: u64, seq: u64, feed_seq: u64, record: u64) -> WorkOrderRow {
    WorkOrderRow {
        id: id(n),
        seq,
        feed_seq,
        created_at: time(n),
        changed_at: time(record),
        state: Some(OrderState::Dispatched),
        round: 0,
        fields: fields(),
        conflicts: Vec::new(),
    }
}

fn bare_writes(loaded: &Loaded, from: u64) -> IngestWrites {
    let orders = (0..BATCH).map(|at| order(order_of(from + at), 1, loaded.next_feed_seq + at, from + at)).collect();
    IngestWrites { orders, ..IngestWrites::default() }
}

fn whole_writes(loaded: &Loaded, from: u64) -> IngestWrites {
    let mut writes = IngestWrites::default();
    let mut seqs: std::collections::HashMap<OrderId, u64> =
        loaded.orders.iter().map(|order| (order.order.id, order.order.seq)).collect();
    for at in 0..BATCH {
        let record = from + at;
        let n = order_of(record);
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
                partition: 0,
                offset: record,
            },
            body: vec![b'x'; 1024],
            key_id: "plain".into(),
        });
        let seq = seqs.entry(id(n)).or_default();
        *seq += 1;
        if *seq == 1 {
            let number = OrderNumber { channel: channel(), number: number(n), day: day_of(time(n)) };
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
        let event_time = Moment::At(time(n));
        let key = ItemKey { dataset, number: number(n), day: day_of(time(n)), part: part.clone() };
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
    writes.positions = vec![FlowPosition { topic: "raw".into(), partition: 0, next_offset: from + BATCH }];
    writes
}
