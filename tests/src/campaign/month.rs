//! The gateway's monthly and daily reports, held against the platform's own books, to the record.

use super::score::Left;
use super::world::Side;
use super::{Trouble, World};
use gateway_simulator::digest::Dataset;
use gateway_simulator::{FaultKind, Injected, clock};
use serde_json::Value;

/// No clock is set wrong by more.
const MOST_SKEW_MS: i64 = 12 * 60_000;

/// Where the report of the first month and the source's books differ. Life is over and settled, so both sides stand still.
///
/// # Errors
/// When the gateway can't be read.
pub(super) async fn differences(world: &World, month: &str, days: u32, left: &Left) -> Result<Vec<String>, Trouble> {
    let report = world.ask(&format!("/api/v1/reports/monthly/{month}?format=json")).await?;
    let rows = report["days"].as_array().cloned().unwrap_or_default();
    let mut differences: Vec<String> =
        world.sides.iter().flat_map(|side| of_month(side, &rows, (month, days), left)).collect();
    for day in [days / 3, days / 2, days - 1].map(|day| format!("{month}-{:02}", day.max(1))) {
        let report = world.ask(&format!("/api/v1/reports/daily/{day}?format=json&as_of={day}")).await?;
        let rows = report["lines"].as_array().cloned().unwrap_or_default();
        for side in &world.sides {
            let of_dataset = |dataset| as_of_then(side, &rows, &day, dataset);
            differences.extend(Dataset::ALL.into_iter().filter_map(of_dataset));
        }
    }
    Ok(differences)
}

/// Where the month's lines of a side differ from its own book.
fn of_month(side: &Side, rows: &[Value], (month, days): (&str, u32), left: &Left) -> Vec<String> {
    let mut differences = Vec::new();
    let mut seen = 0;
    for day in (1..=days).map(|day| format!("{month}-{day:02}")) {
        for dataset in Dataset::ALL {
            let (from, to) = bounds(&day);
            let truly = side.platform.tally(dataset, &from, &to, None) as u64;
            let account = line(side, rows, dataset, Some(&day)).map(|row| &row["account"]);
            let count = |name: &str| account.and_then(|account| account[name].as_u64()).unwrap_or_default();
            seen += truly;
            // What the destination refuses to take is ours alone, and an open gap says so.
            let (least, most) = (truly, truly + left.refused_on(side.channel, dataset, &day));
            let (ours, theirs) = (count("ours"), count("theirs"));
            if !(least..=most).contains(&ours) || theirs != truly {
                let (channel, dataset) = (side.channel, dataset.as_str());
                differences
                    .push(format!("{channel} {day} {dataset}: reported ours {ours}, theirs {theirs}, truly {truly}"));
            }
        }
    }
    if seen == 0 {
        differences.push(format!("{} has nothing in {month}", side.channel));
    }
    differences
}

/// What the source is said to have counted then is what its history says that it held then.
fn as_of_then(side: &Side, rows: &[Value], day: &str, dataset: Dataset) -> Option<String> {
    let account = &line(side, rows, dataset, None)?["account"];
    let theirs = account["theirs"].as_u64()?;
    let (at, _) = account["account_at"].as_str().and_then(clock::api_ms)?;
    // What the source said while it lied is what it said; and while its clock is wrong, so is when it says that it said it.
    let untrue = |fault: &Injected| {
        let lasted = |by| fault.window.is_some_and(|(from, until)| (from - by..=until + by).contains(&at));
        let lied = fault.kind.as_str().starts_with("manifest_") && fault.dataset == Some(dataset);
        (lied && (lasted(0) || fault.at_ms == at)) || (fault.kind == FaultKind::ClockSkew && lasted(MOST_SKEW_MS))
    };
    if side.platform.injected().iter().any(untrue) {
        return None;
    }
    let (from, to) = bounds(day);
    // The account and what was answered in the same instant have no order between them.
    let truly = [at - 1, at].map(|at| side.platform.tally(dataset, &from, &to, Some(at)) as u64);
    let wrong = !(truly[0].min(truly[1])..=truly[0].max(truly[1])).contains(&theirs);
    let (channel, dataset) = (side.channel, dataset.as_str());
    wrong.then(|| format!("{channel} {day} {dataset} as of then: reported theirs {theirs}, truly {truly:?}"))
}

fn line<'a>(side: &Side, rows: &'a [Value], dataset: Dataset, day: Option<&str>) -> Option<&'a Value> {
    rows.iter().find(|row| {
        row["channel"] == side.channel && row["dataset"] == dataset.as_str() && day.is_none_or(|day| row["day"] == day)
    })
}

fn bounds(day: &str) -> (String, String) {
    let from = format!("{day} 00:00:00");
    let next = clock::wire_ms(&from).map(|ms| clock::wire_time(ms + 86_400_000));
    (from, next.unwrap_or_default())
}
