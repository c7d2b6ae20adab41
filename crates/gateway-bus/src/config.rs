//! The configuration section of the bus: which engine, and the settings of each.

use crate::embedded::{EmbeddedBus, EmbeddedOptions};
use crate::kafka::KafkaOptions;
use crate::spool::{BehindSpool, ConflictRule, SpoolOptions, SpooledBus};
use crate::{Bus, BusError};
use gateway_model::Clock;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Which engine the bus runs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// A log in the data directory, for one process.
    #[default]
    Embedded,
    /// A cluster of Apache Kafka brokers.
    Kafka,
}

/// The bus. The settings of the engine that is not used may stand there too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BusOptions {
    /// Which engine.
    pub engine: Engine,
    /// The engine in the data directory.
    pub embedded: EmbeddedOptions,
    /// The engine on Apache Kafka.
    pub kafka: KafkaOptions,
    /// What bridges an outage of Kafka; the embedded engine needs none.
    pub spool: SpoolOptions,
}

/// A bus, as those who append to it see it.
pub struct OpenedBus {
    /// For all who append what can be asked for again, and for all who read.
    pub bus: Arc<dyn Bus>,
    /// For pushes and commands, which come once.
    pub intake: Arc<dyn Bus>,
    /// The spool, where there is one: it has to be drained.
    pub spool: Option<Arc<SpooledBus>>,
}

impl BusOptions {
    /// Makes relative paths absolute.
    pub fn in_dir(&mut self, dir: &Path) {
        self.embedded.dir = dir.join(&self.embedded.dir);
        self.spool.dir = dir.join(&self.spool.dir);
        for path in self.kafka.paths_mut() {
            *path = dir.join(&*path);
        }
    }

    /// All that is wrong with the engine that is used, as far as it can be told without it: the key within this section, and what to do.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(String, String)> {
        match self.engine {
            Engine::Embedded => Vec::new(),
            Engine::Kafka => {
                let built = cfg!(feature = "kafka");
                let missing = (!built).then(|| {
                    let text = "this program was built without the engine `kafka`: build it with --features kafka, or kafka-tls";
                    ("engine".to_owned(), text.to_owned())
                });
                let wrong = self.kafka.mistakes().into_iter().map(|(key, text)| (format!("kafka.{key}"), text));
                let spool = self.spool.mistakes(self.kafka.append_timeout_ms.into());
                let spool = spool.into_iter().map(|(key, text)| (format!("spool.{key}"), text));
                missing.into_iter().chain(wrong).chain(spool).collect()
            }
        }
    }

    /// The directory that the engine fills, where it has one.
    #[must_use]
    pub fn dir(&self) -> Option<&Path> {
        match self.engine {
            Engine::Embedded => Some(&self.embedded.dir),
            Engine::Kafka => None,
        }
    }

    /// Opens the engine, with the spool before it where there is one: then the brokers may be away. Needs a Tokio runtime.
    ///
    /// # Errors
    /// As [`BusOptions::open`], and what keeps the spool from being opened.
    pub async fn open_spooled(
        &self,
        rule: Arc<dyn ConflictRule>,
        clock: Arc<dyn Clock>,
    ) -> Result<OpenedBus, BusError> {
        if self.engine == Engine::Embedded || !self.spool.enabled {
            let bus = self.open(clock).await?;
            return Ok(OpenedBus { intake: Arc::clone(&bus), bus, spool: None });
        }
        let far = self.far(Arc::clone(&clock))?;
        let patience = Duration::from_millis(self.spool.patience_ms);
        let engine = self.spool.engine(self.kafka.message_bytes);
        let spool = Arc::new(SpooledBus::open(far, engine, patience, rule, clock).await?);
        let bus = Arc::new(BehindSpool(Arc::clone(&spool)));
        Ok(OpenedBus { bus, intake: spool.clone(), spool: Some(spool) })
    }

    #[cfg(feature = "kafka")]
    fn far(&self, clock: Arc<dyn Clock>) -> Result<Arc<dyn Bus>, BusError> {
        Ok(Arc::new(crate::kafka::KafkaBus::open_unasked(self.kafka.clone(), clock)?))
    }

    #[cfg(not(feature = "kafka"))]
    fn far(&self, _: Arc<dyn Clock>) -> Result<Arc<dyn Bus>, BusError> {
        Err(self.not_built())
    }

    #[cfg(not(feature = "kafka"))]
    fn not_built(&self) -> BusError {
        let lines: Vec<String> = self.mistakes().into_iter().map(|(key, text)| format!("{key}: {text}")).collect();
        BusError::Refused { what: lines.join("; ") }
    }

    /// Opens the engine. Needs a Tokio runtime.
    ///
    /// # Errors
    /// As the engine's own `open`; [`BusError::Refused`] when this program was built without it.
    pub async fn open(&self, clock: Arc<dyn Clock>) -> Result<Arc<dyn Bus>, BusError> {
        match self.engine {
            Engine::Embedded => Ok(Arc::new(EmbeddedBus::open(self.embedded.clone(), clock).await?)),
            #[cfg(feature = "kafka")]
            Engine::Kafka => Ok(Arc::new(crate::kafka::KafkaBus::open(self.kafka.clone(), clock).await?)),
            #[cfg(not(feature = "kafka"))]
            Engine::Kafka => Err(self.not_built()),
        }
    }
}
