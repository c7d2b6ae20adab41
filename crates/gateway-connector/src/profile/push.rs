//! What the peer pushes to us, and how it wants to be answered.

use super::items::ItemsRead;
use super::reader::Section;
use serde_json::Value;
use std::time::Duration;

/// What the peer pushes.
#[derive(Debug, Clone, PartialEq)]
pub struct PushRule {
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

/// An answer in the peer's dress: code and message stand where [`super::AnswerRule`] says.
#[derive(Debug, Clone, PartialEq)]
pub struct PushAnswer {
    /// HTTP status.
    pub status: u16,
    /// The code.
    pub code: Value,
    /// The message.
    pub message: String,
}

impl PushRule {
    pub(super) fn read(mut section: Section, items: Option<&ItemsRead>, skew_s: Option<u32>) -> Option<Self> {
        let kind = section.take("kind");
        let records_kind = section.take("records_kind");
        let records = section.take("records");
        let partial = match section.take_optional::<toml::Value>("partial") {
            None => None,
            Some(None) => Some(Vec::new()),
            Some(Some(value)) => read_partial(&section, value, items),
        };
        let body_bytes = section.take::<usize>("body_bytes");
        let nonce_window_s = section.take::<u32>("nonce_window_s");
        section.check(body_bytes.is_none_or(|bytes| bytes >= 1_024), "body_bytes", "must be at least 1024");
        if let (Some(window), Some(skew)) = (nonce_window_s, skew_s) {
            let least = u64::from(skew) * 2;
            // A request is fresh from skew before to skew after its time.
            section.check(u64::from(window) >= least, "nonce_window_s", "must be at least twice signature.skew_s");
        }
        let answers = section.section("answers").map(|mut answers| {
            let mut take = |key: &str| answers.section(key).and_then(read_answer);
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
        Some(Self {
            kind: kind?,
            records_kind: records_kind?,
            records: records?,
            partial: partial?,
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

fn read_answer(mut section: Section) -> Option<PushAnswer> {
    let status = section.take::<u16>("status");
    let code = section.take("code");
    let message = section.take("message");
    section.check(status.is_none_or(|status| (200..600).contains(&status)), "status", "must be 200 to 599");
    Some(PushAnswer { status: status?, code: code?, message: message? })
}
