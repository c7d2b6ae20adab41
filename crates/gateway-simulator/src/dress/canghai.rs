//! 沧海: JSON in head and body, names of pinyin initials in nested groups, compact times, numbers as texts, records counted off, an old digest
//! in the address. Written from `docs/channels/municipal-12345-canghai.md`.

use axum::extract::Query;
use serde_json::{Value, json};

use super::words::{self, Codes, Names, code, is_flag, is_time, own_code, own_object, parameters};
use super::{Call, Dress, Incoming, Of, Parameters, Said, SignedPush, Unread};
use crate::clock;
use crate::record::Order;
use crate::sign::{Signer, same};

/// Clock difference beyond which a message is refused, in milliseconds.
const TIME_WINDOW_MS: i64 = 900_000;
/// The most orders in one question by number.
const MOST_NUMBERS: usize = 50;

pub(super) const NAMES: Names = &[
    (
        Of::Order,
        &[
            ("orderNo", "jcxx.gdbh"),
            ("createTime", "jcxx.slsj"),
            ("updateTime", "jcxx.gxsj"),
            ("orderType", "jcxx.gdlx"),
            ("category", "jcxx.wtfl"),
            ("title", "jcxx.bt"),
            ("content", "jcxx.nr"),
            ("sourceType", "jcxx.lyqd"),
            ("address", "jcxx.sfdz"),
            ("occurTime", "jcxx.fssj"),
            ("urgency", "jcxx.jjcd"),
            ("isSecret", "jcxx.sfbm"),
            ("isAnonymous", "jcxx.sfnm"),
            ("callLabel", "jcxx.hjbq"),
            ("callerName", "ldr.xm"),
            ("callerPhone", "ldr.ldhm"),
            ("contactPhone", "ldr.lxdh"),
            ("state", "blxx.zt"),
            ("unit", "blxx.cbdw"),
            ("deadline", "blxx.blsx"),
            ("round", "blxx.lc"),
            ("events", "blxx.sjlb"),
            ("completions", "blxx.bjlb"),
            ("visits", "blxx.hflb"),
        ],
    ),
    (
        Of::Event,
        &[
            ("eventId", "sjid"),
            ("kind", "sjlx"),
            ("time", "sj"),
            ("text", "sm"),
            ("days", "ts"),
            ("until", "yqz"),
            ("ground", "sy"),
        ],
    ),
    (Of::Completion, &[("round", "lc"), ("replyContent", "dfnr"), ("replyTime", "dfsj"), ("replyUnit", "dfdw")]),
    (
        Of::Visit,
        &[
            ("visitNo", "hfxh"),
            ("round", "lc"),
            ("visitTime", "hfsj"),
            ("connected", "sfjt"),
            ("satisfaction", "myd"),
            ("isSolved", "sfjj"),
            ("opinion", "yj"),
        ],
    ),
];
const TYPES: Codes = &[("01", "ZX"), ("02", "QZ"), ("03", "TS"), ("04", "JB"), ("05", "JY"), ("06", "BY")];
const URGENCIES: Codes = &[("1", "yb"), ("2", "jj"), ("3", "tj")];
const FLAGS: Codes = &[("0", "N"), ("1", "Y")];
const SATISFACTION: Codes = &[("1", "A"), ("2", "B"), ("3", "C"), ("4", "D"), ("5", "E"), ("9", "Z")];
const STATES: Codes = &[
    ("10", "YSL"),
    ("20", "DQS"),
    ("30", "BLZ"),
    ("35", "TDDS"),
    ("40", "YDF"),
    ("50", "YBJ"),
    ("60", "YHF"),
    ("70", "YGD"),
    ("80", "YHT"),
    ("90", "YCX"),
];
const KINDS: Codes = &[
    ("dispatch", "fenpai"),
    ("supplement", "zhuijia"),
    ("urge", "cuiban"),
    ("supervise", "duban"),
    ("review_passed", "shenhetongguo"),
    ("review_rejected", "shenhebohui"),
    ("rehandle", "chongban"),
    ("return_refused", "tuidanbohui"),
    ("return_agreed", "tuidantongyi"),
    ("sign", "qianshou"),
    ("refuse", "tuidan"),
    ("complete", "banjie"),
    ("extension", "yanqi"),
    ("extension_approved", "yanqitongyi"),
    ("extension_denied", "yanqibohui"),
    ("appeal", "shensu"),
    ("appeal_upheld", "shensuchengli"),
    ("appeal_rejected", "shensubohui"),
];
const GROUNDS: Codes = &[("1", "CP"), ("2", "CQ")];
const DATASETS: Codes = &[("acceptance", "SL"), ("handling", "LZ"), ("completion", "BJ"), ("evaluation", "HF")];
const GRAINS: Codes = &[
    ("total", "quanbu"),
    ("month", "yue"),
    ("day", "ri"),
    ("hour", "shi"),
    ("tenMinutes", "shifen"),
    ("ids", "mingxi"),
];
const OPERATIONS: Codes = &[
    ("sign", "qianshou"),
    ("reply", "dafu"),
    ("refuse", "tuidan"),
    ("complete", "banjie"),
    ("extend", "yanqi"),
    ("appeal", "shensu"),
];
const ANSWERS: &[(u16, &str)] = &[
    (0, "000"),
    (1001, "E11"),
    (1002, "E12"),
    (1003, "E13"),
    (1004, "E14"),
    (1005, "E15"),
    (1006, "E16"),
    (401, "E01"),
    (429, "E29"),
];

