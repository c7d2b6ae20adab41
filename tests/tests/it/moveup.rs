//! Moving up: an embedded installation, broken off in the middle of its work, goes on where it was on PostgreSQL and Kafka; nothing is lost on the way,
//! whenever the move itself is killed.

use crate::demo::{Demo, tail, total};
use crate::gateway::{Gateway, Push, record};
use crate::kafka::Broker;
use crate::outages::Lock;
use crate::postgres::Server;
use crate::program::{Process, Scratch, alone, program, run, runs_in, seed, send, sql, together, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);

/// Ends a demo as the failing of a machine would: nobody has a last word.
async fn cut_off(demo: &mut Demo) {
    let pids = demo.state().expect("it runs")["pids"].clone();
    let serve = demo.child("serve").await;
    send(serve, Signal::KILL);
    demo.process.kill();
    for (name, pid) in pids.as_object().expect("pids") {
        let Some(pid) = pid.as_u64() else { continue };
        let gone = async || (!runs_in(pid, &demo.dir)).then_some(());
        wait_for(&format!("the end of {name}"), Duration::from_secs(60), gone).await;
    }
}

fn refused(arguments: &[&str], settings: &[(&str, &str)], expected: &str) {
    let output = Command::new(program()).args(arguments).envs(settings.iter().copied()).output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains(expected), "{arguments:?}: {told}");
}

/// Moves, killed as soon as a table is under way.
async fn killed_at(scratch: &Scratch, arguments: &[&str], settings: &[(&str, &str)], table: &str) {
    let (out, err) = (scratch.path(&format!("move-{table}.out")), scratch.path("move.err"));
    let mut command = Command::new(program());
    command.args(arguments).args(["--json", "--page-rows", "20"]).envs(settings.iter().copied());
    let mut process = Process::start(&mut command, &out, &err);
    let words = format!("\"phase\":\"carry\",\"table\":\"{table}\"");
    wait_for(table, PATIENCE, async || {
        let told = std::fs::read_to_string(&out).unwrap_or_default();
        let ended = process.has_ended();
        assert!(
            ended.is_none() || told.contains(&words),
            "{told}{}",
            std::fs::read_to_string(&err).unwrap_or_default()
        );
        told.contains(&words).then_some(())
    })
    .await;
    process.kill();
}

