//! Our own books, damaged by another program: found, named, repaired, verified.

use crate::world::{GRAINS, World, channel, config, item, order};
use gateway_model::{Clock, Dataset, GapKind, GapState, Grain, Moment, Origin, RawId, Window};
use gateway_reconcile::{Auditor, Defences, ReconcileConfig};
use gateway_runtime::{Round, Task};
use gateway_store::{
    AuditStore, BookStore, FlowPosition, GapRow, GapStore, NewGap, NewRaw, NodeRow, NodeSpool, NodeStore, RawMeta,
};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio_util::sync::CancellationToken;

const TOPIC: &str = "gateway.municipal-12345.raw.v1";

async fn damage(world: &World, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(world.dir.path().join("store.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let done = sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    assert!(done.rows_affected() > 0, "{sql}");
    connection.close().await.unwrap();
}

/// Rounds of the audit; each in a process of its own, since nothing may depend on its memory.
async fn audit(world: &World, rounds: usize) {
    for _ in 0..rounds {
        let auditor = Auditor::new(
            channel(),
            world.peer.clone(),
            world.store.clone(),
            world.clock.clone(),
            world.config.clone(),
            "test".to_owned(),
            vec![TOPIC.to_owned()],
        );
        let mut auditor = auditor.with_nodes(30_000);
        auditor.run(&Round { stopping: CancellationToken::new() }).await.unwrap();
        world.wait(60);
    }
}

async fn held() -> World {
    let world =
        World::with(ReconcileConfig { audit_items_per_round: 40, ..config() }, &GRAINS, Defences::default()).await;
    let mut items: Vec<_> = (0..150).map(order).collect();
    items.push(item(Dataset::Handling, 3, 77, 4));
    let mut dated = order(800);
    dated.event_time = Moment::On("2026-01-06".parse().unwrap());
    items.push(dated);
    world.agree(&items).await;
    world
}

async fn damaged(world: &World) -> Vec<GapRow> {
    world.gaps().await.into_iter().filter(|gap| gap.kind == GapKind::BookDamaged).collect()
}

async fn sound(world: &World) -> bool {
    let mut from = gateway_model::Timestamp::MIN;
    while let Some(day) = world.store.next_book_day(&channel(), Dataset::Acceptance, 1, from).await.unwrap() {
        if !world.store.audit_day(&channel(), Dataset::Acceptance, 1, day).await.unwrap().damage.is_empty() {
            return false;
        }
        from = Grain::Day.bucket(day).end;
    }
    true
}

#[tokio::test]
async fn sound_books_raise_nothing_however_often_they_are_audited() {
    let world = held().await;
    audit(&world, 20).await;
    assert!(world.gaps().await.is_empty());
}

#[tokio::test]
async fn a_damaged_sum_of_every_grain_is_found_named_repaired_and_verified() {
    let damages = [
        (
            "ten_minutes",
            "UPDATE book_bucket SET count = count + 1 WHERE grain = 'ten_minutes' AND start_at = 1767576600000 AND dataset = 'acceptance'",
        ),
        (
            "hour",
            "UPDATE book_bucket SET sum = zeroblob(32) WHERE grain = 'hour' AND start_at = 1767574800000 AND dataset = 'acceptance'",
        ),
        ("day", "DELETE FROM book_bucket WHERE grain = 'day' AND start_at = 1767542400000 AND dataset = 'acceptance'"),
        ("month", "UPDATE book_bucket SET count = count - 7 WHERE grain = 'month' AND dataset = 'acceptance'"),
        (
            "ten_minutes",
            "INSERT INTO book_bucket VALUES ('municipal-12345', 'acceptance', 1, 'ten_minutes', 1500000000000, 'source', 3, zeroblob(32))",
        ),
    ];
    for (grain, sql) in damages {
        let world = held().await;
        damage(&world, sql).await;
        assert!(!sound(&world).await, "{sql}");
        audit(&world, 6).await;
        let gaps = damaged(&world).await;
        let named = gaps.iter().find(|gap| gap.detail.as_deref().unwrap().starts_with(grain));
        let gap = named.unwrap_or_else(|| panic!("{sql}: {gaps:?}"));
        assert!(gap.opened_at.is_some() && gap.group_id.is_some(), "{sql}: {gap:?}");
        let (_, counts) = gap.detail.as_deref().unwrap().split_once("; kept ").unwrap();
        let (kept, added_up) = counts.split_once(", added up ").unwrap();
        assert!(kept != added_up || gap.evidence.ours != gap.evidence.theirs, "{sql}: {gap:?}");
        audit(&world, 4).await;
        assert!(sound(&world).await, "{sql}");
        let gaps = damaged(&world).await;
        assert!(gaps.iter().all(|gap| gap.state == GapState::Closed && gap.generation == 1), "{sql}: {gaps:?}");
        let month = Grain::Month.bucket("2026-01-05T00:00:00Z".parse().unwrap());
        let kept = world.store.buckets(&channel(), Dataset::Acceptance, 1, Grain::Month, month).await.unwrap();
        assert_eq!(kept[0].count, 151, "{sql}");
    }
}

#[tokio::test]
async fn damage_seen_once_only_is_nothing() {
    let world = held().await;
    damage(&world, "UPDATE book_bucket SET count = count + 1 WHERE grain = 'day' AND start_at = 1767542400000").await;
    while damaged(&world).await.is_empty() {
        audit(&world, 1).await;
    }
    assert!(damaged(&world).await.iter().all(|gap| gap.state == GapState::Suspected));
    damage(&world, "UPDATE book_bucket SET count = count - 1 WHERE grain = 'day' AND start_at = 1767542400000").await;
    audit(&world, 8).await;
    assert!(damaged(&world).await.is_empty());
}

async fn records(world: &World, offsets: std::ops::Range<u64>) {
    let now = world.clock.now();
    world
        .write(|loaded, writes| {
            for offset in offsets.clone() {
                writes.raws.push(NewRaw {
                    id: RawId(loaded.next_raw_id + i64::try_from(offset - offsets.start).unwrap()),
                    meta: RawMeta {
                        channel: channel(),
                        origin: Origin::Poll,
                        number: None,
                        received_at: now,
                        read_at: now,
                        topic: TOPIC.to_owned(),
                        partition: 0,
                        offset,
                    },
                    body: b"{}".to_vec(),
                    key_id: "plain".to_owned(),
                });
            }
            writes.positions.push(FlowPosition { topic: TOPIC.to_owned(), partition: 0, next_offset: offsets.end });
        })
        .await;
}

#[tokio::test]
async fn an_accounted_offset_without_its_record_is_left_to_a_person() {
    let world = held().await;
    records(&world, 0..30).await;
    audit(&world, 3).await;
    assert!(damaged(&world).await.is_empty());
    damage(&world, "DELETE FROM raw_record WHERE bus_offset IN (7, 8)").await;
    audit(&world, 4).await;
    let gaps = damaged(&world).await;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].detail.as_deref(), Some("offsets gateway.municipal-12345.raw.v1 0 7 9"));
    assert_eq!(gaps[0].state, GapState::Open);
    assert!(gaps[0].reason.as_deref().unwrap().contains("backup"));
}

