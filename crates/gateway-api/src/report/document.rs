//! A report as titled tables: what HTML, XLSX, CSV and text all show.

use super::data::{Line, Report};
use super::words::Language;
use crate::views::ChinaTime;
use gateway_model::format_china;
use std::ops::Range;

/// A report ready to be shown.
pub(crate) struct Document {
    pub(crate) language: Language,
    pub(crate) title: String,
    /// Label and value, above the tables.
    pub(crate) head: Vec<(&'static str, String)>,
    /// The lines of the period, of a month also those of each day: what stands in a CSV.
    pub(crate) lines: Table,
    /// Which columns of the lines belong together, and what they are called: for forms that are too narrow for all of them.
    pub(crate) blocks: [(&'static str, Range<usize>); 3],
    pub(crate) more: Vec<Table>,
}

/// A table.
pub(crate) struct Table {
    /// Short enough for a sheet's name.
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// A column.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// How many Latin characters are wide enough.
    pub(crate) width: u8,
    /// Whether it holds durations, which files show in seconds.
    pub(crate) is_duration: bool,
}

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Empty,
    Text(String),
    Number(i64),
    /// In per cent.
    Share(f64),
    /// In milliseconds.
    Duration(u64),
}

impl Cell {
    /// As people read it.
    pub(crate) fn show(&self, language: Language) -> String {
        match self {
            Cell::Empty => String::new(),
            Cell::Text(text) => text.clone(),
            Cell::Number(number) => number.to_string(),
            Cell::Share(share) => format!("{share:.2}%"),
            Cell::Duration(ms) => language.duration(*ms),
        }
    }

    /// Whether it is lined up to the right.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Cell::Number(_) | Cell::Share(_) | Cell::Duration(_))
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Cell::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<Option<i64>> for Cell {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Cell::Empty, Cell::Number)
    }
}

impl From<Option<u64>> for Cell {
    fn from(number: Option<u64>) -> Self {
        number.map_or(Cell::Empty, Cell::from)
    }
}

fn text(value: impl std::fmt::Display) -> Cell {
    Cell::Text(value.to_string())
}

fn maybe(value: Option<impl std::fmt::Display>) -> Cell {
    value.map_or(Cell::Empty, text)
}

fn time(at: Option<ChinaTime>) -> Cell {
    // People of the bureau live in one zone: no offset, and a blank between day and time.
    at.map_or(Cell::Empty, |at| Cell::Text(format_china(at.0).trim_end_matches("+08:00").replace('T', " ")))
}

fn duration(ms: Option<u64>) -> Cell {
    ms.map_or(Cell::Empty, Cell::Duration)
}

fn columns<const N: usize>(columns: [(&'static str, u8); N]) -> Vec<Column> {
    columns.map(|(name, width)| Column { name, width, is_duration: false }).into()
}

fn durations(mut columns: Vec<Column>, from: usize, count: usize) -> Vec<Column> {
    columns.iter_mut().skip(from).take(count).for_each(|column| column.is_duration = true);
    columns
}

impl Document {
    pub(crate) fn new(report: &Report, language: Language) -> Self {
        let l = language;
        let kind = if report.report == "daily" { l.say("日报", "Daily") } else { l.say("月报", "Monthly") };
        let title = match language {
            Language::Zh => format!("全量传输监控报告（{kind}） {}", report.period),
            Language::En => format!("{kind} transfer report {}", report.period),
        };
        let finality =
            if report.is_final { l.say("不再变化", "final") } else { l.say("截至日未结束", "not over yet") };
        let unverifiable: Vec<_> =
            report.channels.iter().filter(|line| !line.verifiable).map(|line| line.channel.to_string()).collect();
        let mut head = vec![
            (l.say("统计期间", "period"), format!("{} – {}", report.from, report.to)),
            (l.say("截至日", "as of the end of"), format!("{} ({finality})", report.as_of)),
        ];
        if !unverifiable.is_empty() {
            head.push((l.say("不可核对的渠道", "unverifiable channels"), unverifiable.join(", ")));
        }
        Self {
            language,
            title,
            head,
            lines: lines(report, l),
            blocks: [
                (l.say("双方账目", "both sides"), 3..12),
                (l.say("接收与投递", "in and out"), 12..24),
                (l.say("缺口", "gaps"), 24..28),
            ],
            more: vec![
                latencies(report, l),
                gaps(report, l),
                ages(report, l),
                dead_letters(report, l),
                incidents(report, l),
                gap_list(report, l),
            ],
        }
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &Table> {
        std::iter::once(&self.lines).chain(&self.more).filter(|table| !table.rows.is_empty())
    }
}

fn lines(report: &Report, l: Language) -> Table {
    let columns = columns([
        (l.say("日期", "day"), 12),
        (l.say("渠道", "channel"), 18),
        (l.say("数据集", "dataset"), 12),
        (l.say("对方", "theirs"), 10),
        (l.say("我方", "ours"), 10),
        (l.say("差异", "difference"), 10),
        (l.say("核对结论", "standing"), 12),
        (l.say("完整率", "completeness"), 10),
        (l.say("核对时间", "verified at"), 20),
        (l.say("对方账目时间", "account of"), 20),
        (l.say("其中来自对方", "from source"), 12),
        (l.say("其中投递确认", "sent"), 12),
        (l.say("接收处理完", "ended"), 11),
        (l.say("已应用", "applied"), 9),
        (l.say("重复", "duplicate"), 9),
        (l.say("接收死信", "dead-lettered in"), 9),
        (l.say("应投递", "owed"), 9),
        (l.say("已发送", "delivered"), 9),
        (l.say("已确认", "acknowledged"), 9),
        (l.say("已被取代", "superseded"), 9),
        (l.say("被拒绝", "rejected"), 9),
        (l.say("投递死信", "dead-lettered out"), 9),
        (l.say("投递豁免", "waived out"), 9),
        (l.say("在途", "in flight"), 9),
        (l.say("新缺口", "gaps opened"), 9),
        (l.say("已修复", "gaps repaired"), 9),
        (l.say("缺口豁免", "gaps waived"), 9),
        (l.say("未关闭", "gaps unfinished"), 9),
    ]);
    let row = |line: &Line| {
        let account = line.account.as_ref();
        let (inbound, outbound, gaps) = (&line.inbound, &line.outbound, &line.gaps);
        vec![
            line.day.map_or_else(|| text(&report.period), text),
            text(&line.channel),
            text(l.dataset(line.dataset)),
            account.and_then(|account| account.theirs).into(),
            account.map(|account| account.ours).into(),
            account.and_then(|account| account.difference).into(),
            maybe(account.map(|account| l.standing(account.standing))),
            account.and_then(|account| account.completeness).map_or(Cell::Empty, Cell::Share),
            time(account.and_then(|account| account.verified_at)),
            time(account.and_then(|account| account.account_at)),
            account.map(|account| account.source).into(),
            account.map(|account| account.sent).into(),
            inbound.ended.into(),
            inbound.applied.into(),
            inbound.duplicate.into(),
            inbound.dead_lettered.into(),
            outbound.owed.into(),
            outbound.delivered.into(),
            outbound.acknowledged.into(),
            outbound.superseded.into(),
            outbound.rejected.into(),
            outbound.dead_lettered.into(),
            outbound.waived.into(),
            outbound.in_flight.into(),
            gaps.opened.into(),
            gaps.repaired.into(),
            gaps.waived.into(),
            gaps.unfinished.into(),
        ]
    };
    let rows = report.lines.iter().chain(&report.days).map(row).collect();
    Table { name: l.say("汇总", "totals"), columns, rows }
}

fn latencies(report: &Report, l: Language) -> Table {
    let columns = columns([
        (l.say("渠道", "channel"), 18),
        (l.say("环节", "leg"), 20),
        (l.say("笔数", "count"), 10),
        (l.say("中位数", "p50"), 14),
        (l.say("95% 以内", "p95"), 14),
        (l.say("最长", "max"), 14),
    ]);
    let rows = report.latencies.iter().map(|line| {
        let took = &line.durations;
        vec![
            text(&line.channel),
            text(l.leg(line.leg)),
            took.count.into(),
            duration(took.p50_ms),
            duration(took.p95_ms),
            duration(took.max_ms),
        ]
    });
    Table { name: l.say("时延", "latency"), columns: durations(columns, 3, 3), rows: rows.collect() }
}

fn gaps(report: &Report, l: Language) -> Table {
    let columns = columns([
        (l.say("渠道", "channel"), 18),
        (l.say("数据集", "dataset"), 12),
        (l.say("缺口类型", "kind"), 20),
        (l.say("新发现", "opened"), 9),
        (l.say("已修复", "repaired"), 9),
        (l.say("已豁免", "waived"), 9),
        (l.say("未关闭", "unfinished"), 9),
    ]);
    let rows = report.gaps.iter().map(|line| {
        vec![
            text(&line.channel),
            text(l.dataset(Some(line.dataset))),
            text(l.gap_kind(line.kind)),
            line.gaps.opened.into(),
            line.gaps.repaired.into(),
            line.gaps.waived.into(),
            line.gaps.unfinished.into(),
        ]
    });
    Table { name: l.say("差异与修复", "differences"), columns, rows: rows.collect() }
}

fn ages(report: &Report, l: Language) -> Table {
    let columns = columns([
        (l.say("渠道", "channel"), 18),
        (l.say("未关闭 ≤1天", "unfinished ≤1 day"), 12),
        (l.say("≤3天", "≤3 days"), 9),
        (l.say("≤7天", "≤7 days"), 9),
        (l.say(">7天", ">7 days"), 9),
        (l.say("修复数", "repaired"), 9),
        (l.say("修复用时中位数", "time to repair p50"), 18),
        (l.say("修复用时95%", "time to repair p95"), 18),
        (l.say("修复用时最长", "time to repair max"), 18),
    ]);
    let rows = report.ages.iter().filter(|line| line.time_to_repair.count > 0 || line.unfinished() > 0).map(|line| {
        let took = &line.time_to_repair;
        vec![
            text(&line.channel),
            line.up_to_1_day.into(),
            line.up_to_3_days.into(),
            line.up_to_7_days.into(),
            line.older.into(),
            took.count.into(),
            duration(took.p50_ms),
            duration(took.p95_ms),
            duration(took.max_ms),
        ]
    });
    Table { name: l.say("缺口时长", "ages"), columns: durations(columns, 6, 3), rows: rows.collect() }
}

fn dead_letters(report: &Report, l: Language) -> Table {
    let columns = columns([
        (l.say("渠道", "channel"), 18),
        (l.say("代码", "code"), 24),
        (l.say("新增", "arisen"), 9),
        (l.say("已处置", "settled"), 9),
        (l.say("未处置", "open"), 9),
    ]);
    let rows = report.dead_letters.iter().map(|line| {
        vec![text(&line.channel), text(&line.code), line.arisen.into(), line.settled.into(), line.open.into()]
    });
    Table { name: l.say("死信", "dead letters"), columns, rows: rows.collect() }
}

fn incidents(report: &Report, l: Language) -> Table {
    let columns = columns([
        (l.say("渠道", "channel"), 18),
        (l.say("代码", "code"), 28),
        (l.say("新发生", "opened"), 9),
        (l.say("已恢复", "resolved"), 9),
        (l.say("未恢复", "open"), 9),
    ]);
    let rows = report.incidents.iter().map(|line| {
        let channel = line.channel.as_ref().map_or_else(|| text(l.say("网关本身", "the gateway itself")), text);
        vec![channel, text(&line.code), line.opened.into(), line.resolved.into(), line.open.into()]
    });
    Table { name: l.say("告警事件", "incidents"), columns, rows: rows.collect() }
}

fn gap_list(report: &Report, l: Language) -> Table {
    let columns = columns([
        (l.say("编号", "id"), 8),
        (l.say("渠道", "channel"), 18),
        (l.say("数据集", "dataset"), 12),
        (l.say("类型", "kind"), 20),
        (l.say("工单编号", "number"), 24),
        (l.say("事件时间起", "events from"), 20),
        (l.say("事件时间止", "events to"), 20),
        (l.say("状态", "state"), 10),
        (l.say("发现时间", "opened at"), 20),
        (l.say("开始修复", "repair began"), 20),
        (l.say("修复次数", "repairs"), 9),
        (l.say("结束时间", "ended at"), 20),
        (l.say("原因", "reason"), 40),
        (l.say("经手人", "by"), 12),
    ]);
    let rows = report.gap_list.iter().map(|gap| {
        vec![
            text(gap.id),
            text(&gap.channel),
            text(l.dataset(Some(gap.dataset))),
            text(l.gap_kind(gap.kind)),
            maybe(gap.number.as_ref()),
            time(Some(gap.window.start)),
            time(Some(gap.window.end)),
            text(l.gap_state(gap.state)),
            time(Some(gap.opened_at)),
            time(gap.repair_started_at),
            u64::from(gap.generation).into(),
            time(gap.ended_at),
            maybe(gap.reason.as_ref()),
            maybe(gap.by.as_ref()),
        ]
    });
    Table { name: l.say("缺口清单", "gap list"), columns, rows: rows.collect() }
}
