//! Attachments: owed with what refers to them.

use crate::peer::{Wire, ms, number, whole};
use crate::world::{Record, World, deaf, peer};
use gateway_model::{AttachmentState, OrderId};
use gateway_store::{AttachmentRow, AttachmentStore, OrderReader};

fn with(number: &str, revision: i64, pictures: &str) -> Wire {
    whole(number, revision, &[("acceptance/c0", &format!("图片 {pictures}")), ("handling/c0", "dispatched")])
}

async fn id_of(world: &World, text: &str) -> OrderId {
    world.store.orders_by_number(&number(text), None).await.unwrap()[0]
}

/// References and states.
async fn told(world: &World, text: &str) -> Vec<(String, AttachmentState)> {
    let rows = world.store.attachments(id_of(world, text).await).await.unwrap();
    rows.into_iter().map(|row| (row.reference, row.state)).collect()
}

fn all(state: AttachmentState, references: &[&str]) -> Vec<(String, AttachmentState)> {
    references.iter().map(|reference| ((*reference).to_owned(), state)).collect()
}

#[tokio::test]
async fn what_an_acceptance_refers_to_is_owed_with_it() {
    let mut world = World::new().await;
    let scans =
        [with("N1", 1, "p/1.jpg,p/2.jpg,,p/1.jpg"), with("N2", 1, ""), whole("N3", 1, &[("acceptance/c0", "无图")])];
    world.feed(&scans.map(|wire| Record::push(1, &wire))).await;
    assert_eq!(told(&world, "N1").await, all(AttachmentState::Owed, &["p/1.jpg", "p/2.jpg"]));
    assert!(told(&world, "N2").await.is_empty() && told(&world, "N3").await.is_empty());
    let order = id_of(&world, "N1").await;
    let rows = world.store.attachments(order).await.unwrap();
    let expected = AttachmentRow::owed(order, peer(), "p/1.jpg", rows[0].raw_id, ms(world.now));
    assert_eq!(rows[0], expected);
    // A channel whose files can't be fetched owes none.
    world.one(Record::push(2, &with("N9", 1, "p/1.jpg")).from(deaf())).await;
    assert!(told(&world, "N9").await.is_empty());
}

#[tokio::test]
async fn said_again_nothing_changes_and_another_word_withdraws_what_it_does_not_name() {
    let mut world = World::new().await;
    world.one(Record::push(1, &with("N1", 1, "p/1.jpg,p/2.jpg"))).await;
    let before = world.store.attachments(id_of(&world, "N1").await).await.unwrap();
    world.one(Record::poll(2, &with("N1", 1, "p/1.jpg,p/2.jpg"))).await;
    assert_eq!(world.store.attachments(id_of(&world, "N1").await).await.unwrap(), before);
    // An older word, and one about another dataset, name nothing.
    world.one(Record::push(3, &whole("N1", 2, &[("handling/c0", "signed")]))).await;
    assert_eq!(told(&world, "N1").await, all(AttachmentState::Owed, &["p/1.jpg", "p/2.jpg"]));
    world.one(Record::push(4, &with("N1", 3, "p/2.jpg,p/3.jpg"))).await;
    let mut expected = all(AttachmentState::Withdrawn, &["p/1.jpg"]);
    expected.extend(all(AttachmentState::Owed, &["p/2.jpg", "p/3.jpg"]));
    assert_eq!(told(&world, "N1").await, expected);
    world.one(Record::push(5, &with("N1", 1, "p/1.jpg,p/2.jpg"))).await;
    assert_eq!(told(&world, "N1").await, expected, "an older word comes too late");
}

#[tokio::test]
async fn two_words_in_one_batch_leave_what_the_later_names() {
    let mut world = World::new().await;
    let words = [Record::push(1, &with("N1", 1, "p/1.jpg")), Record::push(2, &with("N1", 2, "p/2.jpg"))];
    world.feed(&words).await;
    let mut expected = all(AttachmentState::Withdrawn, &["p/1.jpg"]);
    expected.extend(all(AttachmentState::Owed, &["p/2.jpg"]));
    assert_eq!(told(&world, "N1").await, expected);
}
