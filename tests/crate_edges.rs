//! Promises that dependencies between the workspace's crates point one way: only along the arrows that
//! `docs/ARCHITECTURE.md` draws. It reads Cargo's own account of the manifests, normal, dev and build dependencies
//! alike, so that nothing reaches around a stage by way of a test or a build script. It does not look at crates from
//! outside: `deny.toml` does.

use std::process::Command;

use serde_json::{Value, json};

/// Where to go when the check is red; part of its message.
const RULE: &str = "the arrows are drawn in docs/ARCHITECTURE.md and written down in tests/crate_edges.rs";

/// What each crate may depend on. A new arrow is the rarest of changes: draw it in the documentation first.
const ARROWS: &[(&str, MayDependOn)] = &[
    ("millrace-schemas", These(&[])),
    ("millrace-store", These(&["millrace-schemas"])),
    ("millrace-runtime", These(&["millrace-schemas"])),
    ("millrace-writer", These(&["millrace-schemas", "millrace-store", "millrace-runtime"])),
    // The rules of the logs that Millrace brings along. They implement the writer's trait.
    ("millrace-domains", These(&["millrace-schemas", "millrace-writer"])),
    ("millrace-relay", These(&["millrace-schemas", "millrace-store", "millrace-runtime"])),
    // The runner asks the store which partitions the relay has halted, and later a rebuild will read events there.
    // Until then, events come only from the topic.
    ("millrace-projector-runner", These(&["millrace-schemas", "millrace-runtime", "millrace-store"])),
    ("millrace-projectors", These(&["millrace-projector-runner", "millrace-schemas", "millrace-runtime"])),
    // Projectors without Rust: SQL statements from a folder, run by the same runner.
    ("millrace-sql-projector", These(&["millrace-projector-runner", "millrace-schemas"])),
    // It starts other people's servers, and must be able to do so before anything of ours works.
    ("millrace-compose", These(&[])),
    // The composition root, which puts all crates together.
    ("millrace", Everyone),
    ("millrace-demo", Everyone),
    ("millrace-bench", Everyone),
    ("rust-log", Everyone),
];

/// Crates that use the product and are not part of it: no other crate may depend on them.
const USERS: &[&str] = &["millrace-demo", "millrace-bench", "rust-log"];

enum MayDependOn {
    These(&'static [&'static str]),
    /// All but the [`USERS`].
    Everyone,
}
use MayDependOn::{Everyone, These};

impl MayDependOn {
    fn permits(&self, dependency: &str) -> bool {
        match self {
            These(names) => names.contains(&dependency),
            Everyone => !USERS.contains(&dependency),
        }
    }
}

#[test]
fn crates_depend_on_each_other_only_as_the_design_allows() {
    let metadata = workspace_metadata();

    // The arrows of a crate that was deleted or renamed would check nothing, and nobody would notice.
    let crates: Vec<&str> = packages(&metadata).map(name).collect();
    let gone: Vec<_> = ARROWS.iter().map(|(name, _)| name).filter(|name| !crates.contains(name)).collect();
    assert!(gone.is_empty(), "no crate of the workspace is called {gone:?}; {RULE}");

    let forbidden = forbidden_edges(&metadata);
    assert!(forbidden.is_empty(), "forbidden between crates: {}; {RULE}", forbidden.join(", "));
}

/// The crates that serve any log.
const PLATFORM: &[&str] =
    &["schemas/src", "store", "runtime/src", "writer/src", "relay/src", "projectors/runner/src", "projectors/sql/src"];
/// Words of the logs that Millrace brings along; the platform must not use them.
const OF_A_LOG: &[&str] = &[
    "ledger",
    "EntryPosted",
    "AccountOpened",
    "AccountClosed",
    "OpenAccount",
    "PostEntrySet",
    "CloseAccount",
    "millrace_domains",
];

#[test]
fn no_platform_crate_names_a_log_that_comes_along() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut list = Command::new("git");
    list.args(["ls-files", "--cached", "--others", "--exclude-standard"]).args(PLATFORM).current_dir(&root);
    let listed = list.output().expect("git lists the checkout's files");
    let files = String::from_utf8(listed.stdout).expect("names in UTF-8");
    assert!(files.lines().count() > 50, "the crates are where they were: {files}");
    let mut found = Vec::new();
    for file in files.lines() {
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        for (number, line) in (1..).zip(text.lines()) {
            let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            if words.any(|word| OF_A_LOG.contains(&word)) {
                found.push(format!("{file}:{number}: {}", line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "a platform crate names a log of its user:\n{}", found.join("\n"));
}

#[test]
fn an_edge_that_is_not_drawn_is_named_whatever_its_kind() {
    let edge = |to: &str, kind: Value| json!({"name": to, "kind": kind, "source": null});
    let metadata = json!({"packages": [
        {"name": "millrace-writer", "dependencies": [
            edge("millrace-store", Value::Null),
            edge("millrace-relay", Value::Null),
            {"name": "serde", "kind": null, "source": "registry+elsewhere"},
        ]},
        {"name": "millrace-schemas", "dependencies": [edge("millrace-store", json!("dev"))]},
        {"name": "millrace-runtime", "dependencies": [edge("millrace-store", json!("build"))]},
        {"name": "millrace-newcomer", "dependencies": [edge("millrace-store", Value::Null)]},
        {"name": "millrace", "dependencies": [edge("millrace-relay", Value::Null), edge("millrace-demo", json!("dev"))]},
        {"name": "millrace-bench", "dependencies": [edge("millrace", Value::Null), edge("millrace-demo", Value::Null)]},
    ]});

    assert_eq!(
        forbidden_edges(&metadata),
        [
            "millrace-writer -> millrace-relay (normal)",
            "millrace-schemas -> millrace-store (dev)",
            "millrace-runtime -> millrace-store (build)",
            "millrace-newcomer -> millrace-store (normal)",
            "millrace -> millrace-demo (dev)",
            "millrace-bench -> millrace-demo (normal)",
        ]
    );
}

/// The edges that no arrow permits, as `from -> to (kind)`. A crate without a line in [`ARROWS`] may have none.
fn forbidden_edges(metadata: &Value) -> Vec<String> {
    let mut forbidden = Vec::new();
    for package in packages(metadata) {
        let from = name(package);
        let arrows = ARROWS.iter().find(|(name, _)| *name == from).map_or(&These(&[]), |(_, arrows)| arrows);
        // A dependency without a source is a path: a crate of this repository, whatever name it has here.
        for dependency in list(package, "dependencies").iter().filter(|dependency| dependency["source"].is_null()) {
            let to = name(dependency);
            if !arrows.permits(to) {
                let kind = dependency["kind"].as_str().unwrap_or("normal");
                forbidden.push(format!("{from} -> {to} ({kind})"));
            }
        }
    }
    forbidden
}

/// The manifests as Cargo reads them, unresolved. Needs neither the network nor a lock on the build directory.
fn workspace_metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo built this test, so it can be started");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON")
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    list(metadata, "packages").iter()
}

fn list<'a>(of: &'a Value, field: &str) -> &'a [Value] {
    of[field].as_array().unwrap_or_else(|| panic!("cargo metadata has a list called {field}"))
}

fn name(of: &Value) -> &str {
    of["name"].as_str().expect("cargo metadata names packages and dependencies")
}
