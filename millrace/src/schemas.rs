//! `millrace schemas check|register`

use std::process::ExitCode;

use comfy_table::Table;
use millrace_runtime::Settings;
use millrace_schemas::{Contract, LogName, Registry, SchemaStatus};

use crate::cli::SchemasAction;
use crate::exit::NO;
use crate::output::Output;

/// The command. `check` answers no while a schema is not registered.
pub async fn run(settings: &Settings, action: SchemasAction, output: Output) -> anyhow::Result<ExitCode> {
    let log: LogName = settings.log.parse()?;
    let registry = Registry::new(settings.registry_url()?)?;
    let statuses = match action {
        SchemasAction::Check => registry.check(&log, Contract::ledger()).await?,
        SchemasAction::Register => registry.register(&log, Contract::ledger()).await?,
    };
    output.print(&statuses, |statuses| table(statuses))?;
    let all = statuses.iter().all(|status| status.id.is_some());
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

fn table(statuses: &[SchemaStatus]) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(["subject", "id"]);
    for status in statuses {
        let id = status.id.map_or_else(|| "not registered".to_owned(), |id| id.to_string());
        table.add_row([status.subject.clone(), id]);
    }
    table.to_string()
}
