//! Which version wins, case by case.

use crate::peer::{DAY, Wire, item, number, partial, whole};
use crate::world::{Record, TOLERANCE_MS, World, deaf, peer};
use gateway_model::{OrderState, Origin, Revision};
use gateway_pipeline::Defences;
use gateway_store::{DeadLetterFilter, DeadLetterStore, FlowOutcome, OrderReader};

const A: &str = "acceptance/c0";
const EVENT: &str = "handling/e:1";

fn says(revision: i64, text: &str) -> Wire {
    whole("N1", revision, &[(A, text)])
}

#[tokio::test]
async fn a_newer_revision_replaces_and_an_older_one_does_nothing() {
    let mut world = World::new().await;
    world.feed(&[Record::poll(1, &says(5, "a")), Record::poll(2, &says(7, "b")), Record::poll(3, &says(6, "c"))]).await;
    assert_eq!(world.says("N1", A).await, "b");
    assert_eq!((world.tally(FlowOutcome::Applied).await, world.tally(FlowOutcome::Duplicate).await), (2, 1));
    assert_eq!(world.rereads().await, []);
    let timeline = world.store.timeline(world.id("N1").await).await.unwrap();
    assert_eq!(timeline.iter().map(|line| line.seq).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn a_to_b_to_a_is_two_changes() {
    let mut world = World::new().await;
    for (revision, text) in [(1, "a"), (2, "b"), (3, "a")] {
        world.one(Record::poll(revision, &says(revision, text))).await;
    }
    assert_eq!(world.says("N1", A).await, "a");
    assert_eq!(world.tally(FlowOutcome::Applied).await, 3);
    // The late copy of the first A is the head's content under an older revision.
    world.one(Record::poll(9, &says(1, "a"))).await;
    assert_eq!(world.facet("N1", A).await.revision, Some(Revision(3)));
}

#[tokio::test]
async fn a_tie_changes_nothing_until_the_order_was_read_again() {
    let mut world = World::new().await;
    world.feed(&[Record::poll(1, &says(5, "a")), Record::poll(2, &says(5, "b")), Record::poll(3, &says(5, "c"))]).await;
    assert_eq!(world.says("N1", A).await, "a");
    assert_eq!(world.rereads().await, [("N1".to_owned(), "tie".to_owned())], "one job, however many ties");
    assert_eq!(world.anomaly("tie").await, 2);
    world.one(Record::reread(10, &says(5, "b"))).await;
    assert_eq!(world.says("N1", A).await, "b");
    // What had come before the authoritative read was sent can't undo it.
    world.one(Record::reread(8, &says(5, "c"))).await;
    assert_eq!((world.says("N1", A).await, world.rereads().await), ("b".to_owned(), Vec::new()));
    // What was still under way then can't either, and is asked about again.
    world.one(Record { received: 11, ..Record::reread(9, &says(5, "c")) }).await;
    assert_eq!(world.says("N1", A).await, "b");
    assert_eq!(world.rereads().await.len(), 1);
}

#[tokio::test]
async fn without_the_defence_a_tie_is_only_counted() {
    let mut world = World::with(Defences { reread_on_tie: false, echo: true }).await;
    world.feed(&[Record::poll(1, &says(5, "a")), Record::poll(2, &says(5, "b"))]).await;
    assert_eq!((world.anomaly("tie").await, world.rereads().await.len()), (1, 0));
}

/// Nobody can be asked, so what was heard later stands.
#[tokio::test]
async fn a_tie_of_a_channel_that_can_not_be_read_goes_to_the_later_word() {
    let mut world = World::new().await;
    let push = |at, text| Record::push(at, &says(5, text)).from(deaf());
    world.feed(&[push(10, "a"), push(20, "b"), push(15, "c")]).await;
    assert_eq!(world.says("N1", A).await, "b");
    assert_eq!(world.anomaly("tie").await, 2);
}

#[tokio::test]
async fn the_source_may_take_a_revision_back() {
    let mut world = World::new().await;
    world.feed(&[Record::poll(1, &says(9, "a")), Record::reread(50, &says(5, "b"))]).await;
    assert_eq!(world.says("N1", A).await, "b");
    assert_eq!(world.anomaly("regressed_revision").await, 1);
    assert_eq!(world.rereads().await, []);
    // A delayed record from before comes with the higher revision: it is believed, and at once asked about.
    world.one(Record { received: 60, ..Record::poll(40, &says(10, "c")) }).await;
    assert_eq!(world.says("N1", A).await, "c");
    assert_eq!(world.rereads().await, [("N1".to_owned(), "read_earlier".to_owned())]);
    world.one(Record::reread(70, &says(5, "b"))).await;
    assert_eq!(world.says("N1", A).await, "b");
}

/// The reading that found nothing new still is the latest reading.
#[tokio::test]
async fn an_authoritative_read_that_finds_nothing_new_outdates_earlier_ones() {
    let mut world = World::new().await;
    world.feed(&[Record::poll(10, &says(5, "a")), Record::reread(30, &says(5, "a"))]).await;
    world.one(Record { received: 40, ..Record::reread(20, &says(5, "b")) }).await;
    assert_eq!(world.says("N1", A).await, "a", "it was b at 20, and a again at 30");
    assert_eq!(world.rereads().await.len(), 1);
}

#[tokio::test]
async fn a_revision_from_the_future_orders_nothing() {
    for place in [A, EVENT] {
        let mut world = World::new().await;
        let start = crate::peer::start().as_millisecond();
        let far = start + 70 * 365 * 86_400_000;
        let near = start + TOLERANCE_MS;
        let says = |revision, text| whole("N1", revision, &[(A, "-"), (place, text)]);
        let with = |revision, text| Wire { items: says(revision, text).items.split_off(1), ..says(revision, text) };
        world.one(Record::poll(0, &with(far, "2099"))).await;
        world.one(Record::poll(1, &with(near, "b"))).await;
        assert_eq!(world.says("N1", place).await, "2099", "nobody can tell which is newer");
        assert_eq!(world.rereads().await, [("N1".to_owned(), "tie".to_owned())]);
        world.one(Record::reread(5, &with(near, "b"))).await;
        assert_eq!(world.says("N1", place).await, "b");
        world.one(Record::poll(6, &with(near + 1, "c"))).await;
        assert_eq!(world.says("N1", place).await, "c", "ordered again");
        world.one(Record::poll(7, &with(far, "2099"))).await;
        assert_eq!(world.says("N1", place).await, "c", "nor does it win when it comes later");
        assert_eq!(world.rereads().await.len(), 1);
    }
}

/// What was said under a doubtful revision is not forgotten for an older copy of the same words.
#[tokio::test]
async fn a_doubtful_repetition_keeps_old_words_from_winning() {
    let far = crate::peer::start().as_millisecond() * 2;
    let mut world = World::new().await;
    let now = crate::peer::start().as_millisecond();
    world.feed(&[Record::poll(1, &says(now + 5, "a")), Record::poll(2, &says(far, "a"))]).await;
    assert!(world.facet("N1", A).await.revision_doubtful);
    world.one(Record::push(3, &says(now + 6, "b"))).await;
    assert_eq!(world.says("N1", A).await, "a");
    assert_eq!(world.rereads().await.len(), 1);
}

/// A revision that was only ahead of our clock becomes plausible with time.
#[tokio::test]
async fn a_clock_that_was_ahead_is_forgiven() {
    let now = crate::peer::start().as_millisecond();
    let mut world = World::new().await;
    let ahead = now + 2 * TOLERANCE_MS;
    world.one(Record::poll(0, &says(ahead, "a"))).await;
    assert!(world.facet("N1", A).await.revision_doubtful);
    world.one(Record::poll(TOLERANCE_MS, &says(ahead, "a"))).await;
    assert!(!world.facet("N1", A).await.revision_doubtful);
    world.one(Record::poll(TOLERANCE_MS + 1, &says(ahead + 1, "b"))).await;
    assert_eq!((world.says("N1", A).await, world.rereads().await.len()), ("b".to_owned(), 0));
}

#[tokio::test]
async fn an_event_is_never_late_and_takes_the_revision_of_the_record() {
    let mut world = World::new().await;
    world.one(Record::poll(1, &whole("N1", 9, &[(A, "a")]))).await;
    world
        .feed(&[
            Record::push(2, &partial("N1", EVENT, "urge")),
            Record::poll(3, &whole("N1", 4, &[("handling/e:0", "dispatch")])),
        ])
        .await;
    assert_eq!(world.event("N1", EVENT).await.revision, None);
    assert_eq!(world.says("N1", "handling/e:0").await, "dispatch");
    world.one(Record::poll(5, &whole("N1", 10, &[(A, "a"), (EVENT, "urge")]))).await;
    assert_eq!(world.event("N1", EVENT).await.revision, Some(Revision(10)));
    assert_eq!(world.rereads().await, []);
}

/// What a source says of its own state is applied, whatever was skipped.
#[tokio::test]
async fn skipped_and_returning_states_are_applied() {
    let mut world = World::new().await;
    let state = |revision, text: &str| Record::poll(revision, &whole("N1", revision, &[("handling/c0", text)]));
    for (revision, text, state_is) in [
        (1, "accepted 0", OrderState::Accepted),
        (2, "completed 0", OrderState::Completed),
        (3, "dispatched 1", OrderState::Dispatched),
        (4, "dispatched 0", OrderState::Dispatched),
    ] {
        world.one(state(revision, text)).await;
        assert_eq!(world.order("N1").await.aggregate.order.state, Some(state_is), "{text}");
    }
    world.one(state(5, "raw:77 0")).await;
    assert_eq!(world.order("N1").await.aggregate.order.state, None, "an unknown code is no state");
}

#[tokio::test]
async fn a_number_used_again_on_another_day_is_another_order() {
    let mut world = World::new().await;
    let later = Wire { day: Some("2026-12-24".into()), ..says(2, "new") };
    world.feed(&[Record::poll(1, &says(1, "old")), Record::poll(2, &later)]).await;
    let ids = world.ids("N1").await;
    assert_eq!(ids.len(), 2);
    // A partial record speaks of the latest.
    world.one(Record::push(3, &partial("N1", EVENT, "urge"))).await;
    for (id, events) in ids.iter().zip([0, 1]) {
        assert_eq!(world.store.order(*id, false).await.unwrap().unwrap().aggregate.events.len(), events);
    }
    let book = world.book().await;
    assert!(book.contains_key("N1 2026-12-24 handling/e:1"), "{:?}", book.keys());
}

#[tokio::test]
async fn a_nonce_used_for_two_bodies_applies_nothing_and_asks() {
    let mut world = World::new().await;
    world.one(Record::push(1, &says(1, "a"))).await;
    let wire = whole("N1", 2, &[(A, "forged"), (EVENT, "forged")]);
    world.one(Record::new(Origin::WebhookConflict, 2, &wire)).await;
    assert_eq!(world.says("N1", A).await, "a");
    assert_eq!(world.rereads().await, [("N1".to_owned(), "nonce_conflict".to_owned())]);
    assert_eq!((world.anomaly("nonce_conflict").await, world.tally(FlowOutcome::Duplicate).await), (1, 2));
}

#[tokio::test]
async fn person_fields_follow_the_head_and_live_apart() {
    let mut world = World::new().await;
    let with = |revision, person: &str| {
        let mut wire = says(revision, "a");
        wire.items[0].person = person.into();
        wire
    };
    world.one(Record::poll(1, &with(1, "李雷"))).await;
    let order = world.order("N1").await;
    assert_eq!(order.persons.len(), 1);
    assert!(!format!("{:?}", order.aggregate).contains("李雷"));
    world.one(Record::poll(2, &with(2, "韩梅梅"))).await;
    assert_eq!(world.tally(FlowOutcome::Applied).await, 2, "a change of persons is a change");
    world.one(Record::poll(3, &with(3, ""))).await;
    assert!(world.order("N1").await.persons[0].fields.is_empty(), "withdrawn at the source is withdrawn here");
    // And two in one batch leave the last.
    world.feed(&[Record::poll(4, &with(4, "李雷")), Record::poll(5, &with(5, ""))]).await;
    assert!(world.order("N1").await.persons[0].fields.is_empty());
}

#[tokio::test]
async fn oddities_are_counted_once_and_their_names_are_bounded() {
    let mut world = World::new().await;
    let mut wire = says(1, "a");
    wire.items[0].odd = vec!["电话13800138000".into(), "x".repeat(500)];
    world.feed(&[Record::poll(1, &wire), Record::poll(2, &wire)]).await;
    assert_eq!(world.anomaly("unknown_field").await, 2, "a repetition is not odd again");
    use gateway_store::IngestStore;
    for seen in world.store.anomalies().await.unwrap() {
        assert!(seen.subject.chars().count() <= 64 && !seen.subject.contains("138"), "{}", seen.subject);
    }
}

/// A source that can't say an order properly would be asked for ever.
#[tokio::test]
async fn a_dead_letter_is_read_again_once_and_not_for_what_was_read_again() {
    let mut world = World::new().await;
    let broken = |origin| Record { body: b"{\"number\":".to_vec(), ..Record::new(origin, 1, &says(1, "a")) };
    world.one(broken(Origin::Webhook)).await;
    assert_eq!(world.rereads().await, [("N1".to_owned(), "dead_letter".to_owned())]);
    world.one(broken(Origin::Reread)).await;
    assert_eq!(world.rereads().await, []);
    let letters = world.store.dead_letters(&DeadLetterFilter::default(), 10).await.unwrap();
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter.code == "undecodable" && letter.number == Some(number("N1"))));
}

#[tokio::test]
async fn a_record_that_says_nothing_is_accounted_for() {
    let mut world = World::new().await;
    let nothing = Wire { number: "N1".into(), day: Some(DAY.into()), revision: None, items: vec![] };
    world.feed(&[Record::poll(1, &nothing), Record::new(Origin::WebhookConflict, 2, &nothing)]).await;
    assert_eq!((world.tally(FlowOutcome::DeadLettered).await, world.captured().await), (2, 2));
}

#[tokio::test]
async fn the_book_holds_what_the_heads_say() {
    let mut world = World::new().await;
    let mut wire = whole("N1", 1, &[(A, "a"), (EVENT, "urge")]);
    world.one(Record::poll(1, &wire)).await;
    wire.revision = Some(2);
    wire.items[0] = crate::peer::WireItem { minute: 90, ..item(A, "b") };
    world.one(Record::poll(2, &wire)).await;
    let day = crate::peer::day(DAY);
    let book = world.book().await;
    assert_eq!(book.len(), 2);
    for item in &wire.items {
        assert!(book.values().any(|(_, held)| *held == item.book_item(&number("N1"), day)));
    }
    assert_eq!(peer(), world.facet("N1", A).await.channel);
}
