//! `millrace projectors reset NAME` empties a read model.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use deadpool_postgres::Object;
use jiff::Timestamp;
use millrace_projector_runner::{Pause, generation, paused, reset};
use millrace_runtime::Settings;
use millrace_runtime::kafka::client_config;
use millrace_schemas::LogName;
use serde::Serialize;

use super::status::members;
use crate::cli::ResetArguments;
use crate::exit::{NO, Usage};
use crate::kafka_state::{TopicEnds, unread};
use crate::output::Output;

/// After this time, the instances of a paused projector apply nothing. One that had not seen the pause would fill the
/// read model again at once.
const OBEYED: Duration = Duration::from_secs(3);

/// What `reset` prints as JSON.
#[derive(Serialize)]
struct Reset<'a> {
    projector: &'a str,
    /// Why nothing was emptied; `None` when the read model was.
    refused: Option<String>,
    /// The tables that were emptied.
    tables: Vec<String>,
    /// Whether the projector is paused: then it fills the read model again only when it is resumed.
    paused: bool,
}

/// Runs the command. The answer is no while the projector runs and is not paused, or when the topic does not have all
/// events any more.
pub(super) async fn run(
    settings: &Settings,
    mut client: Object,
    arguments: &ResetArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let ResetArguments { name, yes_really_empty } = arguments;
    if yes_really_empty != name {
        return Err(
            Usage(format!("--yes-really-empty names {yes_really_empty:?}, not {name:?}: nothing was emptied")).into()
        );
    }
    let pause = paused(&**client, name).await?;
    let paused = pause.is_some();
    if let Some(Pause { since, .. }) = pause {
        // by another clock than Postgres', it may seem to be in the future
        let age = Timestamp::now().duration_since(since).unsigned_abs();
        tokio::time::sleep(OBEYED.saturating_sub(age)).await;
    }
    let refused = why_not(settings, &client, name, paused).await?;
    let tables = if refused.is_none() { reset(&mut client, name).await? } else { Vec::new() };
    let done = if refused.is_none() { ExitCode::SUCCESS } else { ExitCode::from(NO) };
    output.print(&Reset { projector: name, refused, tables, paused }, text)?;
    Ok(done)
}

/// Why the read model should not be emptied now.
async fn why_not(
    settings: &Settings,
    client: &Object,
    projector: &str,
    paused: bool,
) -> anyhow::Result<Option<String>> {
    let log: LogName = settings.log.parse()?;
    let members = members(settings, &log, (projector, generation(&***client, projector).await?)).await?;
    if !paused && !members.is_empty() {
        let instances = members.len();
        return Ok(Some(format!(
            "{projector} runs (instances: {instances}): stop it, or `millrace projectors pause {projector}` first"
        )));
    }
    deleted_beginning(settings, &log).await
}

/// Why a read model that is emptied now could not be filled again; `None` when the topic still has all events.
///
/// # Errors
/// When Kafka does not answer.
pub async fn deleted_beginning(settings: &Settings, log: &LogName) -> anyhow::Result<Option<String>> {
    let (config, topic) = (client_config(settings)?, log.events_topic());
    let place = || unread(&config, &topic);
    let begins = TopicEnds::of(&config, topic.clone()).await.with_context(place)?.begins().await.with_context(place)?;
    let deleted = begins.iter().position(|begin| *begin > 0);
    Ok(deleted.map(|partition| {
        format!(
            "retention has deleted the beginning of partition {partition} of {topic}, so the read model could not be \
             filled again; make the topic anew first: docs/operating.md says how"
        )
    }))
}

fn text(reset: &Reset<'_>) -> String {
    let Reset { projector, refused, tables, paused } = reset;
    if let Some(refused) = refused {
        return format!("{projector}: nothing was emptied: {refused}");
    }
    let then = match paused {
        true => format!("it fills again once you resume it: `millrace projectors resume {projector}`"),
        false => "it fills again once its projector runs".to_owned(),
    };
    tables.iter().fold(format!("{projector} is empty; {then}"), |text, table| format!("{text}\n  {table}"))
}
