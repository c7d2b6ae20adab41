//! Verification: with the order, again after an import, and for nobody who did not ask.

use crate::peer::{Wire, ms, whole};
use crate::world::{Record, World, deaf, decider, peer};
use gateway_connector::profile::OperatingDataProfile;
use gateway_connector::wire::OperatingData;
use gateway_connector::{Credentials, RetryPolicy, Secret};
use gateway_model::{
    Clock, Field, ManualClock, OrderId, PersonKey, RegistryEntry, RegistryFacts, RegistryKind, SourceNumber, Verdict,
    Verification,
};
use gateway_pipeline::{Defences, LookUps, Reverifier, Verifying};
use gateway_runtime::{Ran, Round, Task, TaskError};
use gateway_store::{OrderReader, RegistryStore, Store, VerificationRow};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

async fn verified_world() -> World {
    asking_world(BTreeSet::new()).await
}

/// A world with a service that answers these kinds.
async fn asking_world(answered: BTreeSet<RegistryKind>) -> World {
    let mut world = World::new().await;
    let person_key = PersonKey::of_installation(&[7; 32]);
    let mut decider = Arc::into_inner(decider(Defences::default())).unwrap();
    decider.verifying = Some(Verifying { channels: BTreeSet::from([peer()]), person_key, answered });
    world.decider = Arc::new(decider);
    world
}

fn vehicle(plate: &str, company: &str) -> RegistryEntry {
    let facts = RegistryFacts { company: Some(company.into()), ..RegistryFacts::default() };
    RegistryEntry { kind: RegistryKind::Vehicles, key: plate.into(), from_ms: 0, until_ms: 0, facts }
}

async fn import(world: &World, vehicles: &[RegistryEntry]) {
    world.store.import_registry(RegistryKind::Vehicles, vehicles, false, ms(0)).await.unwrap();
}

fn scan(number: &str, revision: i64, car: &str, state: &str) -> Wire {
    whole(number, revision, &[("acceptance/c0", &format!("车牌 {car}")), ("handling/c0", state)])
}

async fn id_of(world: &World, number: &str) -> OrderId {
    world.store.orders_by_number(&SourceNumber::new(number).unwrap(), None).await.unwrap()[0]
}

async fn verifications(world: &World, number: &str) -> Vec<VerificationRow> {
    world.store.verifications(id_of(world, number).await).await.unwrap()
}

async fn verdict(world: &World, number: &str) -> Verdict {
    verifications(world, number).await[0].result.verdict
}

async fn reverify(world: &World) {
    reverify_with(world, BTreeSet::new()).await;
}

async fn reverify_with(world: &World, answered: BTreeSet<RegistryKind>) {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(ms(90_000)));
    let store: Arc<dyn Store> = world.store.clone();
    let mut task = Reverifier::new(store, clock, answered);
    let round = Round { stopping: CancellationToken::new() };
    while task.run(&round).await.unwrap() == Ran::Busy {}
}

#[tokio::test]
async fn a_verdict_comes_with_its_order() {
    let mut world = verified_world().await;
    import(&world, &[vehicle("粤A00001", "甲公司"), vehicle("粤A00101", "乙公司")]).await;
    let scans = [
        scan("N1", 1, "粤A00001 甲公司", "dispatched"),
        scan("N2", 1, "粤A00001 丙公司", "dispatched"),
        scan("N3", 1, "粤A09999 甲公司", "dispatched"),
        scan("N4", 1, "粤AOO1O1 乙公司", "dispatched"),
    ];
    world.feed(&scans.map(|wire| Record::push(1, &wire))).await;
    assert_eq!(verdict(&world, "N1").await, Verdict::Match);
    let wrong = verifications(&world, "N2").await.remove(0);
    assert_eq!((wrong.result.verdict, wrong.channel), (Verdict::Mismatch, peer()));
    let [mismatch] = wrong.result.mismatches.as_slice() else { panic!("{:?}", wrong.result) };
    let values = (mismatch.field, mismatch.stated.as_deref(), mismatch.registered.as_deref());
    assert_eq!(values, (Field::OperatorCompany, Some("丙公司"), Some("甲公司")));
    assert_eq!(wrong.result.compared, [Field::Plate, Field::OperatorCompany]);
    let unknown = verifications(&world, "N3").await.remove(0);
    assert_eq!((unknown.result.verdict, unknown.result.unregistered), (Verdict::NotFound, vec![Field::Plate]));
    // What is on no plate is not corrected; what was probably meant is told.
    let misread = verifications(&world, "N4").await.remove(0);
    assert_eq!((misread.result.verdict, misread.result.likely_plate.as_deref()), (Verdict::NotFound, Some("粤A00101")));

    // Said again it stays; another word is judged anew.
    let before = verifications(&world, "N3").await;
    world.one(Record::poll(2, &scan("N3", 1, "粤A09999 甲公司", "dispatched"))).await;
    assert_eq!(verifications(&world, "N3").await, before);
    world.one(Record::poll(3, &scan("N3", 2, "粤A00001 甲公司", "dispatched"))).await;
    assert_eq!(verdict(&world, "N3").await, Verdict::Match);
}

