//! `millrace schemas check|register`

use std::process::ExitCode;

use comfy_table::Table;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::{LogName, Registry, SchemaStatus};
use millrace_store::Log;

use crate::cli::SchemasAction;
use crate::exit::NO;
use crate::logs::Logs;
use crate::output::Output;

/// Runs the command. The answer of `check` is no while a schema is not registered.
pub async fn run(logs: &Logs, settings: &Settings, action: SchemasAction, output: Output) -> anyhow::Result<ExitCode> {
    let statuses = match action {
        SchemasAction::Check => {
            let registry = Registry::new(settings.registry_url()?)?;
            registry.check(&settings.log.parse()?, logs.built_in(settings)?.definition()).await?
        }
        SchemasAction::Register => register(logs, settings).await?,
    };
    output.print(&statuses, |statuses| table(statuses))?;
    let all = statuses.iter().all(|status| status.id.is_some());
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// Registers the schemas of the log's definition in the registry, and adds them with their ids to the log, which must
/// exist.
///
/// # Errors
/// When a server refuses or does not answer.
pub async fn register(logs: &Logs, settings: &Settings) -> anyhow::Result<Vec<SchemaStatus>> {
    let name: LogName = settings.log.parse()?;
    let log = logs.built_in(settings)?;
    let definition = log.definition();
    let statuses = Registry::new(settings.registry_url()?)?.register(&name, definition).await?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), 1)?;
    let client = postgres::connect(&pool, settings.postgres_url()?).await?;
    let registered = definition.records().iter().zip(&statuses);
    let registered = registered.filter_map(|(record, status)| Some((record, status.id?)));
    Log::open(&client, name).await?.add_schemas(&client, registered).await?;
    Ok(statuses)
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
