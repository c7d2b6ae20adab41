//! The main test: every process of a demo killed by -9 at random moments, the demo itself too, and at the end everything is where it belongs.
//!
//! `GATEWAY_E2E_SEED` plays a run again; `GATEWAY_E2E_KILLS` is how often each of the four is killed (the long campaign: 20).

use crate::demo::{CHILDREN, Demo, total};
use crate::program::{Scratch, alone, runs_in, seed, send, wait_for};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;
use std::time::Duration;

const DEMO: &str = "demo";

fn victims(rng: &mut StdRng) -> Vec<&'static str> {
    let each = std::env::var("GATEWAY_E2E_KILLS").ok().map(|times| times.parse().expect("a number"));
    let times = |name: &str| each.unwrap_or(if name == "serve" || name == "platform" { 2 } else { 1 });
    let all = CHILDREN.into_iter().chain([DEMO]);
    let mut victims: Vec<&'static str> = all.flat_map(|name| std::iter::repeat_n(name, times(name))).collect();
    victims.shuffle(rng);
    victims
}

#[tokio::test]
async fn whatever_is_killed_the_balance_holds() {
    let _machine = alone().await;
    let seed = seed("kills");
    let mut rng = StdRng::seed_from_u64(seed);
    let scratch = Scratch::new();
    let seed = seed.to_string();
    let arguments = ["--seed", &seed, "--seconds", "3600", "--rate", "10"];
    let mut demo = Demo::start(&scratch, &arguments);
    demo.platform("/sim/life", None).await;
    for victim in victims(&mut rng) {
        let moment = Duration::from_millis(rng.random_range(200..4_000));
        tokio::time::sleep(moment).await;
        println!("killing {victim} after {} ms", moment.as_millis());
        if victim == DEMO {
            demo.process.kill();
            demo = Demo::start(&scratch, &arguments);
        } else {
            let pid = demo.child(victim).await;
            send(pid, Signal::KILL);
        }
    }
    // The last one killed lives again for a while before life ends.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let stopped = demo.platform("/sim/stop", Some("")).await;
    assert_eq!(stopped["stopped"], true);
    let dir = demo.dir.clone();
    let state = demo.state().expect("it runs");
    let verdict = demo.ended(Duration::from_secs(300)).await.balanced();
    assert!(total(&verdict, "inbound", Some("acceptance"), "at_source") > 50, "{verdict}");
    assert!(total(&verdict, "outbound", Some("completion"), "acknowledged") > 10, "{verdict}");
    for (name, pid) in state["pids"].as_object().expect("pids") {
        let Some(pid) = pid.as_u64() else { continue };
        let gone = async || (!runs_in(pid, &dir)).then_some(());
        wait_for(&format!("the end of {name}"), Duration::from_secs(30), gone).await;
    }
}
