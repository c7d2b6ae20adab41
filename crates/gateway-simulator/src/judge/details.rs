//! What only a single order tells: its attachments 附件, and how its car compares with the operating data 核查.
//!
//! Of every reference in a platform's own book the gateway must keep the file to the bit, unless the platform lost it: then it is no file of the gateway's,
//! and a gap says so. What the bureau was given are addresses, which are followed as the bureau would: they must give the same bytes, and nobody is given any
//! without a grant, or of a secret or anonymous order. Of every car the verdict must be the one that the service's own book gives.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::forwards::number_elsewhere;
use super::verdict::{AttachmentBalance, Verdict};
use super::{ControlPoint, Reader, Source, books};
use crate::digest::Dataset;
use crate::error::SimError;
use crate::http;
use crate::operating_data::Car;
use crate::picture;
use crate::record::Order;

/// Each order is asked for by itself: beyond so many mismatches that would say nothing more.
const ENOUGH: usize = 50;

/// Whose files are fetched and passed on.
#[derive(Clone, Debug)]
pub struct AttachmentOptions {
    /// The channels whose files are fetched.
    pub channels: Vec<String>,
    /// Those of them whose pictures the bureau is granted.
    pub granted: Vec<String>,
}

/// Whose cars are looked up.
#[derive(Clone, Debug)]
pub struct VerificationOptions {
    /// The channels whose orders are compared with the operating data.
    pub channels: Vec<String>,
    /// The operating-data service's control surface.
    pub service: ControlPoint,
}

/// A file by the platform's book.
struct File {
    digest: String,
    lost: bool,
}

type Files = HashMap<String, File>;

/// What is known of one order by its platform's book.
struct Wanted {
    number: String,
    references: Vec<String>,
    plate: String,
    company: String,
    /// What the bureau has of its pictures.
    given: Vec<String>,
}

/// Asks order by order. `unfinished`: the attachments that are said to be missing, by channel and id.
pub(super) async fn check(
    reader: &Reader<'_>,
    unfinished: BTreeSet<(String, String)>,
    verdict: &mut Verdict,
) -> Result<(), SimError> {
    if reader.options.attachments.is_none() && reader.options.verification.is_none() {
        return Ok(());
    }
    let mut unfinished = unfinished;
    let mut given = given(reader).await?;
    let cars = cars(reader).await?;
    for source in reader.options.origins() {
        let channel = source.channel;
        let (attached, granted) = reader.options.attachments.as_ref().map_or((false, false), |options| {
            let among = |channels: &[String]| channels.iter().any(|one| one == channel);
            (among(&options.channels), among(&options.granted))
        });
        let verified = reader
            .options
            .verification
            .as_ref()
            .is_some_and(|options| options.channels.iter().any(|one| one == channel));
        let files = if attached { Some(files(reader, source.platform).await?) } else { None };
        for wanted in wanted(reader, source, granted, &mut given, verdict).await? {
            let number = wanted.number.as_str();
            if verdict.mismatch_count >= ENOUGH {
                return Ok(());
            }
            if files.is_none() && !verified {
                continue;
            }
            let Some(order) = reader.order(channel, number).await? else {
                verdict.mismatch(channel, "", number, "order_not_told");
                continue;
            };
            if let Some(files) = &files {
                let passed_on = follow(reader, channel, &wanted, files, verdict).await?;
                let balance = attachments(channel, &wanted, &order, (files, &mut unfinished), verdict);
                let all = verdict.attachments.entry(channel.to_owned()).or_default();
                all.references += balance.references;
                all.kept += balance.kept;
                all.lost += balance.lost;
                all.passed_on += passed_on;
            }
            if verified && let Some(expected) = expected_verdict(&cars, &wanted) {
                let told = order["verifications"].as_array().into_iter().flatten();
                let told = told.into_iter().find(|one| one["channel"] == channel);
                if told.is_none_or(|one| one["verdict"] != expected) {
                    verdict.mismatch(channel, Dataset::Acceptance.as_str(), number, format!("verdict_not_{expected}"));
                }
                *verdict.verified.entry(expected.to_owned()).or_default() += 1;
            }
        }
    }
    for (channel, _) in unfinished {
        verdict.mismatch(&channel, Dataset::Acceptance.as_str(), "", "gap_open");
    }
    for (number, _) in given {
        verdict.mismatch("", Dataset::Acceptance.as_str(), &number, "pictures_of_nobody");
    }
    Ok(())
}

/// The addresses in the bureau's book, by number there.
async fn given(reader: &Reader<'_>) -> Result<BTreeMap<String, Vec<String>>, SimError> {
    let mut given = BTreeMap::new();
    let (Some(bureau), Some(_)) = (&reader.options.bureau, &reader.options.attachments) else { return Ok(given) };
    books::each(reader, &bureau.platform, |_, order| {
        let addresses = order.given_pictures.split(',').filter(|address| !address.is_empty());
        let addresses: Vec<String> = addresses.map(str::to_owned).collect();
        if !addresses.is_empty() {
            given.insert(order.order_no.clone(), addresses);
        }
    })
    .await?;
    Ok(given)
}

async fn files(reader: &Reader<'_>, platform: &ControlPoint) -> Result<Files, SimError> {
    let book = http::get(&reader.client, &platform.url, "/sim/files", &platform.token).await?;
    let text = |file: &Value, name: &str| file[name].as_str().unwrap_or_default().to_owned();
    let files = book["files"].as_array().into_iter().flatten();
    Ok(files
        .map(|file| (text(file, "reference"), File { digest: text(file, "sha256"), lost: file["state"] == "lost" }))
        .collect())
}