pub(super) fn value(_: Of, own: &str, value: &str) -> String {
    match own {
        _ if is_time(own) => value.chars().filter(|letter| letter.is_ascii_digit()).collect(),
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

/// The own form of a time on the wire: 14 digits, or 8 of a day.
fn own_time(wire: &str) -> Option<String> {
    if !wire.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let day = |wire: &str| format!("{}-{}-{}", &wire[..4], &wire[4..6], &wire[6..8]);
    let own = match wire.len() {
        8 => day(wire),
        14 => format!("{} {}:{}:{}", day(wire), &wire[8..10], &wire[10..12], &wire[12..14]),
        _ => return None,
    };
    clock::wire_ms(&own).map(|_| own)
}

fn wire_time(own: &Value) -> Value {
    own.as_str().map_or(Value::Null, |own| value(Of::Order, "createTime", own).into())
}

fn sign(signer: &Signer, timestamp: &str) -> String {
    signer.sha1_upper(&[signer.app_id.as_bytes(), signer.secret(), timestamp.as_bytes()])
}

pub(super) fn authentic(signer: &Signer, call: &Incoming<'_>, now_ms: i64) -> bool {
    let Ok(Query(query)) = Query::<Parameters>::try_from_uri(call.uri) else { return false };
    let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let timestamp = text("ts");
    let fresh =
        timestamp.parse::<i64>().is_ok_and(|at| now_ms.abs_diff(at.saturating_mul(1_000)) <= TIME_WINDOW_MS as u64);
    fresh && text("appKey") == signer.app_id && same(sign(signer, timestamp).as_bytes(), text("sign").as_bytes())
}

pub(super) fn read(call: &Incoming<'_>) -> Result<Call, Unread> {
    let path = call.uri.path().strip_prefix("/openapi/v2/").ok_or(Unread::Nowhere)?;
    if (call.method.as_str(), path) == ("GET", "gongdan/xiangqing") {
        let Query(query) = Query::<Parameters>::try_from_uri(call.uri).map_err(|_| Unread::Invalid("gdbhs"))?;
        let numbers: Vec<String> =
            query.get("gdbhs").into_iter().flat_map(|text| text.split(',')).map(str::to_owned).collect();
        let fits = !numbers.is_empty() && numbers.len() <= MOST_NUMBERS;
        return if fits { Ok(Call::ByNumber(numbers)) } else { Err(Unread::Invalid("gdbhs")) };
    }
    if call.method.as_str() != "POST" {
        return Err(Unread::Nowhere);
    }
    let body: Value = serde_json::from_slice(call.body).map_err(|_| Unread::Invalid("body"))?;
    let asked = Asked(&body["body"]);
    let service = |wanted: &str| {
        let told = body["head"]["service"] == wanted && call.header("x-service") == wanted;
        if told { Ok(()) } else { Err(Unread::Invalid("service")) }
    };
    match path {
        "gongdan/liebiao" => {
            service("GDLB")?;
            let mut list = asked.page()?;
            list.push(("updatedFrom", asked.time("gxsj_q")?));
            if !asked.text("gxsj_z").is_empty() {
                list.push(("updatedTo", asked.time("gxsj_z")?));
            }
            Ok(Call::List(parameters(list)))
        }
        "gongdan/sijian" => {
            service("GDSJ")?;
            let mut list = asked.page()?;
            list.extend([
                ("dataset", asked.code("sjj", DATASETS)?),
                ("eventFrom", asked.time("sj_q")?),
                ("eventTo", asked.end("sj_z")?),
            ]);
            Ok(Call::List(parameters(list)))
        }
        "taizhang" => {
            service("TZ")?;
            let list = [
                ("dataset", asked.code("sjj", DATASETS)?),
                ("from", asked.time("sj_q")?),
                ("to", asked.end("sj_z")?),
                ("grain", asked.code("ld", GRAINS)?),
            ];
            Ok(Call::Account(parameters(list), None))
        }
        "huizhi" => {
            service("HZ")?;
            Ok(Call::Receipt(parameters([("requestId", asked.text("qqid").to_owned())])))
        }
        other => {
            let operation = other.strip_prefix("gongdan/").and_then(|word| own_code(OPERATIONS, word));
            let operation = operation.ok_or(Unread::Nowhere)?;
            service("GDCZ")?;
            operate(&asked, operation)
        }
    }
}

fn operate(asked: &Asked<'_>, operation: &str) -> Result<Call, Unread> {
    let body = match operation {
        "sign" => own_object([("signTime", asked.time("qssj")?.into())]),
        "refuse" => own_object([("refuseTime", asked.time("tdsj")?.into()), ("reason", asked.text("tdyy").into())]),
        "complete" => own_object([("completeTime", asked.time("bjsj")?.into())]),
        "extend" => {
            let mut fields = vec![("applyTime", asked.time("sqsj")?.into()), ("reason", asked.text("sqyy").into())];
            if !asked.text("ts").is_empty() {
                fields.push(("days", asked.number("ts")?.into()));
            }
            if !asked.text("yqz").is_empty() {
                fields.push(("until", asked.time("yqz")?.into()));
            }
            own_object(fields)
        }
        "appeal" => own_object([
            ("appealTime", asked.time("sssj")?.into()),
            ("round", asked.number("lc")?.into()),
            ("ground", asked.code("sy", GROUNDS)?.into()),
            ("reason", asked.text("ssyy").into()),
        ]),
        _ => own_object([
            ("round", asked.number("lc")?.into()),
            ("replyContent", asked.text("dfnr").into()),
            ("replyTime", asked.time("dfsj")?.into()),
            ("replyUnit", asked.text("dfdw").into()),
        ]),
    };
    Ok(Call::Operate {
        number: asked.text("gdbh").to_owned(),
        operation: operation.to_owned(),
        request_id: asked.text("qqid").to_owned(),
        body,
    })
}

/// The parameters of a question; all of them are texts.
struct Asked<'a>(&'a Value);

impl Asked<'_> {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    fn time(&self, name: &'static str) -> Result<String, Unread> {
        own_time(self.text(name)).ok_or(Unread::Invalid(name))
    }

    /// An end that is itself in the window, as one that is not.
    fn end(&self, name: &'static str) -> Result<String, Unread> {
        let last = clock::wire_ms(&self.time(name)?).ok_or(Unread::Invalid(name))?;
        Ok(clock::wire_time(last + 1_000))
    }

    fn number(&self, name: &'static str) -> Result<u64, Unread> {
        self.text(name).parse().map_err(|_| Unread::Invalid(name))
    }

    fn code(&self, name: &'static str, codes: Codes) -> Result<String, Unread> {
        own_code(codes, self.text(name)).map(str::to_owned).ok_or(Unread::Invalid(name))
    }

    fn page(&self) -> Result<Vec<(&'static str, String)>, Unread> {
        let (offset, size) = (self.number("start")?, self.number("count")?);
        Ok(vec![("offset", offset.to_string()), ("pageSize", size.to_string())])
    }
}

