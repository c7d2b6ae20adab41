//! 云京: one address, an envelope with an operation code and XML inside CDATA, GB18030, codes in Chinese words, times in milliseconds, events as
//! JSON in a text, a cursor, HMAC-SM3. Written from `docs/channels/municipal-12345-yunjing.md`, and for the province that wears it from
//! `docs/channels/provincial-12328-yunjing.md`.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::words::{self, Codes, Names, code, is_flag, is_time, own_code, own_object, parameters};
use super::xml::{element, texts};
use super::{Call, Dress, Incoming, Of, Said, SignedPush, Unread};
use crate::clock;
use crate::record::Order;
use crate::sign::{Signer, same};

/// Clock difference beyond which a message is refused, in milliseconds.
const TIME_WINDOW_MS: i64 = 600_000;
/// The largest page, and the most orders in one question by number.
const MOST: u64 = 100;

pub(super) const NAMES: Names = &[
    (
        Of::Order,
        &[
            ("orderNo", "OrderNum"),
            ("createTime", "CallTime"),
            ("updateTime", "LastModified"),
            ("orderType", "HandleType"),
            ("category", "QuestionName"),
            ("title", "Subject"),
            ("content", "MajorContent"),
            ("sourceType", "Channel"),
            ("address", "AddressItem"),
            ("occurTime", "HappenTime"),
            ("urgency", "PilotLight"),
            ("isSecret", "Secret"),
            ("isAnonymous", "Anonymous"),
            ("callLabel", "CallerLabel"),
            ("callerName", "CallerName"),
            ("callerPhone", "CallerPhone"),
            ("contactPhone", "CallerContact"),
            ("state", "Status"),
            ("unit", "OrganizationName"),
            ("deadline", "DeadlineDate"),
            ("round", "ReworkTimes"),
            ("events", "Timeline"),
            ("completions", "Results"),
            ("visits", "Visits"),
        ],
    ),
    (
        Of::Event,
        &[
            ("eventId", "id"),
            ("kind", "act"),
            ("time", "at"),
            ("text", "memo"),
            ("days", "delayDays"),
            ("until", "delayTo"),
        ],
    ),
    (
        Of::Completion,
        &[
            ("round", "ReworkTimes"),
            ("replyContent", "ResultText"),
            ("replyTime", "ResultTime"),
            ("replyUnit", "ResultUnit"),
        ],
    ),
    (
        Of::Visit,
        &[
            ("visitNo", "VisitSeq"),
            ("round", "ReworkTimes"),
            ("visitTime", "VisitTime"),
            ("connected", "Reached"),
            ("satisfaction", "Satisfaction"),
            ("isSolved", "Solved"),
            ("opinion", "Remark"),
        ],
    ),
];
/// The city's types, and the province's three with what fits none.
const TYPES: Codes = &[
    ("01", "咨询"),
    ("02", "求助"),
    ("03", "投诉"),
    ("04", "举报"),
    ("05", "建议"),
    ("06", "表扬"),
    ("1", "信息咨询"),
    ("2", "投诉举报"),
    ("3", "意见建议"),
    ("9", "其他"),
];
const URGENCIES: Codes = &[("1", "一般"), ("2", "紧急"), ("3", "特急")];
const FLAGS: Codes = &[("0", "否"), ("1", "是")];
const SATISFACTION: Codes =
    &[("1", "非常满意"), ("2", "满意"), ("3", "基本满意"), ("4", "不满意"), ("5", "非常不满意"), ("9", "未评价")];
