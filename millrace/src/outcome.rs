//! `millrace outcome ID`

use std::fmt::Write;
use std::process::ExitCode;

use jiff::Timestamp;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::{LogName, Outcome, OutcomeKind, StreamVersion};
use millrace_store::Log;
use serde::Serialize;

use crate::command_id::check_id;
use crate::dead_letters;
use crate::exit::NO;
use crate::output::{Output, escaped};

/// An outcome as JSON.
#[derive(Serialize)]
struct Shown<'o> {
    command_id: &'o str,
    /// The record's name; absent when the sender did not give it.
    command_type: Option<&'o str>,
    outcome: OutcomeKind,
    code: Option<&'o str>,
    message: Option<&'o str>,
    token: Option<&'o str>,
    streams: &'o [StreamVersion],
    recorded_at: Timestamp,
}

/// Runs the command. The answer is no unless the command was accepted. If Postgres has no outcome, looks among the dead
/// letters.
pub async fn run(settings: &Settings, id: &str, output: Output) -> anyhow::Result<ExitCode> {
    check_id(id)?;
    let name: LogName = settings.log.parse()?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), 1)?;
    let client = postgres::connect(&pool, settings.postgres_url()?).await?;
    let log = Log::open(&client, name).await?;
    let mut outcome = log.outcome(&client, id).await?;
    if outcome.is_none() {
        let letters = dead_letters::read(settings).await?;
        outcome = letters.into_iter().rfind(|letter| letter.command_id.as_deref() == Some(id)).map(Outcome::from);
    }
    match outcome {
        Some(outcome) => print(&outcome, output),
        None => {
            eprintln!(
                "millrace: no command {id} has an outcome in log {}; if it was sent just now, ask again",
                log.name()
            );
            Ok(ExitCode::from(NO))
        }
    }
}

/// Prints an outcome. The exit code is 0 for `accepted`, else 1.
pub fn print(outcome: &Outcome, output: Output) -> anyhow::Result<ExitCode> {
    output.print(&Shown::from(outcome), text)?;
    Ok(if outcome.outcome == OutcomeKind::Accepted { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

impl<'o> From<&'o Outcome> for Shown<'o> {
    fn from(outcome: &'o Outcome) -> Self {
        Self {
            command_id: &outcome.command_id,
            command_type: Some(outcome.command_type.as_str()).filter(|name| !name.is_empty()),
            outcome: outcome.outcome,
            code: outcome.code.as_deref(),
            message: outcome.message.as_deref(),
            token: outcome.token.as_deref(),
            streams: &outcome.streams,
            recorded_at: Timestamp::from_microsecond(outcome.recorded_at).unwrap_or_default(),
        }
    }
}

fn text(outcome: &Shown<'_>) -> String {
    let name = outcome.command_type.unwrap_or_default();
    let mut text = escaped(format!("{name} {}: {}", outcome.command_id, outcome.outcome).trim());
    if let (Some(code), Some(message)) = (outcome.code, outcome.message) {
        let _ = write!(text, " ({}): {}", escaped(code), escaped(message));
    }
    let _ = write!(text, "\n  recorded {}", outcome.recorded_at);
    if let Some(token) = &outcome.token {
        let _ = write!(text, "\n  token    {token}");
    }
    for stream in outcome.streams {
        let _ = write!(text, "\n  stream   {} at version {}", escaped(&stream.stream_id), stream.version);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_its_time_as_rfc_3339_and_no_type_where_none_is_known() {
        let outcome = Outcome {
            command_id: "a\u{1b}".into(),
            command_type: String::new(),
            outcome: OutcomeKind::DeadLettered,
            code: Some("no_json".into()),
            message: Some("not JSON".into()),
            token: None,
            streams: Vec::new(),
            recorded_at: 725_846_400_000_001,
        };
        let json = serde_json::to_value(Shown::from(&outcome)).unwrap();
        assert_eq!(json["recorded_at"], "1993-01-01T00:00:00.000001Z");
        assert_eq!(json["command_type"], serde_json::Value::Null);
        assert_eq!(json["command_id"], "a\u{1b}", "JSON has it as it is");
        assert!(text(&Shown::from(&outcome)).starts_with("a\\u{1b}: dead-lettered (no_json): not JSON"));
    }
}
