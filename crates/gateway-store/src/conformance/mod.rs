//! The suite that every engine must pass, unchanged: what the traits promise, said as tests.
//!
//! An engine's test binary gives a [`StoreUnderTest`] and calls [`store_conformance!`](crate::store_conformance), which makes one test of each
//! function here. Times in the suite are whole milliseconds, the resolution that every engine keeps.
//!
//! Refused: a suite that reaches below the traits. Whatever it could see there, a caller can't rely on.
#![allow(clippy::unwrap_used)]

mod alert;
mod attachments;
mod audit;
mod book;
mod book_property;
mod command;
mod contend;
mod crash;
mod dead_letter;
mod delivery;
mod delivery_end;
mod delivery_file;
mod fault;
mod feed;
mod fixture;
mod gap;
mod gap_group;
mod history;
mod identity;
mod ingest;
mod job;
mod lease;
mod node;
mod park;
mod registry;
mod watch;

pub use alert::*;
pub use attachments::*;
pub use audit::*;
pub use book::*;
pub use book_property::*;
pub use command::*;
pub use contend::*;
pub use crash::*;
pub use dead_letter::*;
pub use delivery::*;
pub use delivery_end::*;
pub use delivery_file::*;
pub use fault::*;
pub use feed::*;
pub use fixture::fill;
pub use gap::*;
pub use gap_group::*;
pub use history::*;
pub use identity::*;
pub use ingest::*;
pub use job::*;
pub use lease::*;
pub use node::*;
pub use park::*;
pub use registry::*;
pub use watch::*;

use crate::Store;
use async_trait::async_trait;
use std::sync::Arc;

/// An engine with a place of its own for data.
#[async_trait]
pub trait StoreUnderTest: Send + Sync {
    /// Opens a handle on the data of this place; the first one finds it empty. Handles are independent, as those of two processes.
    async fn open(&self) -> Arc<dyn Store>;
    /// Takes the write lock away from all handles, as another process would.
    async fn block_writes(&self) -> Box<dyn WriteBlock>;
}

/// A write lock held from outside.
#[async_trait]
pub trait WriteBlock: Send {
    /// Gives the lock back.
    async fn release(self: Box<Self>);
}

/// One test of each function of the suite; `$make` makes a fresh [`StoreUnderTest`](crate::conformance::StoreUnderTest).
#[macro_export]
macro_rules! store_conformance {
    ($make:expr) => {
        $crate::store_conformance! { $make;
            a_batch_is_read_back_as_it_was_written
            an_order_is_replaced_whole
            ids_go_on_after_reopening
            a_failed_batch_leaves_nothing
            a_dropped_batch_is_whole_or_absent
            positions_only_go_forward
            tallies_add_up
            anomalies_are_counted_without_end
            orders_are_found_by_any_number
            records_park_and_leave_whole
            burying_is_refused_for_what_has_left
            the_feed_gives_every_change_once
            the_feed_skips_nothing_while_it_is_written
            the_timeline_tells_where_each_change_came_from
            the_first_verdict_on_a_command_stays
            an_order_is_traced
            an_incidents_life_outlives_it
            only_the_oldest_delivery_of_an_order_is_due
            sending_and_held_block_but_are_not_due
            a_forwarded_acceptance_goes_first
            due_ones_come_in_the_order_they_fell_due
            a_delivery_knows_the_newest_number_at_its_destination
            an_attempt_begins_only_from_owed
            what_was_forwarded_is_told_once_by_item
            a_verdict_counts_once_for_its_generation
            a_row_that_is_refused_again_and_again_is_left_to_a_person
            a_note_moves_with_the_verdicts
            an_acknowledgement_puts_the_item_into_the_sent_side
            ending_an_attempt_does_not_undo_an_echo
            an_answer_of_the_generation_before_is_void
            what_was_sending_at_a_crash_is_ambiguous
            a_stale_worker_begins_nothing_and_brings_only_proofs
            redelivering_takes_the_item_out_of_the_book
            redelivering_leaves_what_the_channel_said
            waiving_ends_a_delivery
            outbound_tallies_follow_every_step
            buckets_hold_both_sides_by_version
            a_corrected_event_time_moves_the_item
            items_are_found_by_window_and_number
            sums_equal_their_items_whatever_happened
            a_gap_lives_as_agreed
            gaps_refuse_steps_that_do_not_exist
            forgotten_ids_do_not_come_back
            gaps_are_listed_by_what_is_asked
            active_gaps_are_those_that_are_not_over
            a_round_ends_whole_or_not_at_all
            comparisons_add_up
            a_past_day_is_shown_as_it_was_then
            the_last_history_is_the_book
            a_channels_account_is_kept_by_day
            spans_in_step_are_kept_by_day
            the_flow_is_kept_by_day
            deliveries_are_kept_by_day
            legs_are_kept_as_histograms
            a_gaps_life_is_kept_step_by_step
            dead_letters_are_shown_as_they_were
            first_arrivals_tell_how_late_records_come
            a_sound_book_adds_up
            offsets_without_records_are_told
            one_outage_is_one_group
            a_group_counts_its_gaps
            what_is_no_suspicion_is_not_confirmed
            a_stopped_repair_waits_for_an_answer
            the_same_job_is_one_job
            a_job_asked_for_again_while_it_runs_runs_again
            a_claim_that_ran_out_is_due_again
            a_failed_job_comes_back_later
            a_lease_has_one_holder
            leases_are_given_back_at_once
            a_node_tells_of_itself
            a_later_process_takes_a_nodes_name
            a_registry_is_imported_and_looked_up
            verifications_follow_order_and_registry
            a_question_about_a_car_is_owed_until_it_is_answered
            an_attachment_is_owed_until_it_is_kept
            a_lacking_attachment_is_told_and_asked_for_again
            an_attachment_that_is_named_no_more_is_withdrawn
            a_pair_lives_as_agreed
            a_group_is_loaded_whole
            duplicates_are_offered_once
            only_what_changed_is_compared_again
            a_dropped_round_of_matches_is_whole_or_absent
            the_registry_is_loaded_for_who_asks
            a_stale_epoch_saves_no_checkpoint
            who_works_under_a_lease_writes_nothing_once_it_is_lost
            contenders_get_distinct_epochs
            writers_of_one_order_converge
            a_new_order_is_made_once
            a_waiting_record_misses_no_order
            contending_writers_keep_the_books
            a_job_is_claimed_once
            dead_letters_are_settled_once
            a_round_of_alerts_is_read_back_as_it_was_written
            an_acknowledgement_survives_the_round
            notifications_are_owed_until_they_end
            a_notifier_fails_until_it_succeeds
            silences_begin_and_end
            a_stale_epoch_writes_no_alerts
            arrivals_are_counted_by_hour
            watched_time_is_kept_by_hour
            what_waits_is_told_with_its_age
            numbers_are_found_by_range
            a_blocked_store_says_so_in_time_and_recovers
        }
    };
    ($make:expr; $($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let place = $make;
                $crate::conformance::$name(&place).await;
            }
        )*
    };
}
