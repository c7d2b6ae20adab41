//! Mistakes of the configuration section, all told at once with their keys.

use gateway_bus::BusError;
use gateway_bus::kafka::{KafkaBus, KafkaOptions, SaslMechanism, Security};
use gateway_model::SystemClock;
use std::sync::Arc;

fn keys(options: &KafkaOptions) -> Vec<&'static str> {
    options.mistakes().into_iter().map(|(key, _)| key).collect()
}

#[test]
fn the_defaults_want_only_brokers() {
    assert_eq!(keys(&KafkaOptions::default()), ["bootstrap_servers"]);
    assert_eq!(keys(&KafkaOptions::at("kafka-1.example:9092, kafka-2.example:9092")), Vec::<&str>::new());
}

#[test]
fn every_mistake_is_told() {
    let options = KafkaOptions {
        bootstrap_servers: "kafka-1.example".into(),
        prefix: "a b".into(),
        replication: 3,
        min_insync: 4,
        heartbeat_ms: 20_000,
        security: Security {
            sasl_mechanism: Some(SaslMechanism::Plain),
            password_file: Some("/nowhere/password".into()),
            ..Security::default()
        },
        ..KafkaOptions::default()
    };
    let expected = [
        "bootstrap_servers",
        "prefix",
        "min_insync",
        "heartbeat_ms",
        "security.sasl_mechanism",
        "security.username",
        "security.password_file",
    ];
    assert_eq!(keys(&options), expected);
}

#[test]
fn one_insync_replica_of_three_is_refused() {
    assert_eq!(keys(&KafkaOptions { min_insync: 1, ..KafkaOptions::at("k:9092") }), ["min_insync"]);
    assert_eq!(keys(&KafkaOptions { replication: 1, min_insync: 1, ..KafkaOptions::at("k:9092") }), Vec::<&str>::new());
}

#[test]
fn the_section_reads_from_toml() {
    let text = r#"
        bootstrap_servers = "kafka-1.example:9093"
        prefix = "bureau."
        instance = "gateway-1"
        compression = "lz4"
        [security]
        tls = true
        ca_file = "secrets/kafka-ca.pem"
        sasl_mechanism = "scram-sha-512"
        username = "gateway"
        password_file = "secrets/kafka.password"
    "#;
    let mut options: KafkaOptions = toml::from_str(text).unwrap();
    assert_eq!(options.security.sasl_mechanism, Some(SaslMechanism::ScramSha512));
    assert_eq!(options.paths_mut().count(), 2);
    toml::from_str::<KafkaOptions>("nonsense = 1").unwrap_err();
}

#[tokio::test]
async fn opening_refuses_mistakes_before_it_asks_anybody() {
    let refused =
        KafkaBus::open(KafkaOptions { linger_ms: 9_999, ..KafkaOptions::default() }, Arc::new(SystemClock)).await;
    let Err(BusError::Refused { what }) = refused else { panic!("expected a refusal") };
    assert!(what.contains("bootstrap_servers: ") && what.contains("linger_ms: "), "{what}");
}

#[tokio::test]
async fn brokers_that_are_not_there_are_told() {
    let options = KafkaOptions { request_timeout_ms: 1_000, ..KafkaOptions::at("127.0.0.1:1") };
    let Err(BusError::Unavailable(why)) = KafkaBus::open(options, Arc::new(SystemClock)).await else {
        panic!("expected to be told")
    };
    assert!(why.to_string().contains("127.0.0.1:1"), "the address that does not answer: {why}");
}