async fn cars(reader: &Reader<'_>) -> Result<HashMap<String, Car>, SimError> {
    let Some(options) = &reader.options.verification else { return Ok(HashMap::new()) };
    let book = http::get(&reader.client, &options.service.url, "/sim/cars", &options.service.token).await?;
    let cars: Vec<Car> = serde_json::from_value(book["cars"].clone()).map_err(|_| SimError::Answer {
        what: "GET /sim/cars".into(),
        status: 200,
        detail: "unreadable book".into(),
    })?;
    Ok(cars.into_iter().map(|car| (car.plate_no.clone(), car)).collect())
}

/// The orders of a platform's book; what the bureau was given of them is judged here, where it may not have any.
async fn wanted(
    reader: &Reader<'_>,
    source: Source<'_>,
    granted: bool,
    given: &mut BTreeMap<String, Vec<String>>,
    verdict: &mut Verdict,
) -> Result<Vec<Wanted>, SimError> {
    let mut all = Vec::new();
    books::each(reader, source.platform, |_, order| {
        let given = given.remove(&number_elsewhere(order, source.channel)).unwrap_or_default();
        let references: Vec<String> = picture::references(&order.pictures).into_iter().map(str::to_owned).collect();
        let may = granted && !is_hidden(order);
        let owed = if may { references.len() } else { 0 };
        if given.len() != owed {
            let kind = if given.len() > owed { "pictures_not_granted" } else { "pictures_not_given" };
            verdict.mismatch(source.channel, Dataset::Acceptance.as_str(), &order.order_no, kind);
        }
        all.push(Wanted {
            number: order.order_no.clone(),
            references,
            plate: order.plate_no.replace('·', ""),
            company: order.company_name.clone(),
            given: if may { given } else { Vec::new() },
        });
    })
    .await?;
    Ok(all)
}

fn is_hidden(order: &Order) -> bool {
    order.is_secret == "1" || order.is_anonymous == "1"
}

/// What the gateway says of the order's attachments.
fn attachments(
    channel: &str,
    wanted: &Wanted,
    order: &Value,
    (files, unfinished): (&Files, &mut BTreeSet<(String, String)>),
    verdict: &mut Verdict,
) -> AttachmentBalance {
    let mut balance = AttachmentBalance::default();
    let mut mismatch =
        |kind: &str| verdict.mismatch(channel, Dataset::Acceptance.as_str(), &wanted.number, kind.to_owned());
    let ours = order["attachments"].as_array().into_iter().flatten().filter(|one| one["channel"] == channel);
    let mut ours: HashMap<&str, &Value> = ours.filter_map(|one| Some((one["reference"].as_str()?, one))).collect();
    for reference in &wanted.references {
        balance.references += 1;
        let Some(one) = ours.remove(reference.as_str()) else {
            mismatch("attachment_not_known");
            continue;
        };
        let file = files.get(reference);
        let kept = one["state"] == "kept";
        let id = one["id"].as_str().unwrap_or_default().to_owned();
        let told_missing = unfinished.remove(&(channel.to_owned(), id));
        if told_missing && file.is_none_or(|file| !file.lost) {
            mismatch("gap_open");
        }
        balance.kept += u64::from(kept);
        match file {
            Some(file) if file.lost => {
                balance.lost += 1;
                if kept {
                    mismatch("attachment_of_nothing");
                } else if !told_missing {
                    mismatch("attachment_missing_not_told");
                }
            }
            Some(file) if kept && one["sha256"] == file.digest.as_str() => {}
            Some(_) if kept => mismatch("attachment_differs"),
            _ => mismatch("attachment_not_kept"),
        }
    }
    // What a later word does not name any more may still be shown.
    if ours.values().any(|one| one["state"] != "withdrawn") {
        mismatch("attachment_extra");
    }
    balance
}

/// Follows the addresses that the bureau was given; returns how many gave a file.
async fn follow(
    reader: &Reader<'_>,
    channel: &str,
    wanted: &Wanted,
    files: &Files,
    verdict: &mut Verdict,
) -> Result<u64, SimError> {
    let mut expected: Vec<&str> = wanted
        .references
        .iter()
        .filter_map(|reference| files.get(reference))
        .filter(|file| !file.lost)
        .map(|file| file.digest.as_str())
        .collect();
    let mut got = 0;
    for address in &wanted.given {
        if !address.starts_with("http") {
            verdict.mismatch(channel, Dataset::Acceptance.as_str(), &wanted.number, "address_not_whole");
            continue;
        }
        let (status, bytes) = http::send_for_bytes("GET attachment", reader.client.get(address)).await?;
        let digest = hex::encode(picture::digest(&bytes));
        match expected.iter().position(|one| *one == digest) {
            Some(place) if status == 200 => {
                expected.remove(place);
                got += 1;
            }
            // What the platform lost nobody can give.
            _ if status != 200 => {}
            _ => verdict.mismatch(channel, Dataset::Acceptance.as_str(), &wanted.number, "address_gives_other_bytes"),
        }
    }
    if !wanted.given.is_empty() && !expected.is_empty() {
        verdict.mismatch(channel, Dataset::Acceptance.as_str(), &wanted.number, "address_gives_nothing");
    }
    Ok(got)
}

/// The verdict by the service's own book; nothing where the order names no car.
fn expected_verdict(cars: &HashMap<String, Car>, wanted: &Wanted) -> Option<&'static str> {
    if wanted.plate.is_empty() {
        return None;
    }
    Some(match cars.get(&wanted.plate) {
        None => "not_found",
        Some(car) if car.company_name == wanted.company => "match",
        Some(_) => "mismatch",
    })
}
