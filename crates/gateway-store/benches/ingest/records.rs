//! What is written: records of about 1 KiB, 60 % new orders, 30 % newer acceptances, 10 % events.

use gateway_model::*;
use gateway_store::*;
use std::sync::LazyLock;

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

/// What citizens say, by record: words in an order that never comes again, so that nothing gains by one record being like another.
fn words(record: u64) -> &'static str {
    const WORDS: [&str; 32] = [
        "路灯", "不亮", "连续", "三晚", "东北", "路口", "来电", "市民", "反映", "希望", "尽快", "派人", "维修", "出租",
        "司机", "拒载", "绕路", "公交", "甩站", "候车", "老人", "摔倒", "积水", "坑洼", "停车", "收费", "投诉", "处理",
        "答复", "天河", "黄埔", "多次",
    ];
    /// Two signs of three bytes.
    const WORD: usize = 6;
    const LONG: usize = 95;
    static POOL: LazyLock<String> = LazyLock::new(|| {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        (0..100_003)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                WORDS[(seed >> 59) as usize]
            })
            .collect()
    });
    let start = (record as usize * 97) % (POOL.len() / WORD - LONG) * WORD;
    &POOL[start..start + LONG * WORD]
}

/// A record of about 1 KiB, as the channel sends it.
fn body(n: u64, record: u64) -> Vec<u8> {
    let (minute, second) = (record / 60 % 60, record % 60);
    format!(
        r#"{{"orderNo":"{}","createTime":"2026-11-23 09:{minute:02}:{second:02}","updateTime":"2026-11-23 10:{minute:02}:{second:02}","orderType":"03","category":"城市管理/市政设施/路灯","title":"路灯不亮","content":"{}","sourceType":"phone","address":"天河路{n}号","occurTime":"2026-11-22 21:{second:02}:00","urgency":"1","isSecret":"0","isAnonymous":"1","callerName":"测试甲","callerPhone":"{:011}","state":"30","unit":"市交通运输局","deadline":"2026-12-14 23:59:59","round":0,"events":[],"completions":[]}}"#,
        number(n).as_str(),
        words(record),
        record * 7_919,
    )
    .into_bytes()
}

fn fields(record: u64) -> Fields {
    [
        (Field::Title, FieldValue::from("路灯不亮")),
        (Field::Content, FieldValue::from(words(record))),
        (Field::MatterCategory, FieldValue::from("城市管理/市政设施/路灯")),
        (Field::AcceptedAt, FieldValue::Time(Moment::At(time(record)))),
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
        fields: fields(record),
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
            body: body(n, record),
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
                fields: fields(record),
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
