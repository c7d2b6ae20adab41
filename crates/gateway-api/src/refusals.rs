//! What people are refused most often, in both languages: one place, so that every path says it alike, and says what there is instead.

use crate::state::{Alerts, Channels};
use crate::{Code, Problem};
use gateway_model::{ChannelId, Day, GapGroupId};

/// What a thing of the API is called in Chinese.
pub(crate) fn thing(what: &str) -> &str {
    match what {
        "order" => "工单",
        "gap" => "缺口",
        "gap group" => "缺口组",
        "dead letter" => "死信",
        "delivery" => "投递",
        "incident" => "告警事件",
        "silence" => "静默",
        "pair of orders" => "疑似重复",
        "stopped repair" => "已暂停的修复",
        "attachment" => "附件",
        "raw record" => "原始记录",
        "attached month" => "在库月份",
        "archived month" => "已归档月份",
        other => other,
    }
}

/// A channel that is not configured.
pub(crate) fn unknown_channel(channel: &ChannelId, channels: &Channels) -> Problem {
    let names: Vec<&str> = channels.0.iter().map(|info| info.channel.as_str()).collect();
    let names = names.join(", ");
    Problem::new(Code::UnknownChannel, format!("no channel {channel} is configured: there are {names}"))
        .zh(format!("没有配置渠道 {channel}；已配置的有：{names}"))
}

/// A code that no incident has.
pub(crate) fn unknown_code(code: &str, alerts: &Alerts, as_code: Code) -> Problem {
    let codes = alerts.codes.join(", ");
    Problem::new(as_code, format!("`{code}` is no code of an incident: there are {codes}"))
        .zh(format!("没有告警代码 {code}；可用的有：{codes}"))
}

/// A group that was never there.
pub(crate) fn unknown_group(id: GapGroupId) -> Problem {
    let list = "hotline-gateway gaps list --finished";
    Problem::not_found("gap group", format!("{id}: `{list}` shows those there are"))
        .zh(format!("没有缺口组 {id}；用 {list} 查看全部缺口组"))
}

/// What is no day: not written as one, or not in the calendar.
pub(crate) fn no_day(text: &str) -> Problem {
    if text.len() == 10 && is_dated(text, &[4, 7]) {
        return Problem::parameter(format!("{text} is no day of the calendar")).zh(format!("日历上没有 {text} 这一天"));
    }
    Problem::parameter("a day is written as 2026-11-24").zh("日期的写法如 2026-11-24")
}

/// What is no month.
pub(crate) fn no_month(text: &str) -> Problem {
    if text.len() == 7 && is_dated(text, &[4]) {
        return Problem::parameter(format!("{text} is no month of the calendar"))
            .zh(format!("日历上没有 {text} 这个月"));
    }
    Problem::parameter("a month is written as 2026-11").zh("月份的写法如 2026-11")
}

/// Digits, with dashes at these places.
fn is_dated(text: &str, dashes: &[usize]) -> bool {
    text.bytes().enumerate().all(|(at, byte)| if dashes.contains(&at) { byte == b'-' } else { byte.is_ascii_digit() })
}

/// A day or month that has not begun; `first` is the first day that anything is known of.
pub(crate) fn not_begun(name: &str, today: Day, first: Option<Day>) -> Problem {
    let (there, zh) = match first {
        Some(first) => (format!("days from {first} to {today} can be told"), format!("可查 {first} 至 {today}")),
        None => ("nothing has come in yet".to_owned(), "目前尚无任何数据".to_owned()),
    };
    Problem::parameter(format!("{name} has not begun: today is {today}, and {there}"))
        .zh(format!("{name} 尚未到来：今天是 {today}，{zh}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;

    async fn said(problem: Problem) -> String {
        let body = axum::body::to_bytes(problem.into_response().into_body(), 10_000).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_day_that_is_none_is_told_from_one_that_is_badly_written() {
        for (text, words) in [
            ("2026-02-30", "日历上没有 2026-02-30"),
            ("2026-13-01", "is no day of the calendar"),
            ("20260230", "写法如"),
            ("2026-2-3", "写法如"),
            ("昨天", "写法如"),
        ] {
            assert!(said(no_day(text)).await.contains(words), "{text}");
        }
        assert!(said(no_month("2026-13")).await.contains("日历上没有 2026-13"));
        assert!(said(no_month("一月")).await.contains("写法如"));
    }
}
