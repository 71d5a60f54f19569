//! A log described by the files of a folder: what `millrace log apply` reads, and what the log keeps of it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{LogDefinition, LogName};

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
    /// The types of the log's streams, such as `order`; no event goes to a stream of another type.
    pub stream_types: Vec<String>,
    /// The newest version of each record. Without declared rules, the platform's command `Append` is one of them.
    pub definition: LogDefinition,
}

/// What is wrong with a file of the folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct FolderProblem {
    /// The file's path in the folder.
    pub file: String,
    /// What is wrong, where in the file, and what to do.
    pub problem: String,
}

/// `log.toml`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogToml {
    name: LogName,
    #[serde(default = "twelve")]
    partitions: u32,
    stream_types: Vec<String>,
}

fn twelve() -> u32 {
    12
}

impl LogFolder {
    /// The file with the log's properties.
    pub const LOG: &str = "log.toml";
    /// The file with the declared rules.
    pub const DOMAIN: &str = "domain.toml";

    /// Reads and checks the files.
    ///
    /// # Errors
    /// All problems that were found.
    pub fn from_files(files: BTreeMap<String, String>) -> Result<Self, Vec<FolderProblem>> {
        let problem = |file: &str, problem: String| vec![FolderProblem { file: file.to_owned(), problem }];
        let log = files.get(Self::LOG).ok_or_else(|| problem(Self::LOG, "the file is missing".to_owned()))?;
        let log: LogToml = toml::from_str(log).map_err(|error| problem(Self::LOG, error.to_string()))?;
        let texts = |folder: &str| {
            let newest = |path: &&String| path.starts_with(folder) && path.ends_with(".avsc") && !is_older(path);
            files.keys().filter(newest).filter_map(|path| files.get(path)).map(String::as_str).collect::<Vec<_>>()
        };
        let (mut commands, events) = (texts("commands/"), texts("events/"));
        if !files.contains_key(Self::DOMAIN) {
            commands.push(LogDefinition::APPEND);
        }
        let definition = LogDefinition::parse(log.name.as_str(), &commands, &events);
        let definition = definition.map_err(|error| problem(Self::LOG, error.to_string()))?;
        let LogToml { name, partitions, stream_types } = log;
        Ok(Self { files, name, partitions, stream_types, definition })
    }

    /// The declared rules, if the log has any.
    pub fn domain(&self) -> Option<&str> {
        self.files.get(Self::DOMAIN).map(String::as_str)
    }
}

/// Whether the file has an older version of a record: `OrderPlaced.v1.avsc`.
fn is_older(path: &str) -> bool {
    path.trim_end_matches(".avsc").rsplit_once(".v").is_some_and(|(_, number)| number.parse::<u32>().is_ok())
}
