//! `GET /api/v1/balance`: the balance (账实核对) of past days, as it was then and as it is now, side by side.

use super::account::Account;
use super::books::{Books, Part};
use super::flow::{Inbound, Outbound};
use super::period::{AsOf, has_begun, next, read_day};
use crate::Problem;
use crate::extract::Params;
use crate::state::Channels;
use axum::Json;
use axum::extract::State;
use gateway_model::{ChannelId, Clock, Dataset, Day, day_of};
use gateway_store::{Days, Store};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// How many days are told at once.
const MOST_DAYS: usize = 92;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BalanceParams {
    from: Option<String>,
    to: Option<String>,
    channel: Option<ChannelId>,
    as_of: Option<String>,
}

/// Both books of a day.
#[derive(Serialize)]
struct Told {
    as_of: Day,
    account: Option<Account>,
    inbound: Inbound,
    outbound: Outbound,
}

impl Told {
    fn new(books: &Books, days: Days, part: Part, as_of: AsOf) -> Self {
        Self {
            as_of: as_of.day,
            account: books.account(days, part),
            inbound: books.inbound(days, part),
            outbound: books.outbound(days, part),
        }
    }
}

/// `GET /api/v1/balance`
pub(crate) async fn balance(
    State(store): State<Arc<dyn Store>>,
    State(channels): State<Channels>,
    State(clock): State<Arc<dyn Clock>>,
    Params(params): Params<BalanceParams>,
) -> Result<Json<Value>, Problem> {
    let now = clock.now();
    let read = |text: &Option<String>| text.as_deref().map(read_day).transpose();
    // Without a day, yesterday: the last that is over.
    let yesterday = day_of(now).yesterday().unwrap_or(Day::MIN);
    let from = read(&params.from)?.or(read(&params.to)?).unwrap_or(yesterday);
    let to = read(&params.to)?.unwrap_or(from);
    let asked = read(&params.as_of)?;
    if to < from {
        return Err(Problem::parameter("`to` lies before `from`").zh("结束日期早于起始日期"));
    }
    has_begun(&*store, &channels, &to.to_string(), to, now).await?;
    let days: Vec<Day> = std::iter::successors(Some(from), |day| Some(next(*day)))
        .take_while(|day| *day <= to)
        .take(MOST_DAYS + 1)
        .collect();
    if days.len() > MOST_DAYS {
        return Err(Problem::parameter(format!("at most {MOST_DAYS} days are told at once"))
            .zh(format!("一次最多查询 {MOST_DAYS} 天")));
    }
    let today = AsOf::new(None, now)?;
    channels.known(params.channel.as_ref())?;
    let chosen = channels.0.iter().filter(|info| params.channel.as_ref().is_none_or(|only| info.channel == *only));
    let mut lines = Vec::new();
    for info in chosen {
        for day in &days {
            let of_day = Days { from: *day, to: next(*day) };
            let then = AsOf::new(Some(asked.unwrap_or(*day)), now)?;
            then.cut(of_day)?;
            let books_then = Books::load(&*store, info, of_day, then).await?;
            let books_now = Books::load(&*store, info, of_day, today).await?;
            let mut parts = books_then.parts(of_day);
            parts.extend(books_now.parts(of_day));
            for part in parts {
                lines.push(json!({
                    "day": day, "channel": info.channel, "verifiable": info.manifest,
                    "dataset": part.map_or("unknown", Dataset::as_str),
                    "then": Told::new(&books_then, of_day, part, then), "now": Told::new(&books_now, of_day, part, today),
                }));
            }
        }
    }
    Ok(Json(json!({"from": from, "to": to, "lines": lines})))
}