fn record(own: &Value) -> Value {
    words::object(Dress::Canghai, Of::Order, own, &|_, list| Value::Array(list))
}

fn records(data: &Value) -> Vec<Value> {
    data["records"].as_array().into_iter().flatten().map(record).collect()
}

pub(super) fn write(call: Option<&Call>, said: &Said<'_>) -> Vec<u8> {
    let data = said.data;
    let result = match call {
        _ if data.is_null() => Value::Null,
        Some(Call::List(_)) => json!({"zs": data["total"].to_string(), "lb": records(data)}),
        Some(Call::ByNumber(_)) => json!({"lb": records(data)}),
        Some(Call::Account(..)) => account(data),
        Some(Call::Receipt(_) | Call::Operate { .. }) => json!({
            "hzbh": data["receiptNo"], "qqid": data["requestId"], "czlx": data["operation"].as_str().map(|own| code(OPERATIONS, own)),
            "gdbh": data["orderNo"], "jssj": wire_time(&data["receivedAt"]),
        }),
        Some(Call::File(_)) | None => Value::Null,
    };
    let code = ANSWERS.iter().find(|(own, _)| *own == said.code).map_or("E99", |(_, wire)| wire);
    let words = if said.code == 0 { "成功" } else { said.message };
    serde_json::to_vec(&json!({"head": {"code": code, "msg": words}, "body": {"result": result}})).unwrap_or_default()
}

