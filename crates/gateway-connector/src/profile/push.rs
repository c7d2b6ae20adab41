//! What the peer pushes to us, and how it wants to be answered.

use super::exchange::{ExchangeRule, Format};
use super::items::{ItemsRead, containers};
use super::reader::Section;
use super::signature::SignatureRule;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// What the peer pushes.
#[derive(Debug, Clone, PartialEq)]
pub struct PushRule {
    /// The path of the push in the body; empty = the body is it.
    pub root: String,
    /// The field of the push that stands for a nonce where the signature has none.
    pub nonce: Option<String>,
    /// Objects on the way to its fields, see [`super::RecordRule::containers`].
    pub containers: BTreeSet<String>,
    /// The field that tells the kind of a push.
    pub kind: String,
    /// The kind that carries whole records.
    pub records_kind: String,
    /// The list of records.
    pub records: String,
    /// The kinds that carry one item of an order.
    pub partial: Vec<PartialPush>,
    /// The largest body in bytes.
    pub body_bytes: usize,
    /// For how long a nonce is remembered.
    pub nonce_window: Duration,
    /// The answer when it is durable.
    pub accepted: PushAnswer,
    /// The answer when signature or time is refused.
    pub refused: PushAnswer,
    /// The answer to a body that can't be decoded.
    pub undecodable: PushAnswer,
    /// The answer to a nonce that came with another body.
    pub conflict: PushAnswer,
    /// The answer to a body over the limit.
    pub too_large: PushAnswer,
    /// The answer when it can't be made durable now.
    pub unavailable: PushAnswer,
}

/// A push of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialPush {
    /// The kind.
    pub kind: String,
    /// The order's number.
    pub number: String,
    /// The field with the item.
    pub element: String,
    /// Which item it is.
    pub item: String,
}

/// An answer in the peer's dress: as `body` says, else code and message stand where [`super::AnswerRule`] says.
#[derive(Debug, Clone, PartialEq)]
pub struct PushAnswer {
    /// HTTP status.
    pub status: u16,
    /// The code.
    pub code: Value,
    /// The message.
    pub message: String,
    /// The whole body; `{message}` is filled in, escaped.
    pub body: Option<String>,
}

impl PushRule {
    pub(super) fn read(
        mut section: Section,
        items: Option<&ItemsRead>,
        signature: Option<&SignatureRule>,
        exchange: Option<&ExchangeRule>,
    ) -> Option<Self> {
        let root = section.take_or("root", String::new());
        let nonce = section.take_optional::<String>("nonce");
        let kind = section.take::<String>("kind");
        let records_kind = section.take("records_kind");
        let records = section.take::<String>("records");
        let partial = match section.take_optional::<toml::Value>("partial") {
            None => None,
            Some(None) => Some(Vec::new()),
            Some(Some(value)) => read_partial(&section, value, items),
        };
        let body_bytes = section.take::<usize>("body_bytes");
        let nonce_window_s = section.take::<u32>("nonce_window_s");
        section.check(body_bytes.is_none_or(|bytes| bytes >= 1_024), "body_bytes", "must be at least 1024");
        if let (Some(signature), Some(nonce)) = (signature, &nonce) {
            // Without one the same push again can't be told from another.
            let one = signature.nonce_name.is_some() != nonce.is_some();
            section.check(one, "nonce", "must name a field where the signature has no nonce, and only there");
        }
        if let (Some(window), Some(signature)) = (nonce_window_s, signature) {
            let least = u64::from(signature.skew_s) * 2;
            // A request is fresh from skew before to skew after its time.
            section.check(u64::from(window) >= least, "nonce_window_s", "must be at least twice signature.skew_s");
        }
        let answers = section.section("answers").map(|mut answers| {
            let xml = exchange.is_some_and(|exchange| exchange.format == Format::Xml);
            let mut take = |key: &str| answers.section(key).and_then(|answer| read_answer(answer, xml));
            (
                take("accepted"),
                take("refused"),
                take("undecodable"),
                take("conflict"),
                take("too_large"),
                take("unavailable"),
            )
        });
        let (accepted, refused, undecodable, conflict, too_large, unavailable) = answers?;
        let (kind, records, partial, nonce) = (kind?, records?, partial?, nonce?);
        let names = [&kind, &records].into_iter().chain(&nonce);
        let parts = partial.iter().flat_map(|partial| [&partial.number, &partial.element]);
        let containers = containers(names.chain(parts).map(String::as_str));
        Some(Self {
            root: root?,
            nonce,
            containers,
            kind,
            records_kind: records_kind?,
            records,
            partial,
            body_bytes: body_bytes?,
            nonce_window: Duration::from_secs(u64::from(nonce_window_s?)),
            accepted: accepted?,
            refused: refused?,
            undecodable: undecodable?,
            conflict: conflict?,
            too_large: too_large?,
            unavailable: unavailable?,
        })
    }
}

fn read_partial(section: &Section, value: toml::Value, items: Option<&ItemsRead>) -> Option<Vec<PartialPush>> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wire {
        kind: String,
        number: String,
        element: String,
        item: String,
    }
    let wires: Vec<Wire> =
        value.try_into().map_err(|error: toml::de::Error| section.mistake("partial", error.message().trim())).ok()?;
    for (at, wire) in wires.iter().enumerate() {
        let Some(items) = items else { continue };
        let path = format!("partial[{at}].item");
        section.check(items.names.contains(&wire.item), &path, format!("there is no item `{}`", wire.item));
        if let Some(item) = items.readable.iter().find(|item| item.name == wire.item) {
            section.check(item.list.is_some(), &path, format!("item `{}` is no element of a list", wire.item));
        }
    }
    let partial =
        |wire: Wire| PartialPush { kind: wire.kind, number: wire.number, element: wire.element, item: wire.item };
    Some(wires.into_iter().map(partial).collect())
}

pub(super) fn read_answer(mut section: Section, xml: bool) -> Option<PushAnswer> {
    let status = section.take::<u16>("status");
    let body = section.take_optional::<String>("body");
    let whole = matches!(body, Some(Some(_)));
    section.check(whole || !xml, "body", "is missing; an answer in XML is written whole");
    let code = if whole || xml { section.take_or("code", Value::Null) } else { section.take("code") };
    let message = section.take("message");
    section.check(status.is_none_or(|status| (200..600).contains(&status)), "status", "must be 200 to 599");
    Some(PushAnswer { status: status?, code: code?, message: message?, body: body? })
}
