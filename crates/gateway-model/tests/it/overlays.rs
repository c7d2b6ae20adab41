//! What was asked beside an order's main line, and what became of it.

use gateway_model::{
    ChannelId, Dataset, Digest, EventId, EventRow, Field, FieldValue, Fields, Moment, Overlay, OverlayKind,
    OverlayState, Part, RawId, Timestamp, overlays, parse_moment,
};

fn at(second: i64) -> Moment {
    Moment::At(Timestamp::from_second(1_795_000_000 + second).unwrap())
}

fn event(channel: &str, id: &str, kind: &str, second: i64) -> EventRow {
    let mut fields = Fields::new();
    fields.set(Field::EventKind, kind.into());
    fields.set(Field::EventText, format!("{kind} {id}").as_str().into());
    EventRow {
        channel: ChannelId::new(channel).unwrap(),
        dataset: Dataset::Handling,
        part: Part::Event(EventId::new(id).unwrap()),
        revision: None,
        event_time: at(second),
        digest: Digest([0; 32]),
        content_hash: [0; 32],
        echo: false,
        fields,
        read_at: Timestamp::UNIX_EPOCH,
        received_at: Timestamp::UNIX_EPOCH,
        raw_id: RawId(1),
        gone_at: None,
    }
}

fn shown(events: &[EventRow]) -> Vec<Overlay> {
    overlays(events, |_| false)
}

fn states(events: &[EventRow]) -> Vec<(OverlayKind, OverlayState)> {
    shown(events).into_iter().map(|overlay| (overlay.kind, overlay.state)).collect()
}

#[test]
fn an_extension_is_requested_and_then_granted_with_its_deadline() {
    let until = FieldValue::Time(parse_moment("2026-12-19T23:59:59+08:00").unwrap());
    let mut asked = event("bureau", "B1", "extension", 10);
    asked.fields.set(Field::ExtensionDays, FieldValue::Number(5));
    let echo = EventRow { echo: true, ..event("platform", "d1-1", "extension", 10) };
    assert_eq!(states(&[event("bureau", "B0", "sign", 5)]), []);
    let mut events = vec![echo, event("bureau", "B0", "sign", 5), asked];
    let open = shown(&events);
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].state, open[0].asked_by.as_str(), open[0].days), (OverlayState::Requested, "bureau", Some(5)));
    assert_eq!(open[0].reason.as_deref(), Some("extension B1"), "who asked says why");
    let mut granted = event("platform", "E9", "extension_approved", 30);
    granted.fields.set(Field::ExtendedTo, until.clone());
    events.insert(0, granted);
    let closed = shown(&events);
    assert_eq!((closed[0].state, closed[0].extended_to.clone()), (OverlayState::Granted, Some(until)));
    assert_eq!(
        (closed[0].decided_by.as_ref().map(ChannelId::as_str), closed[0].decided_at),
        (Some("platform"), Some(at(30)))
    );
}

#[test]
fn a_decision_of_before_says_nothing_of_what_is_asked_again() {
    let mut events = vec![
        event("bureau", "B1", "extension", 10),
        event("platform", "E1", "extension_denied", 20),
        event("bureau", "B2", "extension", 30),
    ];
    assert_eq!(states(&events), [(OverlayKind::Extension, OverlayState::Requested)]);
    events.push(event("platform", "E2", "extension_denied", 40));
    events.reverse();
    let shown = shown(&events);
    assert_eq!((shown[0].state, shown[0].answer.as_deref()), (OverlayState::Denied, Some("extension_denied E2")));
}

#[test]
fn what_could_not_be_asked_says_so_unless_it_was_decided_all_the_same() {
    let asked = event("desk", "C1", "appeal", 10);
    let refused = overlays(std::slice::from_ref(&asked), |event| event.channel.as_str() == "desk");
    assert_eq!((refused[0].kind, refused[0].state), (OverlayKind::Appeal, OverlayState::NotTaken));
    let decided = overlays(&[asked, event("platform", "E1", "appeal_upheld", 10)], |_| true);
    assert_eq!(decided[0].state, OverlayState::Granted);
}

#[test]
fn what_is_gone_says_nothing() {
    let gone = EventRow { gone_at: Some(Timestamp::UNIX_EPOCH), ..event("bureau", "B1", "extension", 10) };
    assert_eq!(states(&[gone]), []);
}
