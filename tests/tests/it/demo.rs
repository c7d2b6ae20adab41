//! Runs demos and reads their balance.

use crate::program::{Process, Scratch, code, program, wait_for};
use gateway_simulator::http;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The names of the children in `demo.json`.
pub const CHILDREN: [&str; 4] = ["serve", "platform", "province", "desk"];

/// A running demo with `--json` and a directory of its own.
pub struct Demo {
    /// Its directory.
    pub dir: PathBuf,
    /// Its process.
    pub process: Process,
    out: PathBuf,
    err: PathBuf,
}

/// A demo that has ended.
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Demo {
    /// Starts a demo in a scratch directory; again in the same one, it goes on there. Where the arguments name no handler, it is the desk, between
    /// platform and province alone.
    pub fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        Self::start_with(scratch, arguments, &[])
    }

    /// Starts one whose gateway has settings in the environment.
    pub fn start_with(scratch: &Scratch, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        let dir = scratch.path("demo");
        let mut command = Command::new(program());
        command.envs(settings.iter().copied());
        command.args(["demo", "--json", "--dir"]).arg(&dir).args(arguments);
        if !arguments.contains(&"--handler") {
            command.args(["--handler", "desk"]);
        }
        let [out, err] = ["demo.out", "demo.err"].map(|name| {
            let file = scratch.path(name);
            // Of an earlier run of the same directory.
            let _ = std::fs::remove_file(&file);
            file
        });
        let process = Process::start(&mut command, &out, &err);
        Self { dir, process, out, err }
    }

    /// Runs one to its end.
    pub async fn run(scratch: &Scratch, arguments: &[&str], within: Duration) -> Ended {
        Self::start(scratch, arguments).ended(within).await
    }

    /// Waits for the end.
    pub async fn ended(mut self, within: Duration) -> Ended {
        let status = self.process.ended(within).await;
        let read = |file: &Path| std::fs::read_to_string(file).expect("output is UTF-8");
        Ended { code: code(status), stdout: read(&self.out), stderr: read(&self.err) }
    }

    /// `demo.json` as this demo wrote it.
    pub fn state(&self) -> Option<Value> {
        let text = std::fs::read_to_string(self.dir.join("demo.json")).ok()?;
        let state: Value = serde_json::from_str(&text).expect("demo.json is never seen half-written");
        (state["demo_pid"] == self.process.pid()).then_some(state)
    }

    /// The process of a child, once it runs.
    pub async fn child(&mut self, name: &str) -> u32 {
        let pid = async || {
            assert!(self.process.has_ended().is_none(), "the demo ended early");
            self.state()?["pids"][name].as_u64()
        };
        u32::try_from(wait_for(name, Duration::from_secs(60), pid).await).expect("a process number")
    }

    /// Asks a child something, once it answers: (address in `demo.json`, file of the token, path, whether it is a POST with this body).
    pub async fn ask(&mut self, address: &str, token: &str, path: &str, body: Option<&str>) -> Value {
        let client = http::client(Duration::from_secs(10)).expect("a client");
        let look = async || {
            assert!(self.process.has_ended().is_none(), "the demo ended early");
            let state = self.state()?;
            let url = format!("http://{}{path}", state["addresses"][address].as_str()?);
            let token = std::fs::read_to_string(state["files"][token].as_str()?).ok()?;
            let request = match body {
                Some(body) => client.post(url).body(body.to_owned()),
                None => client.get(url),
            };
            let (status, answer) = http::send(path, request.bearer_auth(token.trim())).await.ok()?;
            (status == 200).then_some(answer)
        };
        wait_for(&format!("{address} {path}"), Duration::from_secs(60), look).await
    }

    /// Asks the platform's control surface.
    pub async fn platform(&mut self, path: &str, body: Option<&str>) -> Value {
        self.ask("platform", "platform_control_token", path, body).await
    }
}

impl Ended {
    /// The balance: the last line of standard output.
    pub fn verdict(&self) -> Value {
        let line = self.stdout.lines().last();
        let verdict = line.and_then(|line| serde_json::from_str(line).ok());
        verdict.unwrap_or_else(|| panic!("the last line is no balance; exit {}\n{}", self.code, tail(&self.stderr)))
    }

    /// Demands a balanced end with sums that hold.
    pub fn balanced(&self) -> Value {
        let verdict = self.verdict();
        let shown = || {
            let shown = serde_json::json!({
                "mismatch_count": verdict["mismatch_count"],
                "mismatches": verdict["mismatches"].as_array().map(|all| &all[..all.len().min(20)]),
                "gaps": verdict["gaps"], "outbound": verdict["outbound"], "faults": verdict["faults"],
            });
            format!("exit {}\n{shown:#}\n{}", self.code, tail(&self.stderr))
        };
        assert!(self.code == 0 && verdict["balanced"] == true, "not balanced: {}", shown());
        assert_eq!(verdict["mismatches"], serde_json::json!([]), "{}", shown());
        sums_hold(&verdict);
        verdict
    }

    /// Demands an unbalanced end, and returns the kinds of its mismatches.
    pub fn unbalanced(&self) -> Vec<String> {
        let verdict = self.verdict();
        assert_eq!(verdict["balanced"], false, "balanced, though it must not be: {verdict:#}");
        assert_ne!(self.code, 0, "not balanced, and the exit code says nothing of it");
        let kinds = verdict["mismatches"].as_array().into_iter().flatten();
        let mut kinds: Vec<String> = kinds.filter_map(|one| one["kind"].as_str().map(str::to_owned)).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }
}

/// Of a row.
pub fn count(row: &Value, key: &str) -> u64 {
    row[key].as_u64().unwrap_or_else(|| panic!("`{key}` of {row} is no count"))
}

/// Of the channel's rows of one side, or of one dataset; the desk's own rows apart.
pub fn total(verdict: &Value, side: &str, dataset: Option<&str>, key: &str) -> u64 {
    let rows = verdict[side].as_array().into_iter().flatten().filter(|row| row["channel"] == crate::gateway::CHANNEL);
    rows.filter(|row| dataset.is_none_or(|dataset| row["dataset"] == dataset)).map(|row| count(row, key)).sum()
}

fn sums_hold(verdict: &Value) {
    let sides: [(&str, &str, &[&str]); 2] = [
        ("inbound", "captured", &["duplicate", "applied", "dead_lettered", "in_flight"]),
        ("outbound", "owed", &["acknowledged", "superseded", "rejected", "dead_lettered", "waived", "in_flight"]),
    ];
    for (side, whole, parts) in sides {
        for row in verdict[side].as_array().expect("rows") {
            assert_eq!(count(row, whole), parts.iter().map(|part| count(row, part)).sum::<u64>(), "{side}: {row}");
            assert_eq!(count(row, "in_flight"), 0, "{side}: {row}");
        }
    }
    for row in verdict["outbound"].as_array().expect("rows") {
        assert!(count(row, "delivered") <= count(row, "owed"), "{row}");
    }
    let gaps = &verdict["gaps"];
    assert_eq!(count(gaps, "opened"), count(gaps, "open") + count(gaps, "repaired") + count(gaps, "waived"), "{gaps}");
    let by_kind: u64 = gaps["by_kind"].as_object().expect("kinds").values().filter_map(Value::as_u64).sum();
    assert_eq!(by_kind, count(gaps, "opened"), "{gaps}");
}

/// The last lines of a log.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}
