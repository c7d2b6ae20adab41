//! What keeps a store from being opened is said with what to do about it, and never with a password.

use super::place::{Place, options};
use super::server::{Owned, Server};
use gateway_store::{PostgresLimits, PostgresOptions, PostgresStore, StoreError};

async fn refusal(url: &str) -> (&'static str, String) {
    match PostgresStore::open(options(url)).await {
        Err(error @ StoreError::Refused { code, .. }) => (code, error.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable_and_named() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let opened = PostgresStore::open(options(&format!("postgres://g:hidden@127.0.0.1:{free}/store"))).await;
    let Err(StoreError::Unavailable(cause)) = opened else { panic!("{opened:?}") };
    let said = cause.to_string();
    assert!(said.contains(&format!("store at 127.0.0.1:{free}")) && said.contains("is it running"), "{said}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let limits = PostgresLimits { queue_timeout_ms: 200, ..PostgresLimits::default() };
    let options = PostgresOptions::parse(&format!("postgres://g@127.0.0.1:{port}/store"), limits).unwrap();
    let opened = PostgresStore::open(options).await;
    assert!(matches!(opened, Err(StoreError::Unavailable(_))), "{opened:?}");
}

#[test]
fn an_address_that_is_none_is_refused_without_repeating_it() {
    for url in ["", "store.db", "mysql://a:hidden@b/c", "postgres://a:hidden@b:99999999/c", "postgres://a:hidden@b"] {
        let refused = PostgresOptions::parse(url, PostgresLimits::default()).unwrap_err();
        assert!(matches!(refused, StoreError::Refused { code: "database_url", .. }), "{refused:?}");
        assert!(!format!("{refused:?} {refused}").contains("hidden"));
    }
    let options = PostgresOptions::parse("postgres://a:hidden@b:1/c", PostgresLimits::default()).unwrap();
    let shown = format!("{options:?} {}", options.place());
    assert!(!shown.contains("hidden") && shown.contains("c at b:1"), "{shown}");
    assert!(serde_json::from_str::<PostgresLimits>(r#"{"conections": 5}"#).is_err());
}

#[tokio::test]
async fn no_database_and_no_user() {
    let server = Server::shared();
    let (code, said) = refusal(&server.url("there_is_none")).await;
    assert!(code == "no_database" && said.contains("CREATE DATABASE"), "{said}");
    let (code, said) = refusal(&server.url_as("nobody_we_know", "postgres")).await;
    assert!(code == "database_credentials" && said.contains("nobody_we_know"), "{said}");
}

#[tokio::test]
async fn a_wrong_password() {
    let owned = Owned::start();
    owned.server.run("CREATE ROLE locked LOGIN PASSWORD 'right'".into()).await;
    owned.server.run("CREATE DATABASE store OWNER locked".into()).await;
    let rules = owned.directory.join("data/pg_hba.conf");
    let others = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("host all locked 127.0.0.1/32 scram-sha-256\n{others}")).unwrap();
    owned.stop();
    owned.start_again();
    let (code, said) = refusal(&owned.server.url_as("locked:wrong", "store")).await;
    assert!(code == "database_credentials" && !said.contains("wrong"), "{said}");
    let store = PostgresStore::open(options(&owned.server.url_as("locked:right", "store"))).await.unwrap();
    gateway_store::Store::check(&store).await.unwrap();
    owned.stop();
}

#[tokio::test]
async fn rights_that_are_missing() {
    let server = Server::shared();
    let role = Server::fresh("role");
    server.run(format!("CREATE ROLE {role} LOGIN")).await;
    let empty = Place::empty().await;
    let (code, said) = refusal(&server.url_as(&role, &empty.database)).await;
    assert!(code == "missing_rights" && said.contains("GRANT"), "{said}");
    let made = Place::new();
    made.try_open().await.unwrap();
    let (code, said) = refusal(&server.url_as(&role, &made.database)).await;
    assert!(code == "missing_rights" && said.contains(&role), "{said}");
    // All that can be granted is not enough either: the next month's partitions are its owner's to make.
    let grant =
        format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; GRANT USAGE, CREATE ON SCHEMA public TO {role}");
    let mut session = made.connect().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(grant)).execute(&mut session).await.unwrap();
    let (code, said) = refusal(&server.url_as(&role, &made.database)).await;
    assert!(code == "missing_rights" && said.contains("does not own order_change"), "{said}");
    // Nor are the tables, where no more may be made.
    server.run_in(&made.database, "REVOKE CREATE ON SCHEMA public FROM pg_database_owner").await;
    let (code, said) = refusal(&made.url()).await;
    assert!(code == "missing_rights" && said.contains("GRANT USAGE, CREATE ON SCHEMA"), "{said}");
    drop((empty, made, session));
    server.run(format!("DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_server_that_only_reads() {
    let place = Place::new();
    let store = place.try_open().await.unwrap();
    Server::shared().run(format!("ALTER DATABASE {} SET default_transaction_read_only = on", place.database)).await;
    let (code, said) = refusal(&place.url()).await;
    assert!(code == "server_reads_only" && said.contains("primary"), "{said}");
    // One that was open before goes on until its connections are made anew; then it can't write, and says so.
    gateway_store::Store::check(&store).await.unwrap();
    place.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").await;
    let checked = gateway_store::Store::check(&store).await;
    assert!(matches!(checked, Err(StoreError::Unavailable(_))), "{checked:?}");
}

#[tokio::test]
async fn an_encoding_that_cannot_hold_chinese() {
    let server = Server::shared();
    let name = Server::fresh("latin");
    server.run(format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")).await;
    let (code, said) = refusal(&server.url(&name)).await;
    assert!(code == "database_encoding" && said.contains("UTF8"), "{said}");
    server.run(format!("DROP DATABASE {name} WITH (FORCE)")).await;
}
