//! What a move says while it goes on: a line for people, or a line of JSON, at most once a second for each table and once at its end.

use crate::commands::say;
use gateway_store::carry::{Difference, Phase, Progress};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);

/// Says it.
pub(super) struct Teller {
    as_json: bool,
    now: Option<Now>,
}

/// The table that is being worked on.
struct Now {
    phase: Phase,
    table: &'static str,
    since: Instant,
    first: u64,
    told: Instant,
}

impl Teller {
    pub(super) fn new(as_json: bool) -> Self {
        Self { as_json, now: None }
    }

    /// A step begins, or ended.
    pub(super) fn step(&self, step: &str, text: &str, more: Value) {
        if self.as_json {
            let mut line = json!({ "event": step });
            if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
                line.extend(more);
            }
            say(line);
        } else {
            say(text);
        }
    }

    /// How far it is.
    pub(super) fn progress(&mut self, progress: Progress) {
        let Progress { phase, table, rows, of } = progress;
        if of == 0 {
            return;
        }
        let moment = Instant::now();
        let same = matches!(&self.now, Some(now) if now.phase == phase && now.table == table);
        if !same {
            self.now = Some(Now { phase, table, since: moment, first: rows, told: moment });
        }
        let Some(now) = &mut self.now else { return };
        if same && rows < of && moment.duration_since(now.told) < EVERY {
            return;
        }
        now.told = moment;
        let seconds = moment.duration_since(now.since).as_secs_f64();
        let rate = if seconds > 0.05 { Some((rows.saturating_sub(now.first) as f64 / seconds) as u64) } else { None };
        let share = rows.min(of) * 100 / of;
        if self.as_json {
            say(json!({
                "event": "progress", "phase": phase.as_str(), "table": table, "rows": rows, "of": of,
                "percent": share, "rows_per_second": rate,
            }));
        } else {
            let word = match phase {
                Phase::Check => "check 核对原账",
                Phase::Carry => "carry 迁移",
                Phase::Compare => "compare 比对",
                Phase::AddUp => "add up 核算新账",
            };
            let rate = rate.map(|rate| format!(", {rate} rows/s")).unwrap_or_default();
            say(format_args!("{word} {table}: {rows} / {of} ({share} %){rate}"));
        }
    }

    /// What is not the same.
    pub(super) fn differences(&self, found: &[Difference]) {
        for one in found {
            let text = one.to_string();
            let more = json!({ "table": one.table, "place": one.place, "what": one.what });
            self.step("difference", &format!("differs 不一致: {text}"), more);
        }
    }
}
