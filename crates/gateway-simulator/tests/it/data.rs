//! Real input by mapping, on fixtures of the two shapes with every oddity.

use std::path::{Path, PathBuf};

use gateway_simulator::clock::lenient_time;
use gateway_simulator::{SimError, data};

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

#[test]
fn complaints_keep_their_texts_and_odd_times() {
    let rows = data::read(&fixture("complaints.jsonl"), None).expect("rows");
    assert_eq!(rows.len(), 40);
    assert!(rows.is_sorted_by(|a, b| (&a.create_time, &a.number) <= (&b.create_time, &b.number)));
    let row = |number: &str| rows.iter().find(|row| row.number == number).expect("row");
    assert_eq!(row("109").create_time, "2019-04-08 08:37:20");
    assert_eq!(row("115").reply.as_ref().expect("reply").time, "2018-04-24");
    assert_eq!(row("121").content, "零宽\u{200b}空格、表情🚌、生僻字𠮷、引号\"和反斜杠\\。\r\n第二行\t制表");
    assert_eq!(row("127").reply.as_ref().expect("reply").text, "\t\n 您好 \n\t");
    assert!(row("100").content.starts_with("\n\t\t\t\t\t\n"));
}

#[test]
fn requests_become_china_time_and_open_ones_stay_open() {
    let rows = data::read(&fixture("sf311-small.csv"), None).expect("rows");
    assert_eq!(rows.len(), 40);
    assert!(rows.is_sorted_by(|a, b| a.create_time <= b.create_time));
    let row = |index: usize| rows.iter().find(|row| row.number == format!("{}", 900_000 + index * 17)).expect("row");
    assert_eq!(row(0).create_time, "2009-01-01 08:00:00");
    assert_eq!(row(4).reply, None, "open: no reply");
    assert_eq!(row(3).reply.as_ref().expect("reply").text, "Closed", "closed without a note");
    assert!(row(8).reply.as_ref().expect("reply").time < row(8).create_time, "closed before created");
    assert_eq!(row(10).reply.as_ref().expect("reply").text, "says \"fixed\", twice,\nover two lines");
}

#[test]
fn a_file_or_mapping_that_does_not_suit_is_named() {
    let dir = tempfile::tempdir().expect("dir");
    let file = dir.path().join("x.xml");
    std::fs::write(&file, "").expect("write");
    assert!(matches!(data::read(&file, None), Err(SimError::Data { .. })));
    let file = dir.path().join("x.csv");
    std::fs::write(&file, "a,b\n1,2\n").expect("write");
    assert!(matches!(data::read(&file, None), Err(SimError::Data { reason, .. }) if reason.contains("no column")));
}

#[test]
fn times_of_all_shapes() {
    for (text, wire) in [
        ("2019/4/25 9:32:09", Some("2019-04-25 09:32:09")),
        ("2019-04-08 08:37:20", Some("2019-04-08 08:37:20")),
        ("2018/4/24", Some("2018-04-24")),
        ("2016-07-13 15:11:07+00:00", Some("2016-07-13 23:11:07")),
        ("2016-07-13T23:11:07.250Z", Some("2016-07-14 07:11:07")),
        ("2016-07-13 15:11:07-0730", Some("2016-07-14 06:41:07")),
        ("2016-13-13 15:11:07", None),
        ("2016-02-30", None),
        ("", None),
        ("soon", None),
    ] {
        assert_eq!(lenient_time(text).as_deref(), wire, "{text}");
    }
}
