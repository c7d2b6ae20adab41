//! The suite once more over TLS and SCRAM, by a user who has just the rights that docs/kafka.md asks for; the other ways to be let in or not.

use super::broker;
use super::support::{Kafka, options_at};
use gateway_bus::conformance::{append_one, message, new_topic};
use gateway_bus::kafka::{KafkaBus, KafkaOptions, SaslMechanism, Security};
use gateway_bus::{Bus, BusError, TopicName, TopicSpec};
use gateway_model::{ChannelId, SystemClock};
use std::sync::Arc;
use std::time::Duration;

fn scram() -> Security {
    let broker = broker::shared();
    Security {
        tls: true,
        ca_file: Some(broker.secret("ca.pem")),
        sasl_mechanism: Some(SaslMechanism::ScramSha512),
        username: Some("gateway".into()),
        password_file: Some(broker.secret("gateway.password")),
        ..Security::default()
    }
}

fn over(listener: &str, security: Security) -> Kafka {
    Kafka::with(KafkaOptions { security, ..options_at(broker::shared().address(listener)) })
}

crate::suite::cases!(over("SASL_SSL", scram()));

async fn works(kafka: Kafka) {
    let bus = kafka.open_kafka().await;
    let topic = new_topic(&bus, "let-in", 1).await;
    assert_eq!(append_one(&bus, &topic, message("key", "x")).await, (0, 0));
}

#[tokio::test]
async fn other_mechanisms_let_in() {
    for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha256] {
        works(over("SASL_SSL", Security { sasl_mechanism: Some(mechanism), ..scram() })).await;
    }
}

#[tokio::test]
async fn a_certificate_lets_in() {
    let broker = broker::shared();
    let security = Security {
        tls: true,
        ca_file: Some(broker.secret("ca.pem")),
        certificate_file: Some(broker.secret("gateway.pem")),
        key_file: Some(broker.secret("gateway.key")),
        ..Security::default()
    };
    works(over("SSL", security)).await;
}

/// Opens in vain and returns why.
async fn refused(listener: &str, security: Security) -> String {
    let options =
        KafkaOptions { request_timeout_ms: 3_000, security, ..options_at(broker::shared().address(listener)) };
    match KafkaBus::open(options, Arc::new(SystemClock)).await {
        Err(BusError::Unavailable(why)) => why.to_string(),
        Err(other) => panic!("expected to be told why, got {other}"),
        Ok(_) => panic!("was let in"),
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_with_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("password");
    std::fs::write(&wrong, "not-the-password\n").unwrap();
    let why = refused("SASL_SSL", Security { password_file: Some(wrong), ..scram() }).await;
    assert!(why.contains("security.password_file"), "{why}");
    assert!(!why.contains("not-the-password"), "{why}");
}

#[tokio::test]
async fn an_unknown_authority_is_told_with_its_key() {
    let stranger = broker::shared().secret("gateway.pem");
    let why = refused("SASL_SSL", Security { ca_file: Some(stranger), ..scram() }).await;
    assert!(why.contains("security.ca_file"), "{why}");
}

#[tokio::test]
async fn a_missing_certificate_is_told() {
    let security = Security { tls: true, ca_file: Some(broker::shared().secret("ca.pem")), ..Security::default() };
    let why = refused("SSL", security).await;
    assert!(why.contains("certificate"), "{why}");
}

#[tokio::test]
async fn a_plain_client_at_a_secure_listener_is_told_in_time() {
    let why = refused("SASL_SSL", Security::default()).await;
    assert!(why.contains("asking the brokers"), "{why}");
}

#[tokio::test]
async fn missing_rights_are_told_with_what_lacks() {
    let kafka = over("SASL_SSL", scram());
    let prefix = format!("not-ours-{}", kafka.options.prefix);
    let foreign = Kafka::with(KafkaOptions { prefix: prefix.clone(), ..kafka.options.clone() });
    let bus = foreign.open_kafka().await;
    let name = TopicName::raw(&ChannelId::new("suite-rights").unwrap());
    let spec = TopicSpec { name: name.clone(), partitions: 1, retention: Duration::from_secs(3_600) };
    let refused = bus.ensure_topic(&spec).await.unwrap_err();
    let BusError::Unavailable(why) = &refused else { panic!("{refused:?}") };
    let why = why.to_string();
    assert!(why.contains("lacks a right on the topic") && why.contains("create"), "{why}");
    // The topic is there, and the group is not ours to join.
    let plain = Kafka::with(KafkaOptions { prefix, ..options_at(broker::shared().address("PLAINTEXT")) });
    plain.open_kafka().await.ensure_topic(&spec).await.unwrap();
    let refused = match bus.subscribe("pipeline", &[name]).await {
        Err(refused) => refused,
        Ok(mut consumer) => consumer.fetch(1, Duration::from_secs(30)).await.unwrap_err(),
    };
    let BusError::Unavailable(why) = &refused else { panic!("{refused:?}") };
    assert!(why.to_string().contains("lacks"), "{why}");
}
