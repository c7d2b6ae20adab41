//! What was forwarded, told by file, and what a destination's verdicts on its rows do.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

fn all(upto: DeliveryId) -> ForwardedScope {
    ForwardedScope { owed_from: Timestamp::MIN, owed_before: Timestamp::MAX, upto }
}

async fn told(store: &dyn Store, scope: ForwardedScope) -> Vec<DeliveryId> {
    let mut told = Vec::new();
    // One at a time: pages leave nothing out and repeat nothing.
    while let Some(work) =
        store.forwarded(&municipal(), scope, told.last().copied().unwrap_or(DeliveryId(0)), 1).await.unwrap().pop()
    {
        told.push(work.delivery.id);
    }
    told
}

/// The last of each item, without commands, and only what was owed in the scope's time.
pub async fn what_was_forwarded_is_told_once_by_item(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 2).await;
    assert_eq!(store.last_delivery().await.unwrap(), DeliveryId(0));
    let first = owe_item(&*store, 0, Operation::Forward, Dataset::Completion, at(0)).await;
    let other = owe_item(&*store, 0, Operation::Forward, Dataset::Acceptance, at(10)).await;
    owe(&*store, 0, Operation::Reply, at(20)).await;
    let newer = owe_item(&*store, 0, Operation::Forward, Dataset::Completion, at(30)).await;
    let second = owe_item(&*store, 1, Operation::Forward, Dataset::Completion, at(40)).await;
    assert_eq!(store.last_delivery().await.unwrap(), second);
    assert_eq!(told(&*store, all(second)).await, [other, newer, second]);
    assert_eq!(told(&*store, all(other)).await, [first, other], "as it was before the others were decided");
    let scope = ForwardedScope { owed_from: at(10), owed_before: at(40), upto: second };
    assert_eq!(told(&*store, scope).await, [other, newer]);
    store.waive_delivery(newer, "not needed", at(50)).await.unwrap();
    assert_eq!(told(&*store, all(second)).await, [first, other, second], "what was waived was never said");
    assert!(store.forwarded(&desk(), all(second), DeliveryId(0), 10).await.unwrap().is_empty());
}

fn hearing(max_generations: u32) -> Hearing<'static> {
    Hearing { at: at(900), max_generations, under: None, note: None }
}

fn verdict(row: &DeliveryRow, held: bool) -> RowVerdict {
    let said = if held { Ok(receipt()) } else { Err(("checked".to_owned(), "refused there".to_owned())) };
    RowVerdict { key: DeliveryKey::of(row), said }
}

/// A rejected row reopens its delivery and takes its item back, an accepted one acknowledges; the same verdict again, one of another generation,
/// order or destination change nothing.
pub async fn a_verdict_counts_once_for_its_generation(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 2).await;
    let id = owe_item(&*store, 0, Operation::Forward, Dataset::Completion, at(0)).await;
    let row = async || store.delivery(id).await.unwrap().unwrap();
    let take =
        async |verdicts: Vec<RowVerdict>| store.take_verdicts(&municipal(), &verdicts, hearing(9)).await.unwrap();
    let owed = row().await;
    assert_eq!(take(vec![verdict(&owed, false), verdict(&owed, true)]).await.in_flight, 2);
    attempt(&*store, id, reply_item(0, 1), DeliveryState::Acknowledged).await;
    let sent = row().await;
    assert_eq!(take(vec![verdict(&sent, true)]).await.confirmed, 1);
    assert_eq!(row().await, sent, "what is known changes nothing");

    assert_eq!(take(vec![verdict(&sent, false)]).await.reopened, 1);
    let reopened = row().await;
    assert_eq!((reopened.state, reopened.generation), (DeliveryState::Owed, sent.generation + 1));
    assert_eq!(reopened.reason_code.as_deref(), Some("checked"));
    assert!(store.items(&municipal(), Dataset::Completion, always()).await.unwrap().is_empty());
    assert_book_agrees(&*store, &municipal()).await;
    assert_eq!(take(vec![verdict(&sent, false), verdict(&sent, true)]).await.stale, 2, "the receipt came again");
    assert_eq!(row().await, reopened);

    attempt(&*store, id, reply_item(0, 1), DeliveryState::Ambiguous).await;
    assert_eq!(take(vec![verdict(&reopened, true)]).await.acknowledged, 1);
    assert_eq!((row().await.state, row().await.receipt), (DeliveryState::Acknowledged, Some(receipt())));
    assert_eq!(store.items(&municipal(), Dataset::Completion, always()).await.unwrap().len(), 1);
    assert_book_agrees(&*store, &municipal()).await;

    let mut strange = verdict(&row().await, false);
    strange.key.order_tail ^= 1;
    let mut later = verdict(&row().await, false);
    later.key.generation += 1;
    let mut none = verdict(&row().await, false);
    none.key.id = DeliveryId(99);
    assert_eq!(take(vec![strange, later, none]).await.unknown, 3);
    let ours = [verdict(&row().await, false)];
    assert_eq!(store.take_verdicts(&desk(), &ours, hearing(9)).await.unwrap().unknown, 1);
    let text = row().await.idempotency_key();
    assert_eq!(DeliveryKey::read(&text), Some(DeliveryKey::of(&row().await)));
    for wrong in ["", "d1", "d1-1", "d1-1-x", "d01-1-00000001", "D1-1-00000001", "d1-1-00000001-"] {
        assert_eq!(DeliveryKey::read(wrong), None, "{wrong}");
    }
}

