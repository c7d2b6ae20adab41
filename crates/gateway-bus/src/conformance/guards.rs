//! Nonces.

use super::{BusUnderTest, append_one, guarded, message, new_topic, place};
use crate::{Appended, Guard, NewMessage};
use std::time::Duration;

/// Same nonce and digest: repeated; other digest: conflict; neither writes. Another topic has nonces of its own.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn guard_repeats_and_conflicts(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "guard", 1).await;
    let other = new_topic(&*bus, "guard-other", 1).await;
    let now = under_test.now();
    append_one(&*bus, &topic, guarded(now, "n1", 1)).await;
    assert_eq!(
        bus.append(&topic, vec![guarded(now, "n1", 1)]).await.expect("an append works"),
        vec![Appended::Repeated]
    );
    assert_eq!(
        bus.append(&topic, vec![guarded(now, "n1", 2)]).await.expect("an append works"),
        vec![Appended::Conflict]
    );
    append_one(&*bus, &topic, guarded(now, "n2", 1)).await;
    append_one(&*bus, &other, guarded(now, "n1", 2)).await;
    append_one(&*bus, &topic, message("key", "no guard")).await;
    assert_eq!(bus.end_positions(&topic).await.expect("ends are known")[0].offset, 3);
}

/// The same within one call: the first one counts.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn guard_answers_in_one_batch(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "guard-batch", 1).await;
    let now = under_test.now();
    let batch = vec![
        guarded(now, "n", 1),
        guarded(now, "n", 1),
        guarded(now, "n", 2),
        guarded(now, "m", 1),
        message("key", "x"),
    ];
    let appended = bus.append(&topic, batch).await.expect("an append works");
    assert_eq!(place(appended[0]), (0, 0));
    assert_eq!(appended[1..3], [Appended::Repeated, Appended::Conflict]);
    assert_eq!((place(appended[3]), place(appended[4])), ((0, 1), (0, 2)));
}

/// Nonces are remembered after reopening without `close`.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn guard_survives_reopen(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "guard-reopen", 1).await;
    let now = under_test.now();
    for number in 0..300 {
        append_one(&*bus, &topic, guarded(now, &format!("n{number}"), 1)).await;
    }
    drop(bus);
    let bus = under_test.open().await;
    for (digest, expected) in [(1, Appended::Repeated), (2, Appended::Conflict)] {
        let batch = (0..300).map(|number| guarded(now, &format!("n{number}"), digest)).collect();
        let appended = bus.append(&topic, batch).await.expect("an append works");
        assert!(appended.iter().all(|appended| *appended == expected), "{expected:?}: {appended:?}");
    }
    assert_eq!(bus.end_positions(&topic).await.expect("ends are known")[0].offset, 300);
}

/// A nonce is free again when its time is over, also after reopening.
///
/// # Panics
/// Where the engine breaks the contract.
pub async fn guard_expires(under_test: &dyn BusUnderTest) {
    let bus = under_test.open().await;
    let topic = new_topic(&*bus, "guard-expiry", 1).await;
    let with_life = |seconds: u64, digest: u8| {
        let until = under_test.now().checked_add(Duration::from_secs(seconds)).expect("a time within the calendar");
        NewMessage {
            guard: Some(Guard { nonce: "n".to_owned(), digest: [digest; 32], until }),
            ..message("key", [digest])
        }
    };
    append_one(&*bus, &topic, with_life(2, 1)).await;
    under_test.pass_time(Duration::from_secs(3)).await;
    append_one(&*bus, &topic, with_life(2, 2)).await;
    under_test.pass_time(Duration::from_secs(3)).await;
    drop(bus);
    let bus = under_test.open().await;
    assert_eq!(append_one(&*bus, &topic, with_life(60, 3)).await, (0, 2));
    assert_eq!(bus.append(&topic, vec![with_life(60, 1)]).await.expect("an append works"), vec![Appended::Conflict]);
}
