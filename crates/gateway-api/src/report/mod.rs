//! `GET /api/v1/reports/…`: the daily and monthly transfer report (全量传输监控报告), from the books and nothing else.
//!
//! A report is told as of the end of a day. Once that day is over it is the same for ever, byte by byte: it is made only of rows that carry their
//! day, and holds no time of its own making.

mod account;
mod books;
mod csv;
mod data;
mod document;
mod figures;
mod flow;
mod gaps;
mod html;
mod period;
mod text;
mod words;
mod xlsx;

pub(crate) mod balance;

pub(crate) use text::push_aligned;
pub(crate) use words::Language;

use crate::extract::{Params, Segment};
use crate::state::Channels;
use crate::{Code, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use document::Document;
use gateway_model::Clock;
use gateway_store::Store;
use period::{AsOf, Period, has_begun, read_day};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Json,
    Csv,
    Html,
    Xlsx,
    Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportParams {
    #[serde(default)]
    format: Format,
    #[serde(default)]
    language: Language,
    as_of: Option<String>,
}

/// `GET /api/v1/reports/daily/{day}`
pub(crate) async fn daily(
    State(store): State<Arc<dyn Store>>,
    State(channels): State<Channels>,
    State(clock): State<Arc<dyn Clock>>,
    segment: Segment,
    Params(params): Params<ReportParams>,
) -> Result<Response, Problem> {
    make(&*store, &channels, &*clock, Period::day(&segment.0)?, &params).await
}

/// `GET /api/v1/reports/monthly/{month}`
pub(crate) async fn monthly(
    State(store): State<Arc<dyn Store>>,
    State(channels): State<Channels>,
    State(clock): State<Arc<dyn Clock>>,
    segment: Segment,
    Params(params): Params<ReportParams>,
) -> Result<Response, Problem> {
    make(&*store, &channels, &*clock, Period::month(&segment.0)?, &params).await
}

async fn make(
    store: &dyn Store,
    channels: &Channels,
    clock: &dyn Clock,
    period: Period,
    params: &ReportParams,
) -> Result<Response, Problem> {
    let now = clock.now();
    has_begun(store, channels, &period.name(), period.days().from, now).await?;
    let as_of = AsOf::new(params.as_of.as_deref().map(read_day).transpose()?, now)?;
    let report = data::report(store, channels, period, as_of).await?;
    let (format, language) = (params.format, params.language);
    let name = format!("transfer-report-{}", report.period);
    // A long list takes its time; nothing else waits for it.
    let rendered = tokio::task::spawn_blocking(move || {
        let document = || Document::new(&report, language);
        Ok(match format {
            Format::Json => Json(report).into_response(),
            Format::Html => typed("text/html; charset=utf-8", html::render(&document()).into_bytes()),
            Format::Text => typed("text/plain; charset=utf-8", text::render(&document()).into_bytes()),
            Format::Csv => file(&name, "csv", "text/csv; charset=utf-8", csv::render(&document())?),
            Format::Xlsx => file(&name, "xlsx", XLSX, xlsx::render(&document())?),
        })
    });
    rendered.await.map_err(|error| Problem::new(Code::Internal, error.to_string()))?
}

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

pub(crate) fn typed(kind: &'static str, bytes: Vec<u8>) -> Response {
    const NO_SNIFF: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    ([(header::CONTENT_TYPE, kind), NO_SNIFF], bytes).into_response()
}

fn file(name: &str, ending: &str, kind: &'static str, bytes: Vec<u8>) -> Response {
    let disposition = [(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.{ending}\""))];
    (disposition, typed(kind, bytes)).into_response()
}
