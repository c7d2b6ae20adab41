//! A store in a database of its own.

use super::server::{OWNER, Server};
use async_trait::async_trait;
use gateway_store::conformance::{StoreUnderTest, WriteBlock};
use gateway_store::{PostgresLimits, PostgresOptions, PostgresStore, Store};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The advisory lock that is the turn to write; see docs/postgres.md.
const TURN: i64 = 0x0068_6f74_6c69_6e65;

pub struct Place {
    pub database: String,
    server: &'static Server,
    made: OnceCell<()>,
    /// Whether the database is dropped in the end.
    ours: bool,
}

impl Place {
    /// An empty store: a copy of one that was made once.
    pub fn new() -> Self {
        Self { database: Server::fresh("store"), server: Server::shared(), made: OnceCell::new(), ours: true }
    }

    /// A place that outlives the process.
    pub fn at(database: String) -> Self {
        Self { database, server: Server::shared(), made: OnceCell::new_with(Some(())), ours: false }
    }

    /// An empty database.
    pub async fn empty() -> Self {
        let place = Self::new();
        place.server.make_owner().await;
        let make = format!("CREATE DATABASE {} OWNER {OWNER} ENCODING 'UTF8' TEMPLATE template0", place.database);
        place.server.run(make).await;
        place.made.set(()).unwrap();
        place
    }

    pub fn url(&self) -> String {
        self.server.url_of_owner(&self.database)
    }

    pub fn options(&self) -> PostgresOptions {
        options(&self.url())
    }

    pub async fn try_open(&self) -> Result<PostgresStore, gateway_store::StoreError> {
        self.make().await;
        PostgresStore::open(self.options()).await
    }

    /// A plain session of the same user, as another program would have.
    pub async fn connect(&self) -> PgConnection {
        self.make().await;
        PgConnection::connect(&self.url()).await.unwrap()
    }

    pub async fn run(&self, sql: &'static str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn make(&self) {
        static TEMPLATE: OnceCell<String> = OnceCell::const_new();
        self.made
            .get_or_init(|| async {
                let template = TEMPLATE
                    .get_or_init(|| async {
                        let name = Server::fresh("template");
                        self.server.make_owner().await;
                        let make = format!("CREATE DATABASE {name} OWNER {OWNER} ENCODING 'UTF8' TEMPLATE template0");
                        self.server.run(make).await;
                        PostgresStore::open(options(&self.server.url_of_owner(&name))).await.unwrap().close().await;
                        name
                    })
                    .await;
                let make = format!("CREATE DATABASE {} OWNER {OWNER} TEMPLATE {template}", self.database);
                self.server.run(make).await;
            })
            .await;
    }
}

pub fn options(url: &str) -> PostgresOptions {
    // A lock that can't be had is waited for in one test only.
    let limits = PostgresLimits { lock_timeout_ms: 2_000, ..PostgresLimits::default() };
    PostgresOptions::parse(url, limits).unwrap()
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.ours || self.made.get().is_none() {
            return;
        }
        // A runtime of its own: the test's may be at its end.
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database);
        let server = self.server;
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                if let Ok(mut connection) = PgConnection::connect(&server.url("postgres")).await {
                    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.ok();
                }
            });
        });
        dropped.join().ok();
    }
}

#[async_trait]
impl StoreUnderTest for Place {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.try_open().await.unwrap())
    }

    async fn block_writes(&self) -> Box<dyn WriteBlock> {
        let mut connection = self.connect().await;
        sqlx::query("SELECT pg_advisory_lock($1)").bind(TURN).execute(&mut connection).await.unwrap();
        Box::new(Block(connection))
    }
}

struct Block(PgConnection);

#[async_trait]
impl WriteBlock for Block {
    async fn release(self: Box<Self>) {
        self.0.close().await.unwrap();
    }
}
