//! The wire profile: the facts about one counterparty as data — names, codes, formats, paging, signature, success rule.
//!
//! A profile is whole: nothing is inherited from another, so that what a channel does can be read in one file. It is typed and checked at
//! start, every mistake at once with its key path. Secrets are never in a profile. The reference of all keys is `docs/profiles.md`.
//!
//! What a profile can't say needs code: that is the line between "another city" and "another kind of channel".

mod answer;
mod attachments;
mod codes;
mod endpoint;
mod exchange;
mod filing;
mod identity;
mod inquiry;
mod items;
mod operating_data;
mod push;
mod reader;
mod reading;
mod signature;
mod writing;

pub use answer::{AnswerClass, AnswerRule};
pub use attachments::AttachmentRule;
pub use codes::{CodeTable, CodeTables};
pub use endpoint::{Endpoint, ParameterPlace};
pub use exchange::{Encoding, ExchangeRule, Format, Template, UndecodableBytes};
pub use filing::{
    DataFileRule, DigestKind, FileColumns, FilesRule, QuoteStyle, ReceiptFileRule, VerdictWords, is_plain_name,
};
pub use identity::{Identity, Limits};
pub use inquiry::InquiryRule;
pub use items::{FieldRule, ItemRule, PartRule, RecordRule};
pub use operating_data::{DriverQuestion, OperatingDataProfile, TripsQuestion, VehicleQuestion};
pub use push::{PartialPush, PushAnswer, PushRule};
pub use reader::{Mistake, ProfileErrors};
pub use reading::{DatasetNames, IdsRule, ManifestRule, NumbersStyle, Paging, PollRule, ReadRule, WindowRule};
pub use signature::{MacScheme, SignEncoding, SignPiece, SignPlace, SignatureRule};
pub use writing::{
    AlreadySubmitted, ForwardKind, OperationRule, ReceiptRule, ServerError, ValueRule, ValueSource, WriteRule,
};

use crate::codec::TimeCodec;
use reader::Section;
use std::time::Duration;

/// A checked wire profile.
#[derive(Debug, Clone)]
pub struct Profile {
    /// What it is.
    pub identity: Identity,
    /// How bodies are written.
    pub exchange: ExchangeRule,
    /// How the peer writes times.
    pub times: TimeCodec,
    /// How far ahead of our clock a time may be before it is odd.
    pub future_tolerance: Duration,
    /// How an answer tells success.
    pub answer: AnswerRule,
    /// How requests are signed, both ways.
    pub signature: SignatureRule,
    /// What we allow ourselves and the peer.
    pub limits: Limits,
    /// The peer's names of the datasets.
    pub datasets: DatasetNames,
    /// The wide record.
    pub record: RecordRule,
    /// What a record states, by name.
    pub items: Vec<ItemRule>,
    /// The code tables.
    pub codes: CodeTables,
    /// How records are read.
    pub read: ReadRule,
    /// How the peer's account is read; `None` = it gives none.
    pub manifest: Option<ManifestRule>,
    /// What the peer pushes; `None` = nothing.
    pub push: Option<PushRule>,
    /// What we push; `None` = nothing.
    pub write: Option<WriteRule>,
    /// What its own front end may ask us; `None` = nothing.
    pub inquiry: Option<InquiryRule>,
    /// How files that records refer to are fetched; `None` = they are not.
    pub attachments: Option<AttachmentRule>,
    /// Files over a front-end box; `None` = there are none.
    pub files: Option<FilesRule>,
}

impl Profile {
    /// Reads and checks a profile.
    ///
    /// # Errors
    /// [`ProfileErrors`] with every mistake.
    pub fn parse(text: &str) -> Result<Self, ProfileErrors> {
        Section::read_whole(text, Self::read)
    }

