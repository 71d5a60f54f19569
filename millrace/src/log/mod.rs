//! `millrace log`: logs that are described by folders.

mod again;
mod apply;
mod check;
mod drop;
mod existing;
mod groups;
mod list;
mod open;
mod plan;
mod report;
mod rules;
mod show;
mod versions;

use std::process::ExitCode;

use millrace_schemas::LogName;

use crate::cli::{LogAction, SettingsArguments};
use crate::exit::Usage;
use crate::logs::Logs;
use crate::output::Output;

pub use apply::{applied_folder, apply_folder};
pub use rules::check_folder;

/// Runs the command.
pub async fn run(
    logs: &Logs,
    settings: &SettingsArguments,
    action: LogAction,
    output: Output,
) -> anyhow::Result<ExitCode> {
    if let (Some(name), false) = (&settings.log, matches!(action, LogAction::Check { what: None })) {
        let message = format!("--log {name} has no effect here: name the log after the command, or with apply's --as");
        return Err(Usage(message).into());
    }
    match action {
        LogAction::Apply(arguments) => apply::run(logs, &settings.load()?, &arguments, output).await,
        LogAction::Show { name } => show::run(&settings.load()?, name.parse()?, output).await,
        LogAction::List => list::run(&settings.load()?, output).await,
        LogAction::Check { what } => check::run(logs, settings, what, output).await,
        LogAction::Drop(arguments) => drop::run(&settings.load()?, &arguments, output).await,
    }
}

/// Checks that a new log may have the name.
pub fn check_name(logs: &Logs, name: &LogName) -> Result<(), Usage> {
    name_problem(logs, name).map_or(Ok(()), |problem| Err(Usage(problem)))
}

/// Why no new log may have the name; `None` when it may.
fn name_problem(logs: &Logs, name: &LogName) -> Option<String> {
    let why = if logs.has(name.as_str()) {
        "this program has a definition of that name".to_owned()
    } else if let Some(why) = name.reserved() {
        why.to_owned()
    } else if millrace_projectors::names().contains(&name.as_str()) {
        format!("the projector {name} has a schema of that name")
    } else {
        return None;
    };
    Some(format!("a log can't be named {name}: {why}"))
}
