//! Waits for the outcome of a command that was sent.

use std::time::Duration;

use anyhow::Context;
use deadpool_postgres::Object;
use millrace_runtime::kafka::Delivered;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::headers::EXPECTED_VERSION;
use millrace_schemas::{LogName, Outcome, Received, RecordSchema, Topic};
use millrace_store::{Log, StoredCommand, command_key};
use millrace_writer::{APPEND, hash_of_append, hash_of_command};
use tokio::time::Instant;

use crate::dead_letters;
use crate::producing::OutgoingCommand;

/// How long to wait for an outcome.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often to ask Postgres for it.
const LOOK: Duration = Duration::from_millis(20);
/// How often to look for it among the dead letters.
const LOOK_ASIDE: Duration = Duration::from_secs(1);

/// Waits for the outcome of a command, which was delivered alone. It recognizes the command's dead letter by the
/// original's offset, because an earlier command with the same id may have become one too. `None` when there is none in
/// time, or when the id already belonged to another command, whose outcome Postgres keeps: then this has said so.
pub async fn wait_for_outcome(
    settings: &Settings,
    command: &OutgoingCommand,
    delivered: &Delivered,
) -> anyhow::Result<Option<Outcome>> {
    let id = &command.id;
    let name: LogName = settings.log.parse()?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), 1)?;
    let sent = || format!("command {id} is in Kafka, but Postgres does not answer for its outcome");
    let client = postgres::connect(&pool, settings.postgres_url()?).await.with_context(sent)?;
    let log = Log::open(&client, name).await?;
    let key = command_key(id);
    let deadline = Instant::now() + PATIENCE;
    let mut look_aside = Instant::now() + LOOK_ASIDE;
    while Instant::now() < deadline {
        if let Some(stored) = log.commands(&client, &[key]).await?.remove(&key) {
            return match taken_before(command, hash(&client, &log, command).await?, &stored) {
                Some(refusal) => {
                    eprintln!("millrace: {refusal}");
                    Ok(None)
                }
                None => Ok(Some(stored.outcome)),
            };
        }
        if Instant::now() >= look_aside {
            let letters = dead_letters::read(settings).await?;
            if let Some(letter) = letters.into_iter().find(|letter| letter.is_last_of(delivered)) {
                return Ok(Some(Outcome::from(letter)));
            }
            look_aside = Instant::now() + LOOK_ASIDE;
        }
        tokio::time::sleep(LOOK).await;
    }
    let (seconds, log) = (PATIENCE.as_secs(), log.name());
    eprintln!(
        "millrace: command {id} is in Kafka, and has no outcome after {seconds} s: perhaps no writer of log {log} runs, \
         or it is behind.\nAsk again: millrace outcome --log {log} {id}; what writers could not read: millrace \
         dead-letters list --log {log}"
    );
    Ok(None)
}

/// The hash of the command, as writers compute it; `None` when the log has no schema of the command.
async fn hash(client: &Object, log: &Log, command: &OutgoingCommand) -> anyhow::Result<Option<[u8; 16]>> {
    let expected = command.headers.iter().find(|(name, _)| *name == EXPECTED_VERSION);
    let expected = expected.map(|(_, text)| text.parse()).transpose()?.unwrap_or_default();
    let content = content_hash(client, log, command).await?;
    Ok(content.map(|content| hash_of_command(content, expected)))
}

/// The hash of the command's content. It is the same in every version of the command's schema, so the log's newest will
/// do.
async fn content_hash(client: &Object, log: &Log, command: &OutgoingCommand) -> anyhow::Result<Option<[u8; 16]>> {
    let stored = log.stored_schemas(client).await?;
    if command.name == APPEND {
        return Ok(hash_of_append(&stored, &command.value)?);
    }
    let of_command = |schema: &&RecordSchema| schema.topic == Topic::Commands && schema.name == command.name;
    let schema = stored.iter().rev().map(|stored| stored.schema).find(of_command);
    let data: serde_json::Value = serde_json::from_slice(&command.value)?;
    Ok(schema.map(|schema| Received::from_json(schema, &data)).transpose()?.map(|received| received.content_hash()))
}

/// The refusal, if the stored command with the id is another one; then this one takes no effect.
fn taken_before(command: &OutgoingCommand, hash: Option<[u8; 16]>, stored: &StoredCommand) -> Option<String> {
    let OutgoingCommand { id, name, .. } = command;
    let Outcome { command_type, outcome, .. } = &stored.outcome;
    let difference = if command_type != name {
        ""
    } else if hash.is_some_and(|hash| stored.hash != hash) {
        " with other content"
    } else {
        return None;
    };
    Some(format!(
        "{id} is the id of an earlier {command_type}{difference} ({outcome}), so this {name} takes no effect \
         (command_id_reused): send it with an id of its own"
    ))
}

#[cfg(test)]
mod tests {
    use millrace_schemas::OutcomeKind;

    use super::*;

    #[test]
    fn the_outcome_of_another_command_with_the_same_id_is_not_this_ones() {
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
        let stored = StoredCommand { hash: vec![7; 16], outcome };
        assert_eq!(taken_before(&command("PostEntrySet"), Some([7; 16]), &stored), None);
        for (name, hash, expected) in [
            ("CloseAccount", 7, "an earlier PostEntrySet (accepted), so this CloseAccount takes no effect"),
            (
                "PostEntrySet",
                8,
                "an earlier PostEntrySet with other content (accepted), so this PostEntrySet takes no effect",
            ),
        ] {
            let refusal = taken_before(&command(name), Some([hash; 16]), &stored).unwrap_or_default();
            assert!(refusal.contains(expected), "{refusal}");
        }
    }
}