#[tokio::test]
async fn a_later_registry_judges_open_orders_again() {
    let mut world = verified_world().await;
    world.one(Record::push(1, &scan("N1", 1, "粤A00001 甲公司", "dispatched"))).await;
    world.one(Record::push(1, &scan("N2", 1, "粤A00001 甲公司", "archived"))).await;
    assert_eq!(verdict(&world, "N1").await, Verdict::NotCheckable, "there is nothing to compare with");
    import(&world, &[vehicle("粤A00001", "甲公司")]).await;
    reverify(&world).await;
    assert_eq!(verdict(&world, "N1").await, Verdict::Match);
    assert_eq!(verdict(&world, "N2").await, Verdict::NotCheckable, "it was closed by then");
    import(&world, &[vehicle("粤A00001", "乙公司")]).await;
    reverify(&world).await;
    assert_eq!(verdict(&world, "N1").await, Verdict::Mismatch);
    assert_eq!(verifications(&world, "N1").await[0].at, ms(90_000));
    assert!(world.store.verifications_behind(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_did_not_ask_is_not_verified() {
    let mut world = verified_world().await;
    import(&world, &[vehicle("粤A00001", "甲公司")]).await;
    let record = Record::push(1, &scan("N1", 1, "粤A00001 甲公司", "dispatched")).from(deaf());
    let batch = world.batch(std::slice::from_ref(&record));
    assert!(world.decider.request(&batch).lookups.is_empty(), "nothing is looked up for it");
    world.ingest(&batch).await;
    assert!(verifications(&world, "N1").await.is_empty());
}

/// A service that nobody answers for.
fn away() -> Arc<OperatingData> {
    let credentials =
        Credentials { app_id: "app".into(), request_secret: Secret::new("s"), webhook_secrets: Vec::new() };
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(ms(0)));
    let text = OperatingDataProfile::DEFAULT;
    Arc::new(OperatingData::new(text, "http://127.0.0.1:9", credentials, clock).unwrap())
}

async fn look_up(world: &World, service: Option<Arc<OperatingData>>, at: i64) -> Result<Ran, TaskError> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(ms(at)));
    let store: Arc<dyn Store> = world.store.clone();
    let retry = RetryPolicy { min_ms: 1_000, max_ms: 60_000, factor: 2.0, jitter: false };
    let mut task = LookUps::new(store, clock, service, PersonKey::of_installation(&[7; 32]), retry);
    task.run(&Round { stopping: CancellationToken::new() }).await
}

#[tokio::test]
async fn who_can_not_be_asked_holds_nothing_up_and_is_asked_again() {
    let service = away();
    let mut world = asking_world(service.kinds()).await;
    import(&world, &[vehicle("粤A00001", "甲公司")]).await;
    world.one(Record::push(1, &scan("N1", 1, "粤A00001 甲公司", "dispatched"))).await;
    assert_eq!(verdict(&world, "N1").await, Verdict::Match, "an import that says it needs no service");
    world.one(Record::push(1, &scan("N2", 1, "粤A00002 甲公司", "dispatched"))).await;
    let taken = verifications(&world, "N2").await.remove(0);
    assert_eq!((taken.result, taken.look_up_at), (Verification::pending(), Some(taken.at)));

    // Each failure waits longer; the order is there all the while.
    let now = taken.at.as_millisecond();
    let mut due = now;
    for (attempt, wait) in [(1, 1_000), (2, 2_000), (3, 4_000)] {
        let error = look_up(&world, Some(service.clone()), due).await.unwrap_err();
        assert_eq!(error.code, "unavailable");
        let row = verifications(&world, "N2").await.remove(0);
        let asked = row.looked_up.unwrap();
        assert_eq!((asked.attempts, asked.error.as_deref()), (attempt, Some("unavailable")));
        assert_eq!((row.result.verdict, row.at, row.look_up_at), (Verdict::Pending, taken.at, Some(ms(due + wait))));
        assert_eq!(look_up(&world, Some(service.clone()), due + wait - 1).await.unwrap(), Ran::Idle, "not before");
        due += wait;
    }
    // An import that says it settles it, and nobody is asked any more.
    import(&world, &[vehicle("粤A00002", "乙公司")]).await;
    reverify_with(&world, service.kinds()).await;
    let row = verifications(&world, "N2").await.remove(0);
    assert_eq!((row.result.verdict, row.look_up_at), (Verdict::Mismatch, None));
    // One that does not leaves it waiting since then.
    world.one(Record::push(9, &scan("N3", 1, "粤A00003 甲公司", "dispatched"))).await;
    let waits = verifications(&world, "N3").await.remove(0);
    import(&world, &[vehicle("粤A00004", "乙公司")]).await;
    reverify_with(&world, service.kinds()).await;
    let row = verifications(&world, "N3").await.remove(0);
    assert_eq!((row.result.verdict, row.at, row.look_up_at), (Verdict::Pending, waits.at, waits.look_up_at));

    // Where the service is configured no more, the imports alone say what they can.
    let later = waits.look_up_at.unwrap().as_millisecond();
    assert_eq!(look_up(&world, None, later).await.unwrap(), Ran::Idle);
    let row = verifications(&world, "N3").await.remove(0);
    assert_eq!((row.result.verdict, row.look_up_at, row.looked_up), (Verdict::NotFound, None, None));
}