#[tokio::test]
async fn what_the_bus_is_known_to_have_lost_is_no_damage() {
    let world = held().await;
    records(&world, 10..20).await;
    let now = world.clock.now();
    let lost = NewGap {
        channel: channel(),
        dataset: Dataset::Acceptance,
        kind: GapKind::LostOffset,
        key: None,
        window: Window::new(now, now),
        delivery_id: None,
        evidence: gateway_model::GapEvidence { theirs: None, ours: None, as_of: now, compared_at: now },
        detail: Some(format!("offsets {TOPIC} 0 0 10")),
        at: now,
    };
    for id in world.store.suspect(&[lost]).await.unwrap() {
        world.store.move_gap(id, GapState::Open, None, Some("offsets 0 to 10 were dropped"), None, now).await.unwrap();
    }
    audit(&world, 4).await;
    assert!(damaged(&world).await.is_empty());
}

#[tokio::test]
async fn what_was_accounted_for_on_a_bus_that_was_left_is_still_looked_after() {
    let world = held().await;
    records(&world, 0..30).await;
    damage(
        &world,
        "UPDATE raw_record SET topic = topic || '@embedded'; UPDATE flow_position SET topic = topic || '@embedded';
         DELETE FROM raw_record WHERE bus_offset = 7",
    )
    .await;
    // The bus that was moved to begins at 0 again: its offsets are no gaps, and those of before hide none of its own.
    records(&world, 0..10).await;
    audit(&world, 4).await;
    let details: Vec<_> = damaged(&world).await.into_iter().filter_map(|gap| gap.detail).collect();
    assert_eq!(details, ["offsets gateway.municipal-12345.raw.v1@embedded 0 7 8"]);
}

