//! A registry file: CSV with a line of names, in UTF-8 or GB18030.
//!
//! Every mistake is told with its line, and never with what stands there: it may be a driver's.

use gateway_model::{
    Field, PersonKey, Plate, RegistryEntry, RegistryFacts, RegistryKind, Timestamp, company_key, parse_moment,
};
use std::borrow::Cow;
use std::collections::HashMap;

/// The longest value, in bytes.
const LONGEST: usize = 512;

/// No trip is longer, in ms; as verification looks for them.
const LONGEST_TRIP_MS: i64 = 24 * 3_600_000;

/// A mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileMistake {
    /// The line, from 1.
    pub(crate) line: u64,
    /// The column's name.
    pub(crate) column: Option<&'static str>,
    /// What is wrong.
    pub(crate) what: String,
    /// In Chinese.
    pub(crate) what_zh: String,
}

/// What a file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Its entries, each key once.
    pub(crate) entries: Vec<RegistryEntry>,
    /// Columns that mean nothing here.
    pub(crate) ignored_columns: Vec<String>,
}

struct Column {
    name: &'static str,
    chinese: &'static [&'static str],
    required: bool,
}

const fn column(name: &'static str, chinese: &'static [&'static str], required: bool) -> Column {
    Column { name, chinese, required }
}

const PLATE: Column = column("plate", &["车牌号", "车牌号码", "号牌号码"], true);
const COLOUR: Column = column("plate_colour", &["号牌颜色", "车牌颜色"], false);
const COMPANY: Column = column("company", &["经营企业", "企业名称", "业户名称", "所属企业"], false);
const LICENCE: Column = column("driver_licence", &["从业资格证号", "资格证号"], true);
const NAME: Column = column("driver_name", &["驾驶员姓名", "姓名"], false);
const FROM: Column = column("trip_from", &["上车时间"], true);
const TO: Column = column("trip_to", &["下车时间"], true);

fn columns(kind: RegistryKind) -> Vec<Column> {
    match kind {
        RegistryKind::Vehicles => vec![PLATE, COLOUR, COMPANY],
        RegistryKind::Drivers => vec![LICENCE, NAME, COMPANY],
        RegistryKind::Companies => vec![Column { required: true, ..COMPANY }],
        RegistryKind::Trips => vec![PLATE, FROM, TO, Column { required: false, ..LICENCE }],
    }
}

fn mistake(line: u64, column: Option<&'static str>, what: &str, what_zh: &str) -> FileMistake {
    FileMistake { line, column, what: what.to_owned(), what_zh: what_zh.to_owned() }
}

/// Reads a file of one kind.
pub(crate) fn read(kind: RegistryKind, bytes: &[u8], key: &PersonKey) -> Result<Taken, Vec<FileMistake>> {
    let text = decode(bytes).ok_or_else(|| {
        vec![mistake(1, None, "the file is neither UTF-8 nor GB18030", "文件既不是 UTF-8 也不是 GB18030 编码")]
    })?;
    if text.matches('"').count() % 2 == 1 {
        return Err(vec![mistake(1, None, "a quote is never closed: the file is torn", "引号未闭合：文件不完整")]);
    }
    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(text.as_bytes());
    let mut records = reader.records();
    let unreadable = |line| mistake(line, None, "the line can't be read as CSV", "该行不是有效的 CSV");
    let Some(Ok(head)) = records.next() else { return Err(vec![unreadable(1)]) };
    let columns = columns(kind);
    let (places, ignored_columns) = places(&columns, &head)?;

    let mut mistakes = Vec::new();
    let mut entries = Vec::new();
    let mut seen: HashMap<(String, i64), u64> = HashMap::new();
    for record in records {
        let Ok(record) = record else {
            mistakes.push(unreadable(0));
            break;
        };
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != head.len() {
            let what = format!("has {} columns, and the first line {}", record.len(), head.len());
            let what_zh = format!("该行有 {} 列，首行有 {} 列", record.len(), head.len());
            mistakes.push(FileMistake { line, column: None, what, what_zh });
            continue;
        }
        let row = Row { line, record: &record, columns: &columns, places: &places };
        match row.entry(kind, key, &mut mistakes) {
            None => {}
            Some(entry) => match seen.insert((entry.key.clone(), entry.from_ms), line) {
                None => entries.push(entry),
                Some(first) => {
                    let what = format!("the same as in line {first}");
                    mistakes.push(FileMistake {
                        line,
                        column: Some(columns[0].name),
                        what,
                        what_zh: format!("与第 {first} 行重复"),
                    });
                }
            },
        }
    }
    if mistakes.is_empty() { Ok(Taken { entries, ignored_columns }) } else { Err(mistakes) }
}

fn decode(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(Cow::Borrowed(text)),
        Err(_) => encoding_rs::GB18030.decode_without_bom_handling_and_without_replacement(bytes),
    }
}

/// Where each column stands, and which names mean nothing.
type Places = (Vec<Option<usize>>, Vec<String>);

