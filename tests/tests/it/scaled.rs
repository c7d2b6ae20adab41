//! The gateway in several processes on Apache Kafka and PostgreSQL: faults of the heavy plan, every process killed by -9 in turn under load, then each restarted
//! in order, and at the end everything is where it belongs, by the platform's own books.
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

/// All of the heavy plan but what needs more changes at once than a page of the listing holds, which at this pace may never come.
const FAULTS: &str = "duplicate,late,missed_record,out_of_order,same_second,silent_edit,aba_edit,state_skipped,future_dated,server_error,\
    throttle,hang,late_answer,truncated_body,malformed_body,missed_push,repeated_push,changed_push,lost_reply,platform_restart,stale_manifest";

#[tokio::test]
async fn processes_killed_in_turn_lose_nothing_and_nothing_comes_twice() {
    let _machine = alone().await;
    let seed = seed("scaled");
    let mut rng = StdRng::seed_from_u64(seed);
    let scratch = Scratch::new();
    // The database runs as another user where this test runs as root.
    std::fs::set_permissions(scratch.path(""), std::fs::Permissions::from_mode(0o711)).expect("its own directory");
    let text = seed.to_string();
    let arguments = ["--engines", "scaled", "--faults", FAULTS, "--seed", &text, "--seconds", "3600", "--rate", "8"];
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
    // A rolling restart: each is told to end, and the next one only when it is back.
    for name in PROCESSES {
        let pid = demo.child(name).await;
        send(pid, Signal::TERM);
        let back = async || demo.state()?["pids"][name].as_u64().filter(|now| *now != u64::from(pid));
        wait_for(&format!("the restart of {name}"), Duration::from_secs(60), back).await;
        let nodes = all_nodes(&mut demo).await;
        assert_eq!(nodes.len(), PROCESSES.len(), "each is the node that it was before");
    }
    // The last one lives again for a while, and everything that can go wrong has, before life ends.
    let injected = async || {
        let faults = demo.platform("/sim/faults", None).await;
        let kinds = faults["enabled"].as_array()?;
        kinds
            .iter()
            .all(|kind| kind.as_str().is_some_and(|kind| faults["injected"][kind].as_u64() > Some(0)))
            .then_some(())
    };
    wait_for("every fault", Duration::from_secs(300), injected).await;
    let stopped = demo.platform("/sim/stop", Some("")).await;
    assert_eq!(stopped["stopped"], true);
    let verdict = demo.ended(Duration::from_secs(400)).await.balanced();
    assert!(total(&verdict, "inbound", Some("acceptance"), "at_source") > 50, "{verdict}");
    assert!(total(&verdict, "outbound", Some("completion"), "acknowledged") > 10, "{verdict}");
}

/// The gateway's processes, once all three have told that they run.
async fn all_nodes(demo: &mut Demo) -> Vec<Value> {
    let look = async || {
        let answer = demo.ask("admin", "admin_token", "/api/v1/nodes", None).await;
        let nodes = answer["nodes"].as_array()?;
        let run = nodes.iter().filter(|node| node["state"] == "started").count();
        (run == PROCESSES.len()).then(|| nodes.clone())
    };
    wait_for("three nodes", Duration::from_secs(120), look).await
}
