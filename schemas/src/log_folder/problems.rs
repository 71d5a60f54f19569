//! What is wrong with a folder: all of it, not only the first.

use std::fmt::Display;

/// What is wrong with a file of the folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[error("{file}: {problem}")]
pub struct FolderProblem {
    /// The file's path in the folder.
    pub file: String,
    /// What is wrong, where in the file, and what to do.
    pub problem: String,
}

/// Problems in one line, for an error or a log line.
pub fn in_one_line(problems: &[impl Display]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The problems that were found until now.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<FolderProblem>);

impl Problems {
    pub(super) fn add(&mut self, file: &str, problem: impl Into<String>) {
        self.0.push(FolderProblem { file: file.to_owned(), problem: problem.into() });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something is wrong with the file already, so that what follows from it need not be said.
    pub(super) fn has(&self, file: &str) -> bool {
        self.0.iter().any(|problem| problem.file == file)
    }

    /// By file; those of one file in the order in which they were found.
    pub(super) fn sorted(mut self) -> Vec<FolderProblem> {
        self.0.sort_by(|a, b| a.file.cmp(&b.file));
        self.0
    }
}
