//! A writer killed by signal 9 at moments that the machine chooses.

use super::place::Place;
use crate::crash::{kill_again_and_again, victim_command};
use gateway_store::conformance::{StoreUnderTest, write_until_killed};

const DATABASE: &str = "GATEWAY_STORE_CRASH_DATABASE";

/// The victim: does nothing unless the test below starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    if let Ok(database) = std::env::var(DATABASE) {
        write_until_killed(&Place::at(database)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_leaves_whole_batches_and_books_that_agree() {
    let place = Place::new();
    place.open().await.close().await;
    let (server, _) = place.url().rsplit_once('/').map(|(server, name)| (server.to_owned(), name.to_owned())).unwrap();
    kill_again_and_again(&place, || {
        let mut command = victim_command("postgres::crash::victim");
        // The victim uses this process' server, and starts none.
        command.env(DATABASE, &place.database).env("DATABASE_URL", format!("{server}/postgres"));
        command
    })
    .await;
}
