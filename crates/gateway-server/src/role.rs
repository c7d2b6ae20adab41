//! The parts of the work that a process can do, and what a process is called.

use crate::config::GatewayConfig;
use crate::store::StoreEngine;
use crate::{Failure, secrets};
use clap::ValueEnum;
use gateway_bus::Engine;
use std::collections::BTreeSet;
use std::path::Path;

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum NodeRole {
    /// Take pushes.
    Intake,
    /// Read the channels' listings, and read again what is asked for.
    Poll,
    /// Make orders of records.
    Pipeline,
    /// Deliver what is owed.
    Deliver,
    /// Compare accounts, repair, look for what is wrong, and tell.
    Monitor,
    /// Answer people and their commands.
    Api,
}

impl NodeRole {
    /// Its word on the command line and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Poll => "poll",
            Self::Pipeline => "pipeline",
            Self::Deliver => "deliver",
            Self::Monitor => "monitor",
            Self::Api => "api",
        }
    }
}

/// The parts that one process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(BTreeSet<NodeRole>);

impl Roles {
    /// Those that were named; all where none was.
    #[must_use]
    pub fn of(named: &[NodeRole]) -> Self {
        if named.is_empty() { Self::all() } else { Self(named.iter().copied().collect()) }
    }

    /// All: one process does everything.
    #[must_use]
    pub fn all() -> Self {
        Self(NodeRole::value_variants().iter().copied().collect())
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn has(&self, role: NodeRole) -> bool {
        self.0.contains(&role)
    }

    /// Their words.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(|role| role.as_str().to_owned()).collect()
    }

    /// That the engines can be shared, where a process leaves a part to others.
    ///
    /// # Errors
    /// With what to do, when they can't.
    pub fn must_suit(&self, config: &GatewayConfig) -> Result<(), Failure> {
        if *self == Self::all() || (config.store.engine == StoreEngine::Postgres && config.bus.engine == Engine::Kafka)
        {
            return Ok(());
        }
        Err(Failure::told(
            "--role 需要多个进程共用的引擎：请在配置中设 [bus] engine = \"kafka\" 与 [store] engine = \"postgres\"，或去掉 --role 由一个进程承担全部角色",
            "--role needs engines that several processes can share: set [bus] engine = \"kafka\" and [store] engine = \"postgres\", or leave --role away and let one process do everything",
        ))
    }
}

/// What this process is called: as configured, or a name that is made once and kept in the directory.
///
/// # Errors
/// When the file can neither be read nor made.
pub fn node_name(dir: &Path, configured: &str) -> Result<String, Failure> {
    if !configured.is_empty() {
        return Ok(configured.to_owned());
    }
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().to_lowercase();
    let plain: String =
        host.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).collect();
    let made = || {
        format!(
            "{}-{:04x}",
            plain.trim_matches('-').get(..plain.len().min(40)).unwrap_or("node"),
            rand::random::<u16>()
        )
    };
    Ok(secrets::read_or_make(&dir.join("node.name"), made)?)
}
