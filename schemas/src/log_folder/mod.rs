//! A log described by the files of a folder: what `millrace log apply` reads, and what the log keeps of it.

mod files;
mod log_toml;
mod problems;
mod read;
mod records;
mod shape;
mod unknown_type;

use std::collections::BTreeMap;
use std::path::Path;

use crate::{LogDefinition, LogName, RecordDefinition};

use files::{FileKind, classify};
use log_toml::LogToml;
use problems::Problems;
pub use problems::{FolderProblem, in_one_line};
use records::Records;

/// A log described by files: `log.toml`, `commands/*.avsc`, `events/*.avsc`, `domain.toml`, `cases/*.toml`.
///
/// The files may come from a folder, from a program, or from the log itself, which keeps them as they were applied.
#[derive(Debug)]
pub struct LogFolder {
    /// Path in the folder, with `/`, to text.
    pub files: BTreeMap<String, String>,
    /// The log's name.
    pub name: LogName,
    /// The number of partitions of a new log.
    pub partitions: u32,
    /// The newest version of each record. Without declared rules, the platform's command `Append` is one of them.
    pub definition: LogDefinition,
    /// The versions before the newest, each record's in their order.
    older: Vec<RecordDefinition>,
}

impl LogFolder {
    /// The file with the log's properties.
    pub const LOG: &str = "log.toml";
    /// The file with the declared rules.
    pub const DOMAIN: &str = "domain.toml";

    /// Reads and checks the folder `dir`. Files whose names begin with a dot, and README.md, are none of it.
    ///
    /// # Errors
    /// All problems that were found.
    pub fn read(dir: &Path) -> Result<Self, Vec<FolderProblem>> {
        let mut problems = Problems::default();
        let files = read::files_in(dir, &mut problems);
        Self::check(files, problems)
    }

    /// Checks the files, and reads the definition from them.
    ///
    /// # Errors
    /// All problems that were found.
    pub fn from_files(files: BTreeMap<String, String>) -> Result<Self, Vec<FolderProblem>> {
        Self::check(files, Problems::default())
    }

    fn check(mut files: BTreeMap<String, String>, mut problems: Problems) -> Result<Self, Vec<FolderProblem>> {
        files.retain(|path, _| !matches!(classify(path), Ok(FileKind::NotOfTheLog)));
        files::check(&files, &mut problems);
        let log = LogToml::parse(files.get(Self::LOG), &mut problems);
        let records = Records::parse(&files, &mut problems);
        let has_rules = files.contains_key(Self::DOMAIN);
        let definition = log.as_ref().map(|log| records.definition(log.name.as_str(), has_rules));
        match (log, definition) {
            (Some(log), Some(Ok(definition))) if problems.is_empty() => {
                let LogToml { name, partitions, stream_types } = log;
                let definition = definition.with_stream_types(stream_types);
                Ok(Self { name, partitions, definition, older: records.into_older(), files })
            }
            (_, Some(Err(error))) if problems.is_empty() => {
                problems.add(Self::LOG, error.to_string());
                Err(problems.sorted())
            }
            _ => Err(problems.sorted()),
        }
    }

    /// The declared rules, if the log has any.
    pub fn domain(&self) -> Option<&str> {
        self.files.get(Self::DOMAIN).map(String::as_str)
    }

    /// All versions of a record that the folder has, the oldest first; `newest` is one of the definition's records.
    pub fn versions<'f>(&'f self, newest: &'f RecordDefinition) -> impl Iterator<Item = &'f RecordDefinition> {
        let of_record = move |older: &&RecordDefinition| older.topic == newest.topic && older.name == newest.name;
        self.older.iter().filter(of_record).chain([newest])
    }

    /// The path of the file that has this version of a record; `None` for a record of the platform.
    pub fn file_of(&self, version: &RecordDefinition) -> Option<&str> {
        let folder = version.topic.as_str();
        let begins = format!("{folder}/{}.", version.name);
        let file = self.files.iter().find(|(path, text)| path.starts_with(&begins) && **text == version.text);
        file.map(|(path, _)| path.as_str())
    }
}

#[cfg(test)]
mod tests;
