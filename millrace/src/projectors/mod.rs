//! `millrace projectors`: what a log's projectors are doing, and what somebody wants of them.
//!
//! It asks Postgres and Kafka, never the projectors. A pause is a row in the read model's schema, so it holds for every
//! instance, also for those that start later.

mod reset;
mod status;
mod text;

use std::process::ExitCode;

use deadpool_postgres::Object;
use millrace_projector_runner::{other_log, pause, paused, read_models, resume};
use millrace_runtime::Settings;
use millrace_schemas::LogName;
use millrace_sql_projector::log_of;
use serde::Serialize;

use crate::cli::ProjectorsAction;
use crate::connection::connect;
use crate::exit::Usage;
use crate::output::Output;
use crate::wait::check;
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
pub async fn run(settings: &Settings, action: ProjectorsAction, output: Output) -> anyhow::Result<ExitCode> {
    let client = connect(settings).await?;
    match action {
        ProjectorsAction::List => {
            let log: LogName = settings.log.parse()?;
            let mut all = Vec::new();
            for name in read_models(&**client).await? {
                if log_that_is_read(&client, &name, &log).await?.is_none() {
                    all.push(Status::read(settings, &client, name).await?);
                }
            }
            output.print(&all, text::list)?;
        }
        ProjectorsAction::Show { name } => {
            check_name(settings, &client, &name).await?;
            output.print(&Status::read(settings, &client, name).await?, text::show)?;
        }
        ProjectorsAction::Pause { name, reason } => {
            check_name(settings, &client, &name).await?;
            let changed = pause(&**client, &name, reason.as_deref()).await?;
            print(&client, &name, changed, output).await?;
        }
        ProjectorsAction::Resume { name } => {
            check_name(settings, &client, &name).await?;
            let changed = resume(&**client, &name).await?;
            print(&client, &name, changed, output).await?;
        }
        ProjectorsAction::Reset(arguments) => {
            check_name(settings, &client, &arguments.name).await?;
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

/// The log that a read model is of, if it is another one than `log`. One of this program's that is empty is any log's.
async fn log_that_is_read(client: &Object, name: &str, log: &LogName) -> anyhow::Result<Option<String>> {
    match log_of(client, name).await? {
        Some(read) => Ok(Some(read).filter(|read| read != log.as_str())),
        None => Ok(other_log(&***client, name, log).await?),
    }
}

/// Checks that the database has the read model, and that it is of the log of the settings.
async fn check_name(settings: &Settings, client: &Object, name: &str) -> anyhow::Result<()> {
    check(client, name).await?;
    match log_that_is_read(client, name, &settings.log.parse()?).await? {
        Some(other) => {
            Err(Usage(format!("{name} is a projector of the log {other}: call this with --log {other}")).into())
        }
        None => Ok(()),
    }
}
