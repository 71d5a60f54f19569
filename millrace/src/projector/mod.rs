//! `millrace projector`: runs a projector; applies and checks folders that describe one in SQL.

mod folder;
mod report;
mod sql;

use std::process::ExitCode;

use crate::cli::{ProjectorAction, ProjectorArguments, SettingsArguments};
use crate::logs::Logs;
use crate::output::Output;
use crate::services;

pub use folder::newest_schemas;
pub use sql::{Generations, all_in_sql, generations, read_models, wait_for};

/// Runs the command.
pub async fn run(
    logs: &Logs,
    settings: &SettingsArguments,
    arguments: ProjectorArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let ProjectorArguments { action, name, service } = arguments;
    match action {
        // clap asks for a name where no other word stands
        None => services::projector(logs, settings, &name.unwrap_or_default(), service).await,
        Some(ProjectorAction::Run { name, service }) => services::projector(logs, settings, &name, service).await,
        Some(ProjectorAction::Apply { folder, name, start_over }) => {
            folder::apply(logs, settings, &folder, name.as_deref(), start_over, output).await
        }
        Some(ProjectorAction::Check { folder }) => folder::check(logs, settings, &folder, output).await,
    }
}
