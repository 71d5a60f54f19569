//! `millrace projectors drop NAME` deletes a read model.

use std::process::ExitCode;

use deadpool_postgres::Object;
use millrace_projector_runner::rebuild::{builds, drop_read_model};
use millrace_projector_runner::{checkpoints, generation, read_models};
use millrace_runtime::Settings;
use millrace_schemas::LogName;
use millrace_sql_projector::log_of;
use serde::Serialize;

use super::status::members;
use crate::cli::DropReadModelArguments;
use crate::exit::{NO, Usage};
use crate::output::Output;

/// What `drop` prints as JSON.
#[derive(Serialize)]
struct Dropped<'a> {
    projector: &'a str,
    /// Why nothing was deleted; `None` when the read model was.
    refused: Option<String>,
    /// The schemas that were deleted.
    schemas: Vec<String>,
}

/// Runs the command. The answer is no while the projector runs.
pub(super) async fn run(
    settings: &Settings,
    client: Object,
    arguments: &DropReadModelArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let DropReadModelArguments { name, yes_really_delete } = arguments;
    if yes_really_delete != name {
        let wrong = format!("--yes-really-delete names {yes_really_delete:?}, not {name:?}: nothing was deleted");
        return Err(Usage(wrong).into());
    }
    let log: LogName = settings.log.parse()?;
    let live = generation(&**client, name).await?;
    let instances = members(settings, &log, (name, live)).await?.len();
    let refused = (instances > 0).then(|| format!("{name} runs (instances: {instances}): stop it first"));
    let mut schemas = Vec::new();
    if refused.is_none() {
        schemas = builds(&**client, name).await?.into_iter().map(|build| build.schema).collect();
        drop_read_model(&client, name).await?;
    }
    let done = if refused.is_none() { ExitCode::SUCCESS } else { ExitCode::from(NO) };
    output.print(&Dropped { projector: name, refused, schemas }, text)?;
    Ok(done)
}

fn text(dropped: &Dropped<'_>) -> String {
    let Dropped { projector, refused, schemas } = dropped;
    match refused {
        Some(refused) => format!("{projector}: nothing was deleted: {refused}"),
        None => format!("{projector}: deleted the read model, Postgres schema {}", schemas.join(", ")),
    }
}

/// The read models in this database that are of a log: those in SQL, and those of the program that have events of it.
///
/// # Errors
/// When Postgres does not answer.
pub async fn read_models_of_log(client: &Object, log: &LogName) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for name in read_models(&***client).await? {
        let is_of_log = match log_of(client, &name).await? {
            Some(read) => read == log.as_str(),
            None => !checkpoints(&***client, &name, log).await?.is_empty(),
        };
        if is_of_log {
            found.push(name);
        }
    }
    Ok(found)
}
