//! What the demo sees of its children: their control surfaces and the gateway's API.

use super::parties::{BUREAU, CARS, CHANNEL, GRANTED, PROVINCE, Party, VERIFIED};
use super::setup::Setup;
use crate::Failure;
use gateway_alert::checks::space_of;
use gateway_model::{Clock as _, SystemClock, day_of};
use gateway_simulator::digest::Dataset;
use gateway_simulator::{
    AttachmentOptions, ControlPoint, Dress, ForwardOptions, JudgeOptions, Verdict, VerificationOptions, judge,
};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// With less than this the disk counts as full: neither bus nor store can write much more.
const FULL_BELOW: u64 = 16 << 20;
/// How much of a log's end is looked at for its last line.
const LOG_END: u64 = 4_096;

/// Reads the children.
pub struct Watch {
    dir: PathBuf,
    http: reqwest::Client,
    admin: SocketAddr,
    parties: Vec<Party>,
    dress: Dress,
    province_dress: Dress,
}

impl Watch {
    /// A watch over a demo.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap_or_default();
        let (dir, parties) = (setup.dir.clone(), setup.parties.clone());
        Self { dir, http, admin: setup.admin, parties, dress: setup.dress, province_dress: setup.province_dress }
    }

    /// Whether the platform creates nothing any more and its pushes are out. With its life ends that of the others, which else might go on for as
    /// long as they were told to: nothing settles while anybody lives.
    pub async fn life_has_stopped(&self) -> bool {
        let stopped = |life: Option<Value>| life.is_some_and(|life| life["stopped"] == true);
        if !stopped(self.life("platform").await) {
            return false;
        }
        for party in self.parties.iter().filter(|party| party.name != "platform" && party.channel().is_some()) {
            if !stopped(self.end_life(party.name).await) {
                return false;
            }
        }
        true
    }

    async fn end_life(&self, name: &str) -> Option<Value> {
        let token = crate::secrets::read(&self.dir.join(name).join("control-token")).ok()?;
        let request = self.http.post(format!("http://{}/sim/stop", self.address(name)?)).bearer_auth(token);
        request.send().await.ok()?.error_for_status().ok()?.json().await.ok()
    }

    /// Whether no simulator has anything left to do, and the gateway nothing under way: before that the judge, who reads all books, would only take
    /// their time from them.
    pub async fn has_settled(&self) -> bool {
        for name in self.parties.iter().map(|party| party.name) {
            if !self.life(name).await.is_some_and(|life| life["settled"] == true) {
                return false;
            }
        }
        let token = self.dir.join("gateway/tokens/judge.token");
        let Some(flow) = self.read(self.admin, "/api/v1/flow", &token).await else { return false };
        let rows = ["inbound", "outbound"].into_iter().flat_map(|side| flow[side].as_array().into_iter().flatten());
        rows.into_iter().all(|row| row["in_flight"] == 0)
    }

    /// One line on what happens.
    pub async fn progress(&self, restarts: u64) -> String {
        let life = self.life("platform").await;
        let token = self.dir.join("gateway/tokens/judge.token");
        let created = life.map_or_else(|| "?".to_owned(), |life| life["created"].to_string());
        let books = (
            self.read(self.admin, "/api/v1/flow", &token).await,
            self.read(self.admin, "/api/v1/status", &token).await.filter(|status| status["books"].is_object()),
        );
        // Zeros would say that nothing has come in.
        let (Some(flow), Some(status)) = books else {
            return format!("orders created {created} · the gateway's books can't be read · restarts {restarts}");
        };
        let sum = |side: &str, key: &str| {
            flow[side].as_array().into_iter().flatten().filter_map(|row| row[key].as_u64()).sum::<u64>()
        };
        let gaps = |state: &str| {
            let rows = status["books"]["gaps"].as_array().into_iter().flatten();
            rows.filter(|row| row["state"] == state).filter_map(|row| row["count"].as_u64()).sum::<u64>()
        };
        format!(
            "orders created {created} · changes captured {} (applied {}, in flight {}) · deliveries owed {} (acknowledged {}, in flight {}) · gaps suspected {}, open {}, repairing {}, closed {} · restarts {restarts}",
            sum("inbound", "captured"),
            sum("inbound", "applied"),
            sum("inbound", "in_flight"),
            sum("outbound", "owed"),
            sum("outbound", "acknowledged"),
            sum("outbound", "in_flight"),
            gaps("suspected"),
            gaps("open"),
            gaps("repairing"),
            gaps("closed"),
        )
    }

    /// What keeps the demo from going on: a full disk, a child that does not answer, a task that stands still. Each with its cause, as far as it is
    /// known; injected faults come and go and are none.
    pub async fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        match space_of(&self.dir) {
            Ok(space) if space.free < FULL_BELOW => {
                let (mib, dir) = (space.free >> 20, self.dir.display());
                troubles.push(format!(
                    "the disk has only {mib} MiB left 磁盘空间不足 at {dir}: make room, or name another --dir"
                ));
            }
            Ok(_) => {}
            Err(error) => troubles.push(format!("{}: {error}", self.dir.display())),
        }
        for name in self.parties.iter().map(|party| party.name) {
            if self.life(name).await.is_none() {
                troubles.push(self.silent(name));
            }
        }
        let token = self.dir.join("gateway/tokens/judge.token");
        match self.read(self.admin, "/api/v1/status", &token).await {
            None => troubles.push(self.silent("serve")),
            Some(status) => {
                let stalled =
                    status["tasks"].as_array().into_iter().flatten().filter(|task| task["health"] == "stalled");
                troubles.extend(stalled.map(|task| {
                    let text = |key: &str| task[key].as_str().unwrap_or("?").replace('\n', " ");
                    format!(
                        "the task {} stands still 任务停滞: {}: {}",
                        text("name"),
                        text("error_code"),
                        text("error")
                    )
                }));
            }
        }
        troubles
    }

    fn silent(&self, name: &str) -> String {
        let log = self.dir.join(format!("logs/{name}.log"));
        let last = last_line(&log).unwrap_or_else(|| "it is empty".to_owned());
        format!("{name} does not answer 无应答; the end of its log {}: {last}", log.display())
    }

    /// Whether an account of the platform that is newer than the last change here has closed the days of the demo.
    pub async fn accounts_are_closed(&self) -> bool {
        let token = self.dir.join("gateway/tokens/judge.token");
        let today = day_of(SystemClock.now());
        let days = [today.yesterday().unwrap_or(today), today];
        for day in days {
            let Some(report) = self.read(self.admin, &format!("/api/v1/reports/daily/{day}"), &token).await else {
                return false;
            };
            let lines = report["lines"].as_array().into_iter().flatten();
            let standings = lines.filter_map(|line| line["account"]["standing"].as_str());
            if standings.into_iter().any(|standing| matches!(standing, "changed" | "unverified")) {
                return false;
            }
        }
        true
    }

    /// The judge's verdict now.
    pub async fn verdict(&self) -> Result<Verdict, Failure> {
        let control = |name: &str| -> Result<ControlPoint, Failure> {
            let address = self.address(name).ok_or_else(|| Failure(format!("there is no simulator {name}")))?;
            let token = std::fs::read_to_string(self.dir.join(name).join("control-token"))?;
            Ok(ControlPoint { url: format!("http://{address}"), token: token.trim().to_owned() })
        };
        let party = |party: &Party, channel: &str| -> Result<gateway_simulator::Party, Failure> {
            Ok(gateway_simulator::Party { channel: channel.to_owned(), platform: control(party.name)? })
        };
        let fronts = self.parties.iter().filter(|party| party.is_front());
        let fronts = fronts.map(|front| party(front, front.name)).collect::<Result<_, _>>()?;
        let bureau = self.parties.iter().find(|party| party.channel() == Some(BUREAU));
        let options = JudgeOptions {
            gateway_url: format!("http://{}", self.admin),
            token: crate::secrets::read(&self.dir.join("gateway/tokens/judge.token"))?,
            platform: control("platform")?,
            desk: self.address("desk").map(|_| control("desk")).transpose()?,
            channel: CHANNEL.into(),
            fronts,
            bureau: bureau.map(|bureau| party(bureau, BUREAU)).transpose()?,
            forwards: Some(ForwardOptions {
                channel: PROVINCE.into(),
                platform: control("province")?,
                datasets: Dataset::ALL.to_vec(),
                dress: self.province_dress,
            }),
            attachments: bureau.map(|_| AttachmentOptions {
                channels: self
                    .parties
                    .iter()
                    .filter(|party| party.is_front())
                    .map(|front| front.name.to_owned())
                    .collect(),
                granted: vec![GRANTED.into()],
            }),
            verification: self
                .address(CARS)
                .map(|_| control(CARS))
                .transpose()?
                .map(|service| VerificationOptions { channels: vec![VERIFIED.into()], service }),
            dress: self.dress,
        };
        Ok(judge(options).await?)
    }

    fn address(&self, name: &str) -> Option<SocketAddr> {
        self.parties.iter().find(|party| party.name == name).map(|party| party.address)
    }

    /// What a simulator says of its life.
    async fn life(&self, name: &str) -> Option<Value> {
        self.read(self.address(name)?, "/sim/life", &self.dir.join(name).join("control-token")).await
    }

    async fn read(&self, address: SocketAddr, path: &str, token: &Path) -> Option<Value> {
        let token = crate::secrets::read(token).ok()?;
        let answer = self.http.get(format!("http://{address}{path}")).bearer_auth(token).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }
}

/// The last line of a log that says something, shortened.
pub(super) fn last_line(file: &Path) -> Option<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut log = std::fs::File::open(file).ok()?;
    let length = log.metadata().ok()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(LOG_END))).ok()?;
    let mut end = Vec::new();
    log.read_to_end(&mut end).ok()?;
    let end = String::from_utf8_lossy(&end);
    let line = end.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim().chars().take(300).collect())
}
