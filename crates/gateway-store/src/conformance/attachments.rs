//! Attachments: files that records refer to.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;

fn owed(n: u64, reference: &str, since: i64) -> AttachmentRow {
    AttachmentRow::owed(order_id(n), municipal(), reference, RawId(n as i64), at(since))
}

fn kept(row: &AttachmentRow, when: i64) -> AttachmentRow {
    AttachmentRow {
        state: AttachmentState::Kept,
        digest: Some(digest(7)),
        size_bytes: 5_000_000_000,
        media_type: Some("image/jpeg".into()),
        attempts: row.attempts + 1,
        error: None,
        fetched_at: Some(at(when)),
        fetch_at: None,
        ..row.clone()
    }
}

fn failed(row: &AttachmentRow, state: AttachmentState, again: Option<i64>) -> AttachmentRow {
    let error = Some("not_there".to_owned());
    AttachmentRow { state, attempts: row.attempts + 1, error, fetch_at: again.map(at), ..row.clone() }
}

async fn order_with(store: &dyn Store, n: u64, attachments: Vec<AttachmentRow>) {
    write(store, |_, writes| {
        writes.raws.push(raw(n as i64, n));
        writes.orders.push(order(n, 1, n));
        writes.attachments = attachments.clone();
    })
    .await
    .unwrap();
}

/// What a record refers to is owed with it, is taken by one, comes back when nothing was written by then, and is kept in the end.
pub async fn an_attachment_is_owed_until_it_is_kept(place: &dyn StoreUnderTest) {
    let (store, other) = (place.open().await, place.open().await);
    let (store, other) = (store.as_ref(), other.as_ref());
    let (one, two) = (owed(1, "p/1.jpg", 10), owed(1, "p/中文 2.jpg", 20));
    order_with(store, 1, vec![one.clone(), two.clone(), one.clone()]).await;
    assert_eq!(store.attachments(order_id(1)).await.unwrap(), [one.clone(), two.clone()]);
    assert_eq!(store.attachment(two.id).await.unwrap(), Some(two.clone()));
    let nobodys = AttachmentId::of(order_id(2), &municipal(), "p/1.jpg");
    assert_eq!(store.attachment(nobodys).await.unwrap(), None);
    assert!(store.attachments(order_id(2)).await.unwrap().is_empty());

    assert!(store.claim_attachments(&municipal(), at(9), at(60), 9).await.unwrap().is_empty(), "it is not time yet");
    assert!(store.claim_attachments(&desk(), at(40), at(60), 9).await.unwrap().is_empty(), "another channel's");
    // The longest owed first; what one has taken no other takes, until it is given up.
    let taken = store.claim_attachments(&municipal(), at(40), at(60), 1).await.unwrap();
    assert_eq!(taken, [AttachmentRow { fetch_at: Some(at(60)), ..one.clone() }]);
    let rest = other.claim_attachments(&municipal(), at(40), at(70), 9).await.unwrap();
    assert_eq!(rest, [AttachmentRow { fetch_at: Some(at(70)), ..two.clone() }]);
    let back = other.claim_attachments(&municipal(), at(65), at(90), 9).await.unwrap();
    assert_eq!(back, [AttachmentRow { fetch_at: Some(at(90)), ..one.clone() }]);

    let (first, second) = (kept(&back[0], 66), failed(&rest[0], AttachmentState::Owed, Some(80)));
    other.write_attachments(&[first.clone(), second.clone()]).await.unwrap();
    // Who lost it by its time comes too late.
    store.write_attachments(&[failed(&taken[0], AttachmentState::Owed, Some(61))]).await.unwrap();
    assert_eq!(store.attachments(order_id(1)).await.unwrap(), [first.clone(), second.clone()]);
    let again = store.claim_attachments(&municipal(), at(80), at(99), 9).await.unwrap();
    assert_eq!(again, [AttachmentRow { fetch_at: Some(at(99)), ..second }]);
    let last = kept(&again[0], 81);
    store.write_attachments(std::slice::from_ref(&last)).await.unwrap();
    assert_eq!(last.attempts, 2);
    assert_eq!(other.attachments(order_id(1)).await.unwrap(), [first.clone(), last]);
    assert_eq!(store.attachment_tallies().await.unwrap(), [(municipal(), AttachmentState::Kept, 2)]);

    // Said again, what is kept stays as it is, but for who said it last.
    write(store, |_, writes| {
        writes.raws.push(raw(2, 2));
        writes.attachments.push(AttachmentRow { raw_id: RawId(2), ..owed(1, "p/1.jpg", 500) });
    })
    .await
    .unwrap();
    assert_eq!(store.attachment(first.id).await.unwrap(), Some(AttachmentRow { raw_id: RawId(2), ..first.clone() }));
    assert!(!store.fetch_attachment_again(first.id, false, at(600)).await.unwrap(), "it is kept");
    assert!(!store.fetch_attachment_again(nobodys, true, at(600)).await.unwrap(), "there is none");
    // But not on the disk any more.
    assert!(store.fetch_attachment_again(first.id, true, at(600)).await.unwrap());
    assert_eq!(
        store.attachment(first.id).await.unwrap(),
        Some(AttachmentRow { raw_id: RawId(2), ..owed(1, "p/1.jpg", 600) })
    );
}

