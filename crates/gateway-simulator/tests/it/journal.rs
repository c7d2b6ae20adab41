//! The journal: what was durable is there again, a torn end is cut off, damage is not guessed away.

use std::fs;

use gateway_simulator::SimError;
use gateway_simulator::journal::Journal;

async fn write(path: &std::path::Path, entries: &[&str]) {
    let journal = Journal::open(path, true, |_: String| {}).expect("open");
    for entry in entries {
        journal.append(entry);
    }
    journal.durable(journal.newest()).await.expect("durable");
}

fn read(path: &std::path::Path) -> Vec<String> {
    let mut entries = Vec::new();
    Journal::open(path, true, |entry: String| entries.push(entry)).expect("open");
    entries
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off_and_writing_goes_on_behind_the_good_part() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("j.jsonl");
    write(&path, &["one", "two\n行"]).await;
    let whole = fs::read(&path).expect("read");
    for torn in [&b"\"thr"[..], &b"\"three\""[..], &b"\xff\n"[..]] {
        let mut bytes = whole.clone();
        bytes.extend_from_slice(torn);
        fs::write(&path, &bytes).expect("write");
        assert_eq!(read(&path), ["one", "two\n行"]);
        assert_eq!(fs::read(&path).expect("read"), whole);
    }
    write(&path, &["four"]).await;
    assert_eq!(read(&path), ["one", "two\n行", "four"]);
}

#[tokio::test]
async fn a_bad_line_in_the_middle_is_an_error() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("j.jsonl");
    fs::write(&path, "\"one\"\n{bad\n\"three\"\n").expect("write");
    let opened = Journal::open(&path, true, |_: String| {});
    assert!(matches!(opened, Err(SimError::Journal { line: 2, .. })));
}
