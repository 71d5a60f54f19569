//! `millrace send`

mod commands_file;
mod pacing;
mod waiting;

use std::process::ExitCode;

use anyhow::bail;
use millrace_runtime::Settings;
use millrace_schemas::headers::{EXPECTED_VERSION, JSON};
use millrace_schemas::{Contract, ExpectedVersion, Received, Topic};
use millrace_writer::{Domain, Ledger};
use serde::Serialize;
use uuid::Uuid;

use crate::cli::SendArguments;
use crate::exit::Usage;
use crate::output::Output;
use crate::producing::{CommandProducer, OutgoingCommand};
use commands_file::read_file;
use pacing::deliver;
use waiting::wait_for_outcome;

/// What was sent, when its outcome is not waited for.
#[derive(Serialize)]
struct Sent {
    commands: usize,
    /// The id of the one that was given on the command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    command_id: Option<String>,
}

/// The command. What a schema does not allow is refused here, before anything is sent.
pub async fn run(settings: &Settings, arguments: &SendArguments, output: Output) -> anyhow::Result<ExitCode> {
    let (commands, command_id) = match (&arguments.file, &arguments.name, &arguments.fields) {
        (Some(path), ..) => (read_file(path)?, None),
        (None, Some(name), Some(fields)) => {
            let command = single(name, fields, arguments)?;
            let id = command.id.clone();
            (vec![command], Some(id))
        }
        _ => bail!(Usage("give a command's name and fields, or --file".into())),
    };
    let producer = CommandProducer::new(settings)?;
    let delivered = deliver(&producer, &commands, arguments.rate).await?;
    match command_id {
        Some(id) if !arguments.no_wait => wait_for_outcome(settings, &id, &delivered, output).await,
        command_id => {
            output.print(&Sent { commands: commands.len(), command_id }, text)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn text(sent: &Sent) -> String {
    sent.command_id.clone().unwrap_or_else(|| format!("{} commands sent", sent.commands))
}

fn single(name: &str, fields: &str, arguments: &SendArguments) -> anyhow::Result<OutgoingCommand> {
    let data = serde_json::from_str(fields).map_err(|e| Usage(format!("the fields are not JSON: {e}")))?;
    let id = arguments.id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
    let mut command = outgoing(id, name, &data).map_err(Usage)?;
    if let Some(expected) = &arguments.expected_version {
        let expected: ExpectedVersion = expected.parse().map_err(|e| Usage(format!("{e}")))?;
        command.headers.push((EXPECTED_VERSION, expected.to_string()));
    }
    Ok(command)
}

/// A JSON command, checked against its schema, with its first stream's id as key.
fn outgoing(id: String, name: &str, data: &serde_json::Value) -> Result<OutgoingCommand, String> {
    let record = Contract::ledger().record(Topic::Commands, name);
    let record = record.ok_or_else(|| format!("there is no command {name:?}"))?;
    let received = Received::from_json(record, data).map_err(|mismatch| format!("{name}: {mismatch}"))?;
    let command = Ledger::read_command(received).and_then(Result::ok);
    let streams = command.and_then(|command| Ledger::streams(&command).ok()).unwrap_or_default();
    Ok(OutgoingCommand {
        id,
        name: record.name.to_owned(),
        key: streams.first().map(ToString::to_string),
        content_type: JSON,
        value: data.to_string().into_bytes(),
        headers: Vec::new(),
    })
}