fn places(columns: &[Column], head: &csv::StringRecord) -> Result<Places, Vec<FileMistake>> {
    let named = |column: &Column, name: &str| column.name == name || column.chinese.contains(&name);
    let names: Vec<&str> = head.iter().map(str::trim).collect();
    let mut mistakes = Vec::new();
    let mut places = Vec::new();
    for column in columns {
        let mut found = names.iter().enumerate().filter(|(_, name)| named(column, name)).map(|(at, _)| at);
        let place = found.next();
        if found.next().is_some() {
            mistakes.push(mistake(1, Some(column.name), "there are two such columns", "该列出现两次"));
        }
        if place.is_none() && column.required {
            let what_zh = format!("缺少必需的列（{}）", column.chinese.join("、"));
            mistakes.push(mistake(1, Some(column.name), "the column is missing", &what_zh));
        }
        places.push(place);
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let ignored = names.iter().filter(|name| !columns.iter().any(|column| named(column, name)));
    Ok((places, ignored.map(|name| (*name).chars().take(64).collect()).collect()))
}

struct Row<'a> {
    line: u64,
    record: &'a csv::StringRecord,
    columns: &'a [Column],
    places: &'a [Option<usize>],
}

impl Row<'_> {
    /// The value of a column, `None` where there is none; a required one that is empty is a mistake.
    fn value(&self, wanted: &Column, mistakes: &mut Vec<FileMistake>) -> Option<&str> {
        let (at, column) = self.columns.iter().enumerate().find(|(_, column)| column.name == wanted.name)?;
        let text = self.places.get(at).copied().flatten().and_then(|place| self.record.get(place)).unwrap_or("").trim();
        if text.len() > LONGEST {
            mistakes.push(mistake(self.line, Some(column.name), "the value is too long", "内容过长"));
            return None;
        }
        if text.is_empty() && column.required {
            mistakes.push(mistake(self.line, Some(column.name), "the value is missing", "内容为空"));
        }
        (!text.is_empty()).then_some(text)
    }

    /// A value, read; one that can't be is a mistake.
    fn read<T>(
        &self,
        column: &Column,
        mistakes: &mut Vec<FileMistake>,
        read: impl FnOnce(&str) -> Option<T>,
        (what, what_zh): (&str, &str),
    ) -> Option<T> {
        let value = read(self.value(column, mistakes)?);
        if value.is_none() {
            mistakes.push(mistake(self.line, Some(column.name), what, what_zh));
        }
        value
    }

    fn entry(&self, kind: RegistryKind, key: &PersonKey, mistakes: &mut Vec<FileMistake>) -> Option<RegistryEntry> {
        let plate = |mistakes: &mut Vec<FileMistake>| {
            let words = ("has not the form of a plate", "不是有效的车牌号");
            self.read(&PLATE, mistakes, |text| Plate::read(text).map(|plate| plate.to_string()), words)
        };
        let licence = |mistakes: &mut Vec<FileMistake>| {
            let words = ("is masked or identifies nobody", "已脱敏或无法识别");
            self.read(&LICENCE, mistakes, |text| key.hash(Field::DriverLicence, text), words)
        };
        let company = |mistakes: &mut Vec<FileMistake>| self.value(&COMPANY, mistakes).map(ToOwned::to_owned);
        let of_key = |entry_key: String, facts| RegistryEntry { kind, key: entry_key, from_ms: 0, until_ms: 0, facts };
        let before = mistakes.len();
        let entry = match kind {
            RegistryKind::Vehicles => {
                let plate = plate(mistakes);
                let words = ("is no colour of a plate", "不是有效的号牌颜色");
                let plate_colour = self.read(&COLOUR, mistakes, colour, words);
                let company = company(mistakes);
                of_key(plate?, RegistryFacts { plate_colour, company, ..RegistryFacts::default() })
            }
            RegistryKind::Drivers => {
                let licence = licence(mistakes);
                let driver_name = self.value(&NAME, mistakes).and_then(|text| key.hash(Field::DriverName, text));
                let company = company(mistakes);
                of_key(licence?.as_str().to_owned(), RegistryFacts { driver_name, company, ..RegistryFacts::default() })
            }
            RegistryKind::Companies => {
                let company = company(mistakes)?;
                of_key(company_key(&company), RegistryFacts { company: Some(company), ..RegistryFacts::default() })
            }
            RegistryKind::Trips => {
                let words = ("is no time as 2026-11-23 09:00:00", "时间写法应如 2026-11-23 09:00:00");
                let plate = plate(mistakes);
                let from = self.read(&FROM, mistakes, instant, words);
                let until = self.read(&TO, mistakes, instant, words);
                let driver_licence = licence(mistakes);
                let (from_ms, until_ms) = (from?.as_millisecond(), until?.as_millisecond());
                if !(0..=LONGEST_TRIP_MS).contains(&(until_ms - from_ms)) {
                    let (what, zh) =
                        ("the trip ends before it begins, or lasts longer than a day", "行程结束早于开始，或超过一天");
                    mistakes.push(mistake(self.line, Some(TO.name), what, zh));
                }
                let facts = RegistryFacts { driver_licence, ..RegistryFacts::default() };
                RegistryEntry { kind, key: plate?, from_ms, until_ms, facts }
            }
        };
        (mistakes.len() == before).then_some(entry)
    }
}

