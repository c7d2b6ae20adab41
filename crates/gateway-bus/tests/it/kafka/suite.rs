//! The suite on a real broker.

use super::support::Kafka;
use gateway_bus::conformance;
use proptest::prelude::*;

crate::suite::cases!(Kafka::new());

/// The same with a spool before it: while the brokers are well it does not show.
mod spooled {
    use super::super::support::SpooledKafka;

    crate::suite::cases!(SpooledKafka::new());
}

proptest! {
    // A case joins and leaves its group many times, each with the brokers' word.
    #![proptest_config(ProptestConfig { cases: 5, max_shrink_iters: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn follows_the_model(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(conformance::follows_the_model(&Kafka::new(), "model", &conformance::steps(&bytes)));
    }
}
