//! Two invented cities whose 12345 platforms are far from the default dress: the gateway meets each by a wire profile alone, and the judge counts by the
//! platforms' own books.

use crate::demo::{Demo, count, total};
use crate::program::{Scratch, run, together, wait_for};
use gateway_simulator::{Dress, PlatformHandle, PlatformKind, PlatformOptions, start_platform};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

async fn lives_in(dress: &str, seed: &str) {
    let _machine = together().await;
    let scratch = Scratch::new();
    let arguments = ["--dress", dress, "--orders", "120", "--seed", seed, "--faults", "default"];
    let verdict = Demo::run(&scratch, &arguments, Duration::from_secs(300)).await.balanced();
    assert!(total(&verdict, "inbound", Some("acceptance"), "at_source") >= 120, "{}", verdict["inbound"]);
    assert!(total(&verdict, "outbound", None, "acknowledged") > 0, "{}", verdict["outbound"]);
    assert!(verdict["faults"].as_object().is_some_and(|faults| faults.len() > 5), "{}", verdict["faults"]);
    assert_eq!(count(&verdict["gaps"], "false"), 0, "{}", verdict["gaps"]);
}

#[tokio::test]
async fn canghai_is_balanced_by_its_profile_alone() {
    lives_in("canghai", "41").await;
}

#[tokio::test]
async fn yunjing_is_balanced_by_its_profile_alone() {
    lives_in("yunjing", "42").await;
}

/// Everything is uploaded in a SOAP envelope, as XML in GB18030; what stands there is compared with where it began.
#[tokio::test]
async fn a_province_behind_soap_is_balanced_by_its_profile_alone() {
    let _machine = together().await;
    let scratch = Scratch::new();
    let arguments = ["--province-dress", "yunjing", "--orders", "120", "--seed", "43", "--faults", "default"];
    let verdict = Demo::run(&scratch, &arguments, Duration::from_secs(400)).await.balanced();
    assert!(count(&verdict["forwards"], "orders") >= 120, "{}", verdict["forwards"]);
    assert!(count(&verdict["forwards"], "items") > 300, "{}", verdict["forwards"]);
}

fn profile(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../connectors/municipal-12345/profiles/{name}.toml"))
}

/// A platform that has lived, without faults.
async fn platform(scratch: &Scratch, dress: Dress) -> PlatformHandle {
    lived(scratch, |options| options.dress = dress).await
}

async fn lived(scratch: &Scratch, change: impl FnOnce(&mut PlatformOptions)) -> PlatformHandle {
    let mut options = PlatformOptions::new(scratch.path("platform"), "request-secret", "webhook-secret");
    change(&mut options);
    options.rate = 500.0;
    options.orders = Some(60);
    let platform = start_platform(options).await.expect("a platform");
    let (url, token) = (platform.url(), platform.token.clone());
    let client = gateway_simulator::http::client(Duration::from_secs(5)).expect("a client");
    wait_for("orders", Duration::from_secs(60), async || {
        let life = gateway_simulator::http::get(&client, &url, "/sim/life", &token).await.ok()?;
        (life["created"] == 60).then_some(())
    })
    .await;
    platform
}

