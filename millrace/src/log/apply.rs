//! `millrace log apply` creates the log that a folder describes, or brings it up to date.
//!
//! Everything is checked before anything is changed. The definition is stored last, so after a crash in between,
//! applying again does the rest.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use deadpool_postgres::Object;
use futures::{StreamExt, TryStreamExt, stream};
use millrace_runtime::Settings;
use millrace_runtime::kafka::{client_config, create_topics};
use millrace_schemas::{FolderProblem, LogFolder, LogName, RecordDefinition, Registry};
use millrace_store::Log;

use super::again::again;
use super::check::stored_folder;
use super::existing::of_log;
use super::open::open;
use super::plan::{AT_ONCE, Plan};
use super::report::{ApplyReport, Ending, text};
use super::rules::{SoundRules, check_rules};
use super::versions::new_versions;
use super::{check_name, name_problem};
use crate::cli::ApplyArguments;
use crate::connection::connect;
use crate::exit::{NO, Usage};
use crate::logs::Logs;
use crate::output::Output;

/// Runs the command.
pub(super) async fn run(
    logs: &Logs,
    settings: &Settings,
    arguments: &ApplyArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let name = arguments.name.as_deref().map(str::parse::<LogName>).transpose()?;
    let report = apply(logs, settings, &arguments.folder, name, arguments.dry_run).await?;
    output.print(&report, text)?;
    Ok(if report.result == Ending::Refused { ExitCode::from(NO) } else { ExitCode::SUCCESS })
}

/// A folder with which nothing is wrong.
pub(super) struct Sound {
    pub(super) folder: LogFolder,
    pub(super) rules: SoundRules,
}

/// What is wrong with a folder.
pub(super) struct Unsound {
    /// The folder, when its schemas are sound, and only its name or its rules are not.
    folder: Option<LogFolder>,
    pub(super) problems: Vec<FolderProblem>,
}

/// Reads the folder, with all checks that need no server. `other_name` is the name of its log, if it is not the folder's
/// own.
///
/// # Errors
/// When there is no such folder, or no log may have the other name. The inner error has everything that is wrong with
/// the folder.
pub(super) fn sound_folder(
    logs: &Logs,
    dir: &Path,
    other_name: Option<&LogName>,
) -> anyhow::Result<Result<Sound, Unsound>> {
    if let Some(name) = other_name {
        check_name(logs, name)?;
    }
    if !dir.is_dir() {
        return Err(Usage(format!("{} is not a folder", dir.display())).into());
    }
    let folder = match LogFolder::read(dir) {
        Ok(folder) => folder,
        Err(problems) => return Ok(Err(Unsound { folder: None, problems })),
    };
    let own_name = if other_name.is_none() { name_problem(logs, &folder.name) } else { None };
    let own_name = own_name.map(|problem| of_log(format!("name: {problem}: choose another name, or apply with --as")));
    Ok(match (own_name, check_rules(&folder)) {
        (None, Ok(rules)) => Ok(Sound { folder, rules }),
        (own_name, rules) => {
            let problems = own_name.into_iter().chain(rules.err().into_iter().flatten()).collect();
            Err(Unsound { folder: Some(folder), problems })
        }
    })
}

async fn apply(
    logs: &Logs,
    settings: &Settings,
    dir: &Path,
    name: Option<LogName>,
    dry_run: bool,
) -> anyhow::Result<ApplyReport> {
    match sound_folder(logs, dir, name.as_ref())? {
        Ok(Sound { folder, .. }) => {
            let name = name.unwrap_or_else(|| folder.name.clone());
            apply_folder(settings, folder, name, dry_run).await
        }
        Err(Unsound { folder, problems }) => {
            let log = name.as_ref().map_or(dir.display().to_string(), ToString::to_string);
            // rules that don't fit their schemas are often what follows from a change that the log forbids
            let mut all = match &folder {
                Some(folder) => incompatible(settings, name.as_ref(), folder).await.unwrap_or_default(),
                None => vec![],
            };
            all.extend(problems);
            Ok(refused(log, all))
        }
    }
}

