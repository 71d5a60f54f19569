//! The logs that come along as folders: their rules hold on their schemas and on their own cases, and stay short.

use std::fs;
use std::path::{Path, PathBuf};

use millrace_schemas::LogDefinition;
use millrace_writer::DeclaredDomain;
use millrace_writer::declared::RulesError;

/// Most lines of rules: whoever reads them for the first time should see all of them at once.
const MAX_LINES: usize = 60;

#[test]
fn the_rules_of_every_folder_hold_on_its_cases() {
    for (log, cases_at_least) in [("orders", 10), ("bank", 10)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(log);
        let domain = read(log, &folder);
        let mut cases = 0;
        for file in files(&folder.join("cases"), "toml") {
            let name = format!("{log}/cases/{}", file.file_name().unwrap_or_default().display());
            cases += domain.check_cases(&name, &text(&file)).unwrap_or_else(|error| panic!("{error}"));
        }
        assert!(cases >= cases_at_least, "{log} has {cases} cases");
    }
}

#[test]
fn a_guard_that_is_left_out_is_missed_when_the_rules_are_checked() {
    for (log, guard, missed) in [
        ("orders", "    { when = \"!has(state.status)\", code = \"order_not_found\"", "state.status is not set"),
        ("bank", "    { when = \"!has(state.open) || !state.open\"", "state.balance is not set"),
        ("bank", "    { when = \"!has(to.open) || !to.open\"", "state.balance is not set"),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(log);
        let rules = text(&folder.join("domain.toml"));
        let kept = rules.lines().filter(|line| !line.starts_with(guard));
        let refused = parse(log, &folder, &kept.collect::<Vec<_>>().join("\n")).unwrap_err().to_string();
        assert!(refused.contains(missed), "{refused}");
    }
}

fn read(log: &str, folder: &Path) -> DeclaredDomain {
    let rules = text(&folder.join("domain.toml"));
    assert!(rules.lines().count() <= MAX_LINES, "{log}'s rules have {} lines", rules.lines().count());
    parse(log, folder, &rules).unwrap_or_else(|error| panic!("{error}"))
}

fn parse(log: &str, folder: &Path, rules: &str) -> Result<DeclaredDomain, RulesError> {
    let schemas = |part: &str| files(&folder.join(part), "avsc").iter().map(|file| text(file)).collect::<Vec<_>>();
    let (commands, events) = (schemas("commands"), schemas("events"));
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let definition = LogDefinition::parse(log, &commands, &events).expect("schemas of records");
    let settings: toml_edit::DocumentMut = text(&folder.join("log.toml")).parse().expect("TOML");
    assert_eq!(settings["name"].as_str(), Some(log));
    let types = settings["stream_types"].as_array().expect("a list of stream types");
    let types: Vec<String> = types.iter().filter_map(|name| name.as_str()).map(ToOwned::to_owned).collect();
    let (definition, file) = (definition.with_stream_types(types), format!("{log}/domain.toml"));
    let domain = DeclaredDomain::load(definition, &file, rules)?;
    domain.check_generated(&file, rules).map(|untried| {
        assert_eq!(untried, [], "rules that generated commands do not get past");
        domain
    })
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
