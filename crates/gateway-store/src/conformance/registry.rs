//! Operating data, and how orders compare with it.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;
use gateway_model::*;
use std::collections::BTreeSet;

fn vehicle(plate: &str, company: &str) -> RegistryEntry {
    let facts = RegistryFacts { company: Some(company.into()), ..RegistryFacts::default() };
    RegistryEntry { kind: RegistryKind::Vehicles, key: plate.into(), from_ms: 0, until_ms: 0, facts }
}

fn trip(plate: &str, from: i64) -> RegistryEntry {
    let facts = RegistryFacts::default();
    let (from_ms, until_ms) = (at(from).as_millisecond(), at(from + 900).as_millisecond());
    RegistryEntry { kind: RegistryKind::Trips, key: plate.into(), from_ms, until_ms, facts }
}

fn subject(plate: &str) -> VerificationSubject {
    VerificationSubject {
        plate: Some(plate.into()), company: Some("甲公司".into()), ..VerificationSubject::default()
    }
}

fn verification(raw_id: i64, plate: &str, registry: &RegistryExtract) -> VerificationRow {
    let subject = subject(plate);
    VerificationRow {
        order_id: order_id(1),
        channel: municipal(),
        raw_id: RawId(raw_id),
        result: subject.judge(registry),
        subject,
        registry_seq: registry.seq,
        at: at(raw_id),
        looked_up: None,
        look_up_at: None,
    }
}

async fn import(store: &dyn Store, entries: &[RegistryEntry], whole: bool) -> RegistryChange {
    store.import_registry(entries[0].kind, entries, whole, at(7)).await.unwrap()
}

/// An import adds and replaces, the same again changes nothing, and a whole one takes away what it lacks.
pub async fn a_registry_is_imported_and_looked_up(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let store = store.as_ref();
    assert!(store.registry_imports().await.unwrap().is_empty());
    let nothing = store.look_up(&subject("粤A00001").lookups()).await.unwrap();
    assert_eq!(nothing, RegistryExtract::default());
    // More than one statement holds.
    let many: Vec<_> = (0..2_500).map(|n| vehicle(&format!("粤A{n:05}"), "甲公司")).collect();
    let change = import(store, &many, false).await;
    assert_eq!(change, RegistryChange { added: 2_500, ..RegistryChange::default() });
    let change = import(store, &many, true).await;
    assert_eq!(change, RegistryChange { unchanged: 2_500, ..RegistryChange::default() });
    assert_eq!(store.registry_imports().await.unwrap()[0].seq, 1, "the same again is no import");

    let some = [vehicle("粤A00001", "乙公司"), vehicle("粤A00002", "甲公司"), vehicle("粤B00001", "甲公司")];
    let change = import(store, &some, true).await;
    assert_eq!(change, RegistryChange { added: 1, changed: 1, unchanged: 1, removed: 2_498 });
    let trips = [trip("粤A00001", 0), trip("粤A00001", 3_600), trip("粤A00001", 200_000), trip("粤A00002", 0)];
    assert_eq!(import(store, &trips, false).await.added, 4);
    let imports = store.registry_imports().await.unwrap();
    let shown: Vec<_> = imports.iter().map(|import| (import.kind, import.seq, import.entries)).collect();
    assert_eq!(shown, [(RegistryKind::Trips, 3, 4), (RegistryKind::Vehicles, 2, 3)]);
    assert_eq!(imports[0].imported_at, at(7));

    let lookups = VerificationSubject { trip_from: Some(at(3_700)), ..subject("粤A00001") }.lookups();
    let found = store.look_up(&lookups).await.unwrap();
    assert_eq!((found.seq, found.kinds.len()), (3, 2));
    let mut keys: Vec<_> = found.entries.iter().map(|entry| (entry.kind, entry.from_ms)).collect();
    keys.sort_unstable();
    let began = |from: i64| (RegistryKind::Trips, at(from).as_millisecond());
    assert_eq!(keys, [(RegistryKind::Vehicles, 0), began(0), began(3_600)]);
    assert_eq!(found.entries.iter().find(|entry| entry.from_ms == 0), Some(&some[0]));
}

/// A verification is written with its order; one judged by an older registry is found, and replaced unless the order said something else meanwhile.
pub async fn verifications_follow_order_and_registry(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let store = store.as_ref();
    let before = store.look_up(&subject("粤A00001").lookups()).await.unwrap();
    let first = verification(1, "粤A00001", &before);
    assert_eq!(first.result.verdict, Verdict::NotCheckable);
    write(store, |_, writes| {
        writes.raws.push(raw(1, 0));
        writes.orders.push(order(1, 1, 1));
        writes.verifications.extend([verification(1, "粤A00009", &before), first.clone()]);
    })
    .await
    .unwrap();
    assert_eq!(store.verifications(order_id(1)).await.unwrap(), std::slice::from_ref(&first));
    assert!(store.verifications(order_id(2)).await.unwrap().is_empty());
    assert!(store.verifications_behind(10).await.unwrap().is_empty(), "nothing was imported");

    import(store, &[vehicle("粤A00001", "甲公司")], false).await;
    let behind = store.verifications_behind(10).await.unwrap();
    assert_eq!(behind, [(first.clone(), Some(OrderState::Dispatched))]);
    let registry = store.look_up(&first.subject.lookups()).await.unwrap();
    let again = VerificationRow { at: at(9), ..verification(1, "粤A00001", &registry) };
    assert_eq!(again.result.verdict, Verdict::Match);
    store.verify_again(std::slice::from_ref(&again)).await.unwrap();
    assert_eq!(store.verifications(order_id(1)).await.unwrap(), std::slice::from_ref(&again));
    assert!(store.verifications_behind(10).await.unwrap().is_empty());

    // The order says something else: what was judged of its former word comes too late.
    let newer = verification(2, "粤A00002", &registry);
    assert_eq!(newer.result.verdict, Verdict::NotFound);
    write(store, |_, writes| {
        writes.raws.push(raw(2, 1));
        writes.verifications.push(newer.clone());
    })
    .await
    .unwrap();
    store.verify_again(&[VerificationRow { registry_seq: 9, ..again }]).await.unwrap();
    assert_eq!(store.verifications(order_id(1)).await.unwrap(), [newer]);
    assert_eq!(store.verification_tallies().await.unwrap(), [(municipal(), Verdict::NotFound, 1)]);
}

