//! The tables about one order: each column with its Chinese name before the API's key, each word with its Chinese name before the API's word.
//!
//! People at the bureau read the first, and find the second in `docs/api.md`; `--json` has the second alone. The words are the model's own ([`Field::chinese`]
//! and its like); only what is no type of the model has its name here.

use super::print::{cell, say, table};
use gateway_model::{
    AttachmentState, Dataset, DeliveryState, Field, Operation, OrderState, Origin, OverlayKind, OverlayState,
    PairState, RegistryKind, Verdict,
};
use serde_json::Value;
use std::str::FromStr;

/// The Chinese name of a word, where there is one.
type Word = fn(&str) -> Option<&'static str>;

/// A column of a table.
#[derive(Clone, Copy)]
pub(super) struct Column {
    key: &'static str,
    chinese: &'static str,
    word: Option<Word>,
}

/// A table of an order.
pub(super) struct Section {
    /// Its title in Chinese, and the API's key.
    title: &'static str,
    columns: &'static [Column],
}

const fn plain(key: &'static str, chinese: &'static str) -> Column {
    Column { key, chinese, word: None }
}

const fn worded(key: &'static str, chinese: &'static str, word: Word) -> Column {
    Column { key, chinese, word: Some(word) }
}

fn of<T: FromStr>(text: &str, chinese: fn(T) -> &'static str) -> Option<&'static str> {
    text.parse().ok().map(chinese)
}

const CHANNEL: Column = plain("channel", "渠道");
const DATASET: Column = worded("dataset", "数据集", |text| of(text, Dataset::chinese));
const PART: Column = plain("part", "分部");
const EVENT_TIME: Column = plain("event_time", "发生时间");
const RAW_ID: Column = plain("raw_id", "原始记录");
const GONE_AT: Column = plain("gone_at", "撤除时间");
const ROUND: Column = plain("round", "轮次");
const REASON: Column = plain("reason", "原因");
const AT: Column = plain("at", "时间");
const ID: Column = plain("id", "编号");
const STATE: Column = worded("state", "状态", |text| of(text, OrderState::chinese));
const ORIGIN: Column = worded("origin", "来源方式", |text| of(text, Origin::chinese));

/// What each channel states.
pub(super) const FACETS: Section = Section {
    title: "各方陈述 facets",
    columns: &[
        CHANNEL,
        DATASET,
        PART,
        plain("echo", "回显"),
        EVENT_TIME,
        plain("received_at", "接收时间"),
        RAW_ID,
        GONE_AT,
    ],
};

/// What happened to it.
pub(super) const EVENTS: Section = Section {
    title: "流转事件 events",
    columns: &[CHANNEL, worded("kind", "类型", event), plain("event_id", "事件编号"), EVENT_TIME, RAW_ID, GONE_AT],
};

/// Who works on it.
pub(super) const UNITS: Section = Section {
    title: "承办单位 units",
    columns: &[
        CHANNEL,
        plain("unit", "单位"),
        worded("role", "角色", role),
        STATE,
        ROUND,
        plain("since", "起始"),
        plain("note", "说明"),
        GONE_AT,
    ],
};

/// What was asked beside its main line.
pub(super) const OVERLAYS: Section = Section {
    title: "延期与申诉 overlays",
    columns: &[
        worded("kind", "类型", |text| of(text, OverlayKind::chinese)),
        worded("state", "状态", |text| of(text, OverlayState::chinese)),
        plain("asked_by", "申请方"),
        plain("asked_at", "申请时间"),
        REASON,
        worded("ground", "申诉事由", ground),
        plain("days", "天数"),
        plain("extended_to", "延期至"),
        plain("decided_at", "决定时间"),
        plain("answer", "答复"),
    ],
};

/// Where channels see it.
pub(super) const STATES: Section =
    Section { title: "各方状态 states", columns: &[CHANNEL, STATE, ROUND, plain("counted", "采信")] };

/// Of what channels say different things.
pub(super) const CONFLICTS: Section = Section {
    title: "不一致 conflicts",
    columns: &[worded("field", "字段", field), PART, plain("counted", "采信"), plain("values", "各方内容")],
};

/// What may be one with it.
pub(super) const DUPLICATES: Section = Section {
    title: "疑似重复与归一 duplicates",
    columns: &[
        ID,
        worded("state", "状态", |text| of(text, PairState::chinese)),
        plain("score", "分数"),
        plain("likeness", "相似依据"),
        plain("orders", "工单"),
        plain("by", "认定者"),
        REASON,
        AT,
    ],
};

/// How it compares with the operating data.
pub(super) const VERIFICATION: Section = Section {
    title: "核查 verification",
    columns: &[
        CHANNEL,
        worded("verdict", "结论", |text| of(text, Verdict::chinese)),
        worded("compared", "已核字段", field),
        plain("mismatches", "不一致"),
        worded("unregistered", "未登记", field),
        plain("likely_plate", "疑似号牌"),
        plain("looked_up", "查询"),
        AT,
    ],
};

/// The files that its records refer to.
pub(super) const ATTACHMENTS: Section = Section {
    title: "附件 attachments",
    columns: &[
        ID,
        CHANNEL,
        plain("reference", "引用"),
        worded("state", "状态", |text| of(text, AttachmentState::chinese)),
        plain("media_type", "类型"),
        plain("size_bytes", "字节数"),
        plain("attempts", "索取次数"),
        plain("error", "错误代码"),
        plain("owed_at", "索取起始"),
        plain("fetch_at", "下次索取"),
    ],
};

/// Who is spoken of.
pub(super) const PERSONS: Section =
    Section { title: "当事人 persons", columns: &[CHANNEL, DATASET, plain("fields", "内容")] };

/// How it came.
pub(super) const TIMELINE: Section = Section {
    title: "时间线 timeline",
    columns: &[plain("seq", "序号"), AT, CHANNEL, DATASET, PART, ORIGIN, RAW_ID],
};

/// The records that its rows refer to.
pub(super) const RECORDS: Section = Section {
    title: "原始记录 records",
    columns: &[
        ID,
        ORIGIN,
        plain("received_at", "接收时间"),
        plain("topic", "主题"),
        plain("partition", "分区"),
        plain("offset", "偏移量"),
    ],
};

/// The same with their bytes.
pub(super) const RECORDS_WHOLE: Section = Section {
    title: RECORDS.title,
    columns: &[
        ID,
        ORIGIN,
        plain("received_at", "接收时间"),
        plain("topic", "主题"),
        plain("partition", "分区"),
        plain("offset", "偏移量"),
        plain("body", "内容"),
    ],
};

/// What was owed of it to whom.
pub(super) const DELIVERIES: Section = Section {
    title: "投递 deliveries",
    columns: &[
        ID,
        plain("destination", "目的渠道"),
        worded("operation", "操作", |text| of(text, Operation::chinese)),
        ROUND,
        worded("state", "状态", |text| of(text, DeliveryState::chinese)),
        plain("generation", "代次"),
        plain("attempts", "尝试次数"),
        REASON,
        plain("receipt", "回执"),
    ],
};

/// How that went.
pub(super) const ATTEMPTS: Section = Section {
    title: "投递尝试 attempts",
    columns: &[
        plain("delivery_id", "投递"),
        plain("generation", "代次"),
        plain("attempt", "次序"),
        plain("started_at", "开始"),
        plain("ended_at", "结束"),
        worded("outcome", "结果", |text| of(text, DeliveryState::chinese)),
        plain("reason_code", "原因代码"),
    ],
};

fn field(text: &str) -> Option<&'static str> {
    of(text, Field::chinese)
}