fn account(data: &Value) -> Value {
    let each = |list: &Value, of: &dyn Fn(&Value) -> Value| -> Option<Vec<Value>> {
        list.as_array().map(|list| list.iter().map(of).collect())
    };
    let bucket =
        |own: &Value| json!({"kssj": wire_time(&own["start"]), "sl": own["count"].to_string(), "hz": own["sum"]});
    let item = |own: &Value| {
        json!({
            "gdbh": own["orderNo"], "rq": wire_time(&own["day"]), "bf": own["part"], "sj": wire_time(&own["eventTime"]),
            "zy": own["digest"],
        })
    };
    json!({"jzsj": wire_time(&data["asOf"]), "tj": each(&data["buckets"], &bucket), "mx": each(&data["items"], &item)})
}

pub(super) fn push_records(nonce: &str, records: &[Order]) -> Vec<u8> {
    let list: Vec<Value> = records.iter().map(|order| record(&json!(order))).collect();
    serde_json::to_vec(&json!({"head": {"tsid": nonce, "lx": "gd"}, "body": {"lb": list}})).unwrap_or_default()
}

pub(super) fn push_event(nonce: &str, number: &str, event: &Value) -> Vec<u8> {
    let event = words::object(Dress::Canghai, Of::Event, event, &|_, list| Value::Array(list));
    serde_json::to_vec(&json!({"head": {"tsid": nonce, "lx": "sj"}, "body": {"gdbh": number, "sj": event}}))
        .unwrap_or_default()
}

pub(super) fn sign_push(signer: &Signer, now_ms: i64) -> SignedPush {
    let timestamp = now_ms.div_euclid(1_000).to_string();
    let sign = sign(signer, &timestamp);
    let query = format!("appKey={}&ts={timestamp}&sign={sign}", crate::http::escape(&signer.app_id));
    SignedPush { query, headers: Vec::new() }
}

pub(super) fn is_taken(body: &[u8]) -> bool {
    let answer: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    answer["success"] == true && answer["code"] == 10_000
}
