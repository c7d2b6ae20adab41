//! The profile is checked whole: every mistake at once, each with its key path.

use crate::PROFILE;
use gateway_connector::profile::Profile;

fn mistakes(text: &str) -> Vec<String> {
    match Profile::parse(text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.0.into_iter().map(|mistake| format!("{}: {}", mistake.path, mistake.what)).collect(),
    }
}

fn with(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(PROFILE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in the profile");
        text.replacen(from, to, 1)
    })
}

#[test]
fn the_default_has_no_mistake() {
    assert_eq!(mistakes(PROFILE), [""; 0]);
}

#[test]
fn all_mistakes_come_at_once_with_their_paths() {
    let text = with(&[
        ("zone = \"+08:00\"", "zone = \"+09:00\""),
        ("success = [0]", "success = [0, 1001]"),
        ("skew_s = 300", "skew_s = \"300\""),
        ("title = \"title\"", "title = \"tittle\""),
        (
            "urgency = { field = \"urgency\", codes = \"urgency\" }",
            "urgency = { field = \"urgency\", codes = \"urgence\", pst = true }",
        ),
        ("\"10\" = \"accepted\"", "\"10\" = \"acepted\""),
        ("page_size = 200", "page_sise = 200"),
        ("compared = [\"state\"", "compared = [\"state\", \"state\""),
        ("creates = \"completions\"", "creates = \"complete\""),
    ]);
    assert_eq!(
        mistakes(&text),
        [
            "answer.classes.already_submitted: 1001 has another meaning already",
            "items.acceptance.fields.title: `tittle` is no canonical field",
            "items.acceptance.fields.urgency: there is no code table `urgence`",
            "items.acceptance.fields.urgency.pst: unknown key",
            "items.state.compared: names a field twice",
            "items.state.fields.state: code table `state`: `acepted` is no value of `state`",
            "read.page_sise: unknown key",
            "read.page_size: is missing",
            "signature.skew_s: invalid type: string \"300\", expected u32",
            "times.zone: only +08:00 (China time) is supported",
            "write.operations.reply.creates: there is no item `complete`",
        ]
    );
}

#[test]
fn a_digest_never_covers_a_person() {
    let text = with(&[("compared = [\"orderType\"", "compared = [\"callerPhone\", \"orderType\"")]);
    assert_eq!(
        mistakes(&text),
        ["items.acceptance.compared: `callerPhone` is a person field; digests never cover one"]
    );
}

#[test]
fn sums_see_every_event_time_that_can_move() {
    let text = with(&[
        ("compared = [\"kind\", \"time\", \"text\"]", "compared = [\"kind\", \"text\"]"),
        ("time = \"$event_time\", text = \"=\" }", "text = \"=\" }"),
    ]);
    assert!(
        mistakes(&text)
            .contains(&"items.events.event_time: `time` must be among `compared`, or be the creation time".to_owned())
    );
}

#[test]
fn the_echo_must_be_recognisable() {
    let text =
        with(&[("element = { round = \"$round\", replyContent = \"reply_text\",", "element = { round = \"$round\",")]);
    assert_eq!(mistakes(&text), ["write.operations.reply.element: `replyContent` of item `completions` is missing"]);
}

#[test]
fn what_protects_a_signature_must_be_signed() {
    let text = with(&[("{timestamp}\\n{nonce}\\n", "{timestamp}\\n")]);
    assert_eq!(mistakes(&text), ["signature.string_to_sign: must hold {nonce}"]);
}

#[test]
fn a_nonce_must_outlive_its_request() {
    let text = with(&[("nonce_window_s = 86400", "nonce_window_s = 599")]);
    assert_eq!(mistakes(&text), ["push.nonce_window_s: must be at least twice signature.skew_s"]);
}

#[test]
fn parts_may_be_left_out() {
    let start = PROFILE.find("[write]").unwrap();
    let profile = Profile::parse(&PROFILE[..start]).unwrap();
    assert!(profile.write.is_none() && profile.push.is_some() && profile.manifest.is_some());
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let text = with(&[("[times]", "[times")]);
    let mistakes = mistakes(&text);
    assert_eq!(mistakes.len(), 1);
    assert!(mistakes[0].starts_with("line 14: not TOML"), "{mistakes:?}");
}

#[test]
fn codes_go_by_the_day_of_acceptance() {
    let text = with(&[(
        "[[codes.urgency]]\nversion = \"1\"",
        "[[codes.urgency]]\nversion = \"2\"\neffective_from = \"2026-01-01\"\nmap = { \"1\" = \"urgent\" }\n[[codes.urgency]]\nversion = \"1\"",
    )]);
    let codes = Profile::parse(&text).unwrap().codes;
    let on = |day: &str| codes.canonical("urgency", "1", Some(day.parse().unwrap()));
    assert_eq!((on("2025-12-31"), on("2026-01-01")), (Some("ordinary"), Some("urgent")));
    assert_eq!(codes.canonical("urgency", "1", None), Some("urgent"));
    assert_eq!(codes.canonical("urgency", "3", Some("2026-01-01".parse().unwrap())), None);
}

#[test]
fn success_is_of_any_kind() {
    let text = with(&[("success = [0]", "success = [\"000\", true, 200]")]);
    let answer = Profile::parse(&text).unwrap().answer;
    for (code, success) in
        [("\"000\"", true), ("true", true), ("200", true), ("0", false), ("\"200\"", false), ("null", false)]
    {
        assert_eq!(answer.is_success(&serde_json::from_str(code).unwrap()), success, "{code}");
    }
}