/// A time of China without a zone, or one with.
fn instant(text: &str) -> Option<Timestamp> {
    let text = text.replace('/', "-").replacen(' ', "T", 1);
    let text = if text.matches(':').count() == 1 { format!("{text}:00") } else { text };
    let moment = parse_moment(&text).or_else(|_| parse_moment(&format!("{text}+08:00"))).ok()?;
    (!moment.is_date_only()).then(|| moment.start())
}

/// The canonical colour.
fn colour(text: &str) -> Option<String> {
    let canonical = match text.trim_end_matches('色') {
        "blue" | "蓝" | "1" => "blue",
        "yellow" | "黄" | "2" => "yellow",
        "black" | "黑" | "3" => "black",
        "white" | "白" | "4" => "white",
        "green" | "绿" | "5" => "green",
        "yellow_green" | "黄绿" | "黄绿双拼" | "93" => "yellow_green",
        "gradient_green" | "渐变绿" | "94" => "gradient_green",
        "other" | "其他" | "9" => "other",
        _ => return None,
    };
    Some(canonical.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PersonKey {
        PersonKey::of_installation(&[7; 32])
    }

    fn places(kind: RegistryKind, text: &str) -> Vec<(u64, Option<&'static str>)> {
        let mistakes = read(kind, text.as_bytes(), &key()).unwrap_err();
        mistakes.iter().map(|mistake| (mistake.line, mistake.column)).collect()
    }

    #[test]
    fn either_encoding_and_either_language_say_the_same() {
        let chinese = "车牌号,备注,号牌颜色,经营企业\r\n粤Ａ·d12345,x,渐变绿,甲公司\r\n粤A12345,,,\r\n";
        let english = "plate,plate_colour,company\n粤AD12345,gradient_green,\"甲公司\"\n粤A12345,,\n";
        let taken = read(RegistryKind::Vehicles, chinese.as_bytes(), &key()).unwrap();
        assert_eq!(taken.ignored_columns, ["备注"]);
        assert_eq!(taken.entries[0].key, "粤AD12345");
        let (encoded, _, _) = encoding_rs::GB18030.encode(chinese);
        assert_eq!(read(RegistryKind::Vehicles, &encoded, &key()).unwrap(), taken);
        let marked = format!("\u{feff}{english}");
        assert_eq!(read(RegistryKind::Vehicles, marked.as_bytes(), &key()).unwrap().entries, taken.entries);
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_lines() {
        let text = "plate,plate_colour,company\n没有,蓝,甲\n粤A12345,lila,甲\n粤A12346,蓝\n粤A12347,蓝,甲\n粤a·12347,蓝,甲\n,蓝,甲\n";
        assert_eq!(
            places(RegistryKind::Vehicles, text),
            [(2, Some("plate")), (3, Some("plate_colour")), (4, None), (6, Some("plate")), (7, Some("plate"))]
        );
        assert_eq!(places(RegistryKind::Vehicles, "colour\n蓝\n"), [(1, Some("plate"))]);
        assert_eq!(places(RegistryKind::Vehicles, ""), [(1, None)]);
        assert_eq!(places(RegistryKind::Vehicles, "plate,company\n粤A12345,\"甲"), [(1, None)]);
        let trips = "plate,trip_from,trip_to\n粤A12345,2026-11-23 09:00,2026-11-23 08:00\n粤A12345,gestern,2026-11-23 08:00:00\n";
        assert_eq!(places(RegistryKind::Trips, trips), [(2, Some("trip_to")), (3, Some("trip_from"))]);
        let broken: &[u8] = b"plate\n\xff\xff\xff\n";
        assert_eq!(read(RegistryKind::Vehicles, broken, &key()).unwrap_err().len(), 1);
    }

    #[test]
    fn nothing_of_a_driver_is_kept_but_hashes() {
        let text = "从业资格证号,姓名,企业名称\n0000000000000000001,测试乙,甲公司\n***0001,测试乙,甲公司\n";
        assert_eq!(places(RegistryKind::Drivers, text), [(3, Some("driver_licence"))]);
        let text = text.lines().take(2).collect::<Vec<_>>().join("\n");
        let entries = read(RegistryKind::Drivers, text.as_bytes(), &key()).unwrap().entries;
        let stored = serde_json::to_string(&entries).unwrap();
        assert!(!stored.contains("测试乙") && !stored.contains("0000000000000000001"), "{stored}");
        assert_eq!(entries[0].key, key().hash(Field::DriverLicence, " 00000000 00000000001").unwrap().as_str());
    }

    #[test]
    fn trips_are_kept_to_their_time() {
        let text = "车牌号,上车时间,下车时间\n粤A12345,2026/11/23 09:00,2026-11-23 09:20:30\n";
        let entries = read(RegistryKind::Trips, text.as_bytes(), &key()).unwrap().entries;
        assert_eq!(entries[0].until_ms - entries[0].from_ms, 1_230_000);
        assert_eq!(entries[0].from_ms, parse_moment("2026-11-23T01:00:00Z").unwrap().start().as_millisecond());
    }
}