fn role(text: &str) -> Option<&'static str> {
    match text {
        "main" => Some("主办"),
        "assisting" => Some("协办"),
        _ => None,
    }
}

fn ground(text: &str) -> Option<&'static str> {
    match text {
        "bad_rating" => Some("差评"),
        "overdue" => Some("超期"),
        _ => None,
    }
}

/// What an event is called: one that is an operation as that, the others by the glossary.
fn event(text: &str) -> Option<&'static str> {
    Some(match text {
        "dispatch" => "转办",
        "supplement" => "追加",
        "urge" => "催办",
        "supervise" => "督办",
        "extension" => "申请延期",
        "extension_approved" => "同意延期",
        "extension_denied" => "不同意延期",
        "appeal_upheld" => "申诉成立",
        "appeal_rejected" => "申诉不成立",
        "review_passed" => "审核通过",
        "review_rejected" => "审核不通过",
        "rehandle" => "重办",
        "return_agreed" => "同意退单",
        "return_refused" => "不同意退单",
        other => return of(other, Operation::chinese),
    })
}

/// What stands inside a cell by name.
fn inner(key: &str) -> Option<&'static str> {
    Some(match key {
        "stated" => "所述",
        "registered" => "登记",
        "receipt_number" => "回执号",
        "received_at" => "时间",
        "source" => "来源",
        "attempts" => "次数",
        "error" => "错误",
        "next_at" => "下次",
        "answered_at" => "答复",
        "kinds" => "种类",
        other => return field(other),
    })
}

/// What stands inside a cell as a word.
fn inner_word(key: &str, text: &str) -> Option<&'static str> {
    match (key, text) {
        ("field", text) => field(text),
        ("kinds", text) => of(text, RegistryKind::chinese),
        ("what", "requester") => Some("来电人"),
        ("what", "plate") => Some("车牌"),
        ("what", "place") => Some("地点"),
        ("what", "time") => Some("时间"),
        ("what", "text") => Some("内容"),
        _ => None,
    }
}

impl Column {
    fn head(&self) -> String {
        format!("{} {}", self.chinese, self.key)
    }

