//! The books through time.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

const DAY_S: i64 = 86_400;

fn item(n: u64, event_time: Moment, content: u8) -> BookItem {
    BookItem { key: key(n), event_time, digest: digest(content) }
}

/// A day some days after the first.
fn later(days: i64) -> Day {
    day_of(at(days * DAY_S))
}

fn some_days() -> Days {
    Days { from: later(-40), to: later(40) }
}

async fn put_at(store: &dyn Store, when: Timestamp, puts: Vec<BookPut>) {
    let puts = &puts;
    write(store, |_, writes| {
        writes.at = when;
        writes.book.clone_from(puts);
    })
    .await
    .unwrap();
}

/// Day, side and count of what is not empty.
async fn held_as_of(store: &dyn Store, as_of: Day) -> Vec<(Day, BookSide, u64)> {
    let rows = store.book_days(&municipal(), some_days(), as_of).await.unwrap();
    rows.into_iter().filter(|row| row.count > 0).map(|row| (row.day, row.side, row.count)).collect()
}

/// A day is shown as it was at the end of any day since: before a late record, before a correction of the event time, before a removal.
pub async fn a_past_day_is_shown_as_it_was_then(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let source = |item: BookItem| put(&municipal(), BookSide::Source, 1, item);
    let first = item(1, Moment::At(at(0)), 1);
    put_at(&*store, at(10), vec![source(first.clone())]).await;
    put_at(&*store, at(20), vec![put(&municipal(), BookSide::Sent, 1, item(2, Moment::At(at(5)), 1))]).await;
    let on_the_day = vec![(later(0), BookSide::Sent, 1), (later(0), BookSide::Source, 1)];
    assert_eq!(held_as_of(&*store, later(-1)).await, []);
    assert_eq!(held_as_of(&*store, later(0)).await, on_the_day);

    // A day later a late record comes, two days later the first one's time is corrected, three days later the late one goes.
    put_at(&*store, at(DAY_S), vec![source(item(3, Moment::On(day()), 3))]).await;
    put_at(&*store, at(2 * DAY_S), vec![source(item(1, Moment::At(at(-DAY_S)), 1))]).await;
    put_at(&*store, at(3 * DAY_S), vec![BookPut::Remove { channel: municipal(), key: key(3) }]).await;
    assert_eq!(held_as_of(&*store, later(0)).await, on_the_day);
    assert_eq!(held_as_of(&*store, later(1)).await, [(later(0), BookSide::Sent, 1), (later(0), BookSide::Source, 2)]);
    let moved = [(later(-1), BookSide::Source, 1), (later(0), BookSide::Sent, 1), (later(0), BookSide::Source, 1)];
    assert_eq!(held_as_of(&*store, later(2)).await, moved);
    let gone = [(later(-1), BookSide::Source, 1), (later(0), BookSide::Sent, 1)];
    for as_of in [3, 30] {
        assert_eq!(held_as_of(&*store, later(as_of)).await, gone);
    }

    let rows = store.book_days(&municipal(), some_days(), later(0)).await.unwrap();
    assert_eq!((rows[1].sum, rows[1].changed_at), (first.element(), at(10)), "the sum is kept with the count");
    let outside = Days { from: later(1), to: later(9) };
    assert_eq!(store.book_days(&municipal(), outside, later(9)).await.unwrap(), []);
    assert_eq!(store.book_days(&desk(), some_days(), later(9)).await.unwrap(), []);
}

/// Whatever happened to the book, its last history is its buckets.
pub async fn the_last_history_is_the_book(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    for step in 0..60u64 {
        let (n, moved) = (step * 7 % 11, i64::try_from(step % 5).unwrap());
        let one = item(n, Moment::At(at(moved * 40_000)), (step % 3) as u8);
        let change = match step % 4 {
            3 => BookPut::Remove { channel: municipal(), key: key(n) },
            _ => put(&municipal(), BookSide::Source, 1, one),
        };
        put_at(&*store, at(i64::try_from(step).unwrap() * 9_000), vec![change]).await;
    }
    let kept = store.buckets(&municipal(), Dataset::Acceptance, 1, Grain::Day, always()).await.unwrap();
    assert!(!kept.is_empty());
    let days = store.book_days(&municipal(), some_days(), later(30)).await.unwrap();
    let days: Vec<Bucket> = days
        .into_iter()
        .filter(|row| row.count > 0)
        .map(|row| Bucket { start: Moment::On(row.day).start(), count: row.count, sum: row.sum })
        .collect();
    assert_eq!(days, kept);
}