const STATES: Codes = &[
    ("10", "已受理"),
    ("20", "待签收"),
    ("30", "办理中"),
    ("35", "退单待审"),
    ("40", "已答复待审"),
    ("50", "已办结"),
    ("60", "已回访"),
    ("70", "已归档"),
    ("80", "已回退"),
    ("90", "已撤销"),
];
const KINDS: Codes = &[
    ("dispatch", "分派"),
    ("supplement", "追加"),
    ("urge", "催办"),
    ("supervise", "督办"),
    ("review_passed", "审核通过"),
    ("review_rejected", "审核不通过"),
    ("rehandle", "重办"),
    ("return_refused", "退单不同意"),
    ("return_agreed", "退单同意"),
    ("sign", "签收"),
    ("refuse", "退单"),
    ("complete", "办结"),
    ("extension", "延期申请"),
    ("extension_approved", "延期同意"),
    ("extension_denied", "延期不同意"),
    ("appeal", "申诉"),
    ("appeal_upheld", "申诉成立"),
    ("appeal_rejected", "申诉不成立"),
];
const GROUNDS: Codes = &[("1", "差评"), ("2", "超期")];
const DATASETS: Codes = &[("acceptance", "受理"), ("handling", "流转"), ("completion", "办结"), ("evaluation", "回访")];
const GRAINS: Codes = &[("total", "T"), ("month", "M"), ("day", "D"), ("hour", "H"), ("tenMinutes", "X"), ("ids", "L")];
const ANSWERS: &[(u16, &str)] = &[
    (0, "0"),
    (1001, "-101"),
    (1002, "-102"),
    (1003, "-103"),
    (1004, "-104"),
    (1005, "-105"),
    (1006, "-106"),
    (2001, "-201"),
    (401, "-1"),
    (429, "-29"),
];

pub(super) fn value(_: Of, own: &str, value: &str) -> String {
    match own {
        _ if is_time(own) => wire_time(value),
        _ if is_flag(own) => code(FLAGS, value),
        "orderType" => code(TYPES, value),
        "urgency" => code(URGENCIES, value),
        "state" => code(STATES, value),
        "kind" => code(KINDS, value),
        "ground" => code(GROUNDS, value),
        "satisfaction" => code(SATISFACTION, value),
        _ => value.to_owned(),
    }
}

/// Milliseconds since 1970; a day alone stays a day.
fn wire_time(own: &str) -> String {
    if own.is_empty() || clock::is_date_only(own) {
        return own.to_owned();
    }
    clock::wire_ms(own).map_or_else(|| own.to_owned(), |ms| ms.to_string())
}

/// The first whole second not before a moment on the wire, or the day that it is.
fn own_time(wire: &str) -> Option<String> {
    if clock::is_date_only(wire) && clock::wire_ms(wire).is_some() {
        return Some(wire.to_owned());
    }
    let ms: i64 = wire.parse().ok()?;
    Some(clock::wire_time(ms.saturating_add(999)))
}

fn encode(text: &str) -> Vec<u8> {
    encoding_rs::GB18030.encode(text).0.into_owned()
}

fn decode(bytes: &[u8]) -> Option<String> {
    encoding_rs::GB18030.decode_without_bom_handling_and_without_replacement(bytes).map(std::borrow::Cow::into_owned)
}

fn envelope(payload: &str) -> Vec<u8> {
    encode(&format!(
        "<?xml version=\"1.0\" encoding=\"GB18030\"?><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><![CDATA[{payload}]]></soap:Body></soap:Envelope>"
    ))
}

/// `yyyyMMddHHmmss` in China time.
fn stamp(ms: i64) -> String {
    clock::wire_time(ms).chars().filter(|letter| letter.is_ascii_digit()).collect()
}

fn sign(signer: &Signer, timestamp: &str, nonce: &str, body: &[u8]) -> String {
    signer.sm3_base64(&[signer.app_id.as_bytes(), timestamp.as_bytes(), nonce.as_bytes(), body])
}

pub(super) fn authentic(signer: &Signer, call: &Incoming<'_>, now_ms: i64) -> bool {
    let (timestamp, nonce) = (call.header("x-req-time"), call.header("x-req-nonce"));
    let form = timestamp.len() == 14 && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let at = form.then(|| {
        let part = |from: usize, to: usize| &timestamp[from..to];
        let day = [part(0, 4), part(4, 6), part(6, 8)].join("-");
        clock::wire_ms(&format!("{day} {}", [part(8, 10), part(10, 12), part(12, 14)].join(":")))
    });
    let fresh = at.flatten().is_some_and(|at| now_ms.abs_diff(at) <= TIME_WINDOW_MS as u64);
    let expected = sign(signer, timestamp, nonce, call.body);
    fresh
        && !nonce.is_empty()
        && call.header("x-client-id") == signer.app_id
        && same(expected.as_bytes(), call.header("x-signature").as_bytes())
}

