//! What `log apply` says of its work.

use millrace_schemas::FolderProblem;
use serde::Serialize;

use crate::output::{counted, escaped};

/// A change that applying a folder makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub(super) enum Change {
    /// The log does not exist yet.
    CreateLog { partitions: u32 },
    /// The program is newer than the log's tables.
    UpdateTables,
    /// The topic does not exist yet.
    CreateTopic { topic: String },
    /// The log does not have this version of a record; versions count 1, 2, 3 … for each record.
    AddSchema { subject: String, version: usize },
    /// The log took `Append` before; `domain.toml` decides from now on.
    StartRules,
    /// The log keeps the folder's files, and these differ.
    KeepFiles { files: Vec<String> },
}

/// How applying a folder ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The changes were made.
    Applied,
    /// The changes would be made (`--dry-run`).
    Planned,
    /// The log is as the folder describes it.
    NothingToChange,
    /// Something is wrong with the folder, or it does not fit the log. Nothing was changed.
    Refused,
}

/// The result of applying a folder.
#[derive(Debug, Serialize)]
pub struct ApplyReport {
    pub(super) log: String,
    pub(super) result: Ending,
    pub(super) changes: Vec<Change>,
    pub problems: Vec<FolderProblem>,
}

impl Change {
    fn text(&self) -> String {
        match self {
            Self::CreateLog { partitions } => format!("new log with {}", counted((*partitions).into(), "partition")),
            Self::UpdateTables => "tables brought up to date".to_owned(),
            Self::CreateTopic { topic } => format!("new topic {topic}"),
            Self::AddSchema { subject, version } => format!("new schema {subject}, version {version}"),
            Self::StartRules => "domain.toml decides from now on; the command Append is dead-lettered".to_owned(),
            Self::KeepFiles { files } => format!("definition: {}", files.join(", ")),
        }
    }
}

/// A line for people, with a line end before it; its own lines stay lines.
pub(super) fn indented(line: &str) -> String {
    line.lines().map(|line| format!("\n  {}", escaped(line))).collect()
}

/// The report for people.
pub(super) fn text(report: &ApplyReport) -> String {
    let log = &report.log;
    let headline = match report.result {
        Ending::Applied => format!("log {log}: applied"),
        Ending::Planned => format!("log {log}: would change (dry run)"),
        Ending::NothingToChange => format!("log {log}: nothing to change"),
        Ending::Refused => format!("{log}: refused; nothing was changed"),
    };
    let changes = report.changes.iter().map(Change::text);
    let lines = changes.chain(report.problems.iter().map(ToString::to_string));
    lines.fold(headline, |text, line| text + &indented(&line))
}