async fn tells(world: &World, messages: u64) {
    let now = world.clock.now();
    let held = NodeSpool { channel: channel(), messages, oldest_at: Some(now) };
    let node = NodeRow {
        name: "gz-2".into(),
        holder: "gz-2-1".into(),
        roles: vec!["intake".into()],
        version: "0.1.0".into(),
        key_print: "a1b2".into(),
        started_at: now,
        seen_at: now,
        stopped_at: None,
        spool_messages: messages,
        spool_oldest_at: Some(now),
        spool: Vec::from_iter((messages > 0).then_some(held)),
        findings: "[]".into(),
    };
    world.store.tell_node(&node).await.unwrap();
}

async fn silences(world: &World) -> Vec<(GapState, Option<String>)> {
    let gaps = world.gaps().await.into_iter().filter(|gap| gap.kind == GapKind::SpoolSilent);
    gaps.map(|gap| (gap.state, gap.detail)).collect()
}

#[tokio::test]
async fn a_node_that_falls_silent_with_records_in_its_spool_is_a_gap_until_it_has_none() {
    let world = held().await;
    tells(&world, 0).await;
    audit(&world, 3).await;
    assert!(silences(&world).await.is_empty(), "a silent node that holds nothing is no gap");

    tells(&world, 12).await;
    audit(&world, 1).await;
    assert!(silences(&world).await.is_empty(), "it speaks");
    audit(&world, 1).await;
    let detail = Some("spool gz-2; 12 message(s)".to_owned());
    assert_eq!(silences(&world).await, [(GapState::Suspected, detail.clone())]);
    audit(&world, 3).await;
    assert_eq!(silences(&world).await, [(GapState::Open, detail.clone())], "once");
    let gap = world.gaps().await.into_iter().find(|gap| gap.kind == GapKind::SpoolSilent).unwrap();
    assert!(gap.opened_at.is_some() && gap.reason.unwrap().contains("node gz-2"));

    // It speaks again and drains.
    tells(&world, 5).await;
    audit(&world, 1).await;
    assert_eq!(silences(&world).await, [(GapState::Open, detail.clone())], "not before nothing is left");
    tells(&world, 0).await;
    audit(&world, 1).await;
    assert_eq!(silences(&world).await, [(GapState::Closed, detail.clone())]);

    // A pause between two words is nothing.
    tells(&world, 2).await;
    world.wait(40);
    audit(&world, 1).await;
    assert_eq!(silences(&world).await.last().unwrap().0, GapState::Suspected);
    tells(&world, 0).await;
    audit(&world, 1).await;
    assert_eq!(silences(&world).await, [(GapState::Closed, detail)]);
}

#[tokio::test]
async fn a_silence_that_a_person_waived_stays_so_until_the_next() {
    let world = held().await;
    tells(&world, 4).await;
    world.wait(60);
    audit(&world, 2).await;
    let open = world.gaps().await.into_iter().find(|gap| gap.kind == GapKind::SpoolSilent).unwrap();
    assert_eq!(open.state, GapState::Open);
    let now = world.clock.now();
    world.store.move_gap(open.id, GapState::Waived, None, Some("pushed again"), Some("a person"), now).await.unwrap();
    audit(&world, 3).await;
    assert_eq!(silences(&world).await.len(), 1);
    tells(&world, 4).await;
    world.wait(60);
    audit(&world, 2).await;
    let states: Vec<_> = silences(&world).await.into_iter().map(|(state, _)| state).collect();
    assert_eq!(states, [GapState::Waived, GapState::Open]);
}
