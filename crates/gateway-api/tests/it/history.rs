//! Two days of the platform, as pipeline, delivery and reconciler would have written them.

use crate::gateway::{Gateway, at, desk, municipal};
use crate::seed::{self, number};
use gateway_model::{
    AskBy, BookItem, BookSide, Dataset, Day, DeliveryId, DeliveryState, Digest, GapEvidence, GapKind, GapState, Grain,
    IncidentId, IncidentState, ItemKey, Moment, Operation, Part, RawId, Receipt, ReceiptSource, Severity, Timestamp,
    day_of,
};
use gateway_store::{
    AccountDay, AlertRound, AlertStore, AttemptResult, AttemptStart, BookPut, Days, DeadLetterState, DeadLetterStore,
    DeliveryStore, FlowOutcome, FlowTally, GapStore, HistoryStore, IncidentRow, Latency, LeaseStore, Leg, NewAccount,
    NewDeadLetter, NewDelivery, NewGap,
};

pub const DAY_S: i64 = 86_400;

pub fn day(days: i64) -> Day {
    day_of(at(days * DAY_S))
}

/// The day of an order is as [`seed::orders`] numbers it.
fn key(n: u64) -> ItemKey {
    ItemKey { dataset: Dataset::Acceptance, number: number(n), day: day(n as i64), part: Part::Cycle(0) }
}

fn item(n: u64) -> BookItem {
    BookItem { key: key(n), event_time: Moment::At(at(n as i64 * 60)), digest: Digest([n as u8; 32]) }
}

fn held(n: u64) -> BookPut {
    BookPut::Put { channel: municipal(), side: BookSide::Source, projection_version: 1, item: item(n) }
}

/// Applies acceptances of the platform at a time.
pub async fn apply(gateway: &Gateway, numbers: &[u64], when: Timestamp) {
    seed::write(gateway.store(), |_, writes| {
        writes.at = when;
        writes.book = numbers.iter().map(|n| held(*n)).collect();
        let tally = |dataset, outcome, changes| FlowTally { channel: municipal(), dataset, outcome, changes };
        writes.tallies.push(tally(Some(Dataset::Acceptance), FlowOutcome::Applied, numbers.len() as u64));
        writes.tallies.push(tally(Some(Dataset::Acceptance), FlowOutcome::Duplicate, 1));
        writes.latencies = numbers
            .iter()
            .flat_map(|n| {
                let leg = |leg, ms| Latency { channel: municipal(), leg, ms };
                [leg(Leg::SourceToReceived, n * 1_000), leg(Leg::ReceivedToApplied, n * 10)]
            })
            .collect();
    })
    .await;
}

/// What the platform says that it has of the first day, on a day.
pub async fn account(gateway: &Gateway, numbers: &[u64], when: Timestamp) {
    let sum = numbers.iter().fold(gateway_model::BucketSum::ZERO, |sum, n| sum.plus(item(*n).element()));
    let said = AccountDay {
        dataset: Dataset::Acceptance,
        day: day(0),
        count: numbers.len() as u64,
        sum: Some(sum),
        as_of: when,
    };
    let account = NewAccount {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        asked: Days { from: day(0), to: day(1) },
        days: Some(vec![said]),
        in_step: Vec::new(),
        as_of: when,
        at: when,
    };
    gateway.store.record_account(&account).await.unwrap();
}

/// A whole comparison in step.
pub async fn in_step(gateway: &Gateway, when: Timestamp) {
    for dataset in [Dataset::Acceptance, Dataset::Completion] {
        let all = Days { from: "2000-01-01".parse().unwrap(), to: "2101-01-01".parse().unwrap() };
        let account = NewAccount {
            channel: municipal(),
            dataset,
            asked: all,
            days: None,
            in_step: vec![all],
            as_of: when,
            at: when,
        };
        gateway.store.record_account(&account).await.unwrap();
    }
}

async fn owe(gateway: &Gateway, when: Timestamp) -> DeliveryId {
    let id = std::sync::Mutex::new(DeliveryId(0));
    seed::write(gateway.store(), |loaded, writes| {
        *id.lock().unwrap() = DeliveryId(loaded.next_delivery_id);
        writes.at = when;
        writes.new_deliveries.push(NewDelivery {
            id: DeliveryId(loaded.next_delivery_id),
            order_id: seed::order_id(1),
            destination: municipal(),
            from: desk(),
            operation: Operation::Reply,
            dataset: Dataset::Completion,
            part: Part::Cycle(0),
            round: 0,
            raw_id: RawId(1),
            command_id: None,
            created_at: when,
        });
    })
    .await;
    id.into_inner().unwrap()
}

async fn send(gateway: &Gateway, id: DeliveryId, when: Timestamp, state: DeliveryState, until: Timestamp) {
    let sent = BookItem {
        key: ItemKey { dataset: Dataset::Completion, ..key(1) },
        event_time: Moment::At(at(900)),
        digest: Digest([7; 32]),
    };
    let start = AttemptStart { id, item: sent, projection_version: 1, ask_by: AskBy::Receipt, at: when };
    gateway.store.begin_attempts(&[start], None).await.unwrap();
    let receipt =
        Receipt { receipt_number: Some("R-17".into()), received_at: Some(until), source: ReceiptSource::Answer };
    let acknowledged = state == DeliveryState::Acknowledged;
    let result = AttemptResult {
        id,
        state,
        receipt: acknowledged.then_some(receipt),
        reason_code: (!acknowledged).then(|| "timeout".to_owned()),
        reason: (!acknowledged).then(|| "no answer in time".to_owned()),
        unanswered: !acknowledged,
        next_attempt_at: until,
        at: until,
    };
    gateway.store.end_attempts(&[result], None).await.unwrap();
}

