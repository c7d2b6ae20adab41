//! The state book.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

fn item(n: u64, event_time: Moment, content: u8) -> BookItem {
    BookItem { key: key(n), event_time, digest: digest(content) }
}

async fn put_all(store: &dyn Store, puts: Vec<BookPut>) {
    let puts = &puts;
    write(store, |_, writes| writes.book.clone_from(puts)).await.unwrap();
}

async fn buckets(store: &dyn Store, version: u32, grain: Grain, window: Window) -> Vec<Bucket> {
    store.buckets(&municipal(), Dataset::Acceptance, version, grain, window).await.unwrap()
}

/// A key has one side at a time; sides add up; versions, channels and datasets never mix; only whole buckets of the window are given.
pub async fn buckets_hold_both_sides_by_version(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let (first, second, third) =
        (item(1, Moment::At(at(0)), 1), item(2, Moment::At(at(60)), 2), item(3, Moment::At(at(3_700)), 3));
    put_all(
        &*store,
        vec![
            put(&municipal(), BookSide::Source, 1, first.clone()),
            put(&municipal(), BookSide::Sent, 1, second.clone()),
            put(&municipal(), BookSide::Source, 2, third.clone()),
            put(&desk(), BookSide::Source, 1, third.clone()),
        ],
    )
    .await;
    let hour = |second| Grain::Hour.bucket(at(second));
    let both = Bucket { start: hour(0).start, count: 2, sum: first.element().plus(second.element()) };
    assert_eq!(buckets(&*store, 1, Grain::Hour, always()).await, [both]);
    let other = Bucket { start: hour(3_700).start, count: 1, sum: third.element() };
    assert_eq!(buckets(&*store, 2, Grain::Hour, always()).await, [other]);
    assert_eq!(buckets(&*store, 3, Grain::Hour, always()).await, []);
    let evaluated = store.buckets(&municipal(), Dataset::Evaluation, 1, Grain::Hour, always()).await.unwrap();
    assert_eq!(evaluated, []);

    assert_eq!(buckets(&*store, 1, Grain::Hour, hour(0)).await, [both]);
    let part = Window::new(hour(0).start, at(1));
    assert_eq!(buckets(&*store, 1, Grain::Hour, part).await, [], "only a part of the bucket lies in the window");
    assert_eq!(buckets(&*store, 1, Grain::Hour, hour(3_700)).await, []);

    // The side changes, the sum does not; then the version does.
    put_all(&*store, vec![put(&municipal(), BookSide::Source, 1, second.clone())]).await;
    assert_eq!(buckets(&*store, 1, Grain::Hour, always()).await, [both]);
    put_all(&*store, vec![put(&municipal(), BookSide::Source, 2, second)]).await;
    let one = Bucket { start: hour(0).start, count: 1, sum: first.element() };
    assert_eq!(buckets(&*store, 1, Grain::Hour, always()).await, [one]);
}

/// The old element leaves its bucket when content or event time change; what is empty is absent; the later of two counts.
pub async fn a_corrected_event_time_moves_the_item(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let old = item(1, Moment::At(at(0)), 1);
    let new = item(1, Moment::At(at(86_400)), 2);
    put_all(&*store, vec![put(&municipal(), BookSide::Source, 1, old.clone())]).await;
    put_all(&*store, vec![put(&municipal(), BookSide::Source, 1, old.clone())]).await;
    assert_eq!(buckets(&*store, 1, Grain::Day, always()).await[0].count, 1, "the same again is no change");
    let sides =
        vec![put(&municipal(), BookSide::Sent, 1, old.clone()), put(&municipal(), BookSide::Source, 1, new.clone())];
    put_all(&*store, sides).await;
    for grain in Grain::BUCKETS {
        let start = grain.bucket(new.event_time.start()).start;
        let expected = Bucket { start, count: 1, sum: new.element() };
        assert_eq!(buckets(&*store, 1, grain, always()).await, [expected]);
    }
    let dated = item(1, Moment::On(day()), 2);
    put_all(&*store, vec![put(&municipal(), BookSide::Source, 1, dated)]).await;
    assert_eq!(buckets(&*store, 1, Grain::Hour, always()).await, []);
    assert_eq!(buckets(&*store, 1, Grain::Day, always()).await.len(), 1);
    let gone = BookPut::Remove { channel: municipal(), key: key(1) };
    put_all(&*store, vec![gone.clone()]).await;
    put_all(&*store, vec![gone]).await;
    for grain in Grain::BUCKETS {
        assert_eq!(buckets(&*store, 1, grain, always()).await, []);
    }
    assert_eq!(store.span(&municipal()).await.unwrap(), None);
}

/// Windows are half-open, a day lies at its start; the span holds the first and the last.
pub async fn items_are_found_by_window_and_number(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let dated = item(1, Moment::On(day()), 1);
    let fine = item(2, Moment::At("2026-11-23T01:00:00.0005Z".parse().unwrap()), 2);
    let late = item(3, Moment::At(at(7_200)), 3);
    let puts = [&dated, &fine, &late].map(|one| put(&municipal(), BookSide::Source, 1, one.clone()));
    put_all(&*store, puts.to_vec()).await;
    put_all(&*store, vec![put(&municipal(), BookSide::Sent, 1, reply_item(1, 4))]).await;
    let found = async |window| -> Vec<BookItem> {
        let items = store.items(&municipal(), Dataset::Acceptance, window).await.unwrap();
        items.into_iter().map(|one| one.item).collect()
    };
    assert_eq!(found(always()).await, [dated.clone(), fine.clone(), late.clone()]);
    let midnight = Moment::On(day()).start();
    assert_eq!(found(Window::new(midnight, at(0))).await, std::slice::from_ref(&dated));
    assert_eq!(found(Window::new(at(0), at(7_200))).await, std::slice::from_ref(&fine));
    assert_eq!(found(Window::new(at(1), at(1))).await, []);

    let numbers = [number(3), number(1), number(3), number(9)];
    let mut of = store.items_of(&municipal(), Dataset::Acceptance, &numbers).await.unwrap();
    of.sort_by(|a, b| a.item.key.cmp(&b.item.key));
    let expected = [dated, late].map(|item| StoredItem { side: BookSide::Source, item });
    assert_eq!(of, expected);
    let sent = store.items_of(&municipal(), Dataset::Completion, &numbers).await.unwrap();
    assert_eq!(sent, [StoredItem { side: BookSide::Sent, item: reply_item(1, 4) }]);

    let span = store.span(&municipal()).await.unwrap().unwrap();
    assert_eq!(span.start, midnight);
    assert!(span.contains(at(7_200)) && span.end <= at(7_201));
    assert_eq!(store.span(&desk()).await.unwrap(), None);
}
