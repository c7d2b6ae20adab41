//! The province's front-end box 前置机 (section 7 of `docs/channels/provincial-12328.md`): reads what a city tells by file, compares it with its own book,
//! and writes receipts 回执, wrong ones among them where it is told to.
//!
//! Digests, CSV and names are its own: nothing of it is shared with the gateway.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sm3::Sm3;

use super::{Platform, lock};
use crate::book::Book;

/// What goes wrong at the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoxFault {
    /// The receipt is there for a while before the file that says that it is whole.
    Half,
    /// The digest beside it is another one.
    Digest,
    /// Its last line is torn.
    Torn,
    /// A row lacks a value.
    Columns,
    /// The file beside it names a file elsewhere.
    Name,
    /// Rows that are held are rejected.
    Reject,
    /// The same receipt comes twice.
    Twice,
    /// The first data file of a batch arrives without its end.
    Damaged,
}

impl FromStr for BoxFault {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "half" => Ok(Self::Half),
            "digest" => Ok(Self::Digest),
            "torn" => Ok(Self::Torn),
            "columns" => Ok(Self::Columns),
            "name" => Ok(Self::Name),
            "reject" => Ok(Self::Reject),
            "twice" => Ok(Self::Twice),
            "damaged" => Ok(Self::Damaged),
            _ => Err("half, digest, torn, columns, name, reject, twice or damaged".to_owned()),
        }
    }
}

/// One line of a receipt: file, row key, verdict, code, message.
type Line = [String; 5];

/// What became of a batch.
#[derive(Default)]
struct Batch {
    judged: Judged,
    serial: u32,
    /// The receipt that an answer is awaited to.
    awaited: Option<String>,
    /// The file beside it that is still to be written.
    ready: Option<(PathBuf, String)>,
    done: bool,
}

/// What was found in a batch.
#[derive(Default)]
struct Judged {
    whole: bool,
    lines: Vec<Line>,
    /// Items of our book that a whole batch lacked.
    lacking: u64,
    /// Rows about an item that the batch had told already.
    repeated: u64,
}

impl Judged {
    /// How many lines say this: `0` held, `1` rejected, `2` a file refused.
    fn said(&self, verdict: &str) -> usize {
        self.lines.iter().filter(|line| line[2] == verdict).count()
    }
}

/// The box as far as this process knows it.
#[derive(Default)]
pub(super) struct FrontBox {
    batches: BTreeMap<String, Batch>,
    faults: VecDeque<BoxFault>,
    told: Told,
}

#[derive(Default)]
struct Told {
    batches: u64,
    rows: u64,
    accepted: u64,
    not_held: u64,
    differs: u64,
    rejected_though_held: u64,
    files_refused: u64,
    /// Items of our book that the last whole batch lacked.
    lacking: u64,
    receipts: u64,
    receipts_refused: u64,
    receipts_taken: u64,
    faults: BTreeMap<String, u64>,
}

impl FrontBox {
    pub(super) fn new(faults: &[BoxFault]) -> Self {
        Self { faults: faults.iter().copied().collect(), ..Self::default() }
    }

    /// For the control surface.
    pub(super) fn show(&self) -> Value {
        let told = &self.told;
        let book = |(name, batch): (&String, &Batch)| {
            let judged = &batch.judged;
            json!({
                "batch": name, "whole": judged.whole, "accepted": judged.said("0"), "rejected": judged.said("1"),
                "files_refused": judged.said("2"), "lacking": judged.lacking, "repeated": judged.repeated, "settled": batch.done,
            })
        };
        json!({
            "books": self.batches.iter().map(book).collect::<Vec<_>>(),
            "batches": told.batches, "rows": told.rows, "accepted": told.accepted, "not_held": told.not_held,
            "differs": told.differs, "rejected_though_held": told.rejected_though_held,
            "files_refused": told.files_refused, "lacking": told.lacking, "receipts": told.receipts,
            "receipts_refused": told.receipts_refused, "receipts_taken": told.receipts_taken, "faults": told.faults,
            "faults_left": self.faults.len(), "settled": self.batches.values().all(|batch| batch.done),
        })
    }
}

