//! `millrace send`

mod append;
mod commands_file;
mod pacing;
mod reach;
mod waiting;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use millrace_runtime::Settings;
use millrace_schemas::headers::{EXPECTED_VERSION, JSON, USER_ID};
use millrace_schemas::{ExpectedVersion, Outcome, Received, Topic};
use millrace_writer::APPEND;
use serde::Serialize;
use uuid::Uuid;

use crate::cli::SendArguments;
use crate::command_id::check_id;
use crate::exit::{NO, Usage};
use crate::logs::{Log, Logs};
use crate::output::{Output, counted};
use crate::producing::{CommandProducer, OutgoingCommand};
use crate::{outcome, wait};
use commands_file::read_file;
use pacing::deliver;
use reach::reach_kafka;
use waiting::wait_for_outcome;

/// How long a read model may take to show what a command did.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);

/// The result as JSON, when the command does not wait for an outcome.
#[derive(Serialize)]
struct Sent {
    commands: usize,
    /// The id of the command on the command line; absent for a file of commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    command_id: Option<String>,
}

/// The log that takes the commands.
struct Recipient<'l> {
    /// The log's own name, which may differ from its definition's.
    name: &'l str,
    log: &'l Log,
}

/// Runs the command. Checks everything against the schemas before it sends anything.
pub async fn run(
    logs: &Logs,
    settings: &Settings,
    arguments: &SendArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let log = &logs.find(settings).await?;
    let to = Recipient { name: &settings.log, log };
    let commands = match (&arguments.file, &arguments.name, &arguments.fields) {
        (Some(path), ..) => read_file(&to, path)?,
        (None, Some(name), Some(fields)) => vec![single(&to, name, fields, arguments)?],
        _ => bail!(Usage("give a command's name and fields, or --file".into())),
    };
    wait::check_read_models(settings, &arguments.wait_for).await?;
    let producer = CommandProducer::new(settings)?;
    reach_kafka(settings).await?;
    let delivered = deliver(&producer, &commands, arguments.rate).await?;
    let alone = commands.first().filter(|_| arguments.file.is_none());
    match alone {
        Some(command) if !arguments.no_wait => match wait_for_outcome(settings, command, &delivered).await? {
            Some(outcome) => shown(settings, &outcome, &arguments.wait_for, output).await,
            None => Ok(ExitCode::from(NO)),
        },
        alone => {
            let command_id = alone.map(|command| command.id.clone());
            output.print(&Sent { commands: commands.len(), command_id }, text)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Prints an outcome, once the read models show what the command did. The answer is no when one of them does not.
async fn shown(
    settings: &Settings,
    outcome: &Outcome,
    projectors: &[String],
    output: Output,
) -> anyhow::Result<ExitCode> {
    let mut behind = Vec::new();
    if let Some(token) = &outcome.token {
        let tokens = wait::parse(token)?;
        for projector in projectors {
            behind.extend(wait::wait_for(settings, projector, &tokens, SHOWN_WITHIN).await?);
        }
    }
    let answer = outcome::print(outcome, output)?;
    for problem in &behind {
        eprintln!("millrace: {problem}");
    }
    Ok(if behind.is_empty() { answer } else { ExitCode::from(NO) })
}

fn text(sent: &Sent) -> String {
    sent.command_id.clone().unwrap_or_else(|| format!("{} sent", counted(sent.commands as u64, "command")))
}

fn single(to: &Recipient<'_>, name: &str, fields: &str, arguments: &SendArguments) -> anyhow::Result<OutgoingCommand> {
    let data = fields_of(fields)?;
    let id = arguments.id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
    let mut command = outgoing(to, id, name, &data).map_err(Usage)?;
    if let Some(expected) = &arguments.expected_version {
        let expected: ExpectedVersion = expected.parse().map_err(|e| Usage(format!("{e}")))?;
        command.headers.push((EXPECTED_VERSION, expected.to_string()));
    }
    if let Some(user) = &arguments.user {
        command.headers.push((USER_ID, user.clone()));
    }
    Ok(command)
}

fn fields_of(text: &str) -> Result<serde_json::Value, Usage> {
    let wanted = r#"the fields must be a JSON object, such as {"account_id": "alice"}"#;
    match serde_json::from_str(text) {
        Ok(data @ serde_json::Value::Object(_)) => Ok(data),
        Ok(_) => Err(Usage(format!("{wanted}; this is other JSON"))),
        Err(error) => {
            Err(Usage(format!("{wanted}; this is no JSON from line {}, column {} on", error.line(), error.column())))
        }
    }
}

/// Makes a JSON command, checked against its schema, with its first stream's id as key.
fn outgoing(to: &Recipient<'_>, id: String, name: &str, data: &serde_json::Value) -> Result<OutgoingCommand, String> {
    check_id(&id).map_err(|usage| usage.to_string())?;
    let definition = to.log.definition();
    let record = definition.record(Topic::Commands, name).ok_or_else(|| {
        let known = definition.names(Topic::Commands).join(", ");
        format!("log {} has no command {name:?}; it has: {known}", to.name)
    })?;
    let first = match &*record.name {
        APPEND => Some(append::first_stream(definition, data)?),
        _ => {
            let received = Received::from_json(record.unregistered(), data).map_err(|error| error.to_string())?;
            to.log.first_stream(&received)
        }
    };
    let key = first.map(|stream| stream.to_string());
    Ok(OutgoingCommand {
        id,
        name: record.name.clone(),
        key,
        content_type: JSON,
        value: data.to_string().into_bytes(),
        headers: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_no_json_object_are_said_to_have_to_be_one() {
        for (text, end) in
            [("not JSON", "no JSON from line 1, column 2 on"), ("[5]", "other JSON"), ("5", "other JSON")]
        {
            let refused = fields_of(text).unwrap_err().to_string();
            assert!(refused.starts_with("the fields must be a JSON object") && refused.ends_with(end), "{refused}");
        }
        assert!(fields_of("{}").is_ok());
    }

    #[test]
    fn a_command_whose_id_no_writer_would_read_is_not_made() {
        let data = serde_json::json!({"account_id": "alice"});
        let to = Recipient { name: "books", log: &crate::ledger() };
        assert!(outgoing(&to, "close-1".into(), "CloseAccount", &data).is_ok());
        let refused = outgoing(&to, "a\nb".into(), "CloseAccount", &data).unwrap_err();
        assert!(refused.contains("has a control character"), "{refused}");
    }

    #[test]
    fn a_command_that_the_log_does_not_have_is_refused_with_those_that_it_has() {
        let to = Recipient { name: "books", log: &crate::ledger() };
        let refused = outgoing(&to, "close-1".into(), "ShutAccount", &serde_json::json!({})).unwrap_err();
        assert_eq!(
            refused,
            "log books has no command \"ShutAccount\"; it has: CloseAccount, OpenAccount, PostEntrySet"
        );
    }
}
