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
    ("millrace-runtime", These(&[])),
    ("millrace-writer", These(&["millrace-schemas", "millrace-store", "millrace-runtime"])),
    ("millrace-relay", These(&["millrace-schemas", "millrace-store", "millrace-runtime"])),
    // The store only for a rebuild, which fills a generation from Postgres; a live projector reads the topic alone.
    ("millrace-projectors", These(&["millrace-schemas", "millrace-runtime", "millrace-store"])),
    // It starts servers of other people's making and must be able to do so before anything of ours works.
    ("millrace-compose", These(&[])),
    // The composition root: it is there to know everybody.
    ("millrace", Everyone),
    ("millrace-demo", Everyone),
    ("millrace-bench", Everyone),
];

/// Users of the product, apart from it: what they need of it, they ask for; it needs nothing of them.
const USERS: &[&str] = &["millrace-demo", "millrace-bench"];

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

    // An arrow of a crate that is gone or renamed would check nothing, and nobody would notice.
    let crates: Vec<&str> = packages(&metadata).map(name).collect();
    let gone: Vec<_> = ARROWS.iter().map(|(name, _)| name).filter(|name| !crates.contains(name)).collect();
    assert!(gone.is_empty(), "no crate of the workspace is called {gone:?}; {RULE}");

    let forbidden = forbidden_edges(&metadata);
    assert!(forbidden.is_empty(), "forbidden between crates: {}; {RULE}", forbidden.join(", "));
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
        {"name": "millrace-runtime", "dependencies": [edge("millrace-schemas", json!("build"))]},
        {"name": "millrace-newcomer", "dependencies": [edge("millrace-store", Value::Null)]},
        {"name": "millrace", "dependencies": [edge("millrace-relay", Value::Null), edge("millrace-demo", json!("dev"))]},
        {"name": "millrace-bench", "dependencies": [edge("millrace", Value::Null), edge("millrace-demo", Value::Null)]},
    ]});

    assert_eq!(
        forbidden_edges(&metadata),
        [
            "millrace-writer -> millrace-relay (normal)",
            "millrace-schemas -> millrace-store (dev)",
            "millrace-runtime -> millrace-schemas (build)",
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
        // Without a source it is a path: a crate of this repository, whatever it is renamed to.
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

/// What the manifests say, unresolved: needs neither the network nor a lock on the build directory.
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
