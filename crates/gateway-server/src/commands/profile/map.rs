//! `map`: what a sample record becomes, and what of it the profile does not know.

use super::{check, load, said};
use crate::cli::MapOptions;
use crate::commands::{say, table};
use crate::registry::KINDS;
use crate::{Failure, config};
use gateway_connector::wire::{ProfileSource, normalizer};
use gateway_connector::{NormalizeError, Normalizer as _, Profile, ProfileErrors};
use gateway_model::{Change, FieldValue, Oddity, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

/// Shows what a sample becomes.
///
/// # Errors
/// When sample, profile or configuration can't be read; a sample that is no record is told by the exit code.
pub fn map(options: &MapOptions) -> Result<ExitCode, Failure> {
    let profile = match profile(options)? {
        Ok(profile) => profile,
        Err(errors) => {
            if options.json {
                say(json!({ "valid": false, "mistakes": check::mistakes(&errors) }));
            } else {
                check::tell_mistakes(&errors);
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let sample = sample(&options.sample)?;
    let mapped = normalizer(profile.clone()).normalize(&sample, Timestamp::now());
    match mapped {
        Ok(changes) => {
            let mapped = Mapped::new(&profile, &changes, options.person);
            if options.json {
                say(mapped.json(&changes, options.person))
            } else {
                mapped.tell(&changes, options.person)
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let remedy = remedy(&profile, &error);
            if options.json {
                say(json!({ "mapped": false, "code": error.code(), "text": error.to_string(), "remedy": remedy }));
            } else {
                say(format_args!("not mapped 无法映射: {error}\n  {remedy}"));
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

fn profile(options: &MapOptions) -> Result<Result<Profile, ProfileErrors>, Failure> {
    if let Some(file) = &options.profile {
        return Ok(load(file)?.map(|loaded| loaded.profile));
    }
    let installation = &options.installation;
    let config = config::read(&installation.dir, installation.config_file().as_deref(), &mut Vec::new())
        .map_err(|mistake| Failure(mistake.to_string()))?;
    let named = options.channel.as_deref().unwrap_or_default();
    let known: Vec<&str> = config.channels.iter().map(|channel| channel.id.as_str()).collect();
    let channel = config.channels.iter().find(|channel| channel.id == named);
    let channel = channel.ok_or_else(|| said::no_such_channel(named, &known))?;
    let kind = KINDS.into_iter().find(|kind| kind.name == channel.kind);
    let kind = kind.ok_or_else(|| said::no_profile(named, &channel.kind))?;
    let source = match &channel.profile {
        Some(file) => ProfileSource::Text(super::read(file)?),
        None => ProfileSource::Default,
    };
    Ok(kind.load(&source))
}

fn sample(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(file).map(|read| bytes = read)
    };
    read.map_err(|error| said::unreadable(file, &error))?;
    Ok(bytes)
}

fn remedy(profile: &Profile, error: &NormalizeError) -> String {
    match error {
        NormalizeError::Undecodable(_) => {
            "样例须是一条记录的原始字节，格式与编码见 [exchange] · the sample must be the bytes of one record, in the format and encoding of [exchange]".to_owned()
        }
        NormalizeError::MissingField { wire_field } => format!(
            "样例里没有可读的 {wire_field}：样例须是一条记录而不是整个应答；时间格式见 times.read；字段名见 record.number={}、record.created={} · \
             the sample has no readable {wire_field}: it must be one record and not a whole answer; times are read by times.read",
            profile.record.number, profile.record.created
        ),
    }
}

/// What is to be told beside the fields.
struct Mapped {
    /// Fields that the profile does not name, with their values.
    unmapped: BTreeMap<String, Value>,
    /// Field and code of what no table has.
    codes: Vec<(String, String)>,
    /// What else is odd: what and where.
    oddities: Vec<(&'static str, String)>,
}

impl Mapped {
    fn new(profile: &Profile, changes: &[Change], person: bool) -> Self {
        let mut mapped = Self { unmapped: BTreeMap::new(), codes: Vec::new(), oddities: Vec::new() };
        for change in changes {
            for (path, value) in &change.unmapped {
                // Nobody knows yet whether it is a person's.
                let shown = if person { value.clone() } else { Value::String(shape(value)) };
                mapped.unmapped.insert(path.clone(), shown);
            }
            for oddity in &change.oddities {
                match oddity {
                    Oddity::UnknownCode { wire_field } => {
                        let code = code_of(profile, change, wire_field).map(text).unwrap_or_default();
                        mapped.codes.push((wire_field.clone(), code.trim_start_matches("raw:").to_owned()));
                    }
                    Oddity::UnreadableValue { wire_field } => {
                        mapped.oddities.push(("unreadable value 读不懂的值", wire_field.clone()))
                    }
                    Oddity::FutureTime { wire_field } => {
                        mapped.oddities.push(("time in the future 未来时间", wire_field.clone()))
                    }
                    Oddity::CompletedBeforeAccepted => {
                        mapped
                            .oddities
                            .push(("completed before it was accepted 办结早于受理", change.part.to_string()));
                    }
                    // Told with its value.
                    Oddity::UnknownField { .. } => {}
                }
            }
        }
        mapped.codes.sort();
        mapped.codes.dedup();
        mapped.oddities.sort();
        mapped.oddities.dedup();
        mapped
    }

    fn json(&self, changes: &[Change], person: bool) -> Value {
        let each = changes.iter().map(|change| {
            let persons: BTreeMap<_, _> = change.person.iter().map(|(field, value)| (field.to_string(), masked(value, person))).collect();
            json!({
                "number": change.number, "day": change.day, "dataset": change.dataset, "part": change.part.to_string(),
                "revision": change.revision, "event_time": change.event_time, "digest": change.digest, "fields": change.fields, "person": persons,
            })
        });
        let codes: Vec<_> = self.codes.iter().map(|(field, code)| json!({ "field": field, "code": code })).collect();
        let oddities: Vec<_> =
            self.oddities.iter().map(|(what, place)| json!({ "what": what, "where": place })).collect();
        json!({ "mapped": true, "changes": each.collect::<Vec<_>>(), "unmapped": self.unmapped, "unknown_codes": codes, "oddities": oddities })
    }

    fn tell(&self, changes: &[Change], person: bool) {
        if let Some(first) = changes.first() {
            let day = first.day.map_or_else(|| "? (partial 部分记录)".to_owned(), |day| day.to_string());
            say(format_args!("order 工单: {} of {day}", first.number));
        }
        for change in changes {
            say(format_args!("\n{} {} · event time {}", change.dataset, change.part, change.event_time));
            let fields = change.fields.iter().map(|(field, value)| vec![format!("  {field}"), text(value)]);
            let persons = change.person.iter().map(|(field, value)| vec![format!("  {field}"), masked(value, person)]);
            let rows: Vec<_> = fields.chain(persons).collect();
            table(&["  field 字段", "value 值"], &rows);
        }
        section(
            "unmapped fields 未识别字段",
            self.unmapped.iter().map(|(path, value)| (path.as_str(), crate::commands::print::cell(value))),
        );
        section("unknown codes 未识别代码", self.codes.iter().map(|(field, code)| (field.as_str(), code.clone())));
        section("odd 异常", self.oddities.iter().map(|(what, place)| (*what, place.clone())));
    }
}

/// What a change holds of a wire field; a field of a list's elements is named with its list.
fn code_of<'a>(profile: &Profile, change: &'a Change, wire_field: &str) -> Option<&'a FieldValue> {
    let items = profile.items.iter().filter(|item| item.dataset == change.dataset);
    let rules = items.filter_map(|item| {
        let within = item.list.as_ref().and_then(|list| wire_field.strip_prefix(list.as_str())?.strip_prefix('.'));
        item.fields.get(within.unwrap_or(wire_field))
    });
    rules.map(|rule| rule.field).find_map(|field| change.fields.get(field))
}

fn section<'a>(head: &str, rows: impl Iterator<Item = (&'a str, String)>) {
    let rows: Vec<_> = rows.map(|(name, value)| vec![format!("  {name}"), value]).collect();
    say(format_args!("\n{head}: {}", rows.len()));
    for row in rows {
        say(format_args!("{}  {}", row[0], row[1]));
    }
}

fn text(value: &FieldValue) -> String {
    match value {
        FieldValue::Text(text) => text.replace(['\n', '\r', '\t'], " "),
        FieldValue::Number(number) => number.to_string(),
        FieldValue::Flag(flag) => flag.to_string(),
        FieldValue::Time(moment) => moment.to_string(),
    }
}

/// A person's value, unless asked for: that it is there, and how long it is.
fn masked(value: &FieldValue, person: bool) -> String {
    let text = text(value);
    if person { text } else { format!("*** ({} characters 字)", text.chars().count()) }
}

fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "true or false".to_owned(),
        Value::Number(_) => "a number 数".to_owned(),
        Value::String(text) => format!("a text of {} characters 字", text.chars().count()),
        Value::Array(list) => format!("a list of {} 项", list.len()),
        Value::Object(object) => format!("an object of {} fields 个字段", object.len()),
    }
}
