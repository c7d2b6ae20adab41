//! A store in a directory of its own.

use async_trait::async_trait;
use gateway_store::conformance::{StoreUnderTest, WriteBlock};
use gateway_store::{SqliteOptions, SqliteStore, Store};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::path::PathBuf;
use std::sync::Arc;

pub struct Place {
    pub path: PathBuf,
    _directory: Option<tempfile::TempDir>,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { path: directory.path().join("store.db"), _directory: Some(directory) }
    }

    /// A place that outlives the process.
    pub fn at(path: PathBuf) -> Self {
        Self { path, _directory: None }
    }

    pub fn options(&self) -> SqliteOptions {
        SqliteOptions::at(&self.path)
    }

    /// A plain connection, as another program would have.
    pub async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(&self.path).create_if_missing(true);
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}

#[async_trait]
impl StoreUnderTest for Place {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.options()).await.unwrap())
    }

    async fn block_writes(&self) -> Box<dyn WriteBlock> {
        let mut connection = self.connect().await;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
        Box::new(Block(connection))
    }
}

struct Block(SqliteConnection);

#[async_trait]
impl WriteBlock for Block {
    async fn release(self: Box<Self>) {
        self.0.close().await.unwrap();
    }
}
