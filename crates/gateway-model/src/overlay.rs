//! Overlays: what was asked about an order beside its main line and decided by the platform whose order it is: a later deadline (延期), an appeal (申诉).
//!
//! An overlay does not change the order's state. It is composed from the events, which are a set: the newest request of each kind, and the first decision
//! that came at or after it. So the same events show the same overlay, whatever the order in which they came, and nothing of it is stored.

use crate::dataset::UnknownWord;
use crate::delivery::words;
use crate::{ChannelId, EventRow, Field, FieldValue, Moment, Part};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

words!(
    /// What was asked.
    OverlayKind, "overlay",
    /// 延期.
    Extension "extension",
    /// 申诉.
    Appeal "appeal",
);

words!(
    /// What became of it.
    OverlayState, "overlay state",
    /// Asked, and not decided yet.
    Requested "requested",
    /// It could not be asked: its delivery was rejected, and tells why.
    NotTaken "not_taken",
    /// 同意延期, 申诉成立.
    Granted "granted",
    /// 不同意延期, 申诉不成立.
    Denied "denied",
);

impl OverlayKind {
    /// In Chinese.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            OverlayKind::Extension => "延期",
            OverlayKind::Appeal => "申诉",
        }
    }

    /// The kinds of event that grant and deny it.
    fn verdicts(self) -> [(&'static str, OverlayState); 2] {
        match self {
            OverlayKind::Extension => {
                [("extension_approved", OverlayState::Granted), ("extension_denied", OverlayState::Denied)]
            }
            OverlayKind::Appeal => {
                [("appeal_upheld", OverlayState::Granted), ("appeal_rejected", OverlayState::Denied)]
            }
        }
    }
}

impl OverlayState {
    /// In Chinese.
    #[must_use]
    pub fn chinese(self) -> &'static str {
        match self {
            OverlayState::Requested => "待决定",
            OverlayState::NotTaken => "未受理",
            OverlayState::Granted => "同意",
            OverlayState::Denied => "不同意",
        }
    }
}

/// A request about an order, with its decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overlay {
    /// What was asked.
    pub kind: OverlayKind,
    /// What became of it.
    pub state: OverlayState,
    /// Who asked.
    pub asked_by: ChannelId,
    /// When.
    pub asked_at: Moment,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of an appeal: against what, `bad_rating` or `overdue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ground: Option<String>,
    /// Of an extension: how many days more were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<i64>,
    /// Of an extension: the deadline that was given; before that the one that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended_to: Option<FieldValue>,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<ChannelId>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Moment>,
    /// What was said with the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// The newest overlay of each kind. `not_taken` says whether what an event asked was refused where it was asked.
#[must_use]
pub fn overlays(events: &[EventRow], not_taken: impl Fn(&EventRow) -> bool) -> Vec<Overlay> {
    let standing: Vec<&EventRow> = events.iter().filter(|event| event.gone_at.is_none()).collect();
    OverlayKind::ALL.iter().filter_map(|kind| newest(*kind, &standing, &not_taken)).collect()
}

fn newest(kind: OverlayKind, events: &[&EventRow], not_taken: &impl Fn(&EventRow) -> bool) -> Option<Overlay> {
    // Who asked says it, and so does the platform that was asked: the first one's word counts.
    let said = events.iter().filter(|event| event.fields.text(Field::EventKind) == Some(kind.as_str()));
    let asked = said.max_by_key(|event| (event.event_time, !event.echo, id(event)))?;
    let decided = events
        .iter()
        .filter(|event| event.event_time >= asked.event_time)
        .filter_map(|event| Some((*event, verdict(kind, event)?)))
        .min_by_key(|(event, _)| (event.event_time, event.echo, id(event)));
    let state = match decided {
        Some((_, state)) => state,
        None if not_taken(asked) => OverlayState::NotTaken,
        None => OverlayState::Requested,
    };
    let text = |event: &EventRow, field| event.fields.text(field).filter(|text| !text.is_empty()).map(str::to_owned);
    let decision = decided.map(|(event, _)| event);
    let given = decision.and_then(|event| event.fields.get(Field::ExtendedTo));
    Some(Overlay {
        kind,
        state,
        asked_by: asked.channel.clone(),
        asked_at: asked.event_time,
        reason: text(asked, Field::EventText),
        ground: text(asked, Field::AppealGround),
        days: asked.fields.number(Field::ExtensionDays),
        extended_to: given.or_else(|| asked.fields.get(Field::ExtendedTo)).cloned(),
        decided_by: decision.map(|event| event.channel.clone()),
        decided_at: decision.map(|event| event.event_time),
        answer: decision.and_then(|event| text(event, Field::EventText)),
    })
}

fn verdict(kind: OverlayKind, event: &EventRow) -> Option<OverlayState> {
    let said = event.fields.text(Field::EventKind)?;
    kind.verdicts().into_iter().find(|(word, _)| *word == said).map(|(_, state)| state)
}

fn id(event: &EventRow) -> (&ChannelId, &Part) {
    (&event.channel, &event.part)
}