fn account(said: Option<&[(Day, u64)]>, in_step: &[Days], when: Timestamp) -> NewAccount {
    let day = |(day, count): &(Day, u64)| AccountDay {
        dataset: Dataset::Acceptance,
        day: *day,
        count: *count,
        sum: Some(BucketSum([*count as u8; 32])),
        as_of: when,
    };
    NewAccount {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        asked: Days { from: later(-1), to: later(1) },
        days: said.map(|said| said.iter().map(day).collect()),
        in_step: in_step.to_vec(),
        as_of: when,
        at: when,
    }
}

/// What the channel said last on or before a day; what it no longer names of the days that it was asked for is empty.
pub async fn a_channels_account_is_kept_by_day(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let as_of = async |as_of: Day| -> Vec<(Day, u64, Option<BucketSum>, Timestamp)> {
        let rows = store.account_days(&municipal(), some_days(), as_of).await.unwrap();
        rows.into_iter().map(|row| (row.day, row.count, row.sum, row.as_of)).collect()
    };
    let sum = |n: u8| Some(BucketSum([n; 32]));
    let outside =
        NewAccount { asked: Days { from: later(5), to: later(6) }, ..account(Some(&[(later(5), 9)]), &[], at(0)) };
    store.record_account(&outside).await.unwrap();
    store.record_account(&account(Some(&[(later(-1), 1)]), &[], at(100))).await.unwrap();
    let kept = (later(5), 9, sum(9), at(0));
    assert_eq!(as_of(later(0)).await, [(later(-1), 1, sum(1), at(100)), kept]);
    assert_eq!(as_of(later(-1)).await, []);
    store.record_account(&account(Some(&[(later(-1), 2)]), &[], at(200))).await.unwrap();
    assert_eq!(as_of(later(0)).await, [(later(-1), 2, sum(2), at(200)), kept], "the last of a day counts");

    // The next day it has lost what it had, and has what it lacked.
    store.record_account(&account(Some(&[(later(0), 3)]), &[], at(DAY_S))).await.unwrap();
    assert_eq!(as_of(later(0)).await, [(later(-1), 2, sum(2), at(200)), kept]);
    let swapped = [(later(-1), 0, sum(0), at(DAY_S)), (later(0), 3, sum(3), at(DAY_S)), kept];
    assert_eq!(as_of(later(1)).await, swapped);

    // One that only counts has no sum, and one asked for coarser sums says nothing of days.
    let mut counted = account(Some(&[(later(0), 4)]), &[], at(2 * DAY_S));
    counted.days.iter_mut().flatten().for_each(|day| day.sum = None);
    store.record_account(&counted).await.unwrap();
    store.record_account(&account(None, &[], at(3 * DAY_S))).await.unwrap();
    let now = as_of(later(3)).await;
    assert_eq!(now[1], (later(0), 4, None, at(2 * DAY_S)));
    assert_eq!(store.account_days(&desk(), some_days(), later(9)).await.unwrap(), []);
}

/// The last proof of a span on or before a day, for each day that it has.
pub async fn spans_in_step_are_kept_by_day(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let long = Days { from: later(-400), to: later(400) };
    let short = Days { from: later(-3), to: later(3) };
    for seconds in [0, 100, 2 * DAY_S] {
        store.record_account(&account(None, &[long], at(seconds))).await.unwrap();
    }
    store.record_account(&account(None, &[short], at(DAY_S))).await.unwrap();
    let spans = async |days: Days, as_of: Day| -> Vec<(Days, Timestamp)> {
        let rows = store.account_spans(&municipal(), days, as_of).await.unwrap();
        rows.into_iter().map(|row| (row.days, row.compared_at)).collect()
    };
    let one = |days: i64| Days { from: later(days), to: later(days + 1) };
    assert_eq!(spans(one(0), later(-1)).await, []);
    assert_eq!(spans(one(0), later(0)).await, [(long, at(100))]);
    assert_eq!(spans(one(0), later(1)).await, [(long, at(100)), (short, at(DAY_S))]);
    assert_eq!(spans(one(2), later(9)).await, [(long, at(2 * DAY_S)), (short, at(DAY_S))]);
    assert_eq!(spans(one(3), later(9)).await, [(long, at(2 * DAY_S))]);
    assert_eq!(spans(one(400), later(9)).await, []);
    assert_eq!(store.account_spans(&desk(), one(0), later(9)).await.unwrap(), []);
}

