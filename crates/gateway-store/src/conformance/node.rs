//! The processes of a gateway.

use super::StoreUnderTest;
use super::fixture::*;
use crate::*;

fn node(name: &str, holder: &str, started: i64) -> NodeRow {
    NodeRow {
        name: name.into(),
        holder: holder.into(),
        roles: vec!["intake".into(), "api".into()],
        version: "0.1.0".into(),
        key_print: "a1b2".into(),
        started_at: at(started),
        seen_at: at(started + 1),
        stopped_at: None,
        spool_messages: 3,
        spool_oldest_at: Some(at(started)),
        spool: vec![NodeSpool {
            channel: gateway_model::ChannelId::new("municipal-12345").unwrap(),
            messages: 3,
            oldest_at: Some(at(started)),
        }],
        findings: r#"[{"code":"disk_low"}]"#.into(),
    }
}

/// What a process tells is read back by all, replaced by what it tells next, and stays when it falls silent.
pub async fn a_node_tells_of_itself(place: &dyn StoreUnderTest) {
    let (a, b) = (place.open().await, place.open().await);
    assert!(a.nodes().await.unwrap().is_empty());
    let (first, second) = (node("gz-1", "a-1", 0), node("gz-2", "b-1", 5));
    b.tell_node(&second).await.unwrap();
    a.tell_node(&first).await.unwrap();
    assert_eq!(b.nodes().await.unwrap(), [first.clone(), second.clone()]);
    let ended = NodeRow {
        stopped_at: Some(at(9)),
        seen_at: at(9),
        spool_messages: 0,
        spool_oldest_at: None,
        spool: vec![],
        ..first
    };
    a.tell_node(&ended).await.unwrap();
    assert_eq!(b.nodes().await.unwrap(), [ended, second.clone()]);
    a.forget_node("gz-1").await.unwrap();
    assert!(matches!(a.forget_node("gz-1").await, Err(StoreError::NotFound { .. })));
    assert_eq!(a.nodes().await.unwrap(), [second]);
}

/// Of two processes by the same name the later one is the node; the other is told so.
pub async fn a_later_process_takes_a_nodes_name(place: &dyn StoreUnderTest) {
    let (a, b) = (place.open().await, place.open().await);
    a.tell_node(&node("gz-1", "a-1", 0)).await.unwrap();
    b.tell_node(&node("gz-1", "b-1", 5)).await.unwrap();
    let refused = a.tell_node(&NodeRow { seen_at: at(20), ..node("gz-1", "a-1", 0) }).await;
    assert!(matches!(refused, Err(StoreError::WrongState { what: "node", .. })), "{refused:?}");
    assert_eq!(a.nodes().await.unwrap(), [node("gz-1", "b-1", 5)]);
}
