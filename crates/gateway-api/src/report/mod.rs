//! `GET /api/v1/reports/…`: the daily and monthly transfer report (全量传输监控报告), from the books and nothing else.
//!
//! A report is told as of the end of a day. Once that day is over it is the same for ever, byte by byte: it is made only of rows that carry their
//! day, and holds no time of its own making.

mod account;
mod books;
mod data;
mod figures;
mod flow;
mod gaps;
mod period;

pub(crate) mod balance;

use crate::Problem;
use crate::extract::{Params, Segment};
use crate::state::Channels;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gateway_model::Clock;
use gateway_store::Store;
use period::{AsOf, Period, read_day};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportParams {
    #[serde(default)]
    format: Format,
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
    let as_of = AsOf::new(params.as_of.as_deref().map(read_day).transpose()?, clock.now())?;
    let report = data::report(store, channels, period, as_of).await?;
    match params.format {
        Format::Json => Ok(Json(report).into_response()),
    }
}
