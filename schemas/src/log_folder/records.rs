//! The records of a folder: each version's schema, and whether the versions of one record fit together.

use std::collections::BTreeMap;

use super::files::{FileKind, classify};
use super::problems::Problems;
use super::{shape, unknown_type};
use crate::definition::{SchemaError, Topic};
use crate::evolution::incompatibilities;
use crate::{Incompatibility, LogDefinition, RecordDefinition, strict_json};

/// Most commands and events of a log.
const MAX_RECORDS: usize = 500;
/// Names of the platform's own records.
const PLATFORM: [&str; 2] = ["Append", "Outcome"];
/// The namespace of the platform's own records.
const PLATFORM_NAMESPACE: &str = "millrace";

/// A file with a version of a record.
struct RecordFile<'f> {
    path: &'f str,
    name: &'f str,
    version: Option<u32>,
    /// `None` when it has problems.
    record: Option<RecordDefinition>,
}

/// The records of a folder, by topic and name; of each, the versions in their order, the newest last.
pub(super) struct Records<'f>(BTreeMap<(&'static str, &'f str), Vec<RecordFile<'f>>>);

impl<'f> Records<'f> {
    /// Parses and checks all schemas.
    pub(super) fn parse(files: &'f BTreeMap<String, String>, problems: &mut Problems) -> Self {
        let mut records: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (path, text) in files {
            let Ok(FileKind::Record { topic, name, version }) = classify(path) else { continue };
            let parsed = parse(topic, name, text);
            let record = parsed.map_err(|found| found.into_iter().for_each(|problem| problems.add(path, problem))).ok();
            records.entry((topic.as_str(), name)).or_default().push(RecordFile { path, name, version, record });
        }
        let events = records.keys().filter(|(topic, _)| *topic == Topic::Events.as_str()).count();
        if events == 0 {
            problems.add("events", "the log has no event: add one, such as events/OrderPlaced.avsc");
        }
        if records.len() > MAX_RECORDS {
            problems.add(".", format!("the log has {} records; the most is {MAX_RECORDS}", records.len()));
        }
        for (topic, name) in records.keys() {
            if *topic == Topic::Commands.as_str() && records.contains_key(&(Topic::Events.as_str(), *name)) {
                let problem = format!("events/{name}.avsc has the same name: rename the command or the event");
                problems.add(&format!("commands/{name}.avsc"), problem);
            }
        }
        for versions in records.values_mut() {
            versions.sort_by_key(|file| file.version.unwrap_or(u32::MAX));
            check_numbers(versions, problems);
            check_evolution(versions, problems);
        }
        Self(records)
    }

    /// The newest versions, as a definition.
    pub(super) fn definition(&self, name: &str, has_rules: bool) -> Result<LogDefinition, SchemaError> {
        let texts = |topic: Topic| {
            let newest = self.0.iter().filter(|((of, _), _)| *of == topic.as_str()).filter_map(|(_, all)| all.last());
            newest.filter_map(|file| file.record.as_ref()).map(|record| record.text.as_str()).collect::<Vec<_>>()
        };
        let (mut commands, events) = (texts(Topic::Commands), texts(Topic::Events));
        if !has_rules {
            commands.push(LogDefinition::APPEND);
        }
        LogDefinition::parse(name, &commands, &events)
    }

    /// The versions before the newest.
    pub(super) fn into_older(self) -> Vec<RecordDefinition> {
        let numbered = self.0.into_values().flatten().filter(|file| file.version.is_some());
        numbered.filter_map(|file| file.record).collect()
    }
}

/// Older versions are 1, 2, 3 … without a hole, and the newest has no number.
fn check_numbers(versions: &[RecordFile<'_>], problems: &mut Problems) {
    for (expected, file) in (1..).zip(versions) {
        match file.version {
            Some(version) if version != expected => {
                let RecordFile { path, name, .. } = file;
                problems.add(
                    path,
                    format!("{name}.v{expected}.avsc is missing: older versions are v1, v2 … without a hole"),
                );
                return;
            }
            _ => {}
        }
    }
    if let Some(RecordFile { path, name, version: Some(_), .. }) = versions.last() {
        problems.add(path, format!("the newest version is missing: add {name}.avsc"));
    }
}

/// Every version must be compatible with every earlier one.
fn check_evolution(versions: &[RecordFile<'_>], problems: &mut Problems) {
    for (index, newer) in versions.iter().enumerate() {
        for older in &versions[..index] {
            let (Some(before), Some(after)) = (&older.record, &newer.record) else { continue };
            // both have been parsed before
            let found = incompatibilities(&before.text, &after.text).unwrap_or_default();
            for Incompatibility { mismatch, remedy } in found {
                problems.add(newer.path, format!("{mismatch} (against {}): {remedy}", older.path));
            }
        }
    }
}

fn parse(topic: Topic, name: &str, text: &str) -> Result<RecordDefinition, Vec<String>> {
    let one = |problem: String| vec![problem];
    // serde_json refuses JSON that is nested too deeply, so the parser of schemas meets none
    let json = strict_json::from_slice(text.as_bytes()).map_err(|error| one(format!("it is not JSON: {error}")))?;
    let record = RecordDefinition::parse(topic, text).map_err(|error| match unknown_type::problem(&json) {
        Some(problem) if !problem.path.is_empty() => one(problem.to_string()),
        _ => one(refusal(&error)),
    })?;
    let mut found = shape::problems(text);
    if record.name != name {
        found.push(format!("the record is named {}: name it {name}, as the file, or rename the file", record.name));
    }
    if PLATFORM.contains(&record.name.as_str()) {
        found.push(format!("the name {} is the platform's own: choose another", record.name));
    }
    if record.name.starts_with('_') {
        found.push(format!("the name {} begins with an underscore, which is reserved: choose another", record.name));
    }
    if record.full_name.rsplit_once('.').is_some_and(|(namespace, _)| namespace == PLATFORM_NAMESPACE) {
        found.push(format!("the namespace {PLATFORM_NAMESPACE} is the platform's own: choose another"));
    }
    if found.is_empty() { Ok(record) } else { Err(found) }
}

fn refusal(error: &SchemaError) -> String {
    let what_to_do = match error {
        SchemaError::NotAvro(_) => "see https://avro.apache.org/docs/1.12.0/specification/",
        SchemaError::NotARecord => "write {\"type\": \"record\", \"name\": …, \"fields\": […]}",
        SchemaError::NamedTwice => "give each use a type with a name of its own; a record can't hold itself",
    };
    format!("{error}: {what_to_do}")
}
