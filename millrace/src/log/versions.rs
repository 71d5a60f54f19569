//! The versions in a folder against those that the log has.

use std::collections::BTreeMap;

use millrace_schemas::{FolderProblem, Incompatibility, LogFolder, RecordDefinition, Topic, incompatibilities};
use millrace_store::StoredSchema;
use serde_json::Value as Json;

/// A version of a record that the log does not have yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewVersion<'f> {
    pub(super) record: &'f RecordDefinition,
    /// 1, 2, 3 … for each record.
    pub(super) number: usize,
}

/// The folder's files, in which a schema that the log has has the log's text: formatting makes no version.
pub(super) fn with_stored_texts(folder: &LogFolder, stored: &[StoredSchema]) -> BTreeMap<String, String> {
    let mut files = folder.files.clone();
    for version in folder.definition.records().iter().flat_map(|record| folder.versions(record)) {
        let known = history(version, stored).find(|known| is_same(version, known));
        if let (Some(known), Some(file)) = (known, folder.file_of(version)) {
            files.insert(file.to_owned(), known.schema.text.clone());
        }
    }
    files
}

/// The versions that the log lacks; those of one record in their order.
///
/// # Errors
/// Everything in the folder that the log's history forbids.
pub(super) fn new_versions<'f>(
    folder: &'f LogFolder,
    stored: &[StoredSchema],
) -> Result<Vec<NewVersion<'f>>, Vec<FolderProblem>> {
    let mut problems = missing_records(folder, stored);
    let mut new = Vec::new();
    for record in folder.definition.records() {
        let history: Vec<&StoredSchema> = history(record, stored).collect();
        let versions: Vec<&RecordDefinition> = folder.versions(record).collect();
        let places: Vec<Option<usize>> =
            versions.iter().map(|version| history.iter().position(|known| is_same(version, known))).collect();
        problems.extend(order_problem(folder, &versions, &places, history.len()));
        let added: Vec<&RecordDefinition> =
            versions.iter().zip(&places).filter(|(_, place)| place.is_none()).map(|(version, _)| *version).collect();
        for (number, record) in (history.len() + 1..).zip(added) {
            problems.extend(history.iter().flat_map(|known| breaks(folder, record, known)));
            new.push(NewVersion { record, number });
        }
    }
    if problems.is_empty() { Ok(new) } else { Err(problems) }
}

/// The log's versions of a record, the oldest first.
fn history<'s>(record: &RecordDefinition, stored: &'s [StoredSchema]) -> impl Iterator<Item = &'s StoredSchema> {
    let (topic, name) = (record.topic, record.name.clone());
    let mut history: Vec<_> =
        stored.iter().filter(|known| known.schema.topic == topic && known.schema.name == name).collect();
    history.sort_by_key(|known| known.version);
    history.into_iter()
}

/// Whether two texts are the same schema, however they are formatted.
fn is_same(version: &RecordDefinition, known: &StoredSchema) -> bool {
    let json = |text: &str| serde_json::from_str::<Json>(text).ok();
    version.text == known.schema.text || json(&version.text) == json(&known.schema.text)
}

/// Records of the log that the folder lacks. The platform's own come and go with the rules.
fn missing_records(folder: &LogFolder, stored: &[StoredSchema]) -> Vec<FolderProblem> {
    let mut missing: Vec<FolderProblem> = Vec::new();
    for known in stored {
        let (topic, name) = (known.schema.topic, known.schema.name.as_str());
        let is_platforms = topic == Topic::Outcomes || known.schema.full_name() == "millrace.Append";
        let file = format!("{}/{name}.avsc", topic.as_str());
        let is_known = is_platforms || folder.definition.record(topic, name).is_some();
        if !is_known && missing.iter().all(|problem| problem.file != file) {
            let problem = "the log has this record, so the file must stay: put it back".to_owned();
            missing.push(FolderProblem { file, problem });
        }
    }
    missing
}

/// The versions that the log has must come in its order, before those that it does not have, and up to its newest.
fn order_problem(
    folder: &LogFolder,
    versions: &[&RecordDefinition],
    places: &[Option<usize>],
    known: usize,
) -> Option<FolderProblem> {
    let problem = |version: &RecordDefinition, problem: String| {
        let file = folder.file_of(version).unwrap_or(LogFolder::LOG).to_owned();
        Some(FolderProblem { file, problem })
    };
    for ((before, version), pair) in versions.iter().zip(&versions[1..]).zip(places.windows(2)) {
        match pair {
            [None, Some(_)] => {
                return problem(
                    before,
                    "the log never had this version, and has later ones: delete the file".to_owned(),
                );
            }
            [Some(earlier), Some(later)] if earlier >= later => {
                let what = "the log had this version no later than the one before it in the folder";
                return problem(version, format!("{what}: number the files in the log's order"));
            }
            _ => {}
        }
    }
    match (versions.last(), places.last()) {
        (Some(newest), Some(Some(place))) if place + 1 < known => {
            let (place, what) = (place + 1, "a log can't go back to an earlier version");
            problem(
                newest,
                format!("this is version {place} of the log's {known}: {what}; make the newest the next one"),
            )
        }
        _ => None,
    }
}

