//! Whatever happens between the channel, the desk and the delivery worker, the books add up.

use crate::convergence::{assert_sums, run};
use crate::peer::{DAY, Wire, day, item, ms, number, whole};
use crate::world::{Record, SETTLE_MS, World, command, peer};
use gateway_model::{AskBy, BookSide, DeliveryState, Operation, Origin, Receipt, ReceiptSource};
use gateway_store::{AttemptResult, AttemptStart, DeliveryStore, StoreError};
use proptest::prelude::*;
use std::collections::BTreeMap;

const REPLY: &str = "completion/c0";

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// The channel says what its reply is, by some way, having been read some time ago.
    Said { text: u8, moved: bool, origin: u8, late: i64 },
    /// The channel says that there is no reply.
    Silent { origin: u8 },
    /// The desk replies.
    Reply { text: u8 },
    /// The first delivery that can be is sent.
    Begin,
    /// What is under way ends so.
    End { how: u8 },
    /// A repair.
    Redeliver { which: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..3, any::<bool>(), 0u8..3, 0i64..3_000)
            .prop_map(|(text, moved, origin, late)| Step::Said { text, moved, origin, late }),
        1 => (0u8..3).prop_map(|origin| Step::Silent { origin }),
        2 => (0u8..3).prop_map(|text| Step::Reply { text }),
        3 => Just(Step::Begin),
        3 => (0u8..4).prop_map(|how| Step::End { how }),
        1 => any::<u8>().prop_map(|which| Step::Redeliver { which }),
    ]
}

fn origin(n: u8) -> Origin {
    [Origin::Poll, Origin::Webhook, Origin::Reread][usize::from(n)]
}

/// Plays steps, a second apart.
struct Play {
    world: World,
    now: i64,
    revision: i64,
    commands: u128,
    taken: u64,
}

