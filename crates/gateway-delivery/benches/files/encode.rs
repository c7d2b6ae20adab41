//! Encoding and digest alone: from what is known of an item to the bytes of its row in GB18030, and the SM3 of each file. Two threads encode, one digests, as
//! the gateway does it.

use crate::measured::{aim, cpu, load};
use crate::world::{DESTINATION, ORIGIN, at, body, connector, forwarded_number, id, number};
use gateway_connector::OutboundDelivery;
use gateway_connector::profile::ForwardKind;
use gateway_connector::wire::FileDigest;
use gateway_model::{DeliveryId, Moment, Operation};
use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Instant;

const PAGE: u64 = 1_000;
const KINDS: u64 = 3;

/// The items of some orders, as the delivery worker would say them.
fn items(orders: u64) -> Vec<(ForwardKind, OutboundDelivery)> {
    let origin = connector(ORIGIN);
    let mut items = Vec::new();
    for order in 0..orders {
        for change in origin.normalizer().normalize(body(order).as_bytes(), at(order)).unwrap() {
            let Some(kind) = ForwardKind::of(change.dataset, &change.part) else { continue };
            if !matches!(kind, ForwardKind::Acceptance | ForwardKind::Completion | ForwardKind::Evaluation) {
                continue;
            }
            let delivery = DeliveryId(items.len() as i64 + 1);
            items.push((
                kind,
                OutboundDelivery {
                    id: delivery,
                    order_id: id(order),
                    number: forwarded_number(order),
                    from: number(order).channel,
                    operation: Operation::Forward,
                    dataset: change.dataset,
                    part: change.part,
                    round: 0,
                    event_time: Moment::At(at(order)),
                    fields: change.fields,
                    generation: 1,
                    idempotency_key: format!("d{delivery}-1-00000000"),
                },
            ));
        }
    }
    items
}

pub fn measure(rows: u64) {
    let destination = connector(DESTINATION);
    let dress = destination.files().unwrap();
    let items = items(PAGE);
    assert_eq!(items.len() as u64, PAGE * KINDS);
    let pages = rows.div_ceil(PAGE);
    let (began, before) = (Instant::now(), cpu());
    let mut digests: BTreeMap<ForwardKind, FileDigest> = BTreeMap::new();
    let mut bytes = 0;
    std::thread::scope(|threads| {
        let (give, take) = mpsc::sync_channel(4);
        for half in 0..2 {
            let (give, items) = (give.clone(), &items);
            threads.spawn(move || {
                for page in (half..pages).step_by(2) {
                    let mut files: BTreeMap<ForwardKind, Vec<u8>> = BTreeMap::new();
                    let from = (page % KINDS * PAGE) as usize;
                    for (kind, item) in &items[from..from + PAGE as usize] {
                        dress.row(*kind, item, files.entry(*kind).or_default()).unwrap();
                    }
                    give.send(files).unwrap();
                }
            });
        }
        drop(give);
        for page in take {
            for (kind, text) in page {
                bytes += text.len() as u64;
                digests.entry(kind).or_insert_with(|| FileDigest::new(dress.rule().digest)).update(&text);
            }
        }
    });
    let digests: Vec<String> = digests.into_values().map(FileDigest::hex).collect();
    assert_eq!(digests.len() as u64, KINDS);
    let rate = (pages * PAGE) as f64 / began.elapsed().as_secs_f64();
    aim("encode and digest, CSV in GB18030 with SM3", rate, "rows/s", 100_000.0, true);
    println!(
        "  {} bytes and {:.1} µs of CPU a row; load {}",
        bytes / (pages * PAGE),
        (cpu() - before) * 1e6 / (pages * PAGE) as f64,
        load()
    );
}
