//! The section `[store]`: which engine keeps the store, and opening it.

use crate::config::{ConfigMistake, mistake};
use crate::{Failure, secrets};
use gateway_store::{SqliteOptions, SqliteStore, Store};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the database's address is taken from when no file is named.
pub const DATABASE_URL: &str = "GATEWAY_DATABASE_URL";

/// Which engine, and how each is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// The engine.
    pub engine: StoreEngine,
    /// Engine `postgres`: the file that holds the database's address, which is a secret. Without it, the environment has it ([`DATABASE_URL`]).
    pub database_url_file: Option<PathBuf>,
    /// Engine `sqlite`.
    pub sqlite: SqliteOptions,
    /// Taking out old months.
    pub archive: ArchiveSection,
    /// Engine `postgres`.
    #[cfg(feature = "postgres")]
    pub postgres: gateway_store::PostgresLimits,
}

/// Which months are taken out by themselves.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveSection {
    /// Engine `postgres`: months that ended so many months before this one. Never where it is absent.
    pub after_months: Option<u32>,
}

/// An engine of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreEngine {
    /// One file in the directory.
    #[default]
    Sqlite,
    /// A server that several gateways share.
    Postgres,
}

impl StoreSection {
    /// Relative paths are relative to the installation's directory.
    pub fn settle(&mut self, dir: &Path) {
        self.sqlite.path = dir.join(&self.sqlite.path);
        if let Some(path) = &mut self.database_url_file {
            *path = dir.join(&*path);
        }
    }

    /// The directory that the store grows in on this machine.
    #[must_use]
    pub fn dir<'a>(&'a self, installation: &'a Path) -> &'a Path {
        match self.engine {
            StoreEngine::Sqlite => self.sqlite.path.parent().unwrap_or(Path::new(".")),
            StoreEngine::Postgres => installation,
        }
    }

    /// The key under which a person finds what is wrong with where the store is.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match (self.engine, &self.database_url_file) {
            (StoreEngine::Sqlite, _) => "store.sqlite.path",
            (StoreEngine::Postgres, Some(_)) => "store.database_url_file",
            (StoreEngine::Postgres, None) => DATABASE_URL,
        }
    }

    /// What is wrong as far as it can be told without connecting.
    #[must_use]
    pub fn mistakes(&self) -> Vec<ConfigMistake> {
        let mut mistakes = Vec::new();
        let after = "store.archive.after_months";
        match self.archive.after_months {
            Some(_) if self.engine == StoreEngine::Sqlite => mistakes.push(mistake(
                after,
                "is only for `store.engine = \"postgres\"`: the embedded store keeps every month in its one file",
            )),
            Some(months) if !(3..=1_200).contains(&months) => mistakes
                .push(mistake(after, "must be 3 to 1200, or absent: what came lately is asked for again and again")),
            _ => {}
        }
        if self.engine == StoreEngine::Sqlite {
            if self.database_url_file.is_some() {
                mistakes.push(mistake("store.database_url_file", "is only for `store.engine = \"postgres\"`"));
            }
            return mistakes;
        }
        #[cfg(feature = "postgres")]
        mistakes.extend(self.options().err());
        #[cfg(not(feature = "postgres"))]
        mistakes.push(mistake(
            "store.engine",
            "this program was built without PostgreSQL: build it with `--features postgres`, or use `sqlite`",
        ));
        mistakes
    }

    #[cfg(feature = "postgres")]
    fn options(&self) -> Result<gateway_store::PostgresOptions, ConfigMistake> {
        let url = match &self.database_url_file {
            Some(file) => secrets::read(file).map_err(|error| mistake(self.key(), error.to_string()))?,
            None => std::env::var(DATABASE_URL).map_err(|_| {
                mistake("store.database_url_file", format!("is needed, or {DATABASE_URL} in the environment"))
            })?,
        };
        gateway_store::PostgresOptions::parse(&url, self.postgres)
            .map_err(|error| mistake(self.key(), Failure::from(error).0))
    }

    /// Opens the store.
    ///
    /// # Errors
    /// With the key and what to do, when it can't be opened.
    pub async fn open(&self) -> Result<Arc<dyn Store>, Failure> {
        match self.engine {
            StoreEngine::Sqlite => {
                Ok(Arc::new(SqliteStore::open(self.sqlite.clone()).await.map_err(|error| self.failure(error))?))
            }
            #[cfg(feature = "postgres")]
            StoreEngine::Postgres => {
                let options = self.options().map_err(|wrong| Failure(wrong.to_string()))?;
                Ok(Arc::new(gateway_store::PostgresStore::open(options).await.map_err(|error| self.failure(error))?))
            }
            #[cfg(not(feature = "postgres"))]
            StoreEngine::Postgres => Err(self.without_engine()),
        }
    }

    /// Opens the embedded engine's store to carry it elsewhere.
    ///
    /// # Errors
    /// As [`StoreSection::open`].
    #[cfg(feature = "postgres")]
    pub async fn open_embedded(&self) -> Result<SqliteStore, Failure> {
        SqliteStore::open(self.sqlite.clone()).await.map_err(|error| self.failure(error))
    }

    /// Opens PostgreSQL's store to carry another into it.
    ///
    /// # Errors
    /// As [`StoreSection::open`]; half of a move is no reason.
    #[cfg(feature = "postgres")]
    pub async fn open_to_move(&self) -> Result<gateway_store::PostgresStore, Failure> {
        let options = self.options().map_err(|wrong| Failure(wrong.to_string()))?;
        gateway_store::PostgresStore::open_to_move(options).await.map_err(|error| self.failure(error))
    }

    /// Where PostgreSQL's store is, for people: without password.
    ///
    /// # Errors
    /// When no address is given.
    #[cfg(feature = "postgres")]
    pub fn place(&self) -> Result<String, Failure> {
        Ok(self.options().map_err(|wrong| Failure(wrong.to_string()))?.place())
    }

    /// Brings the store to this program's schema; returns the names of the migrations that were applied.
    ///
    /// # Errors
    /// As [`StoreSection::open`].
    pub async fn migrate(&self) -> Result<Vec<&'static str>, Failure> {
        match self.engine {
            StoreEngine::Sqlite => SqliteStore::migrate(&self.sqlite).await.map_err(|error| self.failure(error)),
            #[cfg(feature = "postgres")]
            StoreEngine::Postgres => {
                let options = self.options().map_err(|wrong| Failure(wrong.to_string()))?;
                gateway_store::PostgresStore::migrate(&options).await.map_err(|error| self.failure(error))
            }
            #[cfg(not(feature = "postgres"))]
            StoreEngine::Postgres => Err(self.without_engine()),
        }
    }

    /// Whether the store's server answers and lets us work; nothing is made or changed there.
    pub async fn check_connectivity(&self) -> Option<ConfigMistake> {
        #[cfg(feature = "postgres")]
        if self.engine == StoreEngine::Postgres
            && let Ok(options) = self.options()
        {
            let checked = gateway_store::PostgresStore::check_server(&options).await;
            return checked.err().map(|error| mistake(self.key(), Failure::from(error).0));
        }
        None
    }

    pub(crate) fn failure(&self, error: gateway_store::StoreError) -> Failure {
        Failure(format!("{}: {}", self.key(), Failure::from(error).0))
    }

    #[cfg(not(feature = "postgres"))]
    fn without_engine(&self) -> Failure {
        Failure(self.mistakes().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }
}