/// Changes count on the day on which they ended, and add up to the flow book.
pub async fn the_flow_is_kept_by_day(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    for (seconds, changes) in [(0, 2), (60, 3), (DAY_S, 4)] {
        write(&*store, |_, writes| {
            writes.at = at(seconds);
            writes.tallies = vec![applied(changes), FlowTally { dataset: None, ..applied(1) }];
        })
        .await
        .unwrap();
    }
    let rows = store.flow_days(&municipal(), some_days()).await.unwrap();
    let lines: Vec<_> = rows.iter().map(|row| (row.dataset, row.day, row.outcome, row.changes)).collect();
    let known = Some(Dataset::Acceptance);
    let expected = [(None, 0, 2), (None, 1, 1), (known, 0, 5), (known, 1, 4)]
        .map(|(dataset, days, changes)| (dataset, later(days), FlowOutcome::Applied, changes));
    assert_eq!(lines, expected);
    let first = Days { from: later(0), to: later(1) };
    assert_eq!(store.flow_days(&municipal(), first).await.unwrap().len(), 2);
    let all: u64 = store.flow_tallies().await.unwrap().iter().map(|tally| tally.changes).sum();
    assert_eq!(all, rows.iter().map(|row| row.changes).sum::<u64>());
}

/// Deliveries of a day are shown where they stood at the end of any day since, and their legs on the day on which they ended.
pub async fn deliveries_are_kept_by_day(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 1).await;
    let first = owe(&*store, 0, Operation::Reply, at(0)).await;
    let second = owe(&*store, 0, Operation::Reply, at(1)).await;
    store.begin_attempts(&[start(first, reply_item(0, 1), at(60))], None).await.unwrap();
    store.end_attempts(&[end(first, DeliveryState::Acknowledged, at(DAY_S))], None).await.unwrap();
    store.waive_delivery(second, "by li", at(2 * DAY_S)).await.unwrap();
    store.redeliver(first, at(3 * DAY_S)).await.unwrap();
    let as_of = async |days: i64| -> Vec<(DeliveryState, u64, u64)> {
        let rows = store.delivery_days(&municipal(), some_days(), later(days)).await.unwrap();
        assert!(rows.iter().all(|row| row.day == later(0) && row.dataset == Dataset::Completion));
        let mut rows: Vec<_> = rows.into_iter().map(|row| (row.state, row.deliveries, row.sent)).collect();
        rows.sort_unstable();
        rows
    };
    use DeliveryState::{Acknowledged, Owed, Sending, Waived};
    assert_eq!(as_of(-1).await, []);
    assert_eq!(as_of(0).await, [(Owed, 1, 0), (Sending, 1, 1)]);
    assert_eq!(as_of(1).await, [(Owed, 1, 0), (Acknowledged, 1, 1)]);
    assert_eq!(as_of(2).await, [(Acknowledged, 1, 1), (Waived, 1, 0)]);
    assert_eq!(as_of(3).await, [(Owed, 1, 1), (Waived, 1, 0)]);

    let legs = store.latency_days(&municipal(), some_days()).await.unwrap();
    let legs: Vec<_> = legs.into_iter().map(|leg| (leg.leg, leg.day, leg.count, leg.max_ms)).collect();
    assert_eq!(
        legs,
        [(Leg::OwedToSent, later(0), 1, 60_000), (Leg::SentToAcknowledged, later(1), 1, (DAY_S as u64 - 60) * 1_000),]
    );
}

