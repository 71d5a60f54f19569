//! Checks the rules with `promtool`, and shortens their times for the other tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the rules.
pub fn folder() -> PathBuf {
    ops().join("prometheus")
}

/// The folder `ops/` of the repository.
pub fn ops() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops")
}

/// The same rules and the same scrape config with shorter times, so that a test need not wait for minutes: intervals of
/// 1 s, windows of 10 to 20 s, and alerts that fire after 2 s. Thresholds stay as they are.
pub fn quickened(text: &str) -> String {
    let shorter = [
        ("[1m]", "[10s]"),
        ("[5m]", "[15s]"),
        ("[10m]", "[20s]"),
        ("[15m]", "[20s]"),
        ("offset 15m", "offset 20s"),
        ("for: 30s", "for: 2s"),
        ("for: 1m", "for: 2s"),
        ("for: 2m", "for: 2s"),
        ("interval: 15s", "interval: 1s"),
        ("interval: 30s", "interval: 1s"),
    ];
    let text = shorter.iter().fold(text.to_owned(), |text, (long, short)| text.replace(long, short));
    let forgotten = text.lines().find(|line| line.contains("m]") || (line.contains("for: ") && !line.contains(": 2s")));
    assert_eq!(forgotten, None, "a time that is not made shorter");
    text
}

pub fn every_alert_has_a_runbook_and_a_test() {
    let text = fs::read_to_string(folder().join("alerts.rules.yml")).expect("the alerts");
    let alerts: Vec<&str> = text.split("- alert: ").skip(1).collect();
    let mut names: Vec<&str> = Vec::new();
    for alert in alerts {
        let name = alert.lines().next().expect("a name");
        for part in ["severity: ", "summary: ", "description: ", &format!("runbook_url: ops/runbooks/{name}.md")] {
            assert!(alert.contains(part), "{name} has no {part}");
        }
        assert!(ops().join(format!("runbooks/{name}.md")).is_file(), "{name} has no runbook");
        let test = fs::read_to_string(folder().join(format!("tests/{name}.test.yml"))).expect("a test of each alert");
        assert!(test.contains("name: fires ") || test.contains("name: 'fires "), "{name} is never tested to fire");
        assert!(test.contains("name: does not ") || test.contains("name: 'does not "), "{name} is never quiet");
        names.push(name);
    }
    names.sort_unstable();
    for (folder, ending) in [("runbooks", ".md"), ("prometheus/tests", ".test.yml")] {
        assert_eq!(stems(&ops().join(folder), ending), names, "ops/{folder} is of the alerts that there are");
    }
}

pub fn the_same_services_are_scraped_locally_and_under_docker() {
    let labels = |file: &str| {
        let targets = fs::read_to_string(ops().join(file)).expect("targets");
        targets.lines().filter(|line| line.contains("labels: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let local = labels("prometheus/targets.yml");
    assert!(!local.is_empty());
    assert_eq!(local, labels("../compose/prometheus-targets.yml"));
}

pub fn promtool_accepts_the_scrape_config_and_each_alerts_test() {
    promtool(&["check", "config"], &[folder().join("prometheus.yml")]);
    let tests = stems(&folder().join("tests"), ".test.yml");
    let tests: Vec<PathBuf> = tests.iter().map(|test| folder().join(format!("tests/{test}.test.yml"))).collect();
    promtool(&["test", "rules"], &tests);
}

fn promtool(arguments: &[&str], files: &[PathBuf]) {
    let output = Command::new("promtool").args(arguments).args(files).output().expect("promtool runs");
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "promtool {arguments:?} says: {printed}");
}

/// The names of a folder's files, without this ending, sorted.
fn stems(folder: &Path, ending: &str) -> Vec<String> {
    let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").file_name());
    let stem = |name: String| name.strip_suffix(ending).map(str::to_owned).unwrap_or(name);
    let mut stems: Vec<String> = files.map(|name| stem(name.to_string_lossy().into_owned())).collect();
    stems.sort_unstable();
    stems
}
