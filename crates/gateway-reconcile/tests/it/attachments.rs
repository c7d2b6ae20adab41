//! Files that do not come: told, and over when they do.

use crate::world::{World, channel, order};
use gateway_model::{
    AttachmentId, AttachmentState, ChannelId, Clock, Digest, Fields, GapKind, GapStanding, GapState, OrderId,
    OrderNumber, OrderState, Owner, RawId, Timestamp,
};
use gateway_reconcile::Auditor;
use gateway_runtime::{Round, Task};
use gateway_store::{AttachmentRow, AttachmentStore, GapRow, GapStore, WorkOrderRow};
use tokio_util::sync::CancellationToken;

const ALLOWANCE_MS: u64 = 600_000;

struct Lacking {
    world: World,
    order: OrderId,
    began: Timestamp,
}

impl Lacking {
    /// An order whose acceptance refers to these files, owed from now on.
    async fn owing(references: &[&str]) -> Self {
        let mut world = World::new().await;
        world.config.attachment_allowance_ms = ALLOWANCE_MS;
        let began = world.clock.now();
        let id = OrderId::new(began);
        let key = order(7).key;
        let number = OrderNumber { channel: channel(), number: key.number, day: key.day };
        let owed: Vec<_> =
            references.iter().map(|one| AttachmentRow::owed(id, channel(), one, RawId(1), began)).collect();
        let row = WorkOrderRow {
            id,
            seq: 1,
            feed_seq: 1,
            created_at: began,
            changed_at: began,
            state: Some(OrderState::Accepted),
            round: 0,
            fields: Fields::new(),
            conflicts: Vec::new(),
        };
        world
            .write(|_, writes| {
                writes.orders.push(row.clone());
                writes.numbers.push((id, number.clone()));
                writes.attachments = owed.clone();
            })
            .await;
        Self { world, order: id, began }
    }

    /// Rounds of the audit, a minute apart; each in a process of its own.
    async fn audit(&self, rounds: usize) {
        let World { peer, store, clock, config, .. } = &self.world;
        for _ in 0..rounds {
            let mut auditor = Auditor::new(
                channel(),
                peer.clone(),
                store.clone(),
                clock.clone(),
                config.clone(),
                "test".to_owned(),
                Vec::new(),
            );
            auditor.run(&Round { stopping: CancellationToken::new() }).await.unwrap();
            self.world.wait(60);
        }
    }

    fn id(&self, reference: &str) -> AttachmentId {
        AttachmentId::of(self.order, &channel(), reference)
    }

    /// What came of asking for a file once more.
    async fn settle(&self, reference: &str, state: AttachmentState) {
        let store = &self.world.store;
        let row = store.attachment(self.id(reference)).await.unwrap().unwrap();
        let kept = state == AttachmentState::Kept;
        let settled = AttachmentRow {
            state,
            attempts: row.attempts + 1,
            digest: kept.then_some(Digest([7; 32])),
            error: (!kept).then(|| "attachment_not_there".to_owned()),
            fetch_at: None,
            ..row
        };
        store.write_attachments(&[settled]).await.unwrap();
    }

    async fn gaps(&self) -> Vec<GapRow> {
        let all = self.world.gaps().await;
        assert!(all.iter().all(|gap| gap.kind == GapKind::AttachmentMissing && gap.key.is_none()), "{all:?}");
        all
    }

    async fn states(&self) -> Vec<GapState> {
        self.gaps().await.iter().map(|gap| gap.state).collect()
    }
}

fn owner(gap: &GapRow) -> Option<Owner> {
    let left = gap.reason.is_some();
    GapStanding { kind: gap.kind, state: gap.state, left, generation: gap.generation, stopped: false }.owner()
}

#[tokio::test]
async fn a_file_that_takes_too_long_is_a_gap_until_it_is_kept() {
    let lacking = Lacking::owing(&["p/1.jpg", "p/2.jpg"]).await;
    lacking.audit(10).await;
    assert!(lacking.states().await.is_empty(), "files may take a while");
    lacking.settle("p/2.jpg", AttachmentState::Kept).await;
    lacking.audit(2).await;
    let [gap] = lacking.gaps().await.try_into().unwrap();
    let number = order(7).key;
    let detail = format!("attachment {} of {} {}", lacking.id("p/1.jpg"), number.number, number.day);
    assert_eq!((gap.state, gap.detail), (GapState::Suspected, Some(detail)));
    assert_eq!(gap.window.start, lacking.began);
    lacking.audit(2).await;
    let [gap] = lacking.gaps().await.try_into().unwrap();
    assert_eq!((gap.state, owner(&gap)), (GapState::Open, Some(Owner::Gateway)), "it is asked for by itself");
    lacking.settle("p/1.jpg", AttachmentState::Kept).await;
    lacking.audit(1).await;
    assert_eq!(lacking.states().await, [GapState::Closed]);
}