/// `profile try` against it: the code, and the steps by name.
async fn tried(
    scratch: &Scratch,
    file: &std::path::Path,
    url: &str,
    secret: &str,
) -> (i32, Vec<(String, String)>, Value) {
    let secret_file = scratch.path("request.secret");
    std::fs::write(&secret_file, secret).expect("written");
    let arguments: Vec<String> = ["profile", "try"]
        .map(str::to_owned)
        .into_iter()
        .chain([
            file.display().to_string(),
            "--base-url".into(),
            url.into(),
            "--app-id".into(),
            "transport-bureau".into(),
        ])
        .chain(["--secret-file".into(), secret_file.display().to_string(), "--json".into()])
        .collect();
    let (code, out, err) = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(&arguments)
    })
    .await
    .expect("it runs");
    let said: Value = serde_json::from_str(out.trim()).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    let steps = said["steps"].as_array().into_iter().flatten();
    let word = |step: &Value, key: &str| step[key].as_str().unwrap_or_default().to_owned();
    (code, steps.map(|step| (word(step, "step"), word(step, "result"))).collect(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_tried_against_a_live_platform_and_nothing_is_written() {
    let _machine = together().await;
    for (dress, name) in [(Dress::Default, "default"), (Dress::Canghai, "canghai"), (Dress::Yunjing, "yunjing")] {
        let scratch = Scratch::new();
        let platform = platform(&scratch, dress).await;
        let (code, steps, said) = tried(&scratch, &profile(name), &platform.url(), "request-secret").await;
        assert_eq!(code, 0, "{name}: {said:#}");
        for wanted in
            ["listing", "clock", "window completion", "number", "unknown number", "account handling ids", "receipt"]
        {
            assert!(steps.contains(&(wanted.to_owned(), "ok".to_owned())), "{name}: {wanted}: {said:#}");
        }
        let client = gateway_simulator::http::client(Duration::from_secs(5)).expect("a client");
        let book =
            gateway_simulator::http::get(&client, &platform.url(), "/sim/book/orders?limit=500", &platform.token)
                .await
                .expect("its book");
        let replies =
            book["orders"].as_array().into_iter().flatten().map(|row| row["replies"].as_array().map_or(0, Vec::len));
        assert_eq!(replies.sum::<usize>(), 0, "nothing was written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_with_what_to_do() {
    let _machine = together().await;
    let scratch = Scratch::new();
    let platform = platform(&scratch, Dress::Yunjing).await;
    let (code, steps, said) = tried(&scratch, &profile("yunjing"), &platform.url(), "another-secret").await;
    assert_eq!((code, steps[0].1.as_str()), (1, "failed"), "{said:#}");
    assert!(said["steps"][0]["remedy"].as_str().is_some_and(|text| text.contains("string_to_sign")), "{said:#}");
    let text = std::fs::read_to_string(profile("yunjing")).expect("the profile");
    let wrong = scratch.path("wrong.toml");
    // Compared fields in another order: everything is read, and only the digests tell.
    let turned =
        text.replace("compared = [\"Status\", \"OrganizationName\"", "compared = [\"OrganizationName\", \"Status\"");
    assert_ne!(turned, text);
    std::fs::write(&wrong, turned).expect("written");
    let (code, steps, said) = tried(&scratch, &wrong, &platform.url(), "request-secret").await;
    assert_eq!(code, 1, "{said:#}");
    assert!(steps.contains(&("account handling ids".to_owned(), "failed".to_owned())), "{said:#}");
    let (code, _, said) = tried(&scratch, &profile("canghai"), &platform.url(), "request-secret").await;
    assert_eq!(code, 1, "another city's platform: {said:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_records_refer_to_are_tried() {
    let _machine = together().await;
    let scratch = Scratch::new();
    let platform = lived(&scratch, |options| options.kind = PlatformKind::TaxiQr).await;
    let shipped = profile("default").with_file_name("../../taxi-qr/profiles/default.toml");
    let (code, steps, said) = tried(&scratch, &shipped, &platform.url(), "request-secret").await;
    assert_eq!(code, 0, "{said:#}");
    for wanted in ["file", "unknown file"] {
        assert!(steps.contains(&(wanted.to_owned(), "ok".to_owned())), "{wanted}: {said:#}");
    }
    assert!(!said.to_string().contains(".jpg"), "references are not shown: {said:#}");
    let text = std::fs::read_to_string(&shipped).expect("the profile");
    let file = scratch.path("changed.toml");
    // Another path: no file comes, and it is told what to compare.
    std::fs::write(&file, text.replace("/gateway/files/", "/gateway/pictures/")).expect("written");
    let (code, _, said) = tried(&scratch, &file, &platform.url(), "request-secret").await;
    let step = said["steps"].as_array().into_iter().flatten().find(|step| step["step"] == "file");
    assert_eq!((code, step.map(|step| &step["result"])), (1, Some(&Value::from("failed"))), "{said:#}");
    let remedy = step.and_then(|step| step["remedy"].as_str());
    assert!(remedy.is_some_and(|remedy| remedy.contains("attachments.path")), "{said:#}");
    // Without the section nothing is asked, and `check` says so.
    let (before, rest) = text.split_once("\n[attachments]\n").expect("the section");
    let (_, after) = rest.split_once("\n[inquiry]\n").expect("the next one");
    std::fs::write(&file, format!("{before}\n[inquiry]\n{after}")).expect("written");
    let (code, steps, said) = tried(&scratch, &file, &platform.url(), "request-secret").await;
    assert_eq!(code, 0, "{said:#}");
    assert!(steps.contains(&("file".to_owned(), "left_out".to_owned())), "{said:#}");
    let remarks = |file: &std::path::Path| {
        let (code, out, err) = run(&["profile", "check", "--json", &file.display().to_string()]);
        assert_eq!(code, 0, "{out}{err}");
        let said: Value = serde_json::from_str(out.trim()).expect("JSON");
        said["remarks"].to_string()
    };
    assert!(remarks(&file).contains("[attachments]"), "{}", remarks(&file));
    assert!(!remarks(&shipped).contains("[attachments]"), "{}", remarks(&shipped));
    std::fs::write(&file, text.replace("\nhosts = []", "\nhosts = [\"pictures.example\"]")).expect("written");
    assert!(remarks(&file).contains("pictures.example"), "{}", remarks(&file));
}

#[test]
fn profile_check_tells_all_mistakes_at_once() {
    for name in ["default", "canghai", "yunjing"] {
        let (code, out, err) = run(&["profile", "check", &profile(name).display().to_string()]);
        assert_eq!(code, 0, "{name}: {out}{err}");
    }
    let scratch = Scratch::new();
    let text = std::fs::read_to_string(profile("canghai")).expect("the profile");
    let wrong = text
        .replace("scheme = \"sha1\"", "scheme = \"md4\"")
        .replace("\"jcxx.bt\" = \"title\"", "\"jcxx.bt\" = \"titel\"")
        .replace("creates = \"completions\"", "creates = \"replies\"")
        .replace("paging = \"offset\"", "paging = \"offset\"\npagesize = 3");
    let file = scratch.path("wrong.toml");
    std::fs::write(&file, wrong).expect("written");
    let (code, out, _) = run(&["profile", "check", &file.display().to_string()]);
    assert_eq!(code, 1, "{out}");
    for key in
        ["signature.scheme", "items.acceptance.fields.jcxx.bt", "write.operations.reply.creates", "read.pagesize"]
    {
        assert!(out.lines().any(|line| line.starts_with(key)), "{key}: {out}");
    }
    let (code, out, _) = run(&["profile", "check", "--json", &file.display().to_string()]);
    let said: Value = serde_json::from_str(out.trim()).expect("JSON");
    assert_eq!((code, &said["valid"]), (1, &Value::Bool(false)));
    assert!(said["mistakes"].as_array().is_some_and(|all| all.len() >= 4), "{said:#}");
}

#[test]
fn a_sample_is_mapped_and_what_the_profile_does_not_know_is_told() {
    let sample = |name: &str| {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../connectors/municipal-12345/tests/fixtures")
            .join(name)
            .display()
            .to_string()
    };
    let canghai = profile("canghai").display().to_string();
    let (code, out, err) = run(&["map", "--profile", &canghai, "--json", &sample("canghai_odd.json")]);
    assert_eq!(code, 0, "{out}{err}");
    let said: Value = serde_json::from_str(out.trim()).expect("JSON");
    let codes: Vec<_> =
        said["unknown_codes"].as_array().into_iter().flatten().map(|code| code["code"].clone()).collect();
    assert!(codes.contains(&"ZQ".into()) && codes.contains(&"xietiao".into()), "{said:#}");
    assert!(said["unmapped"].get("jcxx.hjbq").is_some(), "{said:#}");
    assert!(!out.contains("张三") && !out.contains("13800000000"), "persons are not shown unless asked for: {out}");
    let (_, out, _) = run(&["map", "--profile", &canghai, "--person", &sample("canghai_odd.json")]);
    assert!(out.contains("张三"), "{out}");
    let yunjing = profile("yunjing").display().to_string();
    let (code, out, _) = run(&["map", "--profile", &yunjing, &sample("yunjing_odd.xml")]);
    assert!(code == 0 && out.contains("㮾木路 A&B 站台") && out.contains("投诉举报"), "{out}");
    let (code, out, _) = run(&["map", "--profile", &yunjing, &sample("canghai_odd.json")]);
    assert!(code == 1 && out.contains("[exchange]"), "{out}");
}

#[test]
fn map_reads_by_a_channel_of_the_installation() {
    let scratch = Scratch::new();
    let dir = scratch.path("gateway");
    std::fs::create_dir_all(&dir).expect("a directory");
    let file = profile("yunjing");
    std::fs::write(
        dir.join("gateway.toml"),
        format!("[[channel]]\nid = \"yunjing\"\nkind = \"municipal-12345\"\nbase_url = \"http://127.0.0.1:1\"\nprofile = \"{}\"\n", file.display()),
    )
    .expect("written");
    let dir = dir.display().to_string();
    let sample = format!("{}/../connectors/municipal-12345/tests/fixtures/yunjing_odd.xml", env!("CARGO_MANIFEST_DIR"));
    let (code, out, err) = run(&["map", "--dir", &dir, "--channel", "yunjing", &sample]);
    assert!(code == 0 && out.contains("YJ-0017"), "{out}{err}");
    let (code, out, err) = run(&["map", "--dir", &dir, "--channel", "another", &sample]);
    assert!(code != 0 && err.contains("yunjing"), "{out}{err}");
}