/// The sections that name the other engines; the environment has the database's address.
fn engines(broker: &Broker) -> String {
    format!(
        "\n[store]\nengine = \"postgres\"\n[bus]\nengine = \"kafka\"\n[bus.kafka]\nbootstrap_servers = \"{}\"\nreplication = 1\nmin_insync = 1\n\
         heartbeat_ms = 200\nsession_timeout_ms = 6000\n",
        broker.address
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_moves_up_in_the_middle_of_its_work() {
    let _machine = alone().await;
    let (server, broker) = (Server::start(), Broker::start());
    let scratch = Scratch::new();
    let seed = seed("moving up").to_string();
    let mut demo = Demo::start(&scratch, &["--seed", &seed, "--seconds", "3600", "--rate", "20"]);
    demo.platform("/sim/life", None).await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    cut_off(&mut demo).await;

    let dir = demo.dir.join("gateway");
    let dir_text = dir.to_str().expect("UTF-8");
    let orders = sql(&dir.join("store.db"), "SELECT count(*) FROM work_order");
    let embedded = std::fs::read_to_string(dir.join("gateway.toml")).expect("its configuration");
    let scaled = scratch.path("scaled.toml");
    std::fs::write(&scaled, embedded + &engines(&broker)).expect("written");
    let scaled = scaled.to_str().expect("UTF-8");
    let database = [("GATEWAY_DATABASE_URL", server.url.as_str())];
    let arguments = ["migrate-to", "--dir", dir_text, "--config", scaled];
    for table in ["raw_record", "facet", "book_day"] {
        killed_at(&scratch, &arguments, &database, table).await;
        refused(&["serve", "--dir", dir_text], &[], "migrate-to");
        refused(&["serve", "--dir", dir_text, "--config", scaled], &database, "migrate-to");
    }
    let output = Command::new(program()).args(arguments).envs(database).output().expect("it starts");
    let (told, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{wrong}");
    for words in ["nothing differs", "content.key", "继续上次迁移"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    refused(&["serve", "--dir", dir_text], &[], "moved");
    let again = Command::new(program()).args(arguments).envs(database).output().expect("it starts");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));

    // Life goes on, with the same channels, on other engines.
    let settings = [
        ("GATEWAY_STORE__ENGINE", "postgres"),
        ("GATEWAY_DATABASE_URL", server.url.as_str()),
        ("GATEWAY_BUS__ENGINE", "kafka"),
        ("GATEWAY_BUS__KAFKA__BOOTSTRAP_SERVERS", broker.address.as_str()),
        ("GATEWAY_BUS__KAFKA__REPLICATION", "1"),
        ("GATEWAY_BUS__KAFKA__MIN_INSYNC", "1"),
        ("GATEWAY_BUS__KAFKA__HEARTBEAT_MS", "200"),
        ("GATEWAY_BUS__KAFKA__SESSION_TIMEOUT_MS", "6000"),
    ];
    let on = Demo::start_with(&scratch, &["--seed", &seed, "--seconds", "10", "--rate", "20"], &settings);
    let ended = on.ended(Duration::from_secs(400)).await;
    let verdict = ended.balanced();
    let before: u64 = orders.parse().expect("a number");
    let at_source = total(&verdict, "inbound", Some("acceptance"), "at_source");
    assert!(
        before > 50 && at_source > before + 50,
        "{before} orders before, {at_source} after: {}",
        tail(&ended.stderr)
    );
    assert_eq!(
        sql(&dir.join("store.db"), "SELECT count(*) FROM work_order"),
        orders_after_drain(&dir),
        "left as it was"
    );
}

/// What the old store holds; the move itself works off what was on the old bus, and nobody writes there afterwards.
fn orders_after_drain(dir: &Path) -> String {
    let mark: Value = serde_json::from_slice(&std::fs::read(dir.join("moved.json")).expect("the mark")).expect("JSON");
    let since = mark["since"].as_str().expect("a time").to_owned();
    let since = sql(&dir.join("store.db"), &format!("SELECT CAST(strftime('%s', '{since}') AS INTEGER) * 1000 + 999"));
    sql(&dir.join("store.db"), &format!("SELECT count(*) FROM work_order WHERE created_at <= {since}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_alone_moves_while_the_bus_stays() {
    let _machine = together().await;
    let server = Server::start();
    let mut gateway = Gateway::prepare("").await;
    gateway.launch(Command::new(program())).await;
    let first = Push::records("n1", &[record("GZ1")]);
    assert_eq!(gateway.push(&first).await.status, 200);
    gateway.settled().await;
    let dir = gateway.dir.to_str().expect("UTF-8").to_owned();
    let scaled = gateway.scratch("scaled.toml");
    let embedded = std::fs::read_to_string(gateway.dir.join("gateway.toml")).expect("its configuration");
    std::fs::write(gateway.dir.join("secrets/database.url"), &server.url).expect("written");
    let store = "store.engine = \"postgres\"\nstore.database_url_file = \"secrets/database.url\"\n";
    std::fs::write(&scaled, store.to_owned() + &embedded).expect("written");
    let scaled = scaled.to_str().expect("UTF-8").to_owned();
    let arguments = ["migrate-to", "--dir", &dir, "--config", &scaled, "--json"];
    let (code, _, err) = run(&arguments);
    assert!(code == 1 && err.contains("stop it"), "a running gateway is not moved: {err}");
    assert_eq!(gateway.push(&Push::records("n2", &[record("GZ2")])).await.status, 200);
    gateway.kill();

    let (code, out, err) = run(&["migrate-to", "--dir", &dir, "--config", &format!("{dir}/gateway.toml")]);
    assert!(code == 1 && err.contains("store.engine"), "{out}{err}");
    let (code, out, err) = run(&arguments);
    assert_eq!(code, 0, "{out}{err}");
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let done = events.last().expect("events");
    assert!(done["event"] == "done" && done["left_bus"] == false, "{done}");
    let (code, out, err) = gateway.command(&["status"]);
    assert!(code == 1 && err.contains("moved to"), "{out}{err}");

    std::fs::copy(&scaled, gateway.dir.join("gateway.toml")).expect("copied");
    gateway.launch(Command::new(program())).await;
    gateway.settled().await;
    let before = gateway.inbound("captured").await;
    // The bus stayed, and with it the memory of nonces.
    assert_eq!(gateway.push(&first).await.status, 200);
    assert_eq!(gateway.push(&Push::records("n1", &[record("GZ9")])).await.status, 409);
    assert_eq!(gateway.push(&Push::records("n3", &[record("GZ3")])).await.status, 200);
    gateway.settled().await;
    assert!(gateway.inbound("captured").await > before);
    for number in ["GZ1", "GZ2", "GZ3"] {
        assert!(gateway.api(&format!("/api/v1/orders/{number}")).await.is_object(), "{number}");
    }
    gateway.stop().await;
}

/// Records were answered 2xx and stand on the old bus only; and the new bus begins with offsets that the old one has had.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_on_the_old_bus_only_arrives_and_the_new_bus_loses_nothing() {
    let _machine = together().await;
    let (server, broker) = (Server::start(), Broker::start());
    let mut gateway = Gateway::prepare("").await;
    gateway.launch(Command::new(program())).await;
    let numbers = |from: u32, to: u32| (from..to).map(|n| format!("GZ{n}")).collect::<Vec<_>>();
    let push = async |gateway: &Gateway, numbers: &[String]| {
        for number in numbers {
            let answer = gateway.push(&Push::records(&format!("n-{number}"), &[record(number)])).await;
            assert_eq!(answer.status, 200, "{number}: {answer:?}");
        }
    };
    push(&gateway, &numbers(0, 24)).await;
    gateway.settled().await;
    let lock = Lock::take(&gateway.store());
    push(&gateway, &numbers(24, 30)).await;
    let again = Push::records("twice", &[record("GZ30")]);
    assert_eq!(gateway.push(&again).await.status, 200);
    gateway.kill();
    drop(lock);

    let dir = gateway.dir.to_str().expect("UTF-8").to_owned();
    let scaled = gateway.scratch("scaled.toml");
    let embedded = std::fs::read_to_string(gateway.dir.join("gateway.toml")).expect("its configuration");
    std::fs::write(&scaled, embedded + &engines(&broker)).expect("written");
    let database = [("GATEWAY_DATABASE_URL", server.url.as_str())];
    let mut command = Command::new(program());
    command.args(["migrate-to", "--json", "--dir", &dir, "--config"]).arg(&scaled).envs(database);
    let output = command.output().expect("it starts");
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let events: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let drained = events.iter().find(|event| event["event"] == "drained").expect("it tells what it worked off");
    assert!(drained["records"].as_u64() >= Some(7), "{drained}");

    std::fs::copy(&scaled, gateway.dir.join("gateway.toml")).expect("copied");
    let mut serve = Command::new(program());
    serve.envs(database);
    gateway.launch(serve).await;
    // 31 records, each of as many changes.
    let applied = gateway.inbound("applied").await;
    let each = applied / 31;
    assert!(each > 0 && applied == 31 * each && gateway.inbound("duplicate").await == 0, "{applied}");
    // Each partition of the new bus has offsets of its own from 0 on, which the old one has had too.
    push(&gateway, &numbers(31, 55)).await;
    // Its nonce did not move; its content did.
    assert_eq!(gateway.push(&again).await.status, 200);
    gateway.settled().await;
    assert_eq!(gateway.inbound("applied").await, applied + 24 * each, "the new records came");
    assert_eq!(gateway.inbound("duplicate").await, each, "the repeated one says nothing new");
    for number in numbers(0, 55) {
        assert!(gateway.api(&format!("/api/v1/orders/{number}")).await.is_object(), "{number}");
    }
    assert_eq!(
        gateway.inbound("captured").await,
        gateway.inbound("applied").await + gateway.inbound("duplicate").await
    );
    gateway.stop().await;
}
