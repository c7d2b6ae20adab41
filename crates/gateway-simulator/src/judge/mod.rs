//! The judge: does the gateway hold what the platform has, and does the platform have what the desk sent?
//!
//! It reads the gateway only as `docs/api.md` says and the books of platform and desk only by their `/sim`. Record by record, id and
//! content: every current item at the source is held identically (fields by the table of `docs/api.md`, person fields too, digest
//! computed here), nothing more is held, every reply that was not refused is at the platform once, and nothing that the gateway calls rejected
//! was done. Where orders are dispatched to the bureau's system, its book must have each of them as its origin's says, and what it did must be at the
//! origin, once. Where items are forwarded to a province, its book must hold what the origins' say, and the gateway what the province's says. Where files are
//! fetched, each that the platform has is kept to the bit, and each that it lost is told. *Balanced* means no mismatch at all. A verdict is only final after everything settled; the caller asks again until then.

mod accounts;
mod books;
mod bureau;
mod canonical;
mod claims;
mod details;
mod forwards;
mod held;
mod replies;
mod verdict;

use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use crate::digest::Dataset;
use crate::dress::Dress;
use crate::error::SimError;
use crate::http;
use crate::record::Order;
use canonical::{CodeTable, Expected};
pub use details::{AttachmentOptions, VerificationOptions};
pub use forwards::ForwardOptions;
use held::{HeldItem, HeldOrder, Holdings, print};
use replies::Replies;
pub use verdict::{ForwardBalance, GapBalance, Mismatch, Verdict};

/// Where a simulator's control surface is.
#[derive(Clone, Debug)]
pub struct ControlPoint {
    /// Base URL.
    pub url: String,
    /// Its token.
    pub token: String,
}

/// What is to be judged.
#[derive(Clone, Debug)]
pub struct JudgeOptions {
    /// Base address of the gateway's API.
    pub gateway_url: String,
    /// Token of role `judge` (or `admin`).
    pub token: String,
    /// The platform's control surface.
    pub platform: ControlPoint,
    /// The desk's control surface; without it the way out is not judged.
    pub desk: Option<ControlPoint>,
    /// The channel by which the gateway knows the platform.
    pub channel: String,
    /// The platforms where citizens write themselves, in the default dress; their orders are dispatched and forwarded as the platform's.
    pub fronts: Vec<Party>,
    /// The bureau's system, where orders are dispatched to one; what it does is judged as a desk's doing is.
    pub bureau: Option<Party>,
    /// To whom what platform and fronts say is owed, where it is.
    pub forwards: Option<ForwardOptions>,
    /// Whose files are fetched and passed on, where any are.
    pub attachments: Option<AttachmentOptions>,
    /// Whose cars are looked up, where any are.
    pub verification: Option<VerificationOptions>,
    /// The dress in which the two speak: digests are over what is on the wire.
    pub dress: Dress,
}

/// A counterparty with a book of its own.
#[derive(Clone, Debug)]
pub struct Party {
    /// The channel by which the gateway knows it.
    pub channel: String,
    /// Its control surface.
    pub platform: ControlPoint,
}

/// A channel whose book the gateway must hold.
#[derive(Clone, Copy)]
struct Source<'a> {
    channel: &'a str,
    platform: &'a ControlPoint,
    dress: Dress,
    codes: CodeTable,
}

impl JudgeOptions {
    /// The channels where orders begin: the municipal platform and the fronts.
    fn origins(&self) -> impl Iterator<Item = Source<'_>> {
        let municipal =
            Source { channel: &self.channel, platform: &self.platform, dress: self.dress, codes: CodeTable::Municipal };
        let fronts = self.fronts.iter().map(|front| Source::of(&front.channel, &front.platform, CodeTable::Municipal));
        [municipal].into_iter().chain(fronts)
    }

    fn sources(&self) -> impl Iterator<Item = Source<'_>> {
        let province = self.forwards.as_ref();
        let province = province
            .map(|to| Source { dress: to.dress, ..Source::of(&to.channel, &to.platform, CodeTable::Provincial) });
        let bureau = self.bureau.as_ref();
        let bureau = bureau.map(|party| Source::of(&party.channel, &party.platform, CodeTable::Bureau));
        self.origins().chain(province).chain(bureau)
    }
}

