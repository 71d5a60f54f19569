//! What became of a folder, for people and programs.

use std::path::Path;

use millrace_schemas::FolderProblem;
use millrace_sql_projector::{Applied, Checked, Ending, SqlProjectorError};
use serde::Serialize;

use crate::output::escaped;

/// The result of `apply`.
#[derive(Debug, Serialize)]
pub(super) struct ApplyReport {
    folder: String,
    /// `None` when the folder was refused, and nothing was changed.
    #[serde(flatten)]
    applied: Option<Applied>,
    pub(super) problems: Vec<FolderProblem>,
}

/// The result of `check`.
#[derive(Debug, Serialize)]
pub(super) struct CheckReport {
    folder: String,
    /// `None` when something is wrong.
    #[serde(flatten)]
    checked: Option<Checked>,
    pub(super) problems: Vec<FolderProblem>,
}

/// The result, or the problems of the folder; other errors stay errors.
fn sorted<T>(result: anyhow::Result<T>) -> anyhow::Result<(Option<T>, Vec<FolderProblem>)> {
    match result {
        Ok(done) => Ok((Some(done), vec![])),
        Err(error) => match error.downcast() {
            Ok(SqlProjectorError::Refused(problems)) => Ok((None, problems)),
            Ok(other) => Err(other.into()),
            Err(error) => Err(error),
        },
    }
}

impl ApplyReport {
    pub(super) fn new(dir: &Path, result: anyhow::Result<Applied>) -> anyhow::Result<Self> {
        let (applied, problems) = sorted(result)?;
        Ok(Self { folder: dir.display().to_string(), applied, problems })
    }

    pub(super) fn text(&self) -> String {
        let Some(Applied { projector, log, result, role }) = &self.applied else {
            return listed(format!("{}: refused; nothing was changed", self.folder), &self.problems);
        };
        let run = format!("`millrace projector run {projector}` fills it from log {log}");
        let done = match result {
            Ending::Applied => format!("projector {projector}: applied; {run}"),
            Ending::StartedOver => {
                format!("projector {projector}: emptied and applied; {run}; running instances take it up")
            }
            Ending::NothingToChange => return format!("projector {projector}: nothing to change"),
        };
        match role {
            Some(_) => done,
            None => format!(
                "{done}\n  its statements run with all your privileges, because your role may not create one for them: ALTER \
                 ROLE … CREATEROLE, and apply it again with --start-over"
            ),
        }
    }
}

impl CheckReport {
    pub(super) fn new(dir: &Path, result: anyhow::Result<Checked>) -> anyhow::Result<Self> {
        let (checked, problems) = sorted(result)?;
        Ok(Self { folder: dir.display().to_string(), checked, problems })
    }

    pub(super) fn text(&self) -> String {
        let Some(Checked { projector, events, refused, refusal, unchecked }) = &self.checked else {
            return listed(format!("{}: refused", self.folder), &self.problems);
        };
        let ok =
            format!("projector {projector}: ok; {events} generated events leave the same rows in batches of any size");
        let refusal = refusal.iter().map(|refusal| {
            let stops = "of them can't be applied at all; such an event would stop its partition";
            format!("{refused} {stops}:\n    {}", escaped(refusal))
        });
        let unchecked = unchecked.iter().map(|file| {
            format!(
                "note: {file} never changed a row, so the check says nothing of it: see that its WHERE and JOIN can find \
                 rows that the other statements make"
            )
        });
        refusal.chain(unchecked).fold(ok, |text, line| format!("{text}\n  {line}"))
    }
}

fn listed(headline: String, problems: &[FolderProblem]) -> String {
    let lines = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    lines.lines().fold(headline, |text, line| format!("{text}\n  {}", escaped(line)))
}
