//! Orders that may be one, as people meet them: by the commands, over channels that come one after the other, and over a kill.

use crate::gateway::{CHANNEL, Gateway, Push, record};
use crate::program::{program, together, wait_for};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const SECOND: &str = "second-12345";

/// Configures a second channel like the first.
fn second_channel(gateway: &Gateway) {
    let file = gateway.dir.join("gateway.toml");
    let config = std::fs::read_to_string(&file).expect("the configuration");
    let (head, first) = config.split_once("[[channel]]").expect("a channel");
    let second = first.replace(&format!("id = \"{CHANNEL}\""), &format!("id = \"{SECOND}\""));
    std::fs::write(file, format!("{head}[[channel]]{first}\n[[channel]]{second}")).expect("written");
}

async fn looks_for_duplicates(gateway: &Gateway) -> bool {
    let status = gateway.api("/api/v1/status").await;
    status["tasks"].as_array().expect("tasks").iter().any(|task| task["name"] == "duplicates")
}

async fn launch(gateway: &mut Gateway) {
    gateway.launch(Command::new(program())).await;
}

/// The pairs of pushed orders in a state, with the numbers of their orders.
fn pairs(gateway: &Gateway, state: &str) -> Vec<(String, Vec<String>)> {
    let list = gateway.json(&["duplicates", "list", "--state", state]);
    let list = list["duplicates"].as_array().expect("pairs").clone();
    let mut pairs: Vec<(String, Vec<String>)> = list
        .iter()
        .map(|pair| {
            let sides = pair["numbers"].as_array().into_iter().flatten().filter_map(Value::as_array).flatten();
            let mut numbers: Vec<String> =
                sides.filter_map(|side| side["number"].as_str().map(str::to_owned)).collect();
            numbers.sort();
            (pair["id"].as_str().expect("an id").to_owned(), numbers)
        })
        .collect();
    // The platform has orders of its own, which both channels poll.
    pairs.retain(|(_, numbers)| numbers.iter().all(|number| ["GZ1", "GZ2", "WX1"].contains(&&**number)));
    pairs.sort_by(|one, other| one.1.cmp(&other.1));
    pairs
}

fn order(gateway: &Gateway, number: &str) -> Value {
    gateway.json(&["order", "show", number])["order"].clone()
}

/// Waits until an order is shown with so many others.
async fn shown_with(gateway: &Gateway, number: &str, others: usize) -> Value {
    wait_for(&format!("{number} with {others} others"), PATIENCE, async || {
        let order = order(gateway, number);
        let aliases = order["aliases"].as_array().map_or(0, Vec::len);
        let pending = order["duplicates"].as_array().into_iter().flatten().any(|pair| pair["pending"] == true);
        (aliases == others && !pending).then_some(order)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_channel_is_compared_with_what_the_first_told_and_a_person_decides() {
    let _machine = together().await;
    let mut gateway = Gateway::prepare("").await;
    launch(&mut gateway).await;
    assert_eq!(gateway.push(&Push::records("n1", &[record("GZ1"), record("GZ2")])).await.status, 200);
    gateway.settled().await;
    assert!(!looks_for_duplicates(&gateway).await, "two of one channel are never offered");
    let (code, out, _) = gateway.command(&["duplicates", "list"]);
    assert!(code == 0 && out.contains("没有此状态的疑似重复"), "{out}");
    gateway.stop().await;

    second_channel(&gateway);
    launch(&mut gateway).await;
    assert!(looks_for_duplicates(&gateway).await);
    assert_eq!(gateway.push_to(SECOND, &Push::records("n2", &[record("WX1")])).await.status, 200);
    // What was told before anybody looked is found all the same.
    let candidates = wait_for("candidates", PATIENCE, async || {
        let pairs = pairs(&gateway, "candidate");
        (pairs.len() >= 2).then_some(pairs)
    })
    .await;
    let numbers: Vec<&[String]> = candidates.iter().map(|(_, numbers)| &**numbers).collect();
    assert_eq!(numbers, [["GZ1", "WX1"], ["GZ2", "WX1"]]);
    let (first, second) = (&*candidates[0].0, &*candidates[1].0);
    let (code, out, _) = gateway.command(&["duplicates", "list"]);
    assert!(code == 0 && out.contains("requester +35") && out.contains("score 得分"), "{out}");
    assert!(!out.contains("13800000000") && !out.contains("绕路"), "no value of either order: {out}");
    let shown = gateway.json(&["duplicates", "show", first]);
    assert_eq!((&shown["state"], shown["sides"].as_array().map(Vec::len)), (&json!("candidate"), Some(2)), "{shown}");
    assert!(shown["score"].as_u64().is_some_and(|score| score >= 50), "{shown}");

    for (arguments, words) in [
        (&["duplicates", "show", "0000000000000000"][..], "没有疑似重复 0000000000000000"),
        (&["duplicates", "confirm", "0000000000000000", "--reason", "x"], "没有疑似重复 0000000000000000"),
        (&["duplicates", "join", "GZ1", "GZ1", "--reason", "x"], "两个编号指向同一工单"),
        (&["duplicates", "join", "GZ1", "GZ404", "--reason", "x"], "没有"),
    ] {
        let (code, out, err) = gateway.command(arguments);
        assert!(code == 1 && err.contains(words), "{arguments:?}: {code} {out}{err}");
    }
    let (code, ..) = gateway.command(&["duplicates", "reject", first]);
    assert_eq!(code, 2, "a reason is needed");

    let rejected = gateway.json(&["duplicates", "reject", second, "--reason", "另一辆车"]);
    assert_eq!((&rejected["state"], &rejected["reason"]), (&json!("rejected"), &json!("另一辆车")));
    // Killed between the word and its showing: the next start shows it, once.
    let confirmed = gateway.json(&["duplicates", "confirm", first, "--reason", "同一乘客"]);
    gateway.kill();
    assert_eq!(confirmed["state"], "joined");
    launch(&mut gateway).await;
    let joined = shown_with(&gateway, "WX1", 1).await;
    assert_eq!(joined["id"], order(&gateway, "GZ1")["id"], "found by every number");
    assert_eq!(joined["numbers"].as_array().map(Vec::len), Some(2), "{joined}");
    let shown = gateway.json(&["duplicates", "show", first]);
    assert_eq!(shown["steps"].as_array().map(Vec::len), Some(1), "said once: {shown}");
    assert_eq!(shown["steps"][0]["reason"], "同一乘客");
    assert_eq!(pairs(&gateway, "joined").len(), 1);
    assert_eq!(pairs(&gateway, "rejected"), [candidates[1].clone()]);

    // Nobody offered these two, and a person may still join and separate them.
    let by_hand = gateway.json(&["duplicates", "join", "GZ1", "GZ2", "--reason", "来电人说明"]);
    assert_eq!((&by_hand["state"], &by_hand["score"]), (&json!("joined"), &Value::Null), "{by_hand}");
    shown_with(&gateway, "GZ2", 2).await;
    let id = by_hand["id"].as_str().expect("an id");
    let (code, out, err) = gateway.command(&["duplicates", "reject", id, "--reason", "看错了"]);
    assert!(code == 0 && out.contains("rejected"), "{out}{err}");
    shown_with(&gateway, "GZ2", 0).await;
    assert!(pairs(&gateway, "candidate").is_empty());
    gateway.stop().await;
    // A stopped gateway answers too.
    assert_eq!(pairs(&gateway, "joined"), [candidates[0].clone()]);
}