/// A row that is refused in every generation that is sent by itself stands as rejected, out of the sent side, until a person sends it again; what is heard of
/// it then counts as before.
pub async fn a_row_that_is_refused_again_and_again_is_left_to_a_person(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 1).await;
    let id = owe_item(&*store, 0, Operation::Forward, Dataset::Completion, at(0)).await;
    let row = async || store.delivery(id).await.unwrap().unwrap();
    let left_to_persons = async |of: Option<ChannelId>, after: i64| -> Vec<DeliveryId> {
        let left = store.deliveries_left(of.as_ref(), DeliveryId(after), 10).await.unwrap();
        left.iter().map(|row| row.id).collect()
    };
    let refuse =
        async |row: &DeliveryRow| store.take_verdicts(&municipal(), &[verdict(row, false)], hearing(2)).await.unwrap();
    attempt(&*store, id, reply_item(0, 1), DeliveryState::Acknowledged).await;
    assert_eq!(refuse(&row().await).await.reopened, 1);
    assert!(left_to_persons(None, 0).await.is_empty());
    attempt(&*store, id, reply_item(0, 1), DeliveryState::Acknowledged).await;
    assert_eq!(refuse(&row().await).await, VerdictTally { stopped: 1, ..VerdictTally::default() });
    let left = row().await;
    assert_eq!((left.state, left.generation, left.receipt.clone()), (DeliveryState::Rejected, 2, None));
    assert_eq!(left.reason_code.as_deref(), Some("refused_again_and_again"));
    assert!(left.reason.as_deref().is_some_and(|reason| reason.contains("refused there")), "{left:?}");
    assert!(store.items(&municipal(), Dataset::Completion, always()).await.unwrap().is_empty());
    assert_book_agrees(&*store, &municipal()).await;
    assert_eq!(left_to_persons(None, 0).await, [id]);
    assert_eq!(left_to_persons(Some(municipal()), id.0 - 1).await, [id]);
    assert!(left_to_persons(Some(desk()), 0).await.is_empty());
    assert!(left_to_persons(None, id.0).await.is_empty());
    assert_eq!(refuse(&left).await, VerdictTally { stopped: 1, ..VerdictTally::default() }, "the next day's file");
    assert_eq!(row().await, left);

    store.redeliver(id, at(950)).await.unwrap();
    attempt(&*store, id, reply_item(0, 1), DeliveryState::Acknowledged).await;
    assert_eq!(refuse(&row().await).await.stopped, 1, "a person's word is for once");
    store.redeliver(id, at(960)).await.unwrap();
    attempt(&*store, id, reply_item(0, 1), DeliveryState::Acknowledged).await;
    let sent = row().await;
    assert_eq!((sent.state, sent.generation), (DeliveryState::Acknowledged, 4));
    let held = [verdict(&sent, true)];
    assert_eq!(store.take_verdicts(&municipal(), &held, hearing(2)).await.unwrap().confirmed, 1);
    assert_book_agrees(&*store, &municipal()).await;
}

/// What is noted of verdicts is there with what they changed, or not at all.
pub async fn a_note_moves_with_the_verdicts(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    write_orders(&*store, 0, 1).await;
    let id = owe_item(&*store, 0, Operation::Forward, Dataset::Completion, at(0)).await;
    attempt(&*store, id, reply_item(0, 1), DeliveryState::Acknowledged).await;
    let sent = store.delivery(id).await.unwrap().unwrap();
    let noted = async || store.checkpoint(&municipal(), "receipt").await.unwrap();
    let old = store.acquire_lease("files", "one", at(0), at(10)).await.unwrap().unwrap();
    let lease = store.acquire_lease("files", "two", at(20), at(2_000)).await.unwrap().unwrap();
    let text = |tally: VerdictTally| format!("{} confirmed, {} reopened", tally.confirmed, tally.reopened);
    let note = VerdictNote { name: "receipt", text: &text };
    let with = |lease| Hearing { under: Some(lease), note: Some(note), ..hearing(9) };
    let held = [verdict(&sent, true)];
    assert_eq!(store.take_verdicts(&municipal(), &held, with(&lease)).await.unwrap().confirmed, 1);
    assert_eq!(noted().await, None, "nothing changed");
    let refused = [verdict(&sent, false), verdict(&sent, true)];
    let lost = store.take_verdicts(&municipal(), &refused[..1], with(&old)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
    assert_eq!(noted().await, None);
    store.take_verdicts(&municipal(), &refused[..1], with(&lease)).await.unwrap();
    assert_eq!(noted().await.as_deref(), Some("0 confirmed, 1 reopened"));
}
