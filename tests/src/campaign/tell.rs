//! A campaign's outcome for people, and what makes it lost.

use super::Outcome;
use super::score::{Row, Score};
use gateway_simulator::judge::Mismatch;
use std::fmt;

/// Every reason why a campaign is lost.
pub(super) fn lost(score: &Score, differing: &[Mismatch], month: &[String], wanted: u32) -> Vec<String> {
    let mut lost = Vec::new();
    let injected: u64 = score.kinds.values().map(|row| row.injected).sum();
    if injected < u64::from(wanted) {
        lost.push(format!("only {injected} of {wanted} faults could be injected"));
    }
    for (kind, row) in &score.kinds {
        let (missed, left) = (row.to_find - row.found, row.repairable - row.repaired - row.refused);
        if missed > 0 {
            lost.push(format!("{kind}: {missed} not found: {}", row.missed.join("; ")));
        }
        if left > 0 {
            lost.push(format!("{kind}: {left} not repaired: {}", row.left.join("; ")));
        }
    }
    if !score.false_gaps.is_empty() {
        lost.push(format!("false gaps: {}", score.false_gaps.join("; ")));
    }
    if !differing.is_empty() {
        let some: Vec<_> = differing.iter().take(10).collect();
        let some: Vec<_> = some.iter().map(|one| format!("{} {} {}", one.dataset, one.number, one.kind)).collect();
        lost.push(format!("the books differ in {} places: {}", differing.len(), some.join("; ")));
    }
    if !month.is_empty() {
        let some: Vec<_> = month.iter().take(10).cloned().collect();
        lost.push(format!("reports differ from the source's books in {} places: {}", month.len(), some.join("; ")));
    }
    lost
}

/// The 95 % bound on a rate of which no case was seen among `n`: 3/n.
fn bound(n: u64) -> f64 {
    3.0 / n.max(1) as f64
}

pub(super) fn table(outcome: &Outcome, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Outcome { seed, days, orders, score, verdict, .. } = outcome;
    writeln!(f, "seed {seed}: {days} days, {orders} orders, {:.0} s", outcome.seconds)?;
    writeln!(
        f,
        "| fault | injected | need not be found | healed by life | to find | found | repairable | repaired | refused | median to find | longest |\n|---|---|---|---|---|---|---|---|---|---|---|"
    )?;
    for (kind, row) in &score.kinds {
        let (median, longest) = match row.seconds_to_find {
            Some((median, longest)) => (minutes(median), minutes(longest)),
            None => (String::new(), String::new()),
        };
        writeln!(
            f,
            "| {kind} | {} | {} | {} | {} | {} | {} | {} | {} | {median} | {longest} |",
            row.injected, row.absorbed, row.healed, row.to_find, row.found, row.repairable, row.repaired, row.refused
        )?;
    }
    let total = |of: fn(&Row) -> u64| score.kinds.values().map(of).sum::<u64>();
    let (to_find, found) = (total(|row| row.to_find), total(|row| row.found));
    writeln!(
        f,
        "faults {}, to find {to_find}, found {found}, repairable {}, repaired {}, refused by the destination {}",
        total(|row| row.injected),
        total(|row| row.repairable),
        total(|row| row.repaired),
        total(|row| row.refused)
    )?;
    writeln!(
        f,
        "gaps {} in {} groups, {} by lateness alone, false {}: at most {:.5} of gaps false, with 95 % confidence",
        score.gaps,
        score.groups,
        score.by_lateness,
        score.false_gaps.len(),
        bound(score.gaps)
    )?;
    if found == to_find {
        writeln!(f, "missed 0 of {to_find}: at most {:.5} missed, with 95 % confidence", bound(to_find))?;
    }
    writeln!(f, "manifest {}; failed rounds {:?}", verdict.manifest, outcome.failed_rounds)?;
    if outcome.lost.is_empty() {
        return write!(f, "won: everything observable was found, named, repaired and verified");
    }
    write!(f, "LOST:\n  {}", outcome.lost.join("\n  "))
}

fn minutes(seconds: i64) -> String {
    format!("{} min", seconds / 60)
}
