//! Waiting for the outcome of a command that was sent.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use millrace_runtime::kafka::Delivered;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::{LogName, Outcome};
use millrace_store::Log;
use tokio::time::Instant;

use crate::exit::NO;
use crate::output::Output;
use crate::producing::OutgoingCommand;
use crate::{dead_letters, outcome};

/// How long an outcome is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// How often it is looked for among the dead letters.
const LOOK_ASIDE: Duration = Duration::from_secs(1);

/// Waits for the outcome of the command, which was delivered alone, and prints it. Dead letters are told apart by where
/// they came from: an earlier command with the same id may have become one. Answers no when the outcome is that of
/// another kind of command, which had the id before.
pub async fn wait_for_outcome(
    settings: &Settings,
    command: &OutgoingCommand,
    delivered: &Delivered,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let id = &command.id;
    let name: LogName = settings.log.parse()?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), 1)?;
    let sent = || format!("command {id} is in Kafka, and its outcome can't be asked for");
    let client = postgres::connect(&pool, settings.postgres_url()?).await.with_context(sent)?;
    let log = Log::open(&client, name).await?;
    let deadline = Instant::now() + PATIENCE;
    let mut look_aside = Instant::now() + LOOK_ASIDE;
    while Instant::now() < deadline {
        if let Some(outcome) = log.outcome(&client, id).await? {
            return match taken_before(command, &outcome) {
                Some(refusal) => {
                    eprintln!("millrace: {refusal}");
                    Ok(ExitCode::from(NO))
                }
                None => outcome::print(&outcome, output),
            };
        }
        if Instant::now() >= look_aside {
            let letters = dead_letters::read(settings).await?;
            if let Some(letter) = letters.into_iter().find(|letter| letter.is_last_of(delivered)) {
                return outcome::print(&Outcome::from(letter), output);
            }
            look_aside = Instant::now() + LOOK_ASIDE;
        }
        tokio::time::sleep(LOOK).await;
    }
    let seconds = PATIENCE.as_secs();
    eprintln!(
        "millrace: command {id} is in Kafka, and has no outcome after {seconds} s: perhaps no writer runs, or it is \
         behind.\nAsk again: millrace outcome {id}; what writers could not read: millrace dead-letters list"
    );
    Ok(ExitCode::from(NO))
}

/// What to say when the id had been another command's, so that this one does not take effect.
fn taken_before(command: &OutgoingCommand, outcome: &Outcome) -> Option<String> {
    let OutgoingCommand { id, name, .. } = command;
    let Outcome { command_type, outcome, .. } = outcome;
    (command_type != name).then(|| {
        format!(
            "{id} is the id of an earlier {command_type} ({outcome}), so this {name} takes no effect: send it with an \
             id of its own"
        )
    })
}

#[cfg(test)]
mod tests {
    use millrace_schemas::OutcomeKind;

    use super::*;

    #[test]
    fn the_outcome_of_another_kind_of_command_is_not_this_ones() {
        let outcome = Outcome {
            command_id: "deposit-1".into(),
            command_type: "PostEntrySet".into(),
            outcome: OutcomeKind::Accepted,
            code: None,
            message: None,
            token: None,
            streams: Vec::new(),
            recorded_at: 0,
        };
        let command = |name: &str| OutgoingCommand {
            id: "deposit-1".into(),
            name: name.into(),
            key: None,
            content_type: "application/json",
            value: Vec::new(),
            headers: Vec::new(),
        };
        assert_eq!(taken_before(&command("PostEntrySet"), &outcome), None);
        let refusal = taken_before(&command("CloseAccount"), &outcome).unwrap();
        assert!(
            refusal.contains("an earlier PostEntrySet (accepted), so this CloseAccount takes no effect"),
            "{refusal}"
        );
    }
}