pub(super) fn read(call: &Incoming<'_>) -> Result<Call, Unread> {
    if (call.method.as_str(), call.uri.path()) != ("POST", "/services/HotlineService") {
        return Err(Unread::Nowhere);
    }
    let envelope = decode(call.body).and_then(|text| texts(&text)).ok_or(Unread::Invalid("envelope"))?;
    let text = |name: &str| envelope.get(name).map(String::as_str).unwrap_or_default();
    let asked = Asked(texts(text("Body").trim()).ok_or(Unread::Invalid("Body"))?);
    match text("OpCode") {
        "Q0101" => {
            let list = [("updatedFrom", asked.time("ModifiedFrom")?), ("pageSize", asked.limit()?), asked.after()?];
            Ok(Call::List(parameters(list)))
        }
        "Q0102" => {
            let list = [
                ("dataset", asked.code("Dataset", DATASETS)?),
                ("eventFrom", asked.time("From")?),
                ("eventTo", asked.time("To")?),
                ("pageSize", asked.limit()?),
                asked.after()?,
            ];
            Ok(Call::List(parameters(list)))
        }
        "Q0103" => {
            let numbers: Vec<String> = asked.text("OrderNums").split('|').map(str::to_owned).collect();
            if numbers.len() as u64 > MOST { Err(Unread::Invalid("OrderNums")) } else { Ok(Call::ByNumber(numbers)) }
        }
        "Q0201" => {
            let grain = asked.code("Grain", GRAINS)?;
            let start = (grain == "total").then(|| asked.text("From").to_owned());
            let list = [
                ("dataset", asked.code("Dataset", DATASETS)?),
                ("from", asked.time("From")?),
                ("to", asked.time("To")?),
                ("grain", grain),
            ];
            Ok(Call::Account(parameters(list), start))
        }
        "Q0301" => Ok(Call::Receipt(parameters([("requestId", asked.text("RequestId").to_owned())]))),
        code => operate(&asked, code),
    }
}

fn operate(asked: &Asked, op_code: &str) -> Result<Call, Unread> {
    let (operation, body) = match op_code {
        "S0401" => ("sign", own_object([("signTime", asked.time("ActTime")?.into())])),
        "S0402" => (
            "reply",
            own_object([
                ("round", asked.count("ReworkTimes")?.into()),
                ("replyContent", asked.text("ResultText").into()),
                ("replyTime", asked.time("ResultTime")?.into()),
                ("replyUnit", asked.text("ResultUnit").into()),
            ]),
        ),
        "S0403" => (
            "refuse",
            own_object([("refuseTime", asked.time("ActTime")?.into()), ("reason", asked.text("Reason").into())]),
        ),
        "S0404" => ("complete", own_object([("completeTime", asked.time("ActTime")?.into())])),
        "S0405" => {
            let mut fields =
                vec![("applyTime", asked.time("ActTime")?.into()), ("reason", asked.text("Reason").into())];
            if !asked.text("DelayDays").is_empty() {
                fields.push(("days", asked.count("DelayDays")?.into()));
            }
            if !asked.text("DelayTo").is_empty() {
                fields.push(("until", asked.time("DelayTo")?.into()));
            }
            ("extend", own_object(fields))
        }
        "S0406" => (
            "appeal",
            own_object([
                ("appealTime", asked.time("ActTime")?.into()),
                ("round", asked.count("ReworkTimes")?.into()),
                ("ground", asked.code("Ground", GROUNDS)?.into()),
                ("reason", asked.text("Reason").into()),
            ]),
        ),
        "U0501" => ("upload_acceptance", asked.told(Of::Order)?),
        "U0502" => ("upload_state", asked.told(Of::Order)?),
        "U0503" => ("upload_event", asked.told(Of::Event)?),
        "U0504" => ("upload_completion", asked.told(Of::Completion)?),
        "U0505" => ("upload_visit", asked.told(Of::Visit)?),
        _ => return Err(Unread::Invalid("OpCode")),
    };
    Ok(Call::Operate {
        number: asked.text("OrderNum").to_owned(),
        operation: operation.to_owned(),
        request_id: asked.text("RequestId").to_owned(),
        body,
    })
}

