//! `millrace send`

use std::io::{BufRead, BufReader};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use millrace_runtime::{Settings, postgres};
use millrace_schemas::headers::{EXPECTED_VERSION, JSON};
use millrace_schemas::{Contract, ExpectedVersion, LogName, Topic, avro_from_json};
use millrace_store::Log;
use millrace_writer::{Domain, Ledger};
use serde::Deserialize;
use uuid::Uuid;

use crate::cli::SendArguments;
use crate::exit::{NO, Usage};
use crate::outcome;
use crate::output::Output;
use crate::producing::{CommandProducer, OutgoingCommand};

/// How long an outcome is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// A line of a file of commands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    r#type: String,
    data: serde_json::Value,
}

/// The command. What a schema does not allow is refused here, before anything is sent.
pub async fn run(settings: &Settings, arguments: &SendArguments, output: Output) -> anyhow::Result<ExitCode> {
    let commands = match (&arguments.file, &arguments.name, &arguments.fields) {
        (Some(path), ..) => read_file(path)?,
        (None, Some(name), Some(fields)) => vec![single(name, fields, arguments)?],
        _ => bail!(Usage("give a command's name and fields, or --file".into())),
    };
    let producer = CommandProducer::new(settings)?;
    let delivered = producer.send(&commands).await?;
    delivered.await.context("Kafka's client stopped")??;
    match commands.as_slice() {
        [command] if !arguments.no_wait => wait_for_outcome(settings, &command.id, output).await,
        [command] => {
            println!("{}", command.id);
            Ok(ExitCode::SUCCESS)
        }
        commands => {
            println!("{} commands sent", commands.len());
            Ok(ExitCode::SUCCESS)
        }
    }
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

fn read_file(path: &std::path::Path) -> anyhow::Result<Vec<OutgoingCommand>> {
    let reader: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("{} can't be read", path.display()))?;
        Box::new(BufReader::new(file))
    };
    let mut commands = Vec::new();
    for (index, line) in reader.lines().enumerate() {
        let place = |problem: String| Usage(format!("{}, line {}: {problem}", path.display(), index + 1));
        let line = line.with_context(|| format!("{} can't be read", path.display()))?;
        let Line { id, r#type, data } = serde_json::from_str(&line).map_err(|e| place(e.to_string()))?;
        commands.push(outgoing(id, &r#type, &data).map_err(place)?);
    }
    Ok(commands)
}

/// A JSON command, checked against its schema, with its first stream's id as key.
fn outgoing(id: String, name: &str, data: &serde_json::Value) -> Result<OutgoingCommand, String> {
    let record = Contract::ledger().record(Topic::Commands, name);
    let record = record.ok_or_else(|| format!("there is no command {name:?}"))?;
    let value = avro_from_json(&record.avro, data).map_err(|mismatch| format!("{name}: {mismatch}"))?;
    let command = Ledger::read_command(record.name, &value).and_then(Result::ok);
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

async fn wait_for_outcome(settings: &Settings, id: &str, output: Output) -> anyhow::Result<ExitCode> {
    let name: LogName = settings.log.parse()?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), 1)?;
    let client = pool.get().await.context("Postgres does not answer")?;
    let log = Log::open(&client, name).await?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        if let Some(outcome) = log.outcome(&client, id).await? {
            return outcome::print(&outcome, output);
        }
        tokio::time::sleep(LOOK).await;
    }
    eprintln!(
        "millrace: command {id} is in Kafka, but has no outcome yet: does a writer run? ask: millrace outcome {id}"
    );
    Ok(ExitCode::from(NO))
}
