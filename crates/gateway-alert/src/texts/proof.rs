//! What comparing accounts shows.

use super::{Text, Words};

pub(super) const TEXTS: &[Text] = &[
    Text {
        code: "gap_group_open",
        zh: Words {
            name: "同步缺口",
            what: "发现 {gaps} 条数据双方不一致（{kind}）[，其中 {repairing} 条正在修复]，最早的已存在 {oldest_s} 秒。",
            todo: "用 hotline-gateway gaps list 查看；修复并复核后自动关闭。持续不减时请联系对端。",
        },
        en: Words {
            name: "sync gaps",
            what: "{gaps} {gaps|item differs|items differ} between the two sides ({kind})[; {repairing} {repairing|is|are} being repaired]. The oldest is there for {oldest_s} s.",
            todo: "hotline-gateway gaps list; they close once a new comparison verified the repair. If they stay, ask the other side.",
        },
    },
    Text {
        code: "gap_needs_person",
        zh: Words {
            name: "缺口需人工处理",
            what: "{count} 条缺口自动修复未成功，需要人工处理。",
            todo: "用 hotline-gateway gaps list 查看原因，将清单发给对端核对。",
        },
        en: Words {
            name: "gaps need a person",
            what: "Repair did not help {count} {count|gap|gaps}.",
            todo: "hotline-gateway gaps list tells why; send the list to the other side.",
        },
    },
    Text {
        code: "manifest_unreliable",
        zh: Words {
            name: "对账清单不可信",
            what: "对端的对账清单自相矛盾，未据此作任何处理。",
            todo: "将说明文字发给对端，请其修正清单接口。",
        },
        en: Words {
            name: "manifest unreliable",
            what: "The account of the other side contradicts itself; nothing is concluded from it.",
            todo: "show them the text and ask them to mend it.",
        },
    },
    Text {
        code: "mass_difference",
        zh: Words {
            name: "大面积差异",
            what: "{count} 条数据同时不一致，超过自动修复上限，自动修复已停止。",
            todo: "先查明原因（对端恢复备份、字段口径变化、我方数据损坏），确认后用 hotline-gateway gaps repair 处理。",
        },
        en: Words {
            name: "mass difference",
            what: "{count} {count|item differs|items differ} at once, more than is repaired without being asked: repair has stopped.",
            todo: "find the cause first (a restored backup over there, a changed field, damage here), then hotline-gateway gaps repair.",
        },
    },
    Text {
        code: "book_damaged",
        zh: Words {
            name: "账目损坏",
            what: "我方状态账的汇总与明细不符。",
            todo: "保留现场，查看日志并报告；必要时从备份恢复。",
        },
        en: Words {
            name: "book damaged",
            what: "The kept sums of our book are not those of its items.",
            todo: "keep everything as it is, look at the log and report it; restore from a backup if need be.",
        },
    },
    Text {
        code: "comparison_overdue",
        zh: Words {
            name: "对账逾期",
            what: "应每 {period_s} 秒完成一次全量对账，已逾期 {overdue_s} 秒[（上次：{last}）]。",
            todo: "查看 reconcile 任务的错误与对端清单接口是否可用。",
        },
        en: Words {
            name: "comparison overdue",
            what: "A whole comparison is due every {period_s} s; this one is {overdue_s} s late[ (the last was at {last})].",
            todo: "see the error of the reconcile task, and whether the other side gives its account.",
        },
    },
    Text {
        code: "number_holes",
        zh: Words {
            name: "编号缺号",
            what: "工单编号序列中有 {missing} 个缺号，可能漏单：{ranges}[（另有 {more} 段）]。",
            todo: "向对端核对这些编号是否存在。",
        },
        en: Words {
            name: "holes in the numbers",
            what: "{missing} {missing|number is|numbers are} missing from the sequence of order numbers, orders may be lost: {ranges}[ (and {more} more {more|range|ranges})].",
            todo: "ask the other side whether these numbers exist.",
        },
    },
    Text {
        code: "unmapped_codes",
        zh: Words {
            name: "未映射的字段或代码",
            what: "对端使用了 {count} 种对接参数中没有的字段或代码：{names}[（另有 {more} 种）]，涉及 {records} 条记录。",
            todo: "与对端确认含义，补入该渠道的对接参数。",
        },
        en: Words {
            name: "unmapped fields or codes",
            what: "The other side uses {count} {count|field or code|fields or codes} that the wire profile does not know: {names}[ (and {more} more)], in {records} {records|record|records}.",
            todo: "ask what they mean and add them to the profile.",
        },
    },
];