/// What the folder's schemas break of those that the log has.
async fn incompatible(
    settings: &Settings,
    name: Option<&LogName>,
    folder: &LogFolder,
) -> anyhow::Result<Vec<FolderProblem>> {
    let client = connect(settings).await?;
    let existing = match open(&client, name.unwrap_or(&folder.name)).await? {
        Some(log) if *log.definition() == *folder.definition.name => log.stored_schemas(&client).await?,
        _ => vec![],
    };
    Ok(new_versions(folder, &existing).err().unwrap_or_default())
}

fn refused(log: String, problems: Vec<FolderProblem>) -> ApplyReport {
    ApplyReport { log, result: Ending::Refused, changes: vec![], problems }
}

/// Creates the log `name` by a folder that has passed its checks, or brings it up to date; with `dry_run`, only says what
/// would change.
///
/// # Errors
/// When a server refuses or does not answer. That the folder does not fit the log is no error: it is in the report.
pub async fn apply_folder(
    settings: &Settings,
    folder: LogFolder,
    name: LogName,
    dry_run: bool,
) -> anyhow::Result<ApplyReport> {
    let mut client = connect(settings).await?;
    if !dry_run {
        Log::lock_definition(&client, &name).await?;
    }
    let plan = match Plan::make(&client, settings, &name, folder).await? {
        Ok(plan) => plan,
        Err(problems) => return Ok(refused(name.into(), problems)),
    };
    let result = match &plan {
        plan if plan.changes.is_empty() => Ending::NothingToChange,
        _ if dry_run => Ending::Planned,
        plan => {
            make_changes(&mut client, settings, &name, plan).await?;
            Ending::Applied
        }
    };
    Ok(ApplyReport { log: name.into(), result, changes: plan.changes, problems: vec![] })
}

/// The folder that was applied to the log last; `None` when there is no such log, or its definition is in the program.
///
/// # Errors
/// When Postgres does not answer, or this version of the program can't read the definition.
pub async fn applied_folder(settings: &Settings, name: &LogName) -> anyhow::Result<Option<LogFolder>> {
    let client = connect(settings).await?;
    let Some(log) = open(&client, name).await? else { return Ok(None) };
    log.newest_definition(&client).await?.map(|definition| stored_folder(&log, &definition)).transpose()
}

async fn make_changes(client: &mut Object, settings: &Settings, name: &LogName, plan: &Plan) -> anyhow::Result<()> {
    let folder = &plan.folder;
    millrace_store::migrate(client, name, folder.partitions, &folder.definition.name).await?;
    let place = || format!("the topics in Kafka at {}", settings.kafka_bootstrap().unwrap_or_default());
    let topics = plan.missing_topics(settings, name);
    // Kafka refuses to create none
    if !topics.is_empty() {
        create_topics(&client_config(settings)?, &topics).await.with_context(place)?;
    }
    let registered = register(settings, name, plan).await?;
    let log = Log::open(&*client, name.clone()).await?;
    log.add_schemas(&*client, registered).await?;
    log.add_definition(&*client, &folder.files).await?;
    Ok(())
}

/// Registers the new versions: several records at a time, the versions of each in their order. Returns them with their
/// ids.
async fn register<'p>(
    settings: &Settings,
    log: &LogName,
    plan: &'p Plan,
) -> anyhow::Result<Vec<(&'p RecordDefinition, u32)>> {
    let registry = Registry::new(settings.registry_url()?)?;
    let registry = &registry;
    let new = plan.new_versions();
    let records =
        new.chunk_by(|one, next| one.record.topic == next.record.topic && one.record.name == next.record.name);
    let registered = stream::iter(records).map(|versions| async move {
        let mut ids = Vec::new();
        for version in versions {
            let subject = version.record.subject(log);
            let id = again(async || registry.register_schema(&subject, &version.record.text).await).await?;
            ids.push((version.record, id));
        }
        anyhow::Ok(ids)
    });
    Ok(registered.buffered(AT_ONCE).try_collect::<Vec<_>>().await?.concat())
}