#[tokio::test]
async fn what_comes_between_two_looks_was_no_gap() {
    let lacking = Lacking::owing(&["p/1.jpg"]).await;
    lacking.audit(12).await;
    assert_eq!(lacking.states().await, [GapState::Suspected]);
    lacking.settle("p/1.jpg", AttachmentState::Kept).await;
    lacking.audit(1).await;
    assert!(lacking.states().await.is_empty());
}

#[tokio::test]
async fn of_what_was_given_up_a_person_decides() {
    let lacking = Lacking::owing(&["lost", "refused"]).await;
    lacking.settle("lost", AttachmentState::Missing).await;
    lacking.settle("refused", AttachmentState::Refused).await;
    lacking.audit(3).await;
    let gaps = lacking.gaps().await;
    assert_eq!(
        gaps.iter().map(|gap| (gap.state, owner(gap))).collect::<Vec<_>>(),
        [(GapState::Open, Some(Owner::Person)), (GapState::Open, Some(Owner::Person))]
    );
    let of = |reference: &str| {
        let id = lacking.id(reference).to_string();
        gaps.iter().find(|gap| gap.detail.as_ref().unwrap().contains(&id)).unwrap().clone()
    };
    assert!(of("lost").reason.unwrap().contains("did not give the file (attachment_not_there)"));
    assert!(of("refused").reason.unwrap().contains("is not taken"));

    // Asked for again by a person, it is the gateway's turn, and the gap is not over before the file is there.
    let now = lacking.world.clock.now();
    assert!(lacking.world.store.fetch_attachment_again(lacking.id("lost"), false, now).await.unwrap());
    lacking.audit(1).await;
    let again = lacking.world.store.gap(of("lost").id).await.unwrap().unwrap();
    assert_eq!((again.state, again.reason.clone(), owner(&again)), (GapState::Open, None, Some(Owner::Gateway)));
    lacking.settle("lost", AttachmentState::Kept).await;
    // The other one is waived, and stays so.
    let waive = Some("the citizen sent it by post");
    let store = &lacking.world.store;
    store.move_gap(of("refused").id, GapState::Waived, None, waive, Some("a person"), now).await.unwrap();
    lacking.audit(3).await;
    assert_eq!(store.gap(of("lost").id).await.unwrap().unwrap().state, GapState::Closed);
    assert_eq!(store.gap(of("refused").id).await.unwrap().unwrap().state, GapState::Waived);
    assert_eq!(lacking.gaps().await.len(), 2);
}

#[tokio::test]
async fn what_the_channel_names_no_more_is_over() {
    let lacking = Lacking::owing(&["p/1.jpg"]).await;
    lacking.world.wait(700);
    lacking.audit(2).await;
    assert_eq!(lacking.states().await, [GapState::Open]);
    let (order_id, channel) = (lacking.order, ChannelId::new("municipal-12345").unwrap());
    lacking
        .world
        .write(move |_, writes| {
            let named = gateway_store::AttachmentsNamed { order_id, channel: channel.clone(), raw_id: RawId(2) };
            writes.attachments_named.push(named);
        })
        .await;
    lacking.audit(1).await;
    assert_eq!(lacking.states().await, [GapState::Closed]);
}

#[tokio::test]
async fn a_platform_that_lost_everything_is_told_a_bounded_number_of_times() {
    let all: Vec<String> = (0..700).map(|n| format!("p/{n}.jpg")).collect();
    let lacking = Lacking::owing(&all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    lacking.world.wait(601);
    lacking.audit(4).await;
    assert_eq!(lacking.gaps().await.len(), 500);
    // As some come, others are told.
    for gap in lacking.gaps().await.iter().take(300) {
        let id = gap.detail.as_ref().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let row = lacking.world.store.attachment(id).await.unwrap().unwrap();
        lacking.settle(&row.reference, AttachmentState::Kept).await;
    }
    lacking.audit(4).await;
    let mut states = lacking.states().await;
    states.sort_unstable();
    let count = |state| states.iter().filter(|one| **one == state).count();
    assert_eq!((count(GapState::Closed), count(GapState::Open)), (300, 400));
}
