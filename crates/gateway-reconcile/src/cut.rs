//! Cutting a first account into calls that a peer can bear.
//!
//! Totals and months of everything are a few hundred lines. Days of a century are not, and a list of everything less so: those are asked for piece
//! by piece, by what our own book leads to expect.

use crate::compare::Tally;
use crate::descend::Step;
use crate::error::ReconcileError;
use crate::tour::{Tour, total};
use gateway_model::{Dataset, Grain, Timestamp, Window};

const DAY_S: i64 = 86_400;

/// The piece of a step that one call asks for, and the rest. Only first accounts are cut; what follows from one is narrow already.
pub(crate) async fn cut(tour: &Tour<'_>, dataset: Dataset, step: Step) -> Result<(Step, Option<Step>), ReconcileError> {
    if step.parents.is_some() {
        return Ok((step, None));
    }
    let buckets = i64::from(tour.context.config.buckets_per_call.max(1));
    let end = match step.grain {
        Grain::Total | Grain::Month => step.window.end,
        Grain::Day => after(step.window.start, buckets.saturating_mul(DAY_S)),
        Grain::Hour => after(step.window.start, buckets.saturating_mul(3_600)),
        Grain::TenMinutes => after(step.window.start, buckets.saturating_mul(600)),
        Grain::Ids => list_until(tour, dataset, step.window.start).await?,
    };
    if end >= step.window.end {
        return Ok((step, None));
    }
    let rest = Step { window: Window::new(end, step.window.end), ..step.clone() };
    Ok((Step { window: Window::new(step.window.start, end), ..step }, Some(rest)))
}

fn after(start: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_second(start.as_second().saturating_add(seconds)).unwrap_or(Timestamp::MAX)
}

// A month; a day where a month holds too much; a year of a future that hardly holds anything.
async fn list_until(tour: &Tour<'_>, dataset: Dataset, start: Timestamp) -> Result<Timestamp, ReconcileError> {
    if start > after(tour.context.now(), 31 * DAY_S) {
        return Ok(after(start, 365 * DAY_S));
    }
    let month = Grain::Month.bucket(start);
    let Tally { count, .. } = total(&tour.our_sums(dataset, month, Grain::Month).await?);
    Ok(if count > tour.context.config.ids_per_call { Grain::Day.bucket(start).end } else { month.end })
}
