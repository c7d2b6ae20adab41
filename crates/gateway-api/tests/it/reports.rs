//! Reports and balances of two known days.

use crate::gateway::{ADMIN, DESK, Gateway, JUDGE, at};
use crate::history::{DAY_S, account, apply, first_day, second_day};
use reqwest::Method;
use serde_json::{Value, json};

const DAILY: &str = "/api/v1/reports/daily/2026-11-23";

async fn two_days() -> Gateway {
    let gateway = Gateway::start().await;
    let missing = first_day(&gateway).await;
    second_day(&gateway, missing).await;
    gateway.clock.advance_to(at(2 * DAY_S));
    gateway
}

async fn bytes(gateway: &Gateway, path: &str) -> Vec<u8> {
    let answer = gateway.request(Method::GET, path).bearer_auth(JUDGE).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.bytes().await.unwrap().to_vec()
}

fn line<'a>(report: &'a Value, list: &str, dataset: &str) -> &'a Value {
    let lines = report[list].as_array().unwrap();
    let found = lines.iter().find(|line| line["channel"] == "municipal-12345" && line["dataset"] == dataset);
    found.unwrap_or_else(|| panic!("no line of {dataset} in {report:#}"))
}

#[tokio::test]
async fn a_day_is_told_as_it_was_then_and_as_it_is_now() {
    let gateway = two_days().await;
    let then = gateway.get(JUDGE, &format!("{DAILY}?as_of=2026-11-23")).await;
    insta::assert_json_snapshot!("daily_as_of_the_day", then.ok(200));
    let now = gateway.get(JUDGE, DAILY).await;
    insta::assert_json_snapshot!("daily_as_of_now", now.ok(200));
    assert_eq!((&then.body["is_final"], &now.body["is_final"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn a_month_adds_up_its_days() {
    let gateway = two_days().await;
    let month = gateway.get(JUDGE, "/api/v1/reports/monthly/2026-11?as_of=2026-11-24").await;
    insta::assert_json_snapshot!("monthly", month.ok(200));
    for (list, keys) in
        [("inbound", ["ended", "applied", "duplicate"]), ("outbound", ["owed", "acknowledged", "waived"])]
    {
        for key in keys {
            let sum = |lines: &str| -> u64 {
                month.body[lines].as_array().unwrap().iter().filter_map(|line| line[list][key].as_u64()).sum()
            };
            assert_eq!(sum("lines"), sum("days"), "{list}.{key}");
        }
    }
}

/// Whatever happens afterwards, a report of a day that is over is the same, byte by byte.
#[tokio::test]
async fn a_report_of_the_past_never_changes() {
    let gateway = two_days().await;
    let asked = [
        format!("{DAILY}?as_of=2026-11-23"),
        format!("{DAILY}?as_of=2026-11-24"),
        "/api/v1/reports/monthly/2026-11?as_of=2026-11-24".to_owned(),
        "/api/v1/balance?from=2026-11-23&as_of=2026-11-24".to_owned(),
    ];
    let mut before = Vec::new();
    for path in &asked {
        before.push(bytes(&gateway, path).await);
    }
    let now = bytes(&gateway, DAILY).await;
    apply(&gateway, &[1, 5], at(2 * DAY_S + 10)).await;
    account(&gateway, &[1, 2, 3, 4, 5, 6], at(2 * DAY_S + 20)).await;
    gateway.clock.advance_to(at(9 * DAY_S));
    for (path, before) in asked.iter().zip(&before).take(3) {
        assert!(bytes(&gateway, path).await == *before, "{path} has changed");
    }
    assert!(bytes(&gateway, DAILY).await != now, "as of now it has");
}

#[tokio::test]
async fn a_balance_stands_side_by_side() {
    let gateway = two_days().await;
    let told = gateway.get(JUDGE, "/api/v1/balance?from=2026-11-23").await;
    let acceptance = line(told.ok(200), "lines", "acceptance");
    let (then, now) = (&acceptance["then"], &acceptance["now"]);
    assert_eq!((&then["as_of"], &now["as_of"]), (&json!("2026-11-23"), &json!("2026-11-25")));
    let sides = |told: &Value| {
        let account = &told["account"];
        ["ours", "theirs", "difference", "standing", "completeness"].map(|key| account[key].clone())
    };
    assert_eq!(sides(then), [json!(3), json!(4), json!(1), json!("differing"), json!(75.0)]);
    assert_eq!(sides(now), [json!(4), json!(4), json!(0), json!("verified"), json!(100.0)]);
    assert_eq!((&then["inbound"]["applied"], &now["inbound"]["applied"]), (&json!(3), &json!(3)));
    let completion = line(&told.body, "lines", "completion");
    assert_eq!(
        (&completion["then"]["outbound"]["in_flight"], &completion["now"]["outbound"]["waived"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(completion["then"]["account"]["standing"], "unverified");
    // Without a day it is yesterday's.
    assert_eq!(gateway.get(JUDGE, "/api/v1/balance").await.ok(200)["from"], "2026-11-24");
    let none = gateway.get(JUDGE, "/api/v1/balance?from=2026-11-23&channel=desk").await;
    assert_eq!(none.ok(200)["lines"], json!([]));
}

#[tokio::test]
async fn what_can_not_be_told_is_refused() {
    let gateway = two_days().await;
    for path in [
        "/api/v1/reports/daily/2026-11",
        "/api/v1/reports/daily/2026-02-30",
        "/api/v1/reports/monthly/2026-11-23",
        "/api/v1/reports/daily/2026-11-23?as_of=2026-11-22",
        "/api/v1/reports/daily/2026-11-23?as_of=2026-11-26",
        "/api/v1/reports/daily/2026-11-26",
        "/api/v1/reports/daily/2026-11-23?format=pdf",
        "/api/v1/reports/daily/2026-11-23?as-of=2026-11-23",
        "/api/v1/balance?from=2026-11-23&to=2026-11-22",
        "/api/v1/balance?from=2020-01-01&to=2026-11-22",
        "/api/v1/balance?from=tomorrow",
    ] {
        gateway.get(ADMIN, path).await.problem(400, "invalid_parameter");
    }
    for (path, words) in [
        ("reports/daily/2026-02-30", "日历上没有 2026-02-30 这一天"),
        ("reports/monthly/2026-13", "日历上没有 2026-13 这个月"),
        ("reports/daily/2026-11-26", "2026-11-26 尚未到来：今天是 2026-11-25，可查 "),
        ("reports/monthly/2026-12", "2026-12 尚未到来"),
        ("balance?from=2026-11-24&to=2026-11-26", "2026-11-26 尚未到来"),
        ("balance?from=2026-11-31", "日历上没有 2026-11-31"),
        ("reports/daily/2026-11-23?as_of=2026-11-26", "截至日 2026-11-26 尚未到来"),
    ] {
        let answer = gateway.get(ADMIN, &format!("/api/v1/{path}")).await;
        let told = answer.problem(400, "invalid_parameter")["detail_zh"].as_str().unwrap();
        assert!(told.contains(words), "{path}: {told}");
    }
    gateway.get(ADMIN, "/api/v1/balance?channel=province").await.problem(404, "unknown_channel");
    gateway.get(DESK, DAILY).await.problem(403, "role_not_allowed");
}

async fn file(gateway: &Gateway, query: &str) -> (String, Vec<u8>) {
    let path = format!("{DAILY}?as_of=2026-11-24&{query}");
    let answer = gateway.request(Method::GET, &path).bearer_auth(JUDGE).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (kind, answer.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn a_report_is_shown_in_every_form_and_both_languages() {
    let gateway = two_days().await;
    for (form, kind) in [
        ("csv", "text/csv; charset=utf-8"),
        ("html", "text/html; charset=utf-8"),
        ("text", "text/plain; charset=utf-8"),
    ] {
        for language in ["zh", "en"] {
            let (told, bytes) = file(&gateway, &format!("format={form}&language={language}")).await;
            assert_eq!(told, kind);
            insta::assert_snapshot!(format!("daily_{language}.{form}"), String::from_utf8(bytes).unwrap());
        }
    }
}

/// A figure that one form leaves out is a figure that somebody misses.
#[tokio::test]
async fn every_form_shows_the_same_columns() {
    use calamine::{Reader, Xlsx};
    let gateway = two_days().await;
    for language in ["zh", "en"] {
        let text = async |form: &str| {
            let (_, bytes) = file(&gateway, &format!("format={form}&language={language}")).await;
            String::from_utf8(bytes).unwrap()
        };
        let csv = text("csv").await;
        let columns: Vec<&str> = csv.trim_start_matches('\u{feff}').lines().next().unwrap().split(',').collect();
        assert_eq!(columns.len(), 28);
        let page = text("html").await;
        let head = page.split("<tr>").nth(1).unwrap();
        let on_page: Vec<&str> = head.split("<th>").skip(1).map(|cell| cell.split('<').next().unwrap()).collect();
        assert_eq!(on_page, columns, "html");
        let (_, bytes) = file(&gateway, &format!("format=xlsx&language={language}")).await;
        let mut book: Xlsx<_> = Xlsx::new(std::io::Cursor::new(bytes)).unwrap();
        let totals = book.worksheet_range_at(1).unwrap().unwrap();
        let in_book: Vec<String> = totals.rows().next().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(in_book, columns, "xlsx");
        // Three blocks side by side, each with day, channel and dataset.
        let shown = text("text").await;
        let heads: Vec<&str> = shown.lines().filter(|line| line.starts_with(columns[0])).collect();
        assert_eq!(heads.len(), 3, "{shown}");
        let in_text: Vec<&str> = heads.iter().flat_map(|head| head.split("  ").skip(3)).map(str::trim).collect();
        let in_text: Vec<&str> = in_text.into_iter().filter(|name| !name.is_empty()).collect();
        for name in &columns[3..] {
            assert!(in_text.contains(name), "text lacks {name}: {in_text:?}");
        }
    }
    let json = gateway.get(JUDGE, DAILY).await;
    let line = line(json.ok(200), "lines", "acceptance");
    let count = |of: &Value| of.as_object().unwrap().len();
    // Of the account the JSON has all nine; with day, channel and dataset that is 28 too.
    assert_eq!(3 + 9 + count(&line["inbound"]) + count(&line["outbound"]) + count(&line["gaps"]), 28, "{line}");
    assert_eq!(count(&line["account"]), 9, "{line}");
}

#[tokio::test]
async fn a_day_without_anything_is_told_as_one() {
    let gateway = Gateway::start().await;
    gateway.clock.advance_to(at(2 * DAY_S));
    for (form, words) in [("text", "本期无数据"), ("html", "本期无数据"), ("text&language=en", "Nothing happened")]
    {
        let (_, bytes) = file(&gateway, &format!("format={form}")).await;
        let told = String::from_utf8(bytes).unwrap();
        assert!(told.contains(words) && !told.contains("投递"), "{told}");
    }
}

#[tokio::test]
async fn what_people_wrote_is_no_markup() {
    let gateway = two_days().await;
    let (_, page) = file(&gateway, "format=html").await;
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains("对方确认为测试数据 &lt;test&gt;") && !page.contains("<test>"));
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("src="));
}

/// Read back as a spreadsheet program would: a sheet for each part, numbers as numbers, every gap.
#[tokio::test]
async fn a_workbook_holds_numbers_and_every_gap() {
    use calamine::{Data, Reader, Xlsx};
    let gateway = two_days().await;
    seed_gaps(&gateway, 300).await;
    let (_, bytes) = file(&gateway, "format=xlsx").await;
    assert_eq!(bytes, file(&gateway, "format=xlsx").await.1, "the same report is the same file");
    let mut book: Xlsx<_> = Xlsx::new(std::io::Cursor::new(bytes)).unwrap();
    assert_eq!(book.sheet_names(), ["报告", "汇总", "时延", "差异与修复", "缺口时长", "死信", "告警事件", "缺口清单"]);
    let totals = book.worksheet_range("汇总").unwrap();
    let row = |at: usize| totals.rows().nth(at).unwrap().to_vec();
    assert_eq!(row(0)[..4], ["日期", "渠道", "数据集", "对方"].map(|name| Data::String(name.into())));
    assert_eq!(row(1)[2..6], [Data::String("受理信息".into()), Data::Float(4.0), Data::Float(4.0), Data::Float(0.0)]);
    let latencies = book.worksheet_range("时延").unwrap();
    assert_eq!(latencies.get((1, 5)), Some(&Data::Float(3.0)), "the longest, in seconds");
    assert_eq!(book.worksheet_range("缺口清单").unwrap().height(), 1 + 2 + 300);
}

async fn seed_gaps(gateway: &Gateway, count: u64) {
    for n in 0..count {
        crate::history::gap(gateway, gateway_model::GapKind::MissingOrder, 100 + n, at(DAY_S + 10)).await;
    }
}
