//! What came in of an order: stated, received, parked, applied; commands, dead letters, gaps.

use super::stage::Stage;
use crate::report::Language;
use crate::views::ChinaTime;
use gateway_model::{ChannelId, Dataset, Moment, Part, RawId, Timestamp, Verdict};
use gateway_store::{GapRow, GapStep, OrderTrace, OrderView, RawMeta, TimelineRow, VerificationRow};
use serde_json::json;
use std::collections::BTreeMap;

pub(super) fn stages(
    view: &OrderView,
    timeline: &[TimelineRow],
    traced: &OrderTrace,
    records: &BTreeMap<RawId, &RawMeta>,
    l: Language,
) -> Vec<Stage> {
    let order = &view.aggregate;
    let mut stages = Vec::new();
    for facet in &order.facets {
        stages.push(event(&facet.channel, facet.dataset, &facet.part, facet.event_time, l));
        if facet.echo {
            stages.push(echo(&facet.channel, facet.dataset, &facet.part, facet.received_at, l));
        }
    }
    for row in &order.events {
        stages.push(event(&row.channel, row.dataset, &row.part, row.event_time, l));
        if row.echo {
            stages.push(echo(&row.channel, row.dataset, &row.part, row.received_at, l));
        }
    }
    stages.extend(records.iter().map(|(id, meta)| received(*id, meta, l)));
    stages.extend(timeline.iter().map(|line| applied(line, records.get(&line.raw_id).copied(), l)));
    for command in &traced.commands {
        let refused = command.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
        let verdict = match command.state {
            gateway_model::CommandState::Applied => l.say("已应用", "applied"),
            gateway_model::CommandState::Refused => l.say("被拒绝", "refused"),
        };
        stages.push(Stage {
            at: command.at,
            rank: 4,
            kind: "command",
            text: format!("{} {} {verdict}{refused}", l.say("指令", "command"), l.operation(command.operation)),
            details: json!({
                "command_id": command.id, "operation": command.operation, "round": command.round, "state": command.state,
                "reason": command.reason, "raw_id": command.raw_id,
            }),
        });
    }
    for (raw_id, since) in &traced.parked {
        stages.push(Stage {
            at: *since,
            rank: 3,
            kind: "parked",
            text: format!("{} #{raw_id}", l.say("暂存，等待工单", "parked, waits for its order: record")),
            details: json!({"raw_id": raw_id}),
        });
    }
    for letter in &traced.dead_letters {
        let common = json!({"channel": letter.channel, "dead_letter_id": letter.id, "raw_id": letter.raw_id, "code": letter.code, "reason": letter.reason});
        stages.push(Stage {
            at: letter.at,
            rank: 3,
            kind: "dead_letter",
            text: format!("{} {} {}: {}", l.say("进入死信", "dead letter"), letter.channel, letter.code, letter.reason),
            details: common,
        });
        if let Some(at) = letter.settled_at {
            let why = letter.settled_reason.as_deref().unwrap_or_default();
            stages.push(Stage {
                at,
                rank: 4,
                kind: "dead_letter_settled",
                text: format!("{} {}: {why}", l.say("死信已处置", "dead letter settled"), letter.state.as_str()),
                details: json!({"dead_letter_id": letter.id, "state": letter.state.as_str(), "reason": letter.settled_reason}),
            });
        }
    }
    stages
}

fn what(channel: &ChannelId, dataset: Dataset, part: &Part, l: Language) -> String {
    format!("{channel} {} {part}", l.dataset(Some(dataset)))
}

fn event(channel: &ChannelId, dataset: Dataset, part: &Part, at: Moment, l: Language) -> Stage {
    let only_day = if at.is_date_only() { l.say("（仅知日期）", " (day only)") } else { "" };
    Stage {
        at: at.start(),
        rank: 0,
        kind: "event",
        text: format!("{} {}{only_day}", l.say("事件发生", "event"), what(channel, dataset, part, l)),
        details: json!({"channel": channel, "dataset": dataset, "part": part, "event_time": at}),
    }
}

fn echo(channel: &ChannelId, dataset: Dataset, part: &Part, at: Timestamp, l: Language) -> Stage {
    Stage {
        at,
        rank: 8,
        kind: "echo",
        text: format!(
            "{} {}",
            l.say("回显（对端确认持有）", "echo: it has what we delivered:"),
            what(channel, dataset, part, l)
        ),
        details: json!({"channel": channel, "dataset": dataset, "part": part}),
    }
}