    /// What a value is told as.
    fn told(&self, value: &Value) -> String {
        match value {
            Value::Bool(true) => "是".to_owned(),
            Value::Bool(false) => "否".to_owned(),
            Value::String(text) => match self.word.and_then(|word| word(text)) {
                Some(chinese) => format!("{chinese} {text}"),
                None => cell(value),
            },
            Value::Array(list) => list.iter().map(|one| self.told(one)).collect::<Vec<_>>().join("; "),
            Value::Object(_) => piece("", value),
            Value::Null | Value::Number(_) => cell(value),
        }
    }
}

/// A structure inside a cell, by name and value; whose word it is stands before the word.
fn piece(key: &str, value: &Value) -> String {
    match value {
        Value::Object(map) => {
            if let (Some(channel), Some(said), 2) = (map.get("channel"), map.get("value"), map.len()) {
                return format!("{}: {}", cell(channel), piece("value", said));
            }
            if let (Some(what), Some(points), 2) =
                (map.get("what"), map.get("points").and_then(Value::as_i64), map.len())
            {
                return format!("{} {points:+}", piece("what", what));
            }
            let named = map.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| match name.as_str() {
                "field" => piece(name, value),
                name => format!("{} {}", inner(name).unwrap_or(name), piece(name, value)),
            });
            named.collect::<Vec<_>>().join(" ")
        }
        Value::Array(list) => list.iter().map(|one| piece(key, one)).collect::<Vec<_>>().join("、"),
        Value::String(text) => inner_word(key, text).map_or_else(|| cell(value), str::to_owned),
        other => cell(other),
    }
}

/// A field's value; a state by its word.
pub(super) fn field_value(name: &str, value: &Value) -> String {
    if name == Field::State.as_str() { STATE.told(value) } else { PART.told(value) }
}

/// Prints a table with its title, where it has any rows.
pub(super) fn section(section: &Section, rows: &Value) {
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return;
    }
    say(format_args!("\n{}", section.title));
    let heads: Vec<String> = section.columns.iter().map(Column::head).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let line = |row: &Value| section.columns.iter().map(|column| column.told(&row[column.key])).collect();
    table(&heads, &rows.iter().map(line).collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(section: &Section, key: &str, value: &Value) -> String {
        let column = section.columns.iter().find(|column| column.key == key);
        column.map(|column| column.told(value)).unwrap_or_default()
    }

    #[test]
    fn words_are_told_in_chinese_before_the_apis() {
        for (section, key, value, expected) in [
            (&FACETS, "dataset", json!("acceptance"), "受理信息 acceptance"),
            (&FACETS, "echo", json!(false), "否"),
            (&EVENTS, "kind", json!("urge"), "催办 urge"),
            (&EVENTS, "kind", json!("sign"), "签收 sign"),
            (&EVENTS, "kind", json!("raw:77"), "raw:77"),
            (&UNITS, "role", json!("assisting"), "协办 assisting"),
            (&STATES, "state", json!("signed"), "已签收 signed"),
            (&ATTACHMENTS, "state", json!("withdrawn"), "已撤 withdrawn"),
            (&DUPLICATES, "state", json!("withdrawn"), "已撤回 withdrawn"),
            (&DELIVERIES, "state", json!("held"), "待人工处理 held"),
            (&VERIFICATION, "verdict", json!("mismatch"), "不一致 mismatch"),
            (&VERIFICATION, "compared", json!(["trip_from"]), "上车时间 trip_from"),
            (&TIMELINE, "raw_id", json!(12), "12"),
            (&TIMELINE, "raw_id", json!(null), ""),
        ] {
            assert_eq!(told(section, key, &value), expected, "{key}");
        }
    }

    #[test]
    fn structures_are_told_by_name_and_value() {
        let values = json!([{"channel": "desk", "value": "甲"}, {"channel": "bureau", "value": 3}]);
        assert_eq!(told(&CONFLICTS, "values", &values), "desk: 甲; bureau: 3");
        let likeness = json!([{"what": "requester", "points": 35}, {"what": "plate", "points": -5}]);
        assert_eq!(told(&DUPLICATES, "likeness", &likeness), "来电人 +35; 车牌 -5");
        let mismatches = json!([{"field": "operator_company", "stated": "甲公司", "registered": "乙公司"}]);
        let mismatches = told(&VERIFICATION, "mismatches", &mismatches);
        assert!(
            ["被投诉企业", "登记 乙公司", "所述 甲公司"].iter().all(|part| mismatches.contains(part)),
            "{mismatches}"
        );
        let receipt = json!({"receipt_number": "R1", "received_at": null, "source": "answer"});
        assert_eq!(told(&DELIVERIES, "receipt", &receipt), "回执号 R1 来源 answer");
        let fields = json!({"contact_phone": "13800000000"});
        assert_eq!(told(&PERSONS, "fields", &fields), "联系电话 13800000000");
    }
}