    fn read(mut root: Section) -> Option<Self> {
        // Every part is read before any is missed, so that all mistakes are found.
        let identity = root.section("identity").and_then(Identity::read);
        let exchange = match root.optional_section("exchange") {
            None => None,
            Some(None) => Some(ExchangeRule::default()),
            Some(Some(section)) => ExchangeRule::read(section),
        };
        let times = root.section("times").and_then(identity::read_times);
        let answer = root.section("answer").and_then(AnswerRule::read);
        let signature = root.section("signature").and_then(SignatureRule::read);
        let limits = root.section("limits").and_then(Limits::read);
        let datasets = root.section("datasets").and_then(DatasetNames::read);
        let codes = root.section("codes").and_then(CodeTables::read);
        let record = root.section("record").and_then(RecordRule::read);
        let items = root.section("items").map(|section| items::read_items(section, codes.as_ref()));
        let read = root.section("read").and_then(ReadRule::read);
        let manifest = root.optional_section("manifest").map(|section| section.map(ManifestRule::read));
        let push = root.optional_section("push").map(|section| {
            section.map(|section| PushRule::read(section, items.as_ref(), signature.as_ref(), exchange.as_ref()))
        });
        let write = root
            .optional_section("write")
            .map(|section| section.map(|section| WriteRule::read(section, items.as_ref())));
        let inquiry = root
            .optional_section("inquiry")
            .map(|section| section.map(|section| InquiryRule::read(section, items.as_ref())));
        let attachments = root.optional_section("attachments").map(|section| section.map(AttachmentRule::read));
        let written = write.as_ref().and_then(|write| write.as_ref()?.as_ref());
        let files = root.optional_section("files").map(|section| {
            section.map(|section| {
                section.check(written.is_some(), "data", "needs `[write.forward]`, which says what rows are");
                FilesRule::read(section, written)
            })
        });
        if let (Some(items), Some(datasets)) = (&items, &datasets) {
            for item in &items.readable {
                root.check(
                    datasets.wire(item.dataset).is_some(),
                    &format!("items.{}.dataset", item.name),
                    format!("dataset `{}` has no name under `datasets`", item.dataset),
                );
            }
        }
        if let (Some(items), Some(record)) = (&items, &record) {
            for item in &items.readable {
                // A sum over a long window can't see an item move whose digest stays the same.
                root.check(
                    item.compared.contains(&item.event_time) || item.event_time == record.created,
                    &format!("items.{}.event_time", item.name),
                    format!("`{}` must be among `compared`, or be the creation time", item.event_time),
                );
            }
        }
        let record = record.map(|mut record| {
            let own = [&record.number, &record.created, &record.revision].into_iter().chain(&record.ignored);
            let own = own.chain(&record.embedded).map(String::as_str);
            let listed = items.iter().flat_map(|items| &items.readable).flat_map(|item| match &item.list {
                Some(list) => vec![list.as_str()],
                None => item.names().collect(),
            });
            record.containers = items::containers(own.chain(listed));
            record
        });
        drop(root);
        let (times, future_tolerance) = times?;
        Some(Self {
            identity: identity?,
            exchange: exchange?,
            times,
            future_tolerance,
            answer: answer?,
            signature: signature?,
            limits: limits?,
            datasets: datasets?,
            record: record?,
            items: items?.whole()?,
            codes: codes?,
            read: read?,
            manifest: flatten(manifest?)?,
            push: flatten(push?)?,
            write: flatten(write?)?,
            inquiry: flatten(inquiry?)?,
            attachments: flatten(attachments?)?,
            files: flatten(files?)?,
        })
    }

    /// The item kind of a name.
    #[must_use]
    pub fn item(&self, name: &str) -> Option<&ItemRule> {
        self.items.iter().find(|item| item.name == name)
    }
}

// `None` inside `Some` is a part that is there and wrong.
#[allow(clippy::option_option)]
fn flatten<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        None => Some(None),
        Some(None) => None,
        Some(Some(part)) => Some(Some(part)),
    }
}
