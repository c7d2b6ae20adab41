//! The report for a terminal: every column that the other forms have, the many of the lines side by side in three blocks that fit.

use super::document::{Cell, Document, Table};
use super::words::Language;

/// What every block of the lines begins with: day, channel, dataset.
const NAMES: usize = 3;
/// How many gaps are listed.
const MOST_ROWS: usize = 50;

pub(crate) fn render(document: &Document) -> String {
    let mut text = format!("{}\n", document.title);
    for (label, value) in &document.head {
        text.push_str(&format!("{label}: {value}\n"));
    }
    if document.tables().next().is_none() {
        text.push_str(&format!("\n{}\n", document.language.say("本期无数据。", "Nothing happened in this period.")));
        return text;
    }
    let lines = &document.lines;
    for (name, columns) in &document.blocks {
        let shown: Vec<usize> = (0..NAMES).chain(columns.clone()).collect();
        push_columns(&mut text, &format!("{} · {name}", lines.name), lines, &shown, document.language);
    }
    for table in document.tables().skip(usize::from(!document.lines.rows.is_empty())) {
        let all: Vec<usize> = (0..table.columns.len()).collect();
        push_columns(&mut text, table.name, table, &all, document.language);
    }
    text
}

fn push_columns(text: &mut String, name: &str, table: &Table, columns: &[usize], language: Language) {
    text.push_str(&format!("\n{name}\n"));
    let head = columns.iter().filter_map(|at| table.columns.get(*at)).map(|column| column.name.to_owned()).collect();
    let row =
        |cells: &Vec<Cell>| columns.iter().filter_map(|at| cells.get(*at)).map(|cell| cell.show(language)).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(table.rows.iter().take(MOST_ROWS).map(row)).collect();
    push_aligned(text, &rows);
    if table.rows.len() > MOST_ROWS {
        let more = table.rows.len() - MOST_ROWS;
        text.push_str(&match language {
            Language::Zh => format!("…… 另有 {more} 行，完整清单用 --format xlsx\n"),
            Language::En => format!("… {more} more rows: --format xlsx has them all\n"),
        });
    }
}

/// Pushes rows in columns as wide as their widest cell.
pub(crate) fn push_aligned(text: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, wide) in row.iter().zip(&widths) {
            let cell = cell.replace(['\n', '\r', '\t'], " ");
            let pad = wide.saturating_sub(width(&cell)) + 2;
            line.push_str(&cell);
            line.extend(std::iter::repeat_n(' ', pad));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// A Han character is as wide as two Latin ones.
fn width(text: &str) -> usize {
    text.chars().map(|character| if character as u32 >= 0x1100 { 2 } else { 1 }).sum()
}
