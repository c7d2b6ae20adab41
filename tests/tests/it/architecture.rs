//! The shape that `docs/ARCHITECTURE.md` describes, held by the tree itself: who may use whom, what lives where, how long a file gets. A crate that
//! the tables here do not know is a failure, so that a new one is given its place on purpose.

use cargo_metadata::{Dependency, DependencyKind, MetadataCommand, Package};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A crate, its layer, and the crates of the workspace that it may use. Tests of a crate may also use the crate itself.
const CRATES: [(&str, u8, &[&str]); 20] = [
    ("gateway-model", 0, &[]),
    ("gateway-connector", 1, &["gateway-model"]),
    ("gateway-bus", 1, &["gateway-model"]),
    ("gateway-store", 1, &["gateway-model"]),
    ("gateway-runtime", 1, &[]),
    ("connector-bureau", 2, CONNECTOR),
    ("connector-municipal-12345", 2, CONNECTOR),
    ("connector-provincial-12328", 2, CONNECTOR),
    ("connector-subscription", 2, CONNECTOR),
    ("connector-taxi-qr", 2, CONNECTOR),
    ("connector-web-12328", 2, CONNECTOR),
    ("gateway-api", 2, BELOW),
    ("gateway-intake", 2, BELOW),
    ("gateway-pipeline", 2, BELOW),
    ("gateway-delivery", 2, BELOW),
    ("gateway-reconcile", 2, BELOW),
    ("gateway-alert", 2, BELOW),
    // The other sides and the judge share no code with the gateway, so that a mistake is not made on both sides.
    ("gateway-simulator", 2, &[]),
    ("gateway-server", 3, SERVER),
    ("gateway-e2e", 4, &["gateway-model", "gateway-simulator", "gateway-server"]),
];

/// What a connector may use.
const CONNECTOR: &[&str] = &["gateway-model", "gateway-connector"];

/// What the crates of layer 2 may use: everything below, never each other.
const BELOW: &[&str] = &["gateway-model", "gateway-connector", "gateway-bus", "gateway-store", "gateway-runtime"];

/// What the composition root may use.
const SERVER: &[&str] = &[
    "gateway-model",
    "gateway-connector",
    "gateway-bus",
    "gateway-store",
    "gateway-runtime",
    "gateway-api",
    "gateway-intake",
    "gateway-pipeline",
    "gateway-delivery",
    "gateway-reconcile",
    "gateway-alert",
    "gateway-simulator",
    "connector-bureau",
    "connector-municipal-12345",
    "connector-provincial-12328",
    "connector-subscription",
    "connector-taxi-qr",
    "connector-web-12328",
];

/// Libraries that live behind a seam, and the only crates that may build on them. Tests may use them too.
const BEHIND_A_SEAM: [(&str, &[&str]); 6] = [
    ("sqlx", &["gateway-store", "gateway-bus"]),
    ("rdkafka", &["gateway-bus"]),
    ("axum", &["gateway-api", "gateway-simulator"]),
    ("config", &["gateway-server"]),
    ("backon", &["gateway-connector", "gateway-store"]),
    ("reqwest", &["gateway-connector", "gateway-alert", "gateway-simulator", "gateway-server", "gateway-e2e"]),
];

/// What the top level may hold, besides files that begin with a dot.
const TOP_LEVEL: [&str; 16] = [
    "crates",
    "connectors",
    "deploy",
    "docs",
    "tests",
    "Cargo.toml",
    "Cargo.lock",
    "Makefile",
    "README.md",
    "README.zh-CN.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "rustfmt.toml",
    "clippy.toml",
    "deny.toml",
];

const MOST_LINES: usize = 800;

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the package lies in the workspace").to_owned()
}

fn packages() -> Vec<Package> {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec();
    metadata.expect("cargo tells the workspace").packages
}

/// Every tracked or new file that is not ignored, relative to the root.
fn files() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(listed.status.success(), "git lists the files: {}", String::from_utf8_lossy(&listed.stderr));
    let text = String::from_utf8(listed.stdout).expect("names are UTF-8");
    // Deleted but not yet committed files are still listed.
    text.split_terminator('\0').map(PathBuf::from).filter(|file| root().join(file).exists()).collect()
}

fn text_of(file: &Path) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn connectors() -> BTreeSet<String> {
    let all = files();
    let manifests = all.iter().filter(|file| file.starts_with("connectors") && file.ends_with("Cargo.toml"));
    manifests.map(|file| file.iter().nth(1).expect("a folder").to_string_lossy().into_owned()).collect()
}

fn none(mistakes: &[String]) {
    assert!(mistakes.is_empty(), "\n{}", mistakes.join("\n"));
}

fn ours(dependency: &Dependency) -> bool {
    dependency.path.is_some()
}

#[test]
fn every_crate_has_its_place() {
    let known: BTreeMap<_, _> = CRATES.iter().map(|(name, layer, _)| (*name, *layer)).collect();
    let there: BTreeSet<String> = packages().iter().map(|package| package.name.to_string()).collect();
    let mut mistakes = Vec::new();
    for package in packages() {
        if !known.contains_key(package.name.as_str()) {
            mistakes.push(format!("{}: give it a layer in tests/tests/it/architecture.rs", package.name));
        }
        let manifest = package.manifest_path.as_std_path();
        let folder = manifest.parent().expect("a folder").strip_prefix(root()).expect("inside the workspace");
        let expected = match package.name.as_str() {
            "gateway-e2e" => PathBuf::from("tests"),
            name => match name.strip_prefix("connector-") {
                Some(channel) => Path::new("connectors").join(channel),
                None => Path::new("crates").join(name),
            },
        };
        if folder != expected {
            mistakes.push(format!("{} lies in {}, not in {}", package.name, folder.display(), expected.display()));
        }
    }
    mistakes.extend(
        known.keys().filter(|name| !there.contains(**name)).map(|name| format!("{name} is gone: take its row out")),
    );
    none(&mistakes);
}