/// What is lacking is told page by page, and is owed anew when a person asks for it.
pub async fn a_lacking_attachment_is_told_and_asked_for_again(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let store = store.as_ref();
    let all: Vec<_> = (0..6).map(|n| owed(1, &format!("p/{n}.jpg"), 10 * n)).collect();
    order_with(store, 1, all.clone()).await;
    store.claim_attachments(&municipal(), at(100), at(200), 9).await.unwrap();
    let settled = [
        failed(&all[0], AttachmentState::Missing, None),
        failed(&all[1], AttachmentState::Refused, None),
        kept(&all[2], 101),
    ];
    store.write_attachments(&settled).await.unwrap();
    // Of what is owed only what has waited since before the time.
    let mut expected: Vec<_> = [&all[0], &all[1], &all[3], &all[4]].iter().map(|row| row.id).collect();
    expected.sort_unstable();
    let mut told = Vec::new();
    loop {
        let page = store.lacking_attachments(&municipal(), at(50), told.last().copied(), 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        told.extend(page.iter().map(|row| row.id));
    }
    assert_eq!(told, expected);
    assert!(store.lacking_attachments(&desk(), at(999), None, 9).await.unwrap().is_empty());

    assert!(store.fetch_attachment_again(all[0].id, false, at(300)).await.unwrap());
    let anew = AttachmentRow { owed_at: at(300), fetch_at: Some(at(300)), ..all[0].clone() };
    assert_eq!(store.attachment(all[0].id).await.unwrap(), Some(anew.clone()));
    // Who asked before that comes too late, unless it was for the first time, which is as good.
    let before = AttachmentRow { attempts: 4, ..all[0].clone() };
    store.write_attachments(&[failed(&before, AttachmentState::Missing, None)]).await.unwrap();
    assert_eq!(store.attachment(all[0].id).await.unwrap(), Some(anew));
}

/// What a later word names no more is withdrawn, unless it is kept; named again, it is owed again.
pub async fn an_attachment_that_is_named_no_more_is_withdrawn(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let store = store.as_ref();
    let (one, two, three) = (owed(1, "p/1.jpg", 10), owed(1, "p/2.jpg", 10), owed(1, "p/3.jpg", 10));
    order_with(store, 1, vec![one.clone(), two.clone(), three.clone()]).await;
    order_with(store, 2, vec![owed(2, "p/1.jpg", 10)]).await;
    store.claim_attachments(&municipal(), at(11), at(20), 9).await.unwrap();
    let (one, two) = (kept(&one, 12), failed(&two, AttachmentState::Owed, Some(40)));
    store.write_attachments(&[one.clone(), two.clone()]).await.unwrap();

    let says = async |raw_id: i64, references: &[&str]| {
        write(store, |_, writes| {
            writes.raws.push(raw(raw_id, raw_id as u64));
            let owe = |reference: &&str| AttachmentRow { raw_id: RawId(raw_id), ..owed(1, reference, 30) };
            writes.attachments = references.iter().map(owe).collect();
            let (order_id, channel) = (order_id(1), municipal());
            let earlier = AttachmentsNamed { order_id, channel: channel.clone(), raw_id: RawId(1) };
            writes.attachments_named = vec![earlier, AttachmentsNamed { order_id, channel, raw_id: RawId(raw_id) }];
        })
        .await
        .unwrap();
    };
    says(3, &["p/3.jpg"]).await;
    let withdrawn = AttachmentRow { state: AttachmentState::Withdrawn, fetch_at: None, ..two.clone() };
    let three = AttachmentRow { raw_id: RawId(3), fetch_at: Some(at(20)), ..three };
    assert_eq!(store.attachments(order_id(1)).await.unwrap(), [one.clone(), withdrawn.clone(), three.clone()]);
    assert_eq!(store.attachments(order_id(2)).await.unwrap()[0].state, AttachmentState::Owed, "another order's");
    // Whoever was asking for it has come too late.
    store.write_attachments(&[kept(&two, 31)]).await.unwrap();
    assert_eq!(store.attachment(two.id).await.unwrap(), Some(withdrawn));

    says(4, &["p/2.jpg", "p/3.jpg"]).await;
    let again = AttachmentRow {
        raw_id: RawId(4),
        attempts: 0,
        error: two.error.clone(),
        owed_at: at(30),
        fetch_at: Some(at(30)),
        ..two.clone()
    };
    assert_eq!(store.attachment(two.id).await.unwrap(), Some(again));
    assert_eq!(store.attachment(three.id).await.unwrap(), Some(AttachmentRow { raw_id: RawId(4), ..three }));
}
