//! The mark in a directory whose installation is moving away, or has: `moved.json`.
//!
//! It is there before the first row is carried, so that nobody goes on working in the directory behind the move's back; a person who wants to go back
//! takes it away. Then the move it names can't be gone on with: what was carried would be older than what the directory has by then.

use crate::Failure;
use crate::config::GatewayConfig;
use crate::store::StoreEngine;
use gateway_bus::Engine;
use gateway_model::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Under way, or broken off.
    Moving,
    /// Everything is where it is to be.
    Moved,
}

/// What the mark says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The move.
    pub id: uuid::Uuid,
    /// How far it is.
    pub stage: Stage,
    /// Since when.
    pub since: Timestamp,
    /// Where the store moves, without password.
    pub store: String,
    /// Where the bus moves; nothing while it stays.
    pub bus: Option<String>,
}

fn path(dir: &Path) -> PathBuf {
    dir.join("moved.json")
}

impl Mark {
    /// The mark of a directory, if it has one.
    ///
    /// # Errors
    /// When it is there and can't be read.
    pub fn read(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = path(dir);
        let told = |error: &dyn std::fmt::Display| {
            Failure::told(
                format!("{} 无法读取：{error}", path.display()),
                format!("{} can't be read: {error}", path.display()),
            )
        };
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(serde_json::from_str(&text).map_err(|error| told(&error))?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(told(&error)),
        }
    }

    /// Writes it so that it is whole or not there, and stays when the machine fails.
    ///
    /// # Errors
    /// When the directory can't be written.
    pub fn write(&self, dir: &Path) -> Result<(), Failure> {
        let path = path(dir);
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        File::open(dir)?.sync_all()?;
        Ok(())
    }
}

/// Refuses to work with an engine that the installation of this directory has left, or is leaving: two gateways would take, answer and deliver the
/// same, each with books of its own.
///
/// # Errors
/// Then, with what to do.
pub fn refuse_what_was_left(dir: &Path, config: &GatewayConfig) -> Result<(), Failure> {
    let Some(mark) = Mark::read(dir)? else {
        refuse_another_bus(config)?;
        if config.store.engine == StoreEngine::Postgres && config.store.sqlite.path.exists() {
            tracing::warn!(
                "the directory has an embedded store that this configuration does not use: `hotline-gateway migrate-to` carries it over"
            );
        }
        return Ok(());
    };
    let left_store = config.store.engine == StoreEngine::Sqlite;
    let left_bus = mark.bus.is_some() && config.bus.engine == Engine::Embedded;
    if !left_store && !left_bus {
        return Ok(());
    }
    let (to, path) = (&mark.store, path(dir));
    let path = path.display();
    let bus = mark.bus.iter().map(|bus| format!(" + {bus}")).collect::<String>();
    let since = mark.since;
    Err(match mark.stage {
        Stage::Moved => Failure::told(
            format!(
                "本目录的网关已于 {since} 迁移至 {to}{bus}，不能再用旧的内置引擎运行：请用 --config 指定新配置；如须退回，见 docs/operations.md“Moving up”"
            ),
            format!(
                "the gateway of this directory moved to {to}{bus} on {since}, and its embedded engines must not run again: name the new configuration with --config; to go back, see \"Moving up\" in docs/operations.md ({path})"
            ),
        ),
        Stage::Moving => Failure::told(
            format!(
                "本目录正在迁移至 {to}{bus}（始于 {since}，尚未完成）：请再次运行 hotline-gateway migrate-to 继续；如须放弃，删除 {path} 并清空目标库"
            ),
            format!(
                "this directory is moving to {to}{bus} (begun {since}, not done): run `hotline-gateway migrate-to` again, which goes on where it ended; to give it up, take {path} away and empty the target"
            ),
        ),
    })
}

/// A store in this directory that was fed by the bus in this directory knows records by that bus's offsets: on another bus, which begins at 0 again, it
/// would take the first records for old ones and drop them without a word.
fn refuse_another_bus(config: &GatewayConfig) -> Result<(), Failure> {
    let fed_here = config.bus.embedded.dir.join("positions.db").exists() && config.store.sqlite.path.exists();
    if config.bus.engine == Engine::Embedded || config.store.engine != StoreEngine::Sqlite || !fed_here {
        return Ok(());
    }
    Err(Failure::told(
        "本目录的存储按内置总线的位置记账，不能只把总线换成 Kafka：请用 hotline-gateway migrate-to 连同存储一起迁移",
        "the store of this directory keeps account by the places of the embedded bus, so the bus alone can't be changed to Kafka: records would be lost; move both with `hotline-gateway migrate-to`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_moved_does_not_work_on_with_what_was_left() {
        let dir = tempfile::tempdir().unwrap();
        let embedded = GatewayConfig::default();
        let mut scaled = GatewayConfig::default();
        scaled.store.engine = StoreEngine::Postgres;
        refuse_what_was_left(dir.path(), &embedded).unwrap();
        let mut mark = Mark {
            id: uuid::Uuid::from_u128(1),
            stage: Stage::Moving,
            since: Timestamp::UNIX_EPOCH,
            store: "gateway at db:5432".into(),
            bus: None,
        };
        mark.write(dir.path()).unwrap();
        assert_eq!(Mark::read(dir.path()).unwrap().as_ref(), Some(&mark));
        let told = refuse_what_was_left(dir.path(), &embedded).unwrap_err().0;
        assert!(told.contains("migrate-to") && told.contains("gateway at db:5432"), "{told}");
        refuse_what_was_left(dir.path(), &scaled).unwrap();
        mark.stage = Stage::Moved;
        mark.bus = Some("kafka-1:9092".into());
        mark.write(dir.path()).unwrap();
        assert!(refuse_what_was_left(dir.path(), &scaled).is_err(), "the embedded bus was left too");
        scaled.bus.engine = Engine::Kafka;
        refuse_what_was_left(dir.path(), &scaled).unwrap();
        std::fs::write(dir.path().join("moved.json"), "half").unwrap();
        assert!(refuse_what_was_left(dir.path(), &scaled).is_err());
    }

    #[test]
    fn a_store_is_not_fed_from_another_bus_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = GatewayConfig::default();
        config.bus.in_dir(dir.path());
        config.store.settle(dir.path());
        config.bus.engine = Engine::Kafka;
        refuse_what_was_left(dir.path(), &config).unwrap();
        std::fs::create_dir_all(&config.bus.embedded.dir).unwrap();
        for file in [config.bus.embedded.dir.join("positions.db"), config.store.sqlite.path.clone()] {
            std::fs::write(file, "").unwrap();
        }
        let told = refuse_what_was_left(dir.path(), &config).unwrap_err().0;
        assert!(told.contains("migrate-to"), "{told}");
        config.bus.engine = Engine::Embedded;
        refuse_what_was_left(dir.path(), &config).unwrap();
        config.bus.engine = Engine::Kafka;
        config.store.engine = StoreEngine::Postgres;
        refuse_what_was_left(dir.path(), &config).unwrap();
    }
}