impl<'a> Source<'a> {
    fn of(channel: &'a str, platform: &'a ControlPoint, codes: CodeTable) -> Self {
        Self { channel, platform, dress: Dress::Default, codes }
    }
}

/// Who reads, and from where.
struct Reader<'a> {
    options: &'a JudgeOptions,
    client: Client,
}

impl Reader<'_> {
    async fn gateway(&self, path: &str) -> Result<Value, SimError> {
        http::get(&self.client, &self.options.gateway_url, path, &self.options.token).await
    }

    /// The order of a number, with what only a single one tells; `None` where the gateway does not know it, or knows two.
    async fn order(&self, channel: &str, number: &str) -> Result<Option<Value>, SimError> {
        let path = format!("/api/v1/orders/{}?person=true&channel={}", http::escape(number), http::escape(channel));
        match self.gateway(&path).await {
            Ok(order) => Ok(Some(order)),
            Err(SimError::Answer { status: 404 | 409, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is owed of the order of a number; nothing where the gateway does not know it, or knows two.
    async fn deliveries(&self, channel: &str, number: &str) -> Result<Vec<Value>, SimError> {
        let path = format!("/api/v1/orders/{}/timeline?channel={}", http::escape(number), http::escape(channel));
        match self.gateway(&path).await {
            Ok(timeline) => Ok(timeline["deliveries"].as_array().cloned().unwrap_or_default()),
            Err(SimError::Answer { status: 404 | 409, .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// Judges.
///
/// # Errors
/// When one of the three can't be read; that is no verdict.
pub async fn judge(options: JudgeOptions) -> Result<Verdict, SimError> {
    let reader = Reader { options: &options, client: http::client(Duration::from_secs(30))? };
    let mut verdict = Verdict::default();
    let mut replies = Replies::read(&reader).await?;
    let mut at_source = Vec::new();
    for source in options.sources() {
        let mut holdings = Holdings::read(&reader, source.channel).await?;
        let count = compare_books(&reader, source, &mut holdings, &mut replies, &mut verdict).await?;
        at_source.push((source.channel, count));
    }
    replies.missing(&reader, &mut verdict).await?;
    if let Some(bureau) = &options.bureau {
        bureau::compare(&reader, bureau, &mut verdict).await?;
    }
    if let Some(forwards) = &options.forwards {
        forwards::compare(&reader, forwards, &mut verdict).await?;
    }
    accounts::flow(&reader, &at_source, replies.accepted(), &mut verdict).await?;
    let unfinished = accounts::gaps(&reader, &mut verdict).await?;
    accounts::dead_letters(&reader, &mut verdict).await?;
    verdict.faults = accounts::faults(&reader, &options.channel, &options.platform, &mut verdict).await?;
    verdict.fronts = accounts::front_faults(&reader, &mut verdict).await?;
    // Many questions: asked only when nothing else is left to say.
    if verdict.mismatch_count == 0 {
        replies.claims.check(&reader, &mut verdict).await?;
        details::check(&reader, unfinished, &mut verdict).await?;
    }
    verdict.manifest = reader.gateway("/api/v1/reconcile").await?["manifest"].clone();
    verdict.balanced = verdict.mismatch_count == 0;
    Ok(verdict)
}

/// Judges only what single orders tell: attachments, verdicts of cars, and what the bureau was given.
///
/// # Errors
/// As [`judge`].
pub async fn judge_details(options: JudgeOptions) -> Result<Verdict, SimError> {
    let reader = Reader { options: &options, client: http::client(Duration::from_secs(30))? };
    let mut verdict = Verdict::default();
    let unfinished = accounts::gaps(&reader, &mut verdict).await?;
    details::check(&reader, unfinished, &mut verdict).await?;
    verdict.balanced = verdict.mismatch_count == 0;
    Ok(verdict)
}

/// Goes through a platform's book; returns how many items each dataset has.
async fn compare_books(
    reader: &Reader<'_>,
    source: Source<'_>,
    holdings: &mut Holdings,
    replies: &mut Replies,
    verdict: &mut Verdict,
) -> Result<[usize; 4], SimError> {
    let channel = source.channel;
    let mut at_source = [0; 4];
    books::each(reader, source.platform, |row, order| {
        let expected = canonical::expected(source.dress, source.codes, order);
        expected.iter().for_each(|item| at_source[item.dataset as usize] += 1);
        // Desk and bureau speak to where orders begin.
        if source.codes == CodeTable::Municipal {
            replies.compare(order, &row["replies"], channel, verdict);
        }
        let day = expected.first().map(|item| item.day.clone()).unwrap_or_default();
        match holdings.orders.remove(&(order.order_no.clone(), day)) {
            Some(held) => compare_order(channel, order, expected, held, holdings, verdict),
            None => verdict.mismatch(channel, "", &order.order_no, "order_missing"),
        }
    })
    .await?;
    for (number, _) in holdings.orders.keys() {
        verdict.mismatch(channel, "", number, "order_extra");
    }
    for number in &holdings.twice {
        verdict.mismatch(channel, "", number, "order_twice");
    }
    Ok(at_source)
}

fn compare_order(
    channel: &str,
    order: &Order,
    expected: Vec<Expected>,
    mut held: HeldOrder,
    names: &mut Holdings,
    verdict: &mut Verdict,
) {
    let number = &order.order_no;
    for item in expected {
        match held.items.remove(&(item.dataset, item.part.clone())) {
            Some(ours) => compare_item(channel, number, &item, &ours, names, verdict),
            None => verdict.mismatch(channel, item.dataset.as_str(), number, "item_missing"),
        }
    }
    for (dataset, _) in held.items.keys() {
        verdict.mismatch(channel, dataset.as_str(), number, "item_extra");
    }
    let person = canonical::person(order);
    compare_fields(
        &person,
        &held.person,
        names,
        |_| false,
        |name| {
            verdict.mismatch(channel, Dataset::Acceptance.as_str(), number, format!("person:{name}"));
        },
    );
}

fn compare_item(
    channel: &str,
    number: &str,
    item: &Expected,
    ours: &HeldItem,
    names: &mut Holdings,
    verdict: &mut Verdict,
) {
    let dataset = item.dataset.as_str();
    if ours.digest != print(&json!(hex::encode(item.digest))) {
        verdict.mismatch(channel, dataset, number, "digest");
    }
    if ours.event_time != print(&json!(item.event_time)) {
        verdict.mismatch(channel, dataset, number, "event_time");
    }
    let optional = |name: &str| canonical::is_optional(item.dataset, name);
    compare_fields(&item.fields, &ours.fields, names, optional, |name| {
        verdict.mismatch(channel, dataset, number, format!("field:{name}"));
    });
}

/// Field by field in both directions: what is expected must be there and equal, what is there must be expected.
fn compare_fields(
    expected: &[(&'static str, Value)],
    held: &[(u32, u64)],
    names: &mut Holdings,
    optional: impl Fn(&str) -> bool,
    mut differs: impl FnMut(&str),
) {
    for (name, value) in expected {
        let id = names.number(name);
        match held.iter().find(|(field, _)| *field == id) {
            Some((_, ours)) if *ours == print(value) => {}
            None if optional(name) => {}
            _ => differs(name),
        }
    }
    for (field, _) in held {
        let name = names.name(*field);
        if !expected.iter().any(|(known, _)| *known == name) {
            differs(name);
        }
    }
}
