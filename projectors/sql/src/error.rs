//! What can go wrong with a folder, by remedy.

use millrace_projector_runner::ProjectorError;
use millrace_schemas::FolderProblem;

/// Why a folder was not applied or not checked.
#[derive(Debug, thiserror::Error)]
pub enum SqlProjectorError {
    /// The folder is wrong: mend these files.
    #[error("{}", shown(.0))]
    Refused(Vec<FolderProblem>),
    /// What every read model has could not be read.
    #[error(transparent)]
    ReadModel(#[from] ProjectorError),
    /// Postgres refused something of ours, or did not answer.
    #[error("Postgres: {}", in_words(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// The stored definition of a projector can't be read by this version of the program.
    #[error(
        "the stored definition of the projector {name} can't be read, a newer version may have applied it: {reason}"
    )]
    Unreadable {
        /// The projector.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

fn shown(problems: &[FolderProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl SqlProjectorError {
    /// A refusal with one problem.
    pub(crate) fn refused(file: &str, problem: impl Into<String>) -> Self {
        Self::Refused(vec![FolderProblem { file: file.to_owned(), problem: problem.into() }])
    }
}

/// tokio-postgres says only "db error" of itself; the server's own words are inside.
pub(crate) fn in_words(error: &tokio_postgres::Error) -> String {
    let Some(inner) = error.as_db_error() else { return error.to_string() };
    let hint = inner.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{}{hint} [{}]", inner.message(), inner.code().code())
}
