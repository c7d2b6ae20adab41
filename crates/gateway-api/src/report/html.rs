//! The report as one HTML page: nothing is loaded, no script, readable on paper.

use super::document::{Document, Table};
use super::words::Language;

/// The most rows of a table; the whole list is in the workbook.
const MOST_ROWS: usize = 1_000;

const STYLE: &str = "\
body{font-family:\"Noto Sans CJK SC\",\"Microsoft YaHei\",\"PingFang SC\",sans-serif;margin:2em auto;max-width:1500px;padding:0 1em;color:#1a1a1a}\
h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}dl{display:grid;grid-template-columns:max-content auto;gap:.2em 1em}dt{color:#555}dd{margin:0}\
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.85em}th,td{border:1px solid #bbb;padding:.25em .5em;text-align:left;vertical-align:top}\
th{background:#eef1f5;font-weight:600}td.n{text-align:right;font-variant-numeric:tabular-nums}p.note{color:#555}\
@media print{@page{size:A4 landscape;margin:10mm}body{margin:0;max-width:none;padding:0}.scroll{overflow:visible}table{font-size:7pt}thead{display:table-header-group}tr{break-inside:avoid}}";

pub(crate) fn render(document: &Document) -> String {
    let title = escape(&document.title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<h1>{title}</h1>\n<dl>\n",
        document.language.tag(),
    );
    for (label, value) in &document.head {
        page.push_str(&format!("<dt>{}</dt><dd>{}</dd>\n", escape(label), escape(value)));
    }
    page.push_str("</dl>\n");
    for table in document.tables() {
        push_table(&mut page, table, document.language);
    }
    if document.tables().next().is_none() {
        let nothing = document.language.say("本期无数据。", "Nothing happened in this period.");
        page.push_str(&format!("<p>{nothing}</p>\n"));
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn push_table(page: &mut String, table: &Table, language: Language) {
    page.push_str(&format!("<h2>{}</h2>\n<div class=\"scroll\"><table>\n<thead><tr>", escape(table.name)));
    for column in &table.columns {
        page.push_str(&format!("<th>{}</th>", escape(column.name)));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in table.rows.iter().take(MOST_ROWS) {
        page.push_str("<tr>");
        for cell in row {
            let class = if cell.is_number() { " class=\"n\"" } else { "" };
            page.push_str(&format!("<td{class}>{}</td>", escape(&cell.show(language))));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n");
    if let Some(more) = table.rows.len().checked_sub(MOST_ROWS).filter(|more| *more > 0) {
        let note = match language {
            Language::Zh => format!("另有 {more} 行，完整清单见 XLSX。"),
            Language::En => format!("{more} more rows; the whole list is in the XLSX."),
        };
        page.push_str(&format!("<p class=\"note\">{note}</p>\n"));
    }
}

/// Text as text, in elements and attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