impl Play {
    async fn step(&mut self, step: &Step) {
        self.now += 1_000;
        match step {
            Step::Said { text, moved, origin: by, late } => {
                self.revision += i64::from(*moved);
                let text = format!("text {text}");
                let wire = whole("N1", self.revision, &[("handling/c0", "signed 0"), (REPLY, &text)]);
                self.record(&wire, origin(*by), *late).await;
            }
            Step::Silent { origin: by } => {
                let wire = whole("N1", self.revision, &[("handling/c0", "signed 0")]);
                self.record(&wire, origin(*by), 0).await;
            }
            Step::Reply { text } => {
                self.commands += 1;
                let order = self.world.id("N1").await;
                let reply = command(self.commands, order, Operation::Reply, self.now, &format!("text {text}"));
                self.world.one(Record::command(&reply)).await;
                self.taken += 3;
            }
            Step::Begin => self.begin().await,
            Step::End { how } => self.end(*how).await,
            Step::Redeliver { which } => {
                let deliveries = self.world.deliveries("N1").await;
                if deliveries.is_empty() {
                    return;
                }
                let id = deliveries[usize::from(*which) % deliveries.len()].id;
                match self.world.store.redeliver(id, ms(self.now)).await {
                    Ok(()) | Err(StoreError::WrongState { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    async fn record(&mut self, wire: &Wire, origin: Origin, late: i64) {
        let read = (self.now - late).max(1);
        self.world.one(Record { received: self.now, read, ..Record::new(origin, self.now, wire) }).await;
        self.taken += wire.changes();
    }

    async fn begin(&mut self) {
        let deliveries = self.world.deliveries("N1").await;
        let Some(first) = deliveries.into_iter().find(|delivery| delivery.state.is_in_flight()) else { return };
        if first.state != DeliveryState::Owed {
            return;
        }
        // What the desk said in this command is what is sent.
        let text = format!("text {}", first.id.0 % 3);
        let item = item(REPLY, &text).book_item(&number("N1"), day(DAY));
        let start = AttemptStart { id: first.id, item, projection_version: 1, ask_by: AskBy::Record, at: ms(self.now) };
        self.world.store.begin_attempts(&[start], None).await.unwrap();
    }

    async fn end(&mut self, how: u8) {
        let deliveries = self.world.deliveries("N1").await;
        let Some(sending) = deliveries.into_iter().find(|delivery| delivery.state == DeliveryState::Sending) else {
            return;
        };
        let state =
            [DeliveryState::Acknowledged, DeliveryState::Ambiguous, DeliveryState::Rejected, DeliveryState::Owed]
                [usize::from(how)];
        let receipt = Receipt { receipt_number: None, received_at: None, source: ReceiptSource::Answer };
        let end = AttemptResult {
            id: sending.id,
            state,
            receipt: (state == DeliveryState::Acknowledged).then_some(receipt),
            reason_code: None,
            reason: None,
            unanswered: state == DeliveryState::Ambiguous,
            next_attempt_at: ms(self.now),
            at: ms(self.now),
        };
        self.world.store.end_attempts(&[end], None).await.unwrap();
    }

    /// What must hold at every moment.
    async fn check(&self) {
        let world = &self.world;
        assert_sums(world).await;
        assert_eq!(world.captured().await, self.taken);
        let aggregate = world.order("N1").await.aggregate;
        for (side, item) in world.book().await.into_values() {
            let head = aggregate.facets.iter().find(|facet| {
                facet.channel == peer() && facet.dataset == item.key.dataset && facet.part == item.key.part
            });
            match side {
                BookSide::Source => {
                    let head = head.expect("the book names a source's word that is not held");
                    assert_eq!((head.digest, head.event_time), (item.digest, item.event_time));
                }
                BookSide::Sent => assert!(
                    aggregate.deliveries.iter().any(|delivery| {
                        delivery.state == DeliveryState::Acknowledged && delivery.item.as_ref() == Some(&item)
                    }),
                    "the book names what nobody acknowledged"
                ),
            }
        }
        // The outbound tallies are the deliveries, counted.
        let mut counted: BTreeMap<DeliveryState, (u64, u64)> = BTreeMap::new();
        for delivery in &aggregate.deliveries {
            let line = counted.entry(delivery.state).or_default();
            *line = (line.0 + 1, line.1 + u64::from(delivery.first_sent_at.is_some()));
        }
        let tallies = world.store.outbound_tallies().await.unwrap();
        let tallies: BTreeMap<_, _> = tallies
            .into_iter()
            .filter(|tally| tally.deliveries > 0)
            .map(|tally| (tally.state, (tally.deliveries, tally.sent)))
            .collect();
        assert_eq!(tallies, counted);
    }

    /// The last word of the channel, read again after everything had time to land.
    async fn settle(&mut self) {
        self.now += 10 * SETTLE_MS;
        let wire = whole("N1", self.revision, &[("handling/c0", "signed 0"), (REPLY, "text 0")]);
        self.record(&wire, Origin::Reread, 0).await;
        self.check().await;
        let world = &self.world;
        let held =
            world.book().await.remove(&format!("N1 {DAY} {REPLY}")).expect("what the channel shows is in the book");
        let theirs = wire.items[1].book_item(&number("N1"), day(DAY));
        // Either what they show, or what they acknowledged last and must show: then the comparison finds it.
        let deliveries = world.deliveries("N1").await;
        let newest = deliveries.iter().rfind(|delivery| delivery.state == DeliveryState::Acknowledged);
        let newest = newest.and_then(|delivery| delivery.item.clone());
        assert!(held.1 == theirs || Some(&held.1) == newest.as_ref());
        let ambiguous = deliveries.iter().filter(|delivery| delivery.state == DeliveryState::Ambiguous);
        assert_eq!(ambiguous.count(), 0, "the record tells what became of each");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_books_add_up_whatever_happens(steps in prop::collection::vec(step(), 1..30)) {
        run(async {
            let mut play = Play { world: World::new().await, now: 0, revision: 1, commands: 0, taken: 0 };
            play.step(&Step::Silent { origin: 0 }).await;
            for step in &steps {
                play.step(step).await;
                play.check().await;
            }
            play.settle().await;
        });
    }
}
