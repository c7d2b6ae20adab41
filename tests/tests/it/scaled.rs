//! The gateway in several processes on Apache Kafka and PostgreSQL: heavy faults, every process killed by -9 in turn under load, and at the end
//! everything is where it belongs, by the platform's own books.
//!
//! `GATEWAY_E2E_SEED` plays a run again; `GATEWAY_E2E_KILLS` is how often each process is killed.

use crate::demo::{Demo, total};
use crate::program::{Scratch, alone, seed, send, wait_for};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

/// Two that make orders and deliver, and the one that takes, polls, watches and answers.
const PROCESSES: [&str; 3] = ["worker-1", "worker-2", "serve"];

#[tokio::test]
async fn processes_killed_in_turn_lose_nothing_and_nothing_comes_twice() {
    let _machine = alone().await;
    let seed = seed("scaled");
    let mut rng = StdRng::seed_from_u64(seed);
    let scratch = Scratch::new();
    // The database runs as another user where this test runs as root.
    std::fs::set_permissions(scratch.path(""), std::fs::Permissions::from_mode(0o711)).expect("its own directory");
    let text = seed.to_string();
    let arguments = ["--engines", "scaled", "--faults", "heavy", "--seed", &text, "--seconds", "3600", "--rate", "8"];
    let mut demo = Demo::start(&scratch, &arguments);
    demo.platform("/sim/life", None).await;
    let nodes = all_nodes(&mut demo).await;
    let roles: Vec<String> = nodes.iter().map(|node| node["roles"].to_string()).collect();
    assert_eq!(
        roles.iter().filter(|roles| roles.contains("pipeline") && roles.contains("deliver")).count(),
        2,
        "{roles:?}"
    );

    let times = std::env::var("GATEWAY_E2E_KILLS").map_or(2, |times| times.parse().expect("a number"));
    let mut victims: Vec<&str> = PROCESSES.into_iter().flat_map(|name| std::iter::repeat_n(name, times)).collect();
    victims.shuffle(&mut rng);
    for victim in victims {
        let moment = Duration::from_millis(rng.random_range(500..5_000));
        tokio::time::sleep(moment).await;
        println!("killing {victim} after {} ms", moment.as_millis());
        let pid = demo.child(victim).await;
        send(pid, Signal::KILL);
    }
    // The last one killed lives again for a while, and everything that can go wrong has, before life ends.
    let injected = async || {
        let faults = demo.platform("/sim/faults", None).await;
        let kinds = faults["enabled"].as_array()?;
        kinds
            .iter()
            .all(|kind| kind.as_str().is_some_and(|kind| faults["injected"][kind].as_u64() > Some(0)))
            .then_some(())
    };
    wait_for("every fault", Duration::from_secs(300), injected).await;
    assert_eq!(all_nodes(&mut demo).await.len(), 3, "each is the node that it was before");
    let stopped = demo.platform("/sim/stop", Some("")).await;
    assert_eq!(stopped["stopped"], true);
    let verdict = demo.ended(Duration::from_secs(400)).await.balanced();
    assert!(total(&verdict, "inbound", Some("acceptance"), "at_source") > 50, "{verdict}");
    assert!(total(&verdict, "outbound", Some("completion"), "acknowledged") > 10, "{verdict}");
}

/// The gateway's processes, once all three have told of themselves.
async fn all_nodes(demo: &mut Demo) -> Vec<Value> {
    let look = async || {
        let answer = demo.ask("admin", "admin_token", "/api/v1/nodes", None).await;
        answer["nodes"].as_array().filter(|nodes| nodes.len() == PROCESSES.len()).cloned()
    };
    wait_for("three nodes", Duration::from_secs(120), look).await
}
