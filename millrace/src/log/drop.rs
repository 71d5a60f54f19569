//! `millrace log drop` deletes a log for good.

use std::process::ExitCode;

use anyhow::Context;
use millrace_runtime::Settings;
use millrace_runtime::kafka::{client_config, delete_topics};
use millrace_schemas::{LogName, Registry};
use millrace_store::{Tables, drop_log, tables};
use serde::Serialize;

use super::again::again;
use super::groups::groups_in_use;
use crate::cli::DropArguments;
use crate::connection::connect;
use crate::exit::{NO, Usage};
use crate::migrate::topics;
use crate::output::Output;
use crate::projectors::read_models_of_log;

/// What was deleted.
#[derive(Debug, Default, Serialize)]
struct Dropped {
    log: String,
    /// The consumer groups that kept the log from being deleted; then nothing was.
    groups_in_use: Vec<String>,
    /// The read models that kept it from being deleted: they would hold events of a log that is gone.
    read_models: Vec<String>,
    subjects: Vec<String>,
    topics: Vec<String>,
    /// Whether Postgres had the log. If not, nothing was deleted.
    tables: bool,
}

/// Runs the command. The answer is no while services of the log run.
pub(super) async fn run(settings: &Settings, arguments: &DropArguments, output: Output) -> anyhow::Result<ExitCode> {
    let name: LogName = arguments.name.parse()?;
    if arguments.yes_really_delete != arguments.name {
        let (name, other) = (&arguments.name, &arguments.yes_really_delete);
        return Err(Usage(format!("--yes-really-delete names {other:?}, not {name:?}: nothing was deleted")).into());
    }
    let dropped = drop(settings, &name).await?;
    output.print(&dropped, text)?;
    Ok(if dropped.groups_in_use.is_empty() && dropped.read_models.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NO)
    })
}

/// Deletes the tables last: while they are there, the log is listed, and dropping it again does the rest. Without them
/// nothing is deleted: topics and subjects of that name belong to a log of another database, or to somebody else.
async fn drop(settings: &Settings, name: &LogName) -> anyhow::Result<Dropped> {
    let client = connect(settings).await?;
    match tables(&client, name).await? {
        Tables::Foreign => {
            let problem = format!("the Postgres schema {name} has tables that are no log's: nothing was deleted");
            return Err(Usage(problem).into());
        }
        Tables::Missing => return Ok(Dropped { log: name.to_string(), ..Dropped::default() }),
        Tables::Outdated | Tables::Current => {}
    }
    let names: Vec<String> = topics(settings, name, 1).into_iter().map(|topic| topic.name).collect();
    let groups_in_use = groups_in_use(settings, name, names.clone()).await?;
    if !groups_in_use.is_empty() {
        return Ok(Dropped { log: name.to_string(), groups_in_use, ..Dropped::default() });
    }
    let read_models = read_models_of_log(&client, name).await?;
    if !read_models.is_empty() {
        return Ok(Dropped { log: name.to_string(), read_models, ..Dropped::default() });
    }
    let registry = Registry::new(settings.registry_url()?)?;
    let subjects = registry.subjects(name).await?;
    for subject in &subjects {
        again(async || registry.delete_subject(subject).await).await?;
    }
    let place = || format!("the topics in Kafka at {}", settings.kafka_bootstrap().unwrap_or_default());
    let topics = delete_topics(&client_config(settings)?, &names).await.with_context(place)?;
    let tables = drop_log(&client, name).await?;
    Ok(Dropped { log: name.to_string(), subjects, topics, tables, ..Dropped::default() })
}

fn text(dropped: &Dropped) -> String {
    let log = &dropped.log;
    if let [first, more @ ..] = &dropped.groups_in_use[..] {
        let groups = more.iter().fold(first.clone(), |groups, group| format!("{groups} and {group}"));
        let verb = if more.is_empty() { "has" } else { "have" };
        return format!(
            "log {log}: nothing was deleted, because {groups} {verb} members: stop whatever reads the log's topics first"
        );
    }
    if let Some(first) = dropped.read_models.first() {
        let names = dropped.read_models.join(", ");
        return format!(
            "log {log}: nothing was deleted, because read models hold its events ({names}): delete each first, with \
             `millrace projectors drop {first} --log {log} --yes-really-delete {first}`"
        );
    }
    if !dropped.tables {
        return format!("log {log}: this database has no such log: nothing was deleted");
    }
    let tables = format!("the Postgres schema {log}, with all events");
    let topics = dropped.topics.iter().map(|topic| format!("topic {topic}"));
    let subjects = dropped.subjects.iter().map(|subject| format!("subject {subject}"));
    let deleted = [tables].into_iter().chain(topics).chain(subjects);
    deleted.fold(format!("log {log}: deleted"), |text, what| format!("{text}\n  {what}"))
}
