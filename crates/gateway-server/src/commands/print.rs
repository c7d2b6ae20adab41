//! Plain printing for people: aligned columns, nothing more.

use serde_json::Value;
use std::io::Write as _;

/// What a shell shows for a program that SIGPIPE ended: no verdict that nobody read passes for success.
const BROKEN_PIPE: i32 = 141;

/// Prints a line. A reader that has gone away (`| head`) ends the program, quietly, as it ends other programs.
pub fn say(line: impl std::fmt::Display) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(BROKEN_PIPE);
    }
}

/// Prints a value as JSON on one line.
pub fn json(value: &Value) {
    say(value);
}

/// Prints rows under a head, in columns as wide as their widest cell (a Han character counts two); that there are none is said.
pub fn table(head: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = head.iter().map(|cell| width(cell)).collect();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            if let Some(widest) = widths.get_mut(at) {
                *widest = (*widest).max(width(cell));
            }
        }
    }
    line(&head.iter().map(ToString::to_string).collect::<Vec<_>>(), &widths);
    if rows.is_empty() {
        say("(none 无)");
    }
    for row in rows {
        line(row, &widths);
    }
}

fn line(cells: &[String], widths: &[usize]) {
    let mut text = String::new();
    for (at, cell) in cells.iter().enumerate() {
        text.push_str(cell);
        let pad = widths.get(at).copied().unwrap_or(0).saturating_sub(width(cell)) + 2;
        text.extend(std::iter::repeat_n(' ', pad));
    }
    say(text.trim_end());
}

fn width(text: &str) -> usize {
    text.chars().map(|character| if character as u32 >= 0x1100 { 2 } else { 1 }).sum()
}

/// A value in a cell: text as it is, nothing for null.
#[must_use]
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace(['\n', '\r', '\t'], " "),
        other => other.to_string(),
    }
}
