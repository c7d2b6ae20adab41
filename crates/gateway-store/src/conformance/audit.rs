//! Adding the books up again. That damage is found is shown by the engine's own tests, which can damage a row.

use super::StoreUnderTest;
use super::fixture::*;
use gateway_model::*;

/// A book that only its own transactions touched adds up, day by day, and restoring it changes nothing.
pub async fn a_sound_book_adds_up(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 1, 60).await;
    let dated = BookItem { key: key(900), event_time: Moment::On(day()), digest: digest(5) };
    let far = BookItem { key: key(901), event_time: Moment::At(at(40 * 86_400)), digest: digest(6) };
    write(&*store, |_, writes| {
        writes.book.push(put(&municipal(), BookSide::Sent, 1, dated.clone()));
        writes.book.push(put(&municipal(), BookSide::Source, 2, far.clone()));
    })
    .await
    .unwrap();
    let days = async |from: Timestamp| store.next_book_day(&municipal(), Dataset::Acceptance, 2, from).await.unwrap();
    let (mut from, mut seen, mut items) = (Timestamp::MIN, 0, 0);
    while let Some(day) = days(from).await {
        let audit = store.audit_day(&municipal(), Dataset::Acceptance, 2, day).await.unwrap();
        assert_eq!(audit.damage, []);
        store.restore_day(&municipal(), Dataset::Acceptance, 2, day).await.unwrap();
        assert_eq!(store.audit_day(&municipal(), Dataset::Acceptance, 2, day).await.unwrap(), audit);
        (from, seen, items) = (Grain::Day.bucket(day).end, seen + 1, items + audit.items);
    }
    assert_eq!((seen, items), (2, 61));
    let month = Grain::Month.bucket(at(0));
    let kept = store.buckets(&municipal(), Dataset::Acceptance, 1, Grain::Month, month).await.unwrap();
    assert_eq!(kept[0].count, 60);
    assert_eq!(store.next_book_day(&desk(), Dataset::Acceptance, 2, Timestamp::MIN).await.unwrap(), None);
}

/// Offsets without a record are told as ranges.
pub async fn offsets_without_records_are_told(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 1, 4).await;
    write_orders(&*store, 7, 9).await;
    let missing = async |from, to| store.missing_offsets("raw", 0, from, to).await.unwrap();
    assert_eq!(missing(0, 9).await, [(0, 1), (4, 7)]);
    assert_eq!(missing(1, 4).await, []);
    assert_eq!(missing(7, 12).await, [(9, 12)]);
    assert_eq!(missing(4, 4).await, []);
    assert_eq!(store.missing_offsets("raw", 1, 0, 2).await.unwrap(), [(0, 2)]);
}