/// The elements of a question.
struct Asked(HashMap<String, String>);

impl Asked {
    fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    fn time(&self, name: &'static str) -> Result<String, Unread> {
        own_time(self.text(name)).ok_or(Unread::Invalid(name))
    }

    fn code(&self, name: &'static str, codes: Codes) -> Result<String, Unread> {
        own_code(codes, self.text(name)).map(str::to_owned).ok_or(Unread::Invalid(name))
    }

    fn count(&self, name: &'static str) -> Result<u64, Unread> {
        self.text(name).parse().map_err(|_| Unread::Invalid(name))
    }

    /// What an upload tells, in the platform's words. Names that the table does not have go on as they are, for the platform to refuse.
    fn told(&self, of: Of) -> Result<Vec<u8>, Unread> {
        let names = NAMES.iter().find(|(whose, _)| *whose == of).map(|(_, names)| *names).unwrap_or_default();
        let mut told = serde_json::Map::new();
        for (wire, text) in self.0.iter().filter(|(wire, _)| !matches!(wire.as_str(), "OrderNum" | "RequestId")) {
            let own = names.iter().find(|(_, name)| name == wire).map_or(wire.as_str(), |(own, _)| own);
            let coded = |codes| own_code(codes, text).map(Value::from).ok_or(Unread::Invalid("a word of a list"));
            let value = match own {
                _ if is_time(own) => own_time(text).map(Value::from).ok_or(Unread::Invalid("a time"))?,
                _ if is_flag(own) => coded(FLAGS)?,
                "orderType" => coded(TYPES)?,
                "urgency" => coded(URGENCIES)?,
                "state" => coded(STATES)?,
                "kind" => coded(KINDS)?,
                "ground" => coded(GROUNDS)?,
                "satisfaction" => coded(SATISFACTION)?,
                "round" | "visitNo" | "days" => {
                    text.parse::<u64>().map(Value::from).map_err(|_| Unread::Invalid("a number"))?
                }
                _ => Value::from(text.as_str()),
            };
            told.insert(own.to_owned(), value);
        }
        serde_json::to_vec(&told).map_err(|_| Unread::Invalid("Body"))
    }

    fn limit(&self) -> Result<String, Unread> {
        let limit = self.text("Limit").parse::<u64>().ok().filter(|limit| (1..=MOST).contains(limit));
        limit.map(|limit| limit.to_string()).ok_or(Unread::Invalid("Limit"))
    }

    /// Where the page before ended: hex of the two words that the platform knows it by.
    fn after(&self) -> Result<(&'static str, String), Unread> {
        let bytes = hex::decode(self.text("Cursor")).map_err(|_| Unread::Invalid("Cursor"))?;
        String::from_utf8(bytes).map(|after| ("after", after)).map_err(|_| Unread::Invalid("Cursor"))
    }
}

/// A record as an element.
fn work_order(own: &Value) -> String {
    let object = words::object(Dress::Yunjing, Of::Order, own, &|of, list| match of {
        Of::Event => Value::String(Value::Array(list).to_string()),
        _ => Value::Array(list),
    });
    let mut text = String::from("<WorkOrder>");
    for (name, value) in object.as_object().into_iter().flatten() {
        text.push_str(&match (name.as_str(), value) {
            ("Results", Value::Array(list)) => listed("Results", "Result", list),
            ("Visits", Value::Array(list)) => listed("Visits", "Visit", list),
            (name, value) => field(name, value),
        });
    }
    text + "</WorkOrder>"
}

fn listed(list: &str, name: &str, elements: &[Value]) -> String {
    let one = |element: &Value| {
        let fields: String =
            element.as_object().into_iter().flatten().map(|(name, value)| field(name, value)).collect();
        format!("<{name}>{fields}</{name}>")
    };
    format!("<{list}>{}</{list}>", elements.iter().map(one).collect::<String>())
}

fn field(name: &str, value: &Value) -> String {
    value.as_str().map_or_else(|| format!("<{name}/>"), |text| element(name, text))
}

fn records(data: &Value) -> String {
    data["records"].as_array().into_iter().flatten().map(work_order).collect()
}

/// Where the next page begins, hex of what the platform told; empty after the last.
fn next_cursor(data: &Value) -> String {
    data["next"].as_str().map(hex::encode).unwrap_or_default()
}

