//! A server that is reached over TLS only.

use super::place::options;
use super::server::{OWNER, Owned};
use gateway_store::{PostgresStore, Store, StoreError};
use sqlx::{Connection, PgConnection};

async fn refusal(url: &str) -> (&'static str, String) {
    match PostgresStore::open(options(url)).await {
        Err(error @ StoreError::Refused { code, .. }) => (code, error.to_string()),
        other => panic!("{url}: {other:?}"),
    }
}

#[tokio::test]
async fn the_servers_certificate_is_asked_for_and_believed_only_from_its_authority() {
    let owned = Owned::start_with_tls();
    owned.server.make_owner().await;
    owned.server.run(format!("CREATE DATABASE store OWNER {OWNER} ENCODING 'UTF8' TEMPLATE template0")).await;
    let url = owned.server.url_of_owner("store");
    assert!(url.contains("sslmode=verify-full&sslrootcert=") && url.ends_with("/tls/ca.pem"), "{url}");

    let store = PostgresStore::open(options(&url)).await.unwrap();
    store.check().await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let plain: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity AS a JOIN pg_stat_ssl USING (pid)
         WHERE a.application_name = 'hotline-gateway' AND NOT ssl",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    let encrypted: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity AS a JOIN pg_stat_ssl USING (pid)
         WHERE a.application_name = 'hotline-gateway' AND ssl",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!(plain == 0 && encrypted > 0, "{plain} sessions in the clear, {encrypted} over TLS");

    // Another authority, another name, no authority that this machine trusts, and no TLS at all.
    let tls_says = |url: String| async move {
        let (code, said) = refusal(&url).await;
        assert!(code == "database_tls" && said.contains("sslrootcert") && !said.contains("plain"), "{url}: {said}");
    };
    tls_says(url.replace("/ca.pem", "/other-ca.pem")).await;
    tls_says(url.replace("127.0.0.1", "localhost")).await;
    tls_says(url.split_once("&sslrootcert").unwrap().0.to_owned()).await;
    let (code, said) = refusal(&url.replace("verify-full", "disable")).await;
    assert!(code == "database_credentials" && said.contains("pg_hba.conf") && said.contains("sslmode"), "{said}");
    let (code, said) = refusal(&url.replace("/ca.pem", "/no-such.pem")).await;
    assert!(code == "database_tls" && said.contains("sslrootcert") && said.contains("can't be read"), "{said}");
    store.close().await;
    owned.stop();
}
