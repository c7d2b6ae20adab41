//! The lines as CSV, in UTF-8 with a byte order mark, so that Excel reads the Chinese.

use super::document::{Cell, Document};
use crate::{Code, Problem};

pub(crate) fn render(document: &Document) -> Result<Vec<u8>, Problem> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(b"\xef\xbb\xbf".to_vec());
    let table = &document.lines;
    let failed = |error: csv::Error| Problem::new(Code::Internal, error.to_string());
    writer.write_record(table.columns.iter().map(|column| column.name)).map_err(failed)?;
    for row in &table.rows {
        writer.write_record(row.iter().map(show)).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| Problem::new(Code::Internal, error.to_string()))
}

fn show(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Number(number) => number.to_string(),
        Cell::Share(share) => format!("{share:.2}"),
        Cell::Duration(ms) => format!("{}.{:03}", ms / 1_000, ms % 1_000),
    }
}