/// Equal durations share a bucket; the longest is exact.
pub async fn legs_are_kept_as_histograms(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    for (seconds, durations) in [(0, [100, 101, 5_000]), (60, [100, 5_001, 0])] {
        write(&*store, |_, writes| {
            writes.at = at(seconds);
            let leg = |ms| Latency { channel: municipal(), leg: Leg::ReceivedToApplied, ms };
            writes.latencies = durations.map(leg).to_vec();
        })
        .await
        .unwrap();
    }
    let rows = store.latency_days(&municipal(), some_days()).await.unwrap();
    let kept: Vec<_> = rows.iter().map(|row| (row.bucket, row.count, row.max_ms)).collect();
    let bucket = LatencyDay::bucket_of;
    assert_eq!(kept, [(bucket(0), 1, 0), (bucket(100), 3, 101), (bucket(5_000), 2, 5_001)]);
    assert_eq!(store.latency_days(&desk(), some_days()).await.unwrap(), []);
}

/// Every step of a gap stays, with its time; looking again is no step.
pub async fn a_gaps_life_is_kept_step_by_step(place: &dyn StoreUnderTest) {
    use GapState::{Closed, Open, Repairing, Waived};
    let store = place.open().await;
    let seen = GapEvidence { theirs: Some(digest(1)), ours: None, as_of: at(0), compared_at: at(0) };
    let suspicion = NewGap {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        kind: GapKind::MissingOrder,
        key: Some(key(1)),
        window: Grain::TenMinutes.bucket(at(0)),
        delivery_id: None,
        evidence: seen,
        detail: None,
        at: at(0),
    };
    let ids = store.suspect(&[suspicion.clone(), suspicion]).await.unwrap();
    store.forget(&ids[1..]).await.unwrap();
    let id = ids[0];
    store.move_gap(id, Open, Some(seen), None, None, at(1)).await.unwrap();
    store.move_gap(id, Open, Some(GapEvidence { compared_at: at(2), ..seen }), None, None, at(2)).await.unwrap();
    store.move_gap(id, Repairing, None, None, None, at(3)).await.unwrap();
    store.move_gap(id, Waived, None, Some("known"), Some("li"), at(4)).await.unwrap();
    store.move_gap(id, Closed, None, None, None, at(5)).await.unwrap();
    let steps = store.gap_steps(id).await.unwrap();
    let lived: Vec<_> = steps.iter().map(|step| (step.at, step.state, step.generation)).collect();
    assert_eq!(lived, [(at(1), Open, 0), (at(3), Repairing, 1), (at(4), Waived, 1), (at(5), Closed, 1)]);
    assert_eq!((steps[2].reason.as_deref(), steps[2].by.as_deref()), (Some("known"), Some("li")));
    let lives = store.gap_lives(&municipal(), at(4)).await.unwrap();
    assert_eq!(lives.len(), 1);
    assert_eq!((lives[0].0.id, &lives[0].1[..]), (id, &steps[..2]));
    assert_eq!(store.gap_lives(&municipal(), at(1)).await.unwrap(), []);
    assert_eq!(store.gap_lives(&desk(), at(9)).await.unwrap(), []);
}

/// A dead letter is open until it is settled, whenever that is asked.
pub async fn dead_letters_are_shown_as_they_were(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 1).await;
    for (code, seconds) in [("undecodable", 0), ("orphan", 100)] {
        write(&*store, |_, writes| {
            writes.dead_letters.push(NewDeadLetter {
                raw_id: RawId(1),
                channel: municipal(),
                number: None,
                code: code.into(),
                reason: "not JSON".into(),
                at: at(seconds),
            });
        })
        .await
        .unwrap();
    }
    let ids: Vec<_> =
        store.dead_letters(&DeadLetterFilter::default(), 9).await.unwrap().iter().map(|row| row.id).collect();
    store.settle_dead_letters(&ids[..1], DeadLetterState::Waived, "by li", at(50)).await.unwrap();
    let codes = async |before, unsettled_at| -> Vec<String> {
        let lives = store.dead_letter_lives(&municipal(), before, unsettled_at).await.unwrap();
        lives.into_iter().map(|life| life.code).collect()
    };
    assert_eq!(codes(at(40), at(40)).await, ["undecodable"]);
    assert_eq!(codes(at(101), at(50)).await, ["undecodable", "orphan"]);
    assert_eq!(codes(at(101), at(51)).await, ["orphan"]);
    assert!(store.dead_letter_lives(&desk(), at(101), at(0)).await.unwrap().is_empty());
}
