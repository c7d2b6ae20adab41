//! Killed by signal 9 at moments that the machine chooses.

use crate::place::Place;
use gateway_store::conformance::{StoreUnderTest, assert_left_whole, write_until_killed};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const PATH: &str = "GATEWAY_STORE_CRASH_PATH";

/// The victim: does nothing unless the test below starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    if let Ok(path) = std::env::var(PATH) {
        write_until_killed(&Place::at(path.into())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_leaves_whole_batches_and_books_that_agree() {
    let place = Place::new();
    kill_again_and_again(&place, || {
        let mut command = victim_command("crash::victim");
        command.env(PATH, &place.path);
        command
    })
    .await;
}

/// This test binary once more, to run one test that writes until it is killed.
pub fn victim_command(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).stdout(Stdio::piped());
    command
}

/// Starts victims, kills each after some batches, and looks each time at what it left.
pub async fn kill_again_and_again(place: &dyn StoreUnderTest, victim: impl Fn() -> Command) {
    let mut reported = 0;
    for batches in [1, 4, 2, 7, 3] {
        let mut child = victim().spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        while seen < batches {
            let line = lines.next().expect("the victim ended by itself").unwrap();
            if let Some((_, batch)) = line.split_once("batch ") {
                reported = batch.parse().unwrap();
                seen += 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it still said before it died counts too.
        for line in lines.map_while(Result::ok) {
            if let Some(batch) = line.strip_prefix("batch ").and_then(|batch| batch.parse().ok()) {
                reported = batch;
            }
        }
        assert_left_whole(place, reported).await;
    }
}
