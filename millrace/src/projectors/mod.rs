//! `millrace projectors`: what a log's projectors are doing, and what somebody wants of them.
//!
//! It asks Postgres and Kafka, never the projectors. A pause is a row in the read model's schema, so it holds for every
//! instance, also for those that start later.

mod drop;
mod reset;
mod status;
mod text;

use std::process::ExitCode;

use deadpool_postgres::Object;
use millrace_projector_runner::{other_log, pause, paused, read_models, resume};
use millrace_schemas::LogName;
use millrace_sql_projector::log_of;
use serde::Serialize;

use crate::cli::{ProjectorsAction, SettingsArguments};
use crate::connection::connect;
use crate::exit::Usage;
use crate::output::Output;
use crate::wait::check;
pub use drop::read_models_of_log;
pub use reset::deleted_beginning;
pub use status::Paused;
use status::Status;

/// What `pause` and `resume` print as JSON.
#[derive(Serialize)]
struct Changed<'a> {
    projector: &'a str,
    /// Whether this changed something.
    changed: bool,
    /// `None` when it is not paused now.
    paused: Option<Paused>,
}

/// Runs the command.
pub async fn run(arguments: &SettingsArguments, action: ProjectorsAction, output: Output) -> anyhow::Result<ExitCode> {
    let settings = &mut arguments.load()?;
    let client = connect(settings).await?;
    if let Some(name) = named(&action) {
        check(&client, name).await?;
        match log_of_read_model(&client, name, &settings.log.parse()?).await? {
            // one of another log than the default is meant as it is
            Some(log) if arguments.log.is_none() => settings.log = log,
            Some(other) if other != settings.log => {
                let wrong =
                    format!("{name} is a projector of the log {other}, not of {}: leave out --log", settings.log);
                return Err(Usage(wrong).into());
            }
            _ => {}
        }
    }
    match action {
        ProjectorsAction::List => {
            let log: LogName = settings.log.parse()?;
            let mut all = Vec::new();
            for name in read_models(&**client).await? {
                if log_of_read_model(&client, &name, &log).await?.is_none_or(|read| read == log.as_str()) {
                    all.push(Status::read(settings, &client, name).await?);
                }
            }
            output.print(&all, text::list)?;
        }
        ProjectorsAction::Show { name } => {
            output.print(&Status::read(settings, &client, name).await?, text::show)?;
        }
        ProjectorsAction::Pause { name, reason } => {
            let changed = pause(&**client, &name, reason.as_deref()).await?;
            print(&client, &name, changed, output).await?;
        }
        ProjectorsAction::Resume { name } => {
            let changed = resume(&**client, &name).await?;
            print(&client, &name, changed, output).await?;
        }
        ProjectorsAction::Drop(arguments) => return drop::run(settings, client, &arguments, output).await,
        ProjectorsAction::Reset(arguments) => {
            return reset::run(settings, client, &arguments, output).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn print(client: &Object, projector: &str, changed: bool, output: Output) -> anyhow::Result<()> {
    let paused = paused(&***client, projector).await?.map(Paused::from);
    output.print(&Changed { projector, changed, paused }, |Changed { projector, changed, paused }| match paused {
        Some(paused) if *changed => {
            format!("{projector} is {}; its instances apply nothing more, at the latest in two seconds", paused.line())
        }
        Some(paused) => format!("{projector} was paused before: it is {}", paused.line()),
        None if *changed => format!("{projector} goes on"),
        None => format!("{projector} was not paused"),
    })
}

/// The projector that the action names.
fn named(action: &ProjectorsAction) -> Option<&str> {
    match action {
        ProjectorsAction::List => None,
        ProjectorsAction::Show { name } | ProjectorsAction::Pause { name, .. } | ProjectorsAction::Resume { name } => {
            Some(name)
        }
        ProjectorsAction::Drop(arguments) => Some(&arguments.name),
        ProjectorsAction::Reset(arguments) => Some(&arguments.name),
    }
}

/// The log that a read model is of; `None` when it may be any log's: one of this program's that is empty. `asked` is the
/// one that is asked for.
async fn log_of_read_model(client: &Object, name: &str, asked: &LogName) -> anyhow::Result<Option<String>> {
    match log_of(client, name).await? {
        Some(read) => Ok(Some(read)),
        None => Ok(other_log(&***client, name, asked).await?),
    }
}
