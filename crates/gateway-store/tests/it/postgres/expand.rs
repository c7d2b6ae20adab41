//! Two versions of the schema side by side: a newer program has added to it, and this one goes on.
//!
//! Its migration is imagined, and adds all that the rule permits, to every table: a column that may be null, one with a default, an index, a table.

use super::fault::{record, write};
use super::place::Place;
use async_trait::async_trait;
use gateway_model::{RawId, Timestamp};
use gateway_store::conformance::{StoreUnderTest, WriteBlock};
use gateway_store::{IngestStore, OrderReader, PostgresStore, Store, StoreError};
use std::sync::Arc;
use tokio::sync::OnceCell;

const EXPAND: &str = "
    DO $$
    DECLARE one text;
    BEGIN
        FOR one IN
            SELECT c.relname FROM pg_class AS c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                AND c.relname <> 'schema_migration'
        LOOP
            EXECUTE format('ALTER TABLE %I ADD COLUMN later_note text, ADD COLUMN later_count bigint NOT NULL DEFAULT 0', one);
        END LOOP;
    END $$;
    CREATE INDEX later_order ON work_order (later_count, id);
    CREATE TABLE later_table (id bigint PRIMARY KEY, note text);
    INSERT INTO schema_migration VALUES (29990101000000, 'expand_everything')";

/// A place whose schema a newer program has expanded.
struct Expanded {
    place: Place,
    expanded: OnceCell<()>,
}

impl Expanded {
    fn new() -> Self {
        Self { place: Place::new(), expanded: OnceCell::new() }
    }
}

#[async_trait]
impl StoreUnderTest for Expanded {
    async fn open(&self) -> Arc<dyn Store> {
        // The first handle is of before, and goes on under the migration; the others begin after it.
        let store = self.place.open().await;
        self.expanded.get_or_init(|| self.place.run(EXPAND)).await;
        store
    }

    async fn block_writes(&self) -> Box<dyn WriteBlock> {
        self.place.block_writes().await
    }
}

gateway_store::store_conformance! { Expanded::new();
    a_batch_is_read_back_as_it_was_written
    an_order_is_replaced_whole
    a_failed_batch_leaves_nothing
    anomalies_are_counted_without_end
    records_park_and_leave_whole
    the_feed_gives_every_change_once
    the_timeline_tells_where_each_change_came_from
    the_first_verdict_on_a_command_stays
    an_order_is_traced
    only_the_oldest_delivery_of_an_order_is_due
    an_acknowledgement_puts_the_item_into_the_sent_side
    outbound_tallies_follow_every_step
    sums_equal_their_items_whatever_happened
    a_gap_lives_as_agreed
    a_round_ends_whole_or_not_at_all
    the_last_history_is_the_book
    one_outage_is_one_group
    the_same_job_is_one_job
    a_lease_has_one_holder
    a_node_tells_of_itself
    verifications_follow_order_and_registry
    a_question_about_a_car_is_owed_until_it_is_answered
    contenders_get_distinct_epochs
    writers_of_one_order_converge
    contending_writers_keep_the_books
    dead_letters_are_settled_once
    a_round_of_alerts_is_read_back_as_it_was_written
    notifications_are_owed_until_they_end
    arrivals_are_counted_by_hour
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_goes_on_while_its_schema_is_expanded_beside_a_newer_one() {
    let place = Place::new();
    let old = place.try_open().await.unwrap();
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let (november, december) = (time("2026-11-20T00:00:00Z"), time("2026-12-20T00:00:00Z"));
    let first = write(&old, |loaded, writes| writes.raws.push(record(loaded.next_raw_id, 1, november)));
    first.await.unwrap();
    // Beside it, what was prepared before is used again, and the months of after are made like those of before.
    let writing = async {
        for offset in 2..=21 {
            let written = write(&old, move |loaded, writes| {
                writes.raws.push(record(loaded.next_raw_id, offset, december));
            });
            written.await.unwrap();
        }
    };
    tokio::join!(place.run(EXPAND), writing);
    // What a newer program writes, with what only it knows.
    place
        .run(
            "INSERT INTO raw_record (id, channel, origin, received_at, read_at, topic, partition, bus_offset, key_id, later_note, later_count)
             SELECT id + 1, channel, origin, received_at, read_at, topic, partition, bus_offset + 1000, key_id, 'of later', 7
             FROM raw_record ORDER BY id DESC LIMIT 1",
        )
        .await;
    let new = place.try_open().await.unwrap();
    for store in [&old, &new] {
        for id in 1..=22_i64 {
            assert!(store.raw(RawId(id)).await.unwrap().is_some(), "record {id}");
        }
        assert_eq!(store.order_count().await.unwrap(), 0);
    }
    // The turn and the ids are one.
    let after = |store: &PostgresStore, offset: u64| {
        let store = store.clone();
        async move {
            write(&store, move |loaded, writes| writes.raws.push(record(loaded.next_raw_id, offset, december))).await
        }
    };
    let (one, two) = tokio::join!(after(&old, 5_000), after(&new, 5_001));
    one.unwrap();
    two.unwrap();
    assert!(new.raw(RawId(24)).await.unwrap().is_some());
    assert!(PostgresStore::migrate(&place.options()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_migration_that_takes_away_is_refused_by_who_does_not_know_it() {
    let place = Place::new();
    place.run(EXPAND).await;
    place.run("INSERT INTO schema_migration VALUES (29990102000000, 'drop_later_note')").await;
    let refused = place.try_open().await.err();
    let Some(StoreError::Schema { what }) = refused else { panic!("{refused:?}") };
    assert!(what.contains("29990102000000_drop_later_note"), "{what}");
}
