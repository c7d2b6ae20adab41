//! The suite, one test for each of its functions, on the embedded engine; other engines take the same list.

use crate::support::Embedded;
use gateway_bus::conformance as suite;
use proptest::prelude::*;

/// One test for each function of the suite, on the engine that the expression makes.
macro_rules! cases {
    ($engine:expr) => {
        $crate::suite::cases!($engine;
            a_dropped_fetch_loses_nothing,
            a_dropped_member_hands_over,
            a_member_that_joins_gets_its_share,
            a_waiting_fetch_wakes,
            acknowledged_survives_reopen,
            appends_beyond_the_queue_wait,
            bad_requests_are_refused,
            closed_is_closed,
            expired_messages_are_reported_lost,
            groups_are_independent,
            guard_answers_in_one_batch,
            guard_expires,
            guard_repeats_and_conflicts,
            guard_survives_reopen,
            keeps_order_per_key,
            later_topics_are_not_starved,
            offsets_go_on_after_all_is_dropped,
            positions_survive_reopen,
            rewind_repeats_what_was_not_committed,
            unexpired_messages_stay,
            what_comes_out_is_what_went_in,
        );
    };
    ($engine:expr; $($name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                gateway_bus::conformance::$name(&$engine).await;
            }
        )*
    };
}
pub(crate) use cases;

cases!(Embedded::new());

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn follows_the_model(bytes in proptest::collection::vec(any::<u8>(), 0..240), tiny in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut embedded = Embedded::new();
        if tiny {
            // A segment for nearly every append.
            embedded.options.segment_bytes = 1;
        }
        runtime.block_on(suite::follows_the_model(&embedded, "model", &suite::steps(&bytes)));
    }
}