/// What makes a new version incompatible with one that the log has.
fn breaks(folder: &LogFolder, version: &RecordDefinition, known: &StoredSchema) -> Vec<FolderProblem> {
    let file = folder.file_of(version).unwrap_or(LogFolder::LOG);
    // both have been parsed before
    let found = incompatibilities(&known.schema.text, &version.text).unwrap_or_default();
    let problem = |Incompatibility { mismatch, remedy }| {
        let problem = format!("{mismatch} (against the log's version {}): {remedy}", known.version);
        FolderProblem { file: file.to_owned(), problem }
    };
    found.into_iter().map(problem).collect()
}

#[cfg(test)]
mod tests {
    use millrace_schemas::RecordSchema;

    use super::*;

    const ID: &str = r#"{"name": "id", "type": "string"}"#;
    const NOTE: &str = r#"{"name": "note", "type": ["null", "string"], "default": null}"#;
    const COUNT: &str = r#"{"name": "count", "type": "long", "default": 0}"#;

    fn event(fields: &[&str]) -> String {
        format!(r#"{{"type": "record", "name": "OrderPlaced", "fields": [{}]}}"#, fields.join(", "))
    }

    /// A folder with the files of `OrderPlaced`: the last one is the newest.
    fn folder(versions: &[String]) -> LogFolder {
        let toml = "name = \"orders\"\nstream_types = [\"order\"]".to_owned();
        let mut files = BTreeMap::from([(LogFolder::LOG.to_owned(), toml)]);
        for (number, text) in (1..).zip(versions) {
            let infix = if number == versions.len() { String::new() } else { format!(".v{number}") };
            files.insert(format!("events/OrderPlaced{infix}.avsc"), text.clone());
        }
        LogFolder::from_files(files).unwrap()
    }

    fn stored(versions: &[String]) -> Vec<StoredSchema> {
        let parse = |(number, text): (i16, &String)| {
            let schema = RecordSchema::parse(Topic::Events, 7, text).unwrap();
            StoredSchema { number, version: number.into(), schema }
        };
        (1..).zip(versions).map(parse).collect()
    }

    fn refusals(folder: &LogFolder, stored: &[StoredSchema]) -> String {
        let problems = new_versions(folder, stored).err().unwrap_or_default();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_the_log_lacks_is_new_and_counted_on() {
        let versions = [event(&[ID]), event(&[ID, NOTE]), event(&[ID, NOTE, COUNT])];
        let folder = folder(&versions);
        let numbers = |stored: &[StoredSchema]| -> Vec<usize> {
            let new = new_versions(&folder, stored).unwrap();
            new.iter().filter(|new| new.record.topic == Topic::Events).map(|new| new.number).collect()
        };
        assert_eq!(numbers(&[]), [1, 2, 3]);
        assert_eq!(numbers(&stored(&versions[..1])), [2, 3]);
        assert_eq!(numbers(&stored(&versions)), [0; 0]);
    }

    #[test]
    fn an_older_version_need_not_be_in_the_folder() {
        let versions = [event(&[ID]), event(&[ID, NOTE])];
        assert_eq!(refusals(&folder(&versions[1..]), &stored(&versions)), "");
    }

    #[test]
    fn formatting_makes_no_version() {
        let known = stored(&[event(&[ID])]);
        let folder = folder(&[event(&[ID]).replace(": ", ":\n\t")]);
        assert!(new_versions(&folder, &known).unwrap().iter().all(|new| new.record.topic != Topic::Events));
        assert_eq!(with_stored_texts(&folder, &known)["events/OrderPlaced.avsc"], event(&[ID]));
    }

    #[test]
    fn the_log_does_not_go_back() {
        let versions = [event(&[ID]), event(&[ID, NOTE])];
        let refused = refusals(&folder(&versions[..1]), &stored(&versions));
        assert!(refused.starts_with("events/OrderPlaced.avsc: this is version 1 of the log's 2"), "{refused}");
    }

    #[test]
    fn a_version_that_the_log_never_had_can_not_be_before_its_own() {
        let refused = refusals(&folder(&[event(&[ID, COUNT]), event(&[ID])]), &stored(&[event(&[ID])]));
        assert!(refused.starts_with("events/OrderPlaced.v1.avsc: the log never had this version"), "{refused}");
        let versions = [event(&[ID]), event(&[ID, NOTE])];
        let reversed: Vec<String> = versions.iter().rev().cloned().collect();
        let refused = refusals(&folder(&reversed), &stored(&versions));
        assert!(refused.contains("number the files in the log's order"), "{refused}");
    }

    #[test]
    fn a_new_version_is_held_against_every_version_of_the_log() {
        let known = stored(&[event(&[ID, COUNT]), event(&[ID])]);
        let text = r#"{"name": "count", "type": "string", "default": ""}"#;
        let refused = refusals(&folder(&[event(&[ID, text])]), &known);
        let expected =
            "events/OrderPlaced.avsc: count: the type was a long and is a string now (against the log's version 1)";
        assert!(refused.starts_with(expected), "{refused}");
    }

    #[test]
    fn a_record_of_the_log_stays() {
        let paid = event(&[ID]).replace("OrderPlaced", "OrderPaid");
        let refused = refusals(&folder(&[event(&[ID])]), &stored(&[paid]));
        assert!(refused.starts_with("events/OrderPaid.avsc: the log has this record"), "{refused}");
    }
}
