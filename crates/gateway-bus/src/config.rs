//! The configuration section of the bus: which engine, and the settings of each.

use crate::embedded::{EmbeddedBus, EmbeddedOptions};
use crate::kafka::KafkaOptions;
use crate::{Bus, BusError};
use gateway_model::Clock;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

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
}

impl BusOptions {
    /// Makes relative paths absolute.
    pub fn in_dir(&mut self, dir: &Path) {
        self.embedded.dir = dir.join(&self.embedded.dir);
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
                missing.into_iter().chain(wrong).collect()
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
            Engine::Kafka => {
                let lines: Vec<String> =
                    self.mistakes().into_iter().map(|(key, text)| format!("{key}: {text}")).collect();
                Err(BusError::Refused { what: lines.join("; ") })
            }
        }
    }
}
