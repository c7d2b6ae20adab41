//! A cluster of three real brokers that lose one, two and all of them.

use super::broker::Broker;
use super::support::{Kafka, eventually, options_at};
use gateway_bus::conformance::{behind, fetch_messages, message, new_topic};
use gateway_bus::kafka::KafkaOptions;
use gateway_bus::{Appended, Bus, BusError, Guard, TopicName};
use gateway_model::{SystemClock, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// What was acknowledged, by place.
type Acknowledged = BTreeMap<(u32, u64), Vec<u8>>;

/// Appends so many, each until it is acknowledged: an append that failed may be there all the same.
async fn append(bus: &dyn Bus, topic: &TopicName, from: u32, count: u32, acknowledged: &mut Acknowledged) {
    for number in from..from + count {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
        loop {
            let payload = number.to_be_bytes();
            match bus.append(topic, vec![message(&format!("key-{}", number % 7), payload)]).await {
                Ok(appended) => {
                    let [Appended::At { partition, offset }] = appended[..] else { panic!("{appended:?}") };
                    assert_eq!(
                        acknowledged.insert((partition, offset), payload.to_vec()),
                        None,
                        "a place is given once"
                    );
                    break;
                }
                Err(BusError::Unavailable(why)) => {
                    assert!(tokio::time::Instant::now() < deadline, "number {number} is taken in time: {why}");
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_lost_and_found() {
    let cluster = Broker::start(&["--brokers", "3"]);
    let options = KafkaOptions {
        replication: 3,
        min_insync: 2,
        append_timeout_ms: 5_000,
        request_timeout_ms: 5_000,
        ..options_at(cluster.address("PLAINTEXT"))
    };
    let kafka = Kafka { options, clock: std::sync::Arc::new(gateway_model::ManualClock::new(Timestamp::now())) };
    let bus = kafka.open_kafka().await;
    let topic = new_topic(&bus, "faults", 3).await;
    let mut acknowledged = Acknowledged::new();
    append(&bus, &topic, 0, 30, &mut acknowledged).await;
    let mut reader = bus.subscribe("faults", std::slice::from_ref(&topic)).await.unwrap();
    let mut read = fetch_messages(&mut *reader, 20).await;
    reader.commit(&behind(&read)).await.unwrap();
    let guarded = |nonce: &str| {
        let until = gateway_model::Clock::now(&SystemClock).checked_add(Duration::from_secs(3_600)).unwrap();
        let guard = Some(Guard { nonce: nonce.into(), digest: [1; 32], until });
        vec![gateway_bus::NewMessage { guard, ..message("guarded", nonce) }]
    };
    let appended = bus.append(&topic, guarded("n")).await.unwrap();
    let [Appended::At { partition, offset }] = appended[..] else { panic!("{appended:?}") };
    acknowledged.insert((partition, offset), b"n".to_vec());

    // One of three: a leader is lost, another takes over.
    cluster.stop(Some(3));
    append(&bus, &topic, 30, 30, &mut acknowledged).await;
    eventually("two brokers are enough", async || bus.check().await.is_ok()).await;

    // Two of three: what is appended could be lost with one more, so nothing is acknowledged, and readiness says it.
    cluster.stop(Some(2));
    eventually("one broker is not", async || bus.check().await.is_err()).await;
    let refused = bus.append(&topic, vec![message("key", "unacknowledged")]).await;
    assert!(matches!(refused, Err(BusError::Unavailable(_))), "{refused:?}");

    // All of them.
    cluster.stop(None);
    assert!(matches!(bus.check().await, Err(BusError::Unavailable(_))));
    let nothing = reader.fetch(1, Duration::from_millis(500)).await;
    println!("a fetch without brokers: {nothing:?}");
    read.extend(nothing.map(|fetched| fetched.messages).unwrap_or_default());

    cluster.start_again();
    eventually("the bus works again", async || bus.check().await.is_ok()).await;
    append(&bus, &topic, 60, 30, &mut acknowledged).await;
    assert_eq!(bus.append(&topic, guarded("n")).await.unwrap(), [Appended::Repeated], "the nonce is remembered");

    // Everything that was acknowledged is read at its place; what was not may be there too.
    let ends: u64 = bus.end_positions(&topic).await.unwrap().iter().map(|end| end.offset).sum();
    let mut found: Acknowledged = Acknowledged::new();
    loop {
        for message in read.drain(..) {
            let (place, payload) = ((message.partition, message.offset), message.payload);
            // What was fetched and could not be committed comes again.
            assert_eq!(*found.entry(place).or_insert_with(|| payload.clone()), payload);
        }
        if found.len() as u64 == ends {
            break;
        }
        read = fetch_messages(&mut *reader, 1).await;
        reader.commit(&behind(&read)).await.unwrap();
    }
    for (place, payload) in &acknowledged {
        assert_eq!(found.get(place), Some(payload), "what was acknowledged at {place:?}");
    }
    // Another replica, started now, knows the nonce as well.
    let other = kafka.open_kafka().await;
    assert_eq!(other.append(&topic, guarded("n")).await.unwrap(), [Appended::Repeated]);
}
