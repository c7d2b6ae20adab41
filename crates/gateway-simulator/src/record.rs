//! The wide wire record of the municipal platform, as `docs/channels/municipal-12345.md` section 2 lays it down.
//!
//! The structs *are* the book: what is stored is what is sent. Absent values are written in all three ways that the contract
//! allows (`null`, `""`, missing key), field by field, so that a reader that handles only one of them is found out.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One order (工单) with everything that the platform says of its life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Order {
    /// Order number 工单编号.
    pub order_no: String,
    /// Acceptance time 受理时间; may be a date alone.
    pub create_time: String,
    /// Last change at the platform; the revision.
    pub update_time: String,
    /// Type 工单类型, code.
    pub order_type: String,
    /// Category path 问题分类.
    pub category: String,
    /// Title 标题.
    pub title: String,
    /// Content 诉求内容.
    pub content: String,
    /// Intake method 受理渠道.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source_type: String,
    /// Address 事发地.
    pub address: String,
    /// Time of the occurrence 事发时间.
    #[serde(serialize_with = "null_when_empty", deserialize_with = "empty_when_null")]
    pub occur_time: String,
    /// Urgency 紧急程度, code.
    pub urgency: String,
    /// Secret 保密, `0`/`1`.
    pub is_secret: String,
    /// Anonymous 匿名, `0`/`1`.
    pub is_anonymous: String,
    /// Caller's name 来电人 (person).
    pub caller_name: String,
    /// Calling number 来电号码 (person).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub caller_phone: String,
    /// Contact number 联系方式 (person).
    #[serde(serialize_with = "null_when_empty", deserialize_with = "empty_when_null")]
    pub contact_phone: String,
    /// The code that was scanned 二维码编号; only of a taxi.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub qr_code_id: String,
    /// Plate 车牌号, as it was written; only of a taxi.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub plate_no: String,
    /// The company 经营企业; only of a taxi.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub company_name: String,
    /// References of pictures, joined by commas; only where citizens write themselves.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pictures: String,
    /// At the bureau: the addresses of pictures that a dispatch gave it, joined by commas. Told back as `pictures`, and part of no item.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub given_pictures: String,
    /// State 工单状态, code.
    pub state: String,
    /// Handling unit 承办单位.
    pub unit: String,
    /// Deadline 办理时限.
    #[serde(serialize_with = "null_when_empty", deserialize_with = "empty_when_null")]
    pub deadline: String,
    /// Rehandle number: how often the order was given back.
    pub round: u32,
    /// A field that the contract does not name; real platforms add such at any time.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub call_label: String,
    /// Events of handling.
    pub events: Vec<Event>,
    /// Completions 办结, one a round.
    pub completions: Vec<Completion>,
    /// Visits 回访.
    pub visits: Vec<Visit>,
    /// At the bureau: the units at work on it, main and assisting 主办/协办, one for each unit and round.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<Unit>,
    /// At the bureau: what the order's origin last said of its state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<Upstream>,
}

impl Order {
    /// The record as it goes over the wire.
    pub fn told(&self) -> Cow<'_, Self> {
        if self.given_pictures.is_empty() {
            return Cow::Borrowed(self);
        }
        let pictures = self.given_pictures.clone();
        Cow::Owned(Self { given_pictures: String::new(), pictures, ..self.clone() })
    }
}

/// A unit's part in an order 承办单位.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Unit {
    /// The task's number; unique among the order's events too.
    pub unit_task: String,
    /// The unit.
    pub unit: String,
    /// `1` main 主办, `2` assisting 协办.
    pub role: String,
    /// Its own state, by the codes of the order's.
    pub state: String,
    /// When it got its part.
    pub dispatch_time: String,
    /// The round.
    pub round: u32,
}

/// The origin's state of an order, at the bureau.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Upstream {
    /// Always `upstream`.
    pub source: String,
    /// The order's acceptance, as the origin says it with its state.
    pub time: String,
    /// Its state.
    pub state: String,
    /// The unit it is with, for the origin.
    pub unit: String,
    /// The origin's deadline.
    #[serde(serialize_with = "null_when_empty", deserialize_with = "empty_when_null")]
    pub deadline: String,
    /// Its round.
    pub round: u32,
}

/// One event of handling: dispatch 分派, supplement 追加, urge 催办, sign 签收 …
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// The platform's number, or the request id of the operation that made it.
    pub event_id: String,
    /// What happened.
    pub kind: String,
    /// When.
    pub time: String,
    /// Text, where there is one.
    #[serde(serialize_with = "null_when_empty", deserialize_with = "empty_when_null")]
    pub text: String,
    /// Of an extension: how many days more are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// Of an extension: the deadline that is asked for; of its approval: the deadline that is given.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub until: String,
    /// Of an appeal: `1` a bad rating 差评, `2` overdue 超期.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ground: String,
    /// At the bureau: the round in which it did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
}

/// One completion 办结: the reply of one round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Completion {
    /// The round it answers.
    pub round: u32,
    /// The reply 答复内容.
    pub reply_content: String,
    /// When replied; may be a date alone.
    pub reply_time: String,
    /// Who replied.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reply_unit: String,
}

/// One visit 回访 with its rating.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Visit {
    /// Number of the visit, from 1.
    pub visit_no: u32,
    /// The round it asks about.
    pub round: u32,
    /// When.
    pub visit_time: String,
    /// Whether the caller was reached, `0`/`1`.
    pub connected: String,
    /// Satisfaction 满意度, code.
    pub satisfaction: String,
    /// Whether solved, `0`/`1` or absent.
    #[serde(serialize_with = "null_when_empty", deserialize_with = "empty_when_null")]
    pub is_solved: String,
    /// The caller's opinion.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub opinion: String,
}

fn null_when_empty<S: Serializer>(text: &str, out: S) -> Result<S::Ok, S::Error> {
    if text.is_empty() { out.serialize_none() } else { out.serialize_str(text) }
}

fn empty_when_null<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(input)?.unwrap_or_default())
}

/// State codes 工单状态.
pub mod state {
    /// 已受理
    pub const ACCEPTED: &str = "10";
    /// 待签收
    pub const DISPATCHED: &str = "20";
    /// 办理中
    pub const SIGNED: &str = "30";
    /// 退单待审
    pub const RETURN_ASKED: &str = "35";
    /// 已答复待审
    pub const REPLIED: &str = "40";
    /// 已办结
    pub const COMPLETED: &str = "50";
    /// 已回访
    pub const VISITED: &str = "60";
    /// 已归档
    pub const ARCHIVED: &str = "70";
    /// 已回退
    pub const RETURNED: &str = "80";
    /// 已撤销
    pub const WITHDRAWN: &str = "90";
}
