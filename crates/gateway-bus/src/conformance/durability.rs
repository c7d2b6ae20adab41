//! What was acknowledged is there after the process is gone.

use super::{BusUnderTest, append_one, assert_contiguous, behind, fetch_messages, message, new_topic};
use crate::{Bus, TopicName};
use std::collections::BTreeMap;
use std::io::Write;

/// Acknowledged messages are there after reopening without `close`, once each, and offsets go on.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn acknowledged_survives_reopen(under_test: &dyn BusUnderTest) {
    let mut topic = None;
    for round in 0..4_u64 {
        let bus = under_test.open().await;
        let topic = match &topic {
            Some(topic) => topic,
            None => topic.insert(new_topic(&*bus, "reopen", 1).await),
        };
        for number in 0..25 {
            let at = append_one(&*bus, topic, message("key", (round * 25 + number).to_be_bytes())).await;
            assert_eq!(at, (0, round * 25 + number), "offsets go on where they were");
        }
        let mut consumer =
            bus.subscribe(&format!("reopen-{round}"), std::slice::from_ref(topic)).await.expect("a subscription works");
        let read = fetch_messages(&mut *consumer, (round as usize + 1) * 25).await;
        assert_contiguous(&read);
        for message in read {
            assert_eq!(message.payload, message.offset.to_be_bytes());
        }
    }
}

/// A group goes on at what it committed, not at what it read; one that never committed begins at the beginning.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn positions_survive_reopen(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "positions", 1).await;
    bus.append(&topic, (0..20_u8).map(|number| message("key", [number])).collect()).await.expect("an append works");
    let mut consumer = bus.subscribe("positions", std::slice::from_ref(&topic)).await.expect("a subscription works");
    let read = fetch_messages(&mut *consumer, 15).await;
    consumer.commit(&behind(&read[..8])).await.expect("a commit works");
    assert_eq!(bus.committed("positions", &topic).await.expect("positions are known")[0].offset, 8);
    consumer.commit(&behind(&read[..3])).await.expect("a commit works");
    assert_eq!(
        bus.committed("positions", &topic).await.expect("positions are known")[0].offset,
        8,
        "no position goes back"
    );
    assert_eq!(bus.committed("positions-other", &topic).await.expect("positions are known")[0].offset, 0);
    drop((consumer, bus));

    let bus = under_test.open().await;
    assert_eq!(bus.committed("positions", &topic).await.expect("positions are known")[0].offset, 8);
    let mut consumer = bus.subscribe("positions", std::slice::from_ref(&topic)).await.expect("a subscription works");
    assert_eq!(fetch_messages(&mut *consumer, 12).await[0].offset, 8, "what was not committed comes again");
    let mut other = bus.subscribe("positions-other", std::slice::from_ref(&topic)).await.expect("a subscription works");
    assert_eq!(fetch_messages(&mut *other, 20).await[0].offset, 0);
}

/// The part of a process that will be killed: appends from several tasks for ever, and writes a line `partition offset payload` to `report` when
/// an append was acknowledged.
///
/// # Panics
/// When an append fails.
pub async fn append_and_report(bus: &dyn Bus, topic: &TopicName, run: u64, report: impl Write + Send) {
    let report = std::sync::Mutex::new(report);
    let tasks = (0..4_u64).map(|task| {
        let report = &report;
        async move {
            for number in 0.. {
                let batch: Vec<_> = (0..=number % 4)
                    .map(|part| message(&format!("key-{task}"), format!("{run}-{task}-{number}-{part}")))
                    .collect();
                let payloads: Vec<_> =
                    batch.iter().map(|message| String::from_utf8_lossy(&message.payload).into_owned()).collect();
                let appended = bus.append(topic, batch).await.expect("an append works");
                let lines: String = appended
                    .into_iter()
                    .map(super::place)
                    .zip(payloads)
                    .map(|((partition, offset), payload)| format!("{partition} {offset} {payload}\n"))
                    .collect();
                let mut report = report.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                report.write_all(lines.as_bytes()).and_then(|()| report.flush()).expect("the report is taken");
            }
        }
    });
    futures::future::join_all(tasks).await;
}

/// Checks a topic against the lines that killed processes reported: every reported message is at its place, once; offsets have no hole from 0 to
/// the end; nothing is there twice. Returns how many messages there are.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn verify_reported(bus: &dyn Bus, topic: &TopicName, group: &str, reported: &[String]) -> usize {
    let ends = bus.end_positions(topic).await.expect("ends are known");
    let count = usize::try_from(ends.iter().map(|end| end.offset).sum::<u64>()).expect("a count fits");
    let mut consumer = bus.subscribe(group, std::slice::from_ref(topic)).await.expect("a subscription works");
    let mut places = BTreeMap::new();
    let mut payloads = BTreeMap::new();
    let mut next: BTreeMap<u32, u64> = BTreeMap::new();
    for message in fetch_messages(&mut *consumer, count).await {
        let expected = next.entry(message.partition).or_default();
        assert_eq!(message.offset, *expected, "offsets of partition {} have no hole", message.partition);
        *expected += 1;
        let payload = String::from_utf8(message.payload).expect("payloads of this test are text");
        let at = (message.partition, message.offset);
        assert_eq!(payloads.insert(payload.clone(), at), None, "{payload} is there twice");
        places.insert(at, payload);
    }
    for line in reported {
        let mut words = line.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).expect("a line of the report");
        let at = (u32::try_from(number()).expect("a partition"), number());
        let payload = words.next().expect("a line of the report");
        assert_eq!(places.get(&at).map(String::as_str), Some(payload), "what was acknowledged at {at:?} is there");
    }
    count
}
