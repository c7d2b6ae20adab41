//! What the municipal platform says is uploaded to the province, whatever goes wrong with uploads: the judge compares the two platforms' own books.

use crate::demo::{Demo, count};
use crate::program::{Scratch, together};
use std::time::Duration;

/// What befalls uploads alone.
const FAULTS: [&str; 4] = ["lost_upload", "refused_upload", "submitted_upload", "upload_hang_up"];

#[tokio::test]
async fn what_is_owed_to_the_province_is_in_its_book_once() {
    let _machine = together().await;
    let scratch = Scratch::new();
    let arguments = ["--orders", "100", "--seed", "12328", "--faults", &FAULTS.join(",")];
    let verdict = Demo::run(&scratch, &arguments, Duration::from_secs(240)).await.balanced();
    let forwards = &verdict["forwards"];
    assert_eq!((forwards["channel"].as_str(), count(forwards, "orders")), (Some("provincial-12328"), 100));
    assert!(count(forwards, "items") > 300, "{forwards}");
    for kind in FAULTS {
        assert!(count(&forwards["faults"], kind) > 0, "{kind}: {forwards}");
    }
    let gaps = &verdict["gaps"];
    assert!(count(&gaps["by_kind"], "not_held_by_destination") > 0, "lost uploads are found by its account: {gaps}");
    assert_eq!(count(gaps, "false"), 0, "{gaps}");
}
