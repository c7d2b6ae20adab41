//! The report as a workbook: a sheet for each table, numbers as numbers, durations in seconds.

use super::document::{Cell, Column, Document, Table};
use super::words::Language;
use crate::{Code, Problem};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, FormatAlign, Workbook, Worksheet, XlsxError};

/// The most rows below the head that a sheet takes.
const MOST_ROWS: usize = 1_048_000;

/// What the cells look like.
struct Look {
    head: Format,
    number: Format,
    share: Format,
    seconds: Format,
}

pub(crate) fn render(document: &Document) -> Result<Vec<u8>, Problem> {
    workbook(document).map_err(|error| Problem::new(Code::Internal, error.to_string()))
}

fn workbook(document: &Document) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    // A fixed time: the same report is the same file.
    let properties =
        DocProperties::new().set_title(&document.title).set_creation_datetime(&ExcelDateTime::from_ymd(2000, 1, 1)?);
    workbook.set_properties(&properties);
    let look = Look {
        head: Format::new().set_bold().set_text_wrap().set_align(FormatAlign::Top),
        number: Format::new().set_num_format("#,##0"),
        share: Format::new().set_num_format("0.00"),
        seconds: Format::new().set_num_format("#,##0.000"),
    };
    let cover = workbook.add_worksheet();
    cover.set_name(document.language.say("报告", "report"))?;
    cover.set_column_width(0, 24)?.set_column_width(1, 60)?;
    cover.write_with_format(0, 0, document.title.as_str(), &look.head)?;
    for (row, (label, value)) in (2..).zip(&document.head) {
        cover.write(row, 0, *label)?.write(row, 1, value.as_str())?;
    }
    for table in document.tables() {
        let sheet = workbook.add_worksheet();
        sheet.set_name(table.name)?;
        fill(sheet, table, &look, document.language)?;
    }
    workbook.save_to_buffer()
}

fn fill(sheet: &mut Worksheet, table: &Table, look: &Look, language: Language) -> Result<(), XlsxError> {
    sheet.set_freeze_panes(1, 0)?;
    for (at, column) in (0..).zip(&table.columns) {
        sheet.set_column_width(at, column.width)?;
        sheet.write_with_format(0, at, title(column, language), &look.head)?;
    }
    let shown = table.rows.len().min(MOST_ROWS);
    for (row, cells) in (1..).zip(table.rows.iter().take(shown)) {
        for (at, cell) in (0..).zip(cells) {
            write(sheet, row, at, cell, look)?;
        }
    }
    if let (Some(last), Some(columns)) = (u32::try_from(shown).ok(), u16::try_from(table.columns.len()).ok()) {
        sheet.autofilter(0, 0, last, columns.saturating_sub(1))?;
    }
    Ok(())
}

fn title(column: &Column, language: Language) -> String {
    if column.is_duration {
        format!("{}{}", column.name, language.say("（秒）", " (s)"))
    } else {
        column.name.to_owned()
    }
}

fn write(sheet: &mut Worksheet, row: u32, at: u16, cell: &Cell, look: &Look) -> Result<(), XlsxError> {
    // A workbook's numbers are floating point; nothing here counts beyond 2^53.
    match cell {
        Cell::Empty => return Ok(()),
        Cell::Text(text) => sheet.write(row, at, text.as_str())?,
        Cell::Number(number) => sheet.write_with_format(row, at, *number as f64, &look.number)?,
        Cell::Share(share) => sheet.write_with_format(row, at, *share, &look.share)?,
        Cell::Duration(ms) => sheet.write_with_format(row, at, *ms as f64 / 1_000.0, &look.seconds)?,
    };
    Ok(())
}