/// Looks at the box until shut down.
pub(super) async fn run(platform: Arc<Platform>) {
    let Some(dir) = platform.options.front_box.clone() else { return };
    loop {
        let (of, dir) = (platform.clone(), dir.clone());
        match tokio::task::spawn_blocking(move || look(&of, &dir)).await {
            Ok(Err(error)) => tracing::warn!(%error, "the front-end box can't be used"),
            Ok(Ok(())) => {}
            Err(_) => return,
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn look(platform: &Platform, dir: &Path) -> io::Result<()> {
    let (upload, receipts) = (dir.join("upload"), dir.join("receipt"));
    fs::create_dir_all(&upload)?;
    fs::create_dir_all(&receipts)?;
    let mut kept = lock(&platform.front_box);
    for entry in fs::read_dir(&upload)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(batch) = name.strip_prefix("manifest_").and_then(|rest| rest.strip_suffix(".csv")) else { continue };
        if !kept.batches.contains_key(batch) {
            let damaged = kept.faults.front() == Some(&BoxFault::Damaged);
            let judged = judge(platform, &upload, &name, damaged, &mut kept.told)?;
            if damaged {
                kept.faults.pop_front();
                *kept.told.faults.entry("Damaged".to_owned()).or_default() += 1;
            }
            kept.told.lacking = if judged.whole { judged.lacking } else { kept.told.lacking };
            kept.batches.insert(batch.to_owned(), Batch { judged, ..Batch::default() });
            kept.told.batches += 1;
        }
    }
    let FrontBox { batches, faults, told } = &mut *kept;
    for (name, batch) in batches.iter_mut().filter(|(_, batch)| !batch.done) {
        if let Some((path, text)) = batch.ready.take() {
            fs::write(path, encoded(&text))?;
            continue;
        }
        let Some(awaited) = &batch.awaited else {
            issue(&receipts, name, batch, faults, told)?;
            continue;
        };
        let answer = upload.join(format!("answer_{awaited}"));
        if !answer.exists() {
            continue;
        }
        let said = table(&fs::read(&answer)?)?;
        let refused = said.iter().any(|row| row.get("verdict").is_some_and(|verdict| verdict == "2"));
        fs::remove_file(&answer)?;
        if refused {
            told.receipts_refused += 1;
            issue(&receipts, name, batch, faults, told)?;
        } else {
            told.receipts_taken += 1;
            batch.done = true;
            if faults.front() == Some(&BoxFault::Twice) {
                faults.pop_front();
                *told.faults.entry("Twice".to_owned()).or_default() += 1;
                batch.done = false;
                batch.serial -= 1;
                issue(&receipts, name, batch, &mut VecDeque::new(), told)?;
            }
        }
    }
    Ok(())
}

fn issue(
    receipts: &Path,
    name: &str,
    batch: &mut Batch,
    faults: &mut VecDeque<BoxFault>,
    told: &mut Told,
) -> io::Result<()> {
    let fault = faults.front().copied().filter(|fault| !matches!(fault, BoxFault::Twice | BoxFault::Damaged));
    if let Some(fault) = fault {
        faults.pop_front();
        *told.faults.entry(format!("{fault:?}")).or_default() += 1;
    }
    batch.serial += 1;
    told.receipts += 1;
    let stem = format!("receipt_{name}_{:04}", batch.serial);
    let receipt = format!("{stem}.csv");
    let lines = &mut batch.judged.lines;
    if fault == Some(BoxFault::Reject) {
        for line in lines.iter_mut().filter(|line| line[2] == "0" && !line[1].is_empty()).take(5) {
            line[2..].clone_from_slice(&["1".to_owned(), "checked".to_owned(), "数据校验不通过".to_owned()]);
            told.rejected_though_held += 1;
        }
    }
    let mut text = row(&["fileName", "rowKey", "verdict", "code", "message"]);
    for line in lines.iter() {
        text += &row(&line.each_ref().map(String::as_str));
    }
    match fault {
        Some(BoxFault::Torn) => text.truncate(text.len() - 4),
        Some(BoxFault::Columns) => text += &row(&["a", "b"]),
        _ => {}
    }
    let rows = lines.len() + usize::from(fault == Some(BoxFault::Columns));
    let bytes = encoded(&text);
    let digest = if fault == Some(BoxFault::Digest) { "0".repeat(64) } else { hex::encode(Sm3::digest(&bytes)) };
    let named = if fault == Some(BoxFault::Name) { "../../gateway.toml" } else { &receipt };
    let ready = row(&["fileName", "rows", "digest"]) + &row(&[named, &rows.to_string(), &digest]);
    fs::write(receipts.join(&receipt), bytes)?;
    let path = receipts.join(format!("{stem}.ok"));
    if fault == Some(BoxFault::Half) {
        batch.ready = Some((path, ready));
    } else {
        fs::write(path, encoded(&ready))?;
    }
    batch.awaited = Some(receipt);
    Ok(())
}

/// Compares a batch with the book: a line for every row, or for a file that can't be used.
fn judge(platform: &Platform, upload: &Path, manifest: &str, mut damaged: bool, told: &mut Told) -> io::Result<Judged> {
    let mut judged = Judged::default();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for listed in table(&fs::read(upload.join(manifest))?)? {
        let of = |name: &str| listed.get(name).cloned().unwrap_or_default();
        judged.whole = of("scope") == "whole";
        let mut bytes = fs::read(upload.join(of("fileName")))?;
        if std::mem::take(&mut damaged) {
            bytes.truncate(bytes.len().saturating_sub(7));
        }
        let digest = match of("algorithm").as_str() {
            "SM3" => hex::encode(Sm3::digest(&bytes)),
            _ => hex::encode(Sha256::digest(&bytes)),
        };
        let rows = table(&bytes);
        let right = rows.as_ref().is_ok_and(|rows| rows.len().to_string() == of("rows"));
        let (true, Ok(rows)) = (right && digest == of("digest"), rows) else {
            told.files_refused += 1;
            judged.lines.push([of("fileName"), String::new(), "2".into(), "digest".into(), "文件校验不通过".into()]);
            continue;
        };
        let book = platform.ledger.lock();
        for row in rows {
            told.rows += 1;
            let key = row.get("rowKey").cloned().unwrap_or_default();
            let (name, found) = compare(&book, &of("dataset"), &row);
            judged.repeated += u64::from(!seen.insert(name));
            let (verdict, code) = match found {
                Found::Same => ("0", ""),
                Found::Not => ("1", "not_held"),
                Found::Other => ("1", "differs"),
            };
            *match code {
                "" => &mut told.accepted,
                "not_held" => &mut told.not_held,
                _ => &mut told.differs,
            } += 1;
            judged.lines.push([of("fileName"), key, verdict.to_owned(), code.to_owned(), String::new()]);
        }
    }
    if judged.whole {
        let book = platform.ledger.lock();
        let items = book.from_position(0).filter(|held| held.uploaded).flat_map(|held| {
            let number = &held.order.order_no;
            let completions = held.order.completions.iter().map(move |it| format!("completion {number} {}", it.round));
            let visits = held.order.visits.iter().map(move |it| format!("evaluation {number} {}", it.visit_no));
            std::iter::once(format!("acceptance {number}")).chain(completions).chain(visits)
        });
        judged.lacking = items.filter(|item| !seen.contains(item)).count() as u64;
    }
    Ok(judged)
}

enum Found {
    Same,
    Not,
    Other,
}

type Row = BTreeMap<String, String>;

/// Which item a row is about, and whether the book has it so.
fn compare(book: &Book, dataset: &str, row: &Row) -> (String, Found) {
    let of = |name: &str| row.get(name).map(String::as_str).unwrap_or_default();
    let number = of("orderNo");
    let held = book.keys(number).last().and_then(|key| book.order(key));
    let Some(order) = held.and_then(|held| serde_json::to_value(&held.order).ok()) else {
        return (format!("{dataset} {number} {}{}", of("round"), of("visitNo")), Found::Not);
    };
    let item = |list: &str, key: &str| {
        let found = order[list].as_array().into_iter().flatten().find(|item| text(&item[key]) == of(key));
        (format!("{dataset} {number} {}", of(key)), found.cloned())
    };
    let (name, item) = match dataset {
        "acceptance" => (format!("acceptance {number}"), Some(order.clone())),
        "completion" => item("completions", "round"),
        _ => item("visits", "visitNo"),
    };
    let Some(item) = item else { return (name, Found::Not) };
    let own = |(name, _): &(&String, &String)| !["rowKey", "orderNo"].contains(&name.as_str());
    let same = row.iter().filter(own).all(|(name, value)| text(&item[name.as_str()]) == *value);
    (name, if same { Found::Same } else { Found::Other })
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A file's rows, by the names of its first line.
fn table(bytes: &[u8]) -> io::Result<Vec<Row>> {
    let (decoded, _, wrong) = encoding_rs::GB18030.decode(bytes);
    if wrong || !decoded.ends_with("\r\n") {
        return Err(io::Error::other("no whole GB18030 text"));
    }
    let mut reader = csv::ReaderBuilder::new().double_quote(false).escape(Some(b'\\')).from_reader(decoded.as_bytes());
    let names = reader.headers()?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        rows.push(names.iter().map(str::to_owned).zip(record?.iter().map(str::to_owned)).collect());
    }
    Ok(rows)
}

fn row(values: &[&str]) -> String {
    let quoted: Vec<_> =
        values.iter().map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))).collect();
    quoted.join(",") + "\r\n"
}

fn encoded(text: &str) -> Vec<u8> {
    encoding_rs::GB18030.encode(text).0.into_owned()
}

/// The place of the box among what a platform shares.
pub(super) type Kept = Mutex<FrontBox>;