pub async fn gap(gateway: &Gateway, kind: GapKind, n: u64, opened_at: Timestamp) -> gateway_model::GapId {
    let suspicion = NewGap {
        channel: municipal(),
        dataset: Dataset::Acceptance,
        kind,
        key: Some(key(n)),
        window: Grain::TenMinutes.bucket(at(n as i64 * 60)),
        delivery_id: None,
        detail: None,
        evidence: GapEvidence { theirs: Some(Digest([1; 32])), ours: None, as_of: opened_at, compared_at: opened_at },
        at: opened_at,
    };
    let id = gateway.store.suspect(&[suspicion]).await.unwrap()[0];
    gateway.store.move_gap(id, GapState::Open, None, None, None, opened_at).await.unwrap();
    id
}

async fn incident(gateway: &Gateway, state: IncidentState, when: Timestamp) {
    let resolved_at = (state == IncidentState::Resolved).then_some(when);
    let incident = IncidentRow {
        id: IncidentId(1),
        found_by: "a check".into(),
        code: "delivery_stuck".into(),
        channel: Some(municipal()),
        subject: String::new(),
        state,
        severity: Severity::Warning,
        count: 1,
        facts: Default::default(),
        since: at(2_000),
        first_seen_at: at(2_200),
        last_seen_at: when,
        absent_since: None,
        opened_at: Some(at(2_300)),
        resolved_at,
        escalation: 0,
        escalated_at: None,
        told: Default::default(),
        unsettled: false,
        acknowledged_at: None,
        acknowledged_by: None,
    };
    let lease = gateway.store.acquire_lease("alert", "test", when, when).await.unwrap().unwrap();
    let round = AlertRound { incidents: vec![incident], ..AlertRound::default() };
    gateway.store.save_alert_round(&round, &lease).await.unwrap();
}

/// The first day: three orders applied and one missing, one reply acknowledged and one without an answer, one dead letter, a difference waived.
pub async fn first_day(gateway: &Gateway) -> gateway_model::GapId {
    seed::orders(gateway.store(), &[(1, 1)]).await;
    apply(gateway, &[1, 2, 3], at(600)).await;
    let first = owe(gateway, at(1_000)).await;
    send(gateway, first, at(1_002), DeliveryState::Acknowledged, at(1_010)).await;
    let second = owe(gateway, at(2_000)).await;
    send(gateway, second, at(2_100), DeliveryState::Ambiguous, at(2_130)).await;
    incident(gateway, IncidentState::Open, at(2_300)).await;
    account(gateway, &[1, 2, 3, 4], at(3_000)).await;
    let missing = gap(gateway, GapKind::MissingOrder, 4, at(3_200)).await;
    let other = gap(gateway, GapKind::DeniedBySource, 9, at(3_300)).await;
    let why = Some("对方确认为测试数据 <test>");
    gateway.store.move_gap(other, GapState::Waived, None, why, Some("李四"), at(3_400)).await.unwrap();
    gateway.store.move_gap(missing, GapState::Repairing, None, None, None, at(3_500)).await.unwrap();
    seed::write(gateway.store(), |_, writes| {
        writes.at = at(4_000);
        writes.dead_letters.push(NewDeadLetter {
            raw_id: RawId(1),
            channel: municipal(),
            number: None,
            code: "undecodable".into(),
            reason: "not JSON".into(),
            at: at(4_000),
        });
        let dead = FlowTally { channel: municipal(), dataset: None, outcome: FlowOutcome::DeadLettered, changes: 1 };
        writes.tallies.push(dead);
    })
    .await;
    missing
}

/// The second day: the missing order comes, and everything settles.
pub async fn second_day(gateway: &Gateway, missing: gateway_model::GapId) {
    apply(gateway, &[4], at(DAY_S)).await;
    gateway.store.move_gap(missing, GapState::Closed, None, None, None, at(DAY_S + 300)).await.unwrap();
    let letters = gateway.store.dead_letters(&Default::default(), 9).await.unwrap();
    let ids: Vec<_> = letters.iter().map(|letter| letter.id).collect();
    gateway.store.settle_dead_letters(&ids, DeadLetterState::Waived, "by 李四", at(DAY_S + 400)).await.unwrap();
    let open =
        gateway.store.deliveries_of_item(&municipal(), &ItemKey { dataset: Dataset::Completion, ..key(1) }).await;
    for delivery in open.unwrap().iter().filter(|row| row.state == DeliveryState::Ambiguous) {
        gateway.store.waive_delivery(delivery.id, "by 李四", at(DAY_S + 500)).await.unwrap();
    }
    incident(gateway, IncidentState::Resolved, at(DAY_S + 600)).await;
    in_step(gateway, at(DAY_S + 3_600)).await;
}