pub(super) fn write(call: Option<&Call>, said: &Said<'_>) -> Vec<u8> {
    let data = said.data;
    let inner = match call {
        _ if data.is_null() => String::new(),
        Some(Call::List(_)) => {
            format!("<WorkOrders>{}</WorkOrders>{}", records(data), element("NextCursor", &next_cursor(data)))
        }
        Some(Call::ByNumber(_)) => format!("<WorkOrders>{}</WorkOrders>", records(data)),
        Some(Call::Account(asked, start)) => account(data, start.as_deref().zip(asked.get("from").map(String::as_str))),
        Some(Call::Receipt(_) | Call::Operate { .. }) => [
            ("ReceiptNo", text(&data["receiptNo"])),
            ("RequestId", text(&data["requestId"])),
            ("OrderNum", text(&data["orderNo"])),
            ("ReceivedAt", wire_time(&text(&data["receivedAt"]))),
        ]
        .map(|(name, text)| element(name, &text))
        .concat(),
        Some(Call::File(_)) | None => String::new(),
    };
    let success = u8::from(said.code == 0);
    let code = ANSWERS.iter().find(|(own, _)| *own == said.code).map_or("-99", |(_, wire)| wire);
    let words = if said.code == 0 { "成功" } else { said.message };
    envelope(&format!(
        "<Response success=\"{success}\">{}{}<Data>{inner}</Data></Response>",
        element("Code", code),
        element("Message", words)
    ))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// `total`: the start as it was asked for, and as the platform understood it.
fn account(data: &Value, total: Option<(&str, &str)>) -> String {
    let mut inner = String::new();
    for bucket in data["buckets"].as_array().into_iter().flatten() {
        let start = text(&bucket["start"]);
        // A total begins where it was asked for, though the platform's book knows whole seconds only.
        let start =
            total.filter(|(_, own)| *own == start).map_or_else(|| wire_time(&start), |(asked, _)| asked.to_owned());
        let sum = text(&bucket["sum"]);
        inner.push_str(&format!("<Bucket start=\"{start}\" count=\"{}\" sum=\"{sum}\"/>", bucket["count"]));
    }
    for item in data["items"].as_array().into_iter().flatten() {
        let fields = [
            ("OrderNum", text(&item["orderNo"])),
            ("Day", text(&item["day"])),
            ("Part", text(&item["part"])),
            ("EventTime", wire_time(&text(&item["eventTime"]))),
            ("Digest", text(&item["digest"])),
        ];
        inner.push_str(&format!("<Item>{}</Item>", fields.map(|(name, text)| element(name, &text)).concat()));
    }
    format!("<Account asOf=\"{}\">{inner}</Account>", wire_time(&text(&data["asOf"])))
}

pub(super) fn push_records(nonce: &str, records: &[Order]) -> Vec<u8> {
    let list: String = records.iter().map(|order| work_order(&json!(order))).collect();
    let head = element("PushId", nonce) + &element("Type", "工单");
    envelope(&format!("<Push>{head}<WorkOrders>{list}</WorkOrders></Push>"))
}

pub(super) fn push_event(nonce: &str, number: &str, event: &Value) -> Vec<u8> {
    let event = words::object(Dress::Yunjing, Of::Event, event, &|_, list| Value::Array(list));
    let head = element("PushId", nonce) + &element("Type", "流转") + &element("OrderNum", number);
    envelope(&format!("<Push>{head}{}</Push>", element("Event", &event.to_string())))
}

pub(super) fn sign_push(signer: &Signer, now_ms: i64, nonce: &str, body: &[u8]) -> SignedPush {
    let timestamp = stamp(now_ms);
    let sign = sign(signer, &timestamp, nonce, body);
    let headers = vec![
        ("x-client-id", signer.app_id.clone()),
        ("x-req-time", timestamp),
        ("x-req-nonce", nonce.to_owned()),
        ("x-signature", sign),
    ];
    SignedPush { query: String::new(), headers }
}

pub(super) fn is_taken(body: &[u8]) -> bool {
    decode(body).is_some_and(|text| text.contains("<Response success=\"1\">"))
}
