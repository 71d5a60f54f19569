//! `millrace outcome ID`

use std::fmt::Write;
use std::process::ExitCode;

use jiff::Timestamp;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::{LogName, Outcome, OutcomeKind};
use millrace_store::Log;

use crate::dead_letters;
use crate::exit::NO;
use crate::output::Output;

/// The command. Answers no unless the command was accepted. What has no outcome in Postgres is looked for among the
/// dead letters.
pub async fn run(settings: &Settings, id: &str, output: Output) -> anyhow::Result<ExitCode> {
    let name: LogName = settings.log.parse()?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), 1)?;
    let client = pool.get().await?;
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

/// Prints an outcome; the exit code says whether it is "accepted".
pub fn print(outcome: &Outcome, output: Output) -> anyhow::Result<ExitCode> {
    output.print(outcome, text)?;
    Ok(if outcome.outcome == OutcomeKind::Accepted { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

fn text(outcome: &Outcome) -> String {
    let mut text = format!("{} {}: {}", outcome.command_type, outcome.command_id, outcome.outcome).trim().to_owned();
    if let (Some(code), Some(message)) = (&outcome.code, &outcome.message) {
        let _ = write!(text, " ({code}): {message}");
    }
    let at = Timestamp::from_microsecond(outcome.recorded_at).unwrap_or_default();
    let _ = write!(text, "\n  recorded {at}");
    if let Some(token) = &outcome.token {
        let _ = write!(text, "\n  token    {token}");
    }
    for stream in &outcome.streams {
        let _ = write!(text, "\n  stream   {} at version {}", stream.stream_id, stream.version);
    }
    text
}
