//! What the demo sees of its children: their control surfaces and the gateway's API.

use super::setup::Setup;
use crate::Failure;
use gateway_simulator::{ControlPoint, JudgeOptions, Verdict, judge};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Reads the children.
pub struct Watch {
    dir: PathBuf,
    http: reqwest::Client,
    admin: SocketAddr,
    platform: SocketAddr,
    desk: SocketAddr,
}

impl Watch {
    /// A watch over a demo.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap_or_default();
        Self { dir: setup.dir.clone(), http, admin: setup.admin, platform: setup.platform, desk: setup.desk }
    }

    /// Whether the platform creates nothing any more and its pushes are out.
    pub async fn life_has_stopped(&self) -> bool {
        let life = self.read(self.platform, "/sim/life", &self.dir.join("platform/control-token")).await;
        life.is_some_and(|life| life["stopped"] == true)
    }

    /// Whether neither platform nor desk has anything left to do.
    pub async fn has_settled(&self) -> bool {
        for (address, name) in [(self.platform, "platform"), (self.desk, "desk")] {
            let life = self.read(address, "/sim/life", &self.dir.join(name).join("control-token")).await;
            if !life.is_some_and(|life| life["settled"] == true) {
                return false;
            }
        }
        true
    }

    /// One line on what happens.
    pub async fn progress(&self, restarts: u64) -> String {
        let life = self.read(self.platform, "/sim/life", &self.dir.join("platform/control-token")).await;
        let token = self.dir.join("gateway/tokens/judge.token");
        let flow = self.read(self.admin, "/api/v1/flow", &token).await.unwrap_or_default();
        let sum = |side: &str, key: &str| {
            flow[side].as_array().into_iter().flatten().filter_map(|row| row[key].as_u64()).sum::<u64>()
        };
        let status = self.read(self.admin, "/api/v1/status", &token).await.unwrap_or_default();
        let gaps = |state: &str| {
            let rows = status["books"]["gaps"].as_array().into_iter().flatten();
            rows.filter(|row| row["state"] == state).filter_map(|row| row["count"].as_u64()).sum::<u64>()
        };
        let created = life.map_or_else(|| "?".to_owned(), |life| life["created"].to_string());
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

    /// The judge's verdict now.
    pub async fn verdict(&self) -> Result<Verdict, Failure> {
        let control = |address: SocketAddr, name: &str| -> Result<ControlPoint, Failure> {
            let token = std::fs::read_to_string(self.dir.join(name).join("control-token"))?;
            Ok(ControlPoint { url: format!("http://{address}"), token: token.trim().to_owned() })
        };
        let options = JudgeOptions {
            gateway_url: format!("http://{}", self.admin),
            token: crate::secrets::read(&self.dir.join("gateway/tokens/judge.token"))?,
            platform: control(self.platform, "platform")?,
            desk: Some(control(self.desk, "desk")?),
            channel: "municipal-12345".into(),
        };
        Ok(judge(options).await?)
    }

    async fn read(&self, address: SocketAddr, path: &str, token: &Path) -> Option<Value> {
        let token = crate::secrets::read(token).ok()?;
        let answer = self.http.get(format!("http://{address}{path}")).bearer_auth(token).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }
}