#[test]
fn crates_use_only_what_lies_below_them() {
    let mut mistakes = Vec::new();
    for package in packages() {
        let Some((name, layer, allowed)) = CRATES.iter().find(|(name, ..)| *name == package.name.as_str()) else {
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| ours(dependency)) {
            let itself_in_tests = dependency.kind == DependencyKind::Development && dependency.name == *name;
            if !allowed.contains(&dependency.name.as_str()) && !itself_in_tests {
                mistakes.push(format!("{name} (layer {layer}) must not use {}", dependency.name));
            }
        }
    }
    none(&mistakes);
}

#[test]
fn the_tables_here_follow_the_layers() {
    let layers: BTreeMap<_, _> = CRATES.iter().map(|(name, layer, _)| (*name, *layer)).collect();
    let mut mistakes = Vec::new();
    for (name, layer, allowed) in CRATES {
        for used in allowed {
            if layers.get(used).is_none_or(|below| *below >= layer) {
                mistakes.push(format!("{name} is allowed {used}, which is not below it"));
            }
        }
        if name.starts_with("connector-") && allowed != CONNECTOR {
            mistakes.push(format!("{name} is allowed more than a connector needs"));
        }
    }
    none(&mistakes);
}

#[test]
fn engines_frameworks_and_configuration_stay_behind_their_seams() {
    let mut mistakes = Vec::new();
    for package in packages() {
        for dependency in
            package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development)
        {
            let seam = BEHIND_A_SEAM.iter().find(|(library, _)| *library == dependency.name);
            if let Some((library, users)) = seam.filter(|(_, users)| !users.contains(&package.name.as_str())) {
                mistakes.push(format!("{} must not use {library}: it belongs to {}", package.name, users.join(", ")));
            }
        }
    }
    none(&mistakes);
}

#[test]
fn source_files_stay_readable() {
    let mut mistakes = Vec::new();
    for file in files() {
        let under_src = file.iter().any(|part| part == "src");
        if under_src && file.extension().is_some_and(|extension| extension == "rs") {
            let lines = text_of(&file).lines().count();
            if lines > MOST_LINES {
                mistakes.push(format!("{} has {lines} lines: split it by idea", file.display()));
            }
        }
    }
    none(&mistakes);
}

#[test]
fn the_top_level_holds_only_the_agreed_names() {
    let names: BTreeSet<String> =
        files().iter().filter_map(|file| file.iter().next()).map(|name| name.to_string_lossy().into_owned()).collect();
    let strange: Vec<_> =
        names.into_iter().filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str())).collect();
    none(&strange);
}

#[test]
fn every_kind_of_channel_has_its_crate_its_page_and_its_row() {
    let rows = text_of(Path::new("docs/channels/README.md"));
    let example = text_of(Path::new("deploy/gateway.example.toml"));
    let mut mistakes = Vec::new();
    let kinds: BTreeSet<String> = gateway_server::registry::kind_names().into_iter().map(str::to_owned).collect();
    let connectors = connectors();
    mistakes.extend(
        kinds
            .symmetric_difference(&connectors)
            .map(|name| format!("{name}: in connectors/ or in the registry, not in both")),
    );
    for kind in kinds.union(&connectors) {
        let page = format!("docs/channels/{kind}.md");
        if !root().join(&page).exists() {
            mistakes.push(format!("{page} is missing"));
        }
        if !rows.contains(&format!("]({kind}.md)")) {
            mistakes.push(format!("docs/channels/README.md has no row for {kind}"));
        }
        if !example.contains(&format!("kind = \"{kind}\"")) {
            mistakes.push(format!("deploy/gateway.example.toml shows no channel of kind {kind}"));
        }
    }
    none(&mistakes);
}

/// A link of a page to another file of this repository leads somewhere.
#[test]
fn links_between_pages_lead_somewhere() {
    let mut mistakes = Vec::new();
    for page in files().into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "md")) {
        let here = page.parent().unwrap_or(Path::new("")).to_owned();
        for target in text_of(&page).split("](").skip(1).filter_map(|rest| rest.split(')').next().map(str::to_owned)) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            if !root().join(&here).join(file).exists() {
                mistakes.push(format!("{}: {target} leads nowhere", page.display()));
            }
        }
    }
    none(&mistakes);
}

/// What the command line offers is told in both readmes.
#[test]
fn the_readmes_know_every_command() {
    use clap::CommandFactory;
    let program = gateway_server::cli::Program::command();
    let mut mistakes = Vec::new();
    for readme in ["README.md", "README.zh-CN.md"] {
        let text = text_of(Path::new(readme));
        for command in program.get_subcommands().map(clap::Command::get_name) {
            if !text.contains(&format!("`{command}")) {
                mistakes.push(format!("{readme} does not tell of `{command}`"));
            }
        }
    }
    none(&mistakes);
}

#[test]
fn no_test_is_switched_off() {
    // Put together here, so that this file does not find itself.
    let marks = [concat!("#[", "ignore"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    let mut mistakes = Vec::new();
    for file in files().into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let text = text_of(&file);
        mistakes.extend(
            marks.iter().filter(|mark| text.contains(**mark)).map(|mark| format!("{}: {mark}", file.display())),
        );
    }
    none(&mistakes);
}
