//! `millrace log list`

use std::process::ExitCode;

use comfy_table::Table;
use jiff::Timestamp;
use millrace_runtime::Settings;
use millrace_store::Log;
use serde::Serialize;

use super::show::newest;
use crate::connection::connect;
use crate::output::Output;

/// A log of the database.
#[derive(Debug, Serialize)]
struct Listed {
    log: String,
    /// The name of the definition that the log was created from.
    definition: String,
    partitions: u32,
    /// Commands, events, and the outcome.
    records: usize,
    /// `None` when the definition is in the program.
    applied_at: Option<Timestamp>,
}

/// Runs the command.
pub(super) async fn run(settings: &Settings, output: Output) -> anyhow::Result<ExitCode> {
    let client = connect(settings).await?;
    let mut logs = Vec::new();
    for name in millrace_store::logs(&client).await? {
        let log = Log::open(&client, name).await?;
        logs.push(Listed {
            log: log.name().to_string(),
            definition: log.definition().to_owned(),
            partitions: log.partitions(),
            records: newest(&log.stored_schemas(&client).await?).len(),
            applied_at: log.newest_definition(&client).await?.map(|definition| definition.applied_at),
        });
    }
    output.print(&logs, |logs| text(logs))?;
    Ok(ExitCode::SUCCESS)
}

fn text(logs: &[Listed]) -> String {
    if logs.is_empty() {
        return "no log in this database".to_owned();
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["log", "definition", "partitions", "records", "applied"]);
    for log in logs {
        let applied = log.applied_at.map_or_else(|| "in the program".to_owned(), |at| format!("{at:.0}"));
        let Listed { log, definition, partitions, records, .. } = log;
        table.add_row([log, definition, &partitions.to_string(), &records.to_string(), &applied]);
    }
    table.to_string()
}