/// What the operating-data service is to be asked is taken by one, comes back when nobody answered by then, and waits visibly until it is answered.
pub async fn a_question_about_a_car_is_owed_until_it_is_answered(place: &dyn StoreUnderTest) {
    let (store, other) = (place.open().await, place.open().await);
    let (store, other) = (store.as_ref(), other.as_ref());
    let nothing = RegistryExtract::default();
    let owed = |order: u32, since: i64| VerificationRow {
        order_id: order_id(order.into()),
        result: Verification::pending(),
        look_up_at: Some(at(since)),
        at: at(since),
        ..verification(order.into(), "粤A00001", &nothing)
    };
    write(store, |_, writes| {
        for n in 1..=3_u32 {
            writes.raws.push(raw(n.into(), n.into()));
            writes.orders.push(order(n.into(), 1, n.into()));
        }
        let asked_for_nothing = VerificationRow { look_up_at: None, ..owed(3, 10) };
        writes.verifications.extend([owed(1, 30), owed(2, 20), asked_for_nothing]);
    })
    .await
    .unwrap();
    let waiting = |count, overdue, oldest| vec![Waiting { kind: municipal(), count, overdue, oldest: at(oldest) }];
    assert_eq!(store.waiting_lookups(at(25)).await.unwrap(), waiting(2, 1, 20));
    assert!(store.claim_lookups(at(19), at(60), 9).await.unwrap().is_empty(), "it is not time yet");
    // The longest owed first; what one has taken no other takes, until it is given up.
    let taken = store.claim_lookups(at(40), at(60), 1).await.unwrap();
    assert_eq!(taken, [VerificationRow { look_up_at: Some(at(60)), ..owed(2, 20) }]);
    let rest = other.claim_lookups(at(40), at(70), 9).await.unwrap();
    assert_eq!(rest, [VerificationRow { look_up_at: Some(at(70)), ..owed(1, 30) }]);
    assert!(store.claim_lookups(at(59), at(80), 9).await.unwrap().is_empty());
    assert_eq!(other.claim_lookups(at(60), at(90), 9).await.unwrap()[0].order_id, order_id(2));

    // A failure is kept with its next time, an answer with its verdict.
    let failed = LookedUp { attempts: 1, error: Some("unavailable".into()), ..LookedUp::owed(RawId(1)) };
    let later = VerificationRow { looked_up: Some(failed), look_up_at: Some(at(100)), ..owed(1, 30) };
    let answer = LookedUp {
        answered_at: Some(at(65)),
        kinds: BTreeSet::from([RegistryKind::Vehicles]),
        entries: vec![vehicle("粤A00001", "乙公司")],
        ..LookedUp::owed(RawId(2))
    };
    let answered = VerificationRow {
        result: subject("粤A00001").judge_with(&nothing, Some(&answer)),
        looked_up: Some(answer),
        look_up_at: None,
        at: at(65),
        ..owed(2, 20)
    };
    assert_eq!(answered.result.verdict, Verdict::Mismatch);
    store.write_lookups(&[later.clone(), answered.clone()]).await.unwrap();
    assert_eq!(store.verifications(order_id(1)).await.unwrap(), std::slice::from_ref(&later));
    assert_eq!(store.verifications(order_id(2)).await.unwrap(), std::slice::from_ref(&answered));
    assert_eq!(store.waiting_lookups(at(25)).await.unwrap(), waiting(1, 0, 30));
    // An import came between: who judged by it goes before.
    import(store, &[vehicle("粤A00001", "甲公司")], false).await;
    let registry = store.look_up(&subject("粤A00001").lookups()).await.unwrap();
    let judged = VerificationRow {
        result: subject("粤A00001").judge(&registry),
        registry_seq: registry.seq,
        look_up_at: None,
        ..later.clone()
    };
    store.verify_again(std::slice::from_ref(&judged)).await.unwrap();
    store.write_lookups(std::slice::from_ref(&later)).await.unwrap();
    assert_eq!(store.verifications(order_id(1)).await.unwrap(), [judged]);
    assert!(store.waiting_lookups(at(99)).await.unwrap().is_empty());
}

/// Inside the pipeline's transaction the registry is there only for who asks.
pub async fn the_registry_is_loaded_for_who_asks(place: &dyn StoreUnderTest) {
    let store = place.open().await;
    let store = store.as_ref();
    import(store, &[vehicle("粤A00001", "甲公司"), vehicle("粤A00002", "甲公司")], false).await;
    assert_eq!(load(store, IngestRequest::default()).await.registry, None);
    let request = IngestRequest { lookups: subject("粤A00001").lookups(), ..IngestRequest::default() };
    let registry = load(store, request).await.registry.unwrap();
    assert_eq!((registry.seq, registry.entries), (1, vec![vehicle("粤A00001", "甲公司")]));
}
