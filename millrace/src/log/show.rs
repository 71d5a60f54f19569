//! `millrace log show`

use std::process::ExitCode;

use comfy_table::Table;
use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use millrace_runtime::Settings;
use millrace_schemas::{LogFolder, LogName, Topic};
use millrace_store::{Log, StoredSchema};
use serde::Serialize;

use super::check::stored_folder;
use super::open::{no_log, open};
use crate::connection::connect;
use crate::migrate::topics;
use crate::output::Output;

/// Who decides the commands of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Rules {
    /// `domain.toml`
    Declared,
    /// Nobody: `Append` carries finished events.
    Append,
    /// The program: nobody has applied a folder.
    Program,
}

/// A log as it is.
#[derive(Debug, Serialize)]
struct Shown {
    log: String,
    /// The name of the definition that the log was created from.
    definition: String,
    partitions: u32,
    /// `None` when nobody has applied a folder.
    stream_types: Option<Vec<String>>,
    rules: Rules,
    applied_at: Option<Timestamp>,
    topics: Vec<String>,
    records: Vec<ShownRecord>,
}

/// A record of the log, in its newest version.
#[derive(Debug, Serialize)]
struct ShownRecord {
    topic: String,
    name: String,
    full_name: String,
    /// Of the newest version.
    registry_id: u32,
    /// How many versions the log has; also the newest's number.
    versions: i32,
}

/// Runs the command.
pub(super) async fn run(settings: &Settings, name: LogName, output: Output) -> anyhow::Result<ExitCode> {
    let client = connect(settings).await?;
    let Some(log) = open(&client, &name).await? else { return Ok(no_log(&name)) };
    let shown = look(&client, settings, &log).await?;
    output.print(&shown, text)?;
    Ok(ExitCode::SUCCESS)
}

async fn look(client: &impl GenericClient, settings: &Settings, log: &Log) -> anyhow::Result<Shown> {
    let definition = log.newest_definition(client).await?;
    let folder = definition.as_ref().map(|definition| stored_folder(log, definition)).transpose()?;
    let stored = log.stored_schemas(client).await?;
    let rules = match &folder {
        None => Rules::Program,
        Some(folder) if folder.domain().is_some() => Rules::Declared,
        Some(_) => Rules::Append,
    };
    Ok(Shown {
        log: log.name().to_string(),
        definition: log.definition().to_owned(),
        partitions: log.partitions(),
        stream_types: folder.map(|folder: LogFolder| folder.definition.stream_types),
        rules,
        applied_at: definition.map(|definition| definition.applied_at),
        topics: topics(settings, log.name(), log.partitions()).into_iter().map(|topic| topic.name).collect(),
        records: newest(&stored).into_iter().map(|stored| ShownRecord::from_stored(log, stored)).collect(),
    })
}

/// The newest version of each record: commands, events, the outcome, each by name.
pub(super) fn newest(stored: &[StoredSchema]) -> Vec<&StoredSchema> {
    let is_newest = |known: &&StoredSchema| {
        let same = |other: &&StoredSchema| {
            (other.schema.topic, &other.schema.name) == (known.schema.topic, &known.schema.name)
        };
        stored.iter().filter(same).all(|other| other.version <= known.version)
    };
    let place = |topic| match topic {
        Topic::Commands => 0,
        Topic::Events => 1,
        Topic::Outcomes => 2,
    };
    let mut newest: Vec<_> = stored.iter().filter(is_newest).collect();
    newest.sort_by_key(|known| (place(known.schema.topic), &known.schema.name));
    newest
}

impl ShownRecord {
    fn from_stored(log: &Log, stored: &StoredSchema) -> Self {
        Self {
            topic: stored.schema.topic.name(log.name()),
            name: stored.schema.name.clone(),
            full_name: stored.schema.full_name(),
            registry_id: stored.schema.registry_id,
            versions: stored.version,
        }
    }
}

fn text(shown: &Shown) -> String {
    let rules = match shown.rules {
        Rules::Declared => "declared in domain.toml",
        Rules::Append => "none: the command Append carries finished events",
        Rules::Program => "in the program",
    };
    let mut facts = vec![
        ("log", shown.log.clone()),
        ("definition", shown.definition.clone()),
        ("partitions", shown.partitions.to_string()),
        ("rules", rules.to_owned()),
        ("topics", shown.topics.join(", ")),
    ];
    facts.extend(shown.stream_types.as_ref().map(|types| ("stream types", types.join(", "))));
    facts.extend(shown.applied_at.map(|at| ("applied", format!("{at:.0}"))));
    let facts = facts.iter().map(|(name, value)| format!("{name:<13}{value}\n")).collect::<String>();
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(["topic", "record", "versions", "registry id"]);
    for record in &shown.records {
        let ShownRecord { topic, full_name, versions, registry_id, .. } = record;
        table.add_row([topic.clone(), full_name.clone(), versions.to_string(), registry_id.to_string()]);
    }
    format!("{facts}\n{table}")
}