fn received(id: RawId, meta: &RawMeta, l: Language) -> Stage {
    let on_bus = format!("{}/{}/{}", meta.topic, meta.partition, meta.offset);
    Stage {
        at: meta.received_at,
        rank: 1,
        kind: "received",
        text: format!(
            "{} {} {} #{id}, {} {on_bus}",
            l.say("接收", "received from"),
            meta.channel,
            l.origin(meta.origin),
            l.say("写入总线", "appended at"),
        ),
        details: json!({
            "channel": meta.channel, "origin": meta.origin, "raw_id": id, "read_at": ChinaTime(meta.read_at), "topic": meta.topic,
            "partition": meta.partition, "offset": meta.offset,
        }),
    }
}

fn applied(line: &TimelineRow, record: Option<&RawMeta>, l: Language) -> Stage {
    let took_ms =
        record.and_then(|meta| u64::try_from(line.at.as_millisecond() - meta.received_at.as_millisecond()).ok());
    let took = took_ms.map_or_else(String::new, |ms| format!(", {} {}", l.say("用时", "took"), l.duration(ms)));
    Stage {
        at: line.at,
        rank: 2,
        kind: "applied",
        text: format!(
            "{} {} #{}, {} {}{took}",
            l.say("入库", "applied"),
            what(&line.channel, line.dataset, &line.part, l),
            line.raw_id,
            l.say("第", "change"),
            match l {
                Language::Zh => format!("{} 次变更", line.seq),
                Language::En => line.seq.to_string(),
            },
        ),
        details: json!({
            "channel": line.channel, "dataset": line.dataset, "part": line.part, "raw_id": line.raw_id, "seq": line.seq, "took_ms": took_ms,
        }),
    }
}

/// What came of comparing with the operating data, as it was last judged.
pub(super) fn verified(row: &VerificationRow, l: Language) -> Stage {
    let result = &row.result;
    let verdict = l.say(result.verdict.chinese(), result.verdict.as_str());
    let differing: Vec<&str> = (result.mismatches.iter().map(|mismatch| mismatch.field))
        .chain(result.unregistered.iter().copied())
        .map(|field| l.say(field.chinese(), field.as_str()))
        .collect();
    let asked = row.looked_up.as_ref().filter(|asked| asked.raw_id == row.raw_id);
    let waits = asked.filter(|_| result.verdict == Verdict::Pending).map_or_else(String::new, |asked| {
        let error = asked.error.as_deref().unwrap_or("-");
        match l {
            Language::Zh => format!("（运营数据服务未应答：{error}，已试 {} 次，自动重试）", asked.attempts),
            Language::En => {
                format!(
                    " (the operating-data service did not answer: {error}, {} attempts, asked again)",
                    asked.attempts
                )
            }
        }
    });
    let differing = if differing.is_empty() { String::new() } else { format!(": {}", differing.join(", ")) };
    Stage {
        at: row.at,
        rank: 3,
        kind: "verified",
        text: format!("{} {} {verdict}{differing}{waits}", l.say("核查", "verified:"), row.channel),
        details: json!({
            "channel": row.channel, "verdict": result.verdict, "compared": result.compared,
            "mismatches": result.mismatches.iter().map(|mismatch| mismatch.field).collect::<Vec<_>>(),
            "unregistered": result.unregistered, "raw_id": row.raw_id, "registry_seq": row.registry_seq,
            "look_up_attempts": asked.map_or(0, |asked| asked.attempts), "look_up_error": asked.and_then(|asked| asked.error.as_ref()),
        }),
    }
}

/// A gap with its life.
pub(super) fn push_gap(stages: &mut Vec<Stage>, gap: &GapRow, steps: &[GapStep], l: Language) {
    let name = format!("{} {} {}", gap.channel, l.dataset(Some(gap.dataset)), l.gap_kind(gap.kind));
    let details = |state: gateway_model::GapState, step: Option<&GapStep>| {
        json!({
            "gap_id": gap.id, "channel": gap.channel, "dataset": gap.dataset, "kind": gap.kind, "state": state,
            "generation": step.map_or(0, |step| step.generation), "reason": step.and_then(|step| step.reason.as_ref()),
            "by": step.and_then(|step| step.by.as_ref()),
        })
    };
    stages.push(Stage {
        at: gap.first_seen_at,
        rank: 9,
        kind: "gap",
        text: format!("{} {}: {name}", l.say("缺口", "gap"), gap.id) + l.say(" 疑似", " suspected"),
        details: details(gateway_model::GapState::Suspected, None),
    });
    for step in steps {
        let reason = step.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
        stages.push(Stage {
            at: step.at,
            rank: 10,
            kind: "gap",
            text: format!("{} {}: {name} {}{reason}", l.say("缺口", "gap"), gap.id, l.gap_state(step.state)),
            details: details(step.state, Some(step)),
        });
    }
}
