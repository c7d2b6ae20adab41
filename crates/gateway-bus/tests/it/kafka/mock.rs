//! Errors and outages that a real broker does not have on demand, by the mock cluster of librdkafka.

use super::support::{eventually, options_at};
use gateway_bus::conformance::{append_one, behind, fetch_messages, message};
use gateway_bus::kafka::{KafkaBus, KafkaOptions};
use gateway_bus::{Bus, BusError, TopicName};
use gateway_model::{ChannelId, SystemClock};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Error};
use std::sync::Arc;
use std::time::Duration;

struct Mock {
    cluster: MockCluster<'static, DefaultProducerContext>,
    options: KafkaOptions,
    topic: TopicName,
}

impl Mock {
    fn new() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        let options = KafkaOptions {
            append_timeout_ms: 2_000,
            request_timeout_ms: 2_000,
            ..options_at(&cluster.bootstrap_servers())
        };
        let topic = TopicName::raw(&ChannelId::new("mock").unwrap());
        cluster.create_topic(&format!("{}{topic}", options.prefix), 1, 1).unwrap();
        Self { cluster, options, topic }
    }

    async fn open(&self) -> KafkaBus {
        KafkaBus::open(self.options.clone(), Arc::new(SystemClock)).await.unwrap()
    }
}

fn unavailable<T: std::fmt::Debug>(outcome: Result<T, BusError>) -> String {
    match outcome {
        Err(BusError::Unavailable(why)) => why.to_string(),
        other => panic!("expected to be told that the bus is unavailable, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_told_and_passes() {
    let mock = Mock::new();
    let bus = mock.open().await;
    append_one(&bus, &mock.topic, message("key", "before")).await;
    bus.check().await.unwrap();
    mock.cluster.broker_down(-1).unwrap();
    unavailable(bus.append(&mock.topic, vec![message("key", "during")]).await);
    unavailable(bus.check().await);
    unavailable(bus.end_positions(&mock.topic).await);
    mock.cluster.broker_up(-1).unwrap();
    eventually("the bus says that it works again", async || bus.check().await.is_ok()).await;
    append_one(&bus, &mock.topic, message("key", "after")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_is_tried_again_and_written_once() {
    let mock = Mock::new();
    let bus = mock.open().await;
    append_one(&bus, &mock.topic, message("key", "first")).await;
    let errors = [
        Error::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        Error::RD_KAFKA_RESP_ERR__TRANSPORT,
        Error::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Error::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    ];
    mock.cluster.request_errors(Api::Produce, &errors);
    for number in 1..6_u8 {
        assert_eq!(append_one(&bus, &mock.topic, message("key", [number])).await, (0, number.into()));
    }
    assert_eq!(bus.end_positions(&mock.topic).await.unwrap()[0].offset, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_right_is_told_until_it_is_given() {
    let mock = Mock::new();
    let bus = mock.open().await;
    append_one(&bus, &mock.topic, message("key", "first")).await;
    mock.cluster.request_errors(Api::Produce, &[Error::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    let why = unavailable(bus.append(&mock.topic, vec![message("key", "x")]).await);
    assert!(why.contains("right on the topic"), "{why}");
    assert!(unavailable(bus.check().await).contains("right on the topic"), "readiness tells it too");
    eventually("an append is allowed again", async || bus.append(&mock.topic, vec![message("key", "x")]).await.is_ok())
        .await;
    bus.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_too_large_for_the_broker_is_refused() {
    let mock = Mock::new();
    let bus = mock.open().await;
    mock.cluster.request_errors(Api::Produce, &[Error::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let refused = bus.append(&mock.topic, vec![message("key", "x")]).await;
    assert!(matches!(refused, Err(BusError::Refused { .. })), "{refused:?}");
    let weighed = bus.append(&mock.topic, vec![message("key", vec![0; mock.options.message_bytes as usize])]).await;
    assert!(matches!(weighed, Err(BusError::Refused { .. })), "{weighed:?}");
}

/// A producer that the broker has given up answers nothing but its fatal error; another takes its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_was_given_up_is_replaced() {
    let mock = Mock::new();
    let bus = mock.open().await;
    append_one(&bus, &mock.topic, message("key", "first")).await;
    mock.cluster.request_errors(Api::Produce, &[Error::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER]);
    unavailable(bus.append(&mock.topic, vec![message("key", "x")]).await);
    append_one(&bus, &mock.topic, message("key", "second")).await;
    bus.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_outlasts_a_rebalance_and_tells_when_the_member_is_out() {
    let mock = Mock::new();
    let bus = mock.open().await;
    for number in 0..6_u8 {
        append_one(&bus, &mock.topic, message("key", [number])).await;
    }
    let mut reader = bus.subscribe("commits", std::slice::from_ref(&mock.topic)).await.unwrap();
    let read = fetch_messages(&mut *reader, 6).await;
    let errors = [
        Error::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
        Error::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        Error::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
    ];
    mock.cluster.request_errors(Api::OffsetCommit, &errors);
    reader.commit(&behind(&read[..2])).await.unwrap();
    assert_eq!(bus.committed("commits", &mock.topic).await.unwrap()[0].offset, 2);

    mock.cluster.request_errors(Api::OffsetCommit, &[Error::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID]);
    unavailable(reader.commit(&behind(&read[..4])).await);
    drop(reader);
    let mut reader = bus.subscribe("commits", std::slice::from_ref(&mock.topic)).await.unwrap();
    let again = fetch_messages(&mut *reader, 4).await;
    assert_eq!(again[0].offset, 2, "what was not committed comes again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_goes_on_after_errors_that_pass() {
    let mock = Mock::new();
    let bus = mock.open().await;
    let mut reader = bus.subscribe("reads", std::slice::from_ref(&mock.topic)).await.unwrap();
    append_one(&bus, &mock.topic, message("key", "0")).await;
    fetch_messages(&mut *reader, 1).await;
    let errors = [
        Error::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Error::RD_KAFKA_RESP_ERR__TRANSPORT,
        Error::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
    ];
    mock.cluster.request_errors(Api::Fetch, &errors);
    mock.cluster.request_errors(Api::OffsetFetch, &[Error::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS]);
    for number in 1..5_u8 {
        append_one(&bus, &mock.topic, message("key", [number])).await;
        assert_eq!(fetch_messages(&mut *reader, 1).await[0].offset, u64::from(number));
    }
    // A reader that comes while its group's broker is not ready yet.
    mock.cluster.request_errors(Api::OffsetFetch, &[Error::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS; 2]);
    let mut late = bus.subscribe("late", std::slice::from_ref(&mock.topic)).await.unwrap();
    assert_eq!(fetch_messages(&mut *late, 5).await[0].offset, 0);
}

/// Full or closed, an append ends in time: nobody waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_end_in_time_while_no_broker_answers() {
    let mock = Mock::new();
    let bus = Arc::new(mock.open().await);
    append_one(&*bus, &mock.topic, message("key", "first")).await;
    mock.cluster.broker_down(-1).unwrap();
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let (bus, topic) = (Arc::clone(&bus), mock.topic.clone());
            tokio::spawn(async move { bus.append(&topic, vec![message("key", vec![0; 200_000])]).await })
        })
        .collect();
    for one in waiting {
        let ended = tokio::time::timeout(Duration::from_secs(30), one).await.expect("in time").unwrap();
        unavailable(ended);
    }
    bus.close().await;
    let closed = bus.append(&mock.topic, vec![message("key", "x")]).await;
    assert!(matches!(closed, Err(BusError::Closed)), "{closed:?}");
}
