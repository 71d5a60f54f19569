//! Folders that describe a projector in SQL: `millrace projector apply` and `check`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use deadpool_postgres::Object;
use millrace_schemas::{FolderProblem, LogName, RecordSchema, Topic};
use millrace_sql_projector::{ProjectorFolder, SqlProjectorError};
use millrace_store::Log;

use super::report::{ApplyReport, CheckReport};
use crate::cli::SettingsArguments;
use crate::connection::connect;
use crate::exit::{NO, Usage};
use crate::logs::Logs;
use crate::output::Output;
use crate::projectors::deleted_beginning;

/// Runs `apply`. The answer is no when something in the folder is wrong.
pub(super) async fn apply(
    logs: &Logs,
    settings: &SettingsArguments,
    dir: &Path,
    name: Option<&str>,
    start_over: bool,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let report = ApplyReport::new(dir, apply_folder(logs, settings, dir, name, start_over).await)?;
    output.print(&report, ApplyReport::text)?;
    Ok(ending(&report.problems))
}

/// Runs `check`. The answer is no when something in the folder is wrong.
pub(super) async fn check(
    logs: &Logs,
    settings: &SettingsArguments,
    dir: &Path,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let report = CheckReport::new(dir, check_folder(logs, settings, dir).await)?;
    output.print(&report, CheckReport::text)?;
    Ok(ending(&report.problems))
}

fn ending(problems: &[FolderProblem]) -> ExitCode {
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NO) }
}

async fn apply_folder(
    logs: &Logs,
    settings: &SettingsArguments,
    dir: &Path,
    name: Option<&str>,
    start_over: bool,
) -> anyhow::Result<millrace_sql_projector::Applied> {
    let mut folder = read(settings, dir).await?;
    if let Some(name) = name {
        folder = folder.with_name(name).map_err(|problem| SqlProjectorError::Refused(vec![problem]))?;
    }
    if logs.has_projector(&folder.name) {
        let problem = format!("name: this program has a projector {} of its own: choose another name", folder.name);
        return Err(refused(ProjectorFolder::PROJECTOR, problem).into());
    }
    let mut sources = Sources::open(settings, &folder.log).await?;
    let Sources { client, log, schemas } = &mut sources;
    if start_over && let Some(why) = deleted_beginning(&settings.load()?, log).await? {
        return Err(refused("--start-over", why).into());
    }
    Ok(millrace_sql_projector::apply(client, &folder, log, schemas, start_over).await?)
}

async fn check_folder(
    logs: &Logs,
    arguments: &SettingsArguments,
    dir: &Path,
) -> anyhow::Result<millrace_sql_projector::Checked> {
    let folder = read(arguments, dir).await?;
    let mut sources = Sources::open(arguments, &folder.log).await?;
    let Sources { client, log, schemas } = &mut sources;
    let mut settings = arguments.load()?;
    log.as_str().clone_into(&mut settings.log);
    let described = logs.find(&settings).await?;
    Ok(millrace_sql_projector::check(client, &folder, schemas, &described.stream_types()).await?)
}

async fn read(arguments: &SettingsArguments, dir: &Path) -> anyhow::Result<ProjectorFolder> {
    if !dir.is_dir() {
        return Err(Usage(format!("{} is not a folder", dir.display())).into());
    }
    match ProjectorFolder::read(dir) {
        Ok(folder) => Ok(folder),
        Err(problems) => {
            // an event whose name is mistyped in projector.toml lacks its statement, too
            let mut all = unknown_events(arguments, dir).await.unwrap_or_default();
            all.extend(problems);
            Err(SqlProjectorError::Refused(all).into())
        }
    }
}

async fn unknown_events(arguments: &SettingsArguments, dir: &Path) -> anyhow::Result<Vec<FolderProblem>> {
    let Some((log, reads)) = ProjectorFolder::reads_in(dir) else { return Ok(vec![]) };
    let sources = Sources::open(arguments, &log).await?;
    Ok(reads.unknown(&sources.log, &sources.schemas))
}

fn refused(file: &str, problem: String) -> SqlProjectorError {
    SqlProjectorError::Refused(vec![FolderProblem { file: file.to_owned(), problem }])
}

/// The newest schema of each event type of a log.
///
/// # Errors
/// When Postgres does not answer.
pub async fn newest_schemas(client: &Object, log: &Log) -> anyhow::Result<BTreeMap<String, &'static RecordSchema>> {
    let mut newest: BTreeMap<String, (i32, &'static RecordSchema)> = BTreeMap::new();
    let stored = log.stored_schemas(client).await?;
    for known in stored.iter().filter(|known| known.schema.topic == Topic::Events) {
        let place = newest.entry(known.schema.name.clone()).or_insert((known.version, known.schema));
        if known.version > place.0 {
            *place = (known.version, known.schema);
        }
    }
    Ok(newest.into_iter().map(|(event, (_, schema))| (event, schema)).collect())
}

/// What a folder is held against.
struct Sources {
    client: Object,
    log: LogName,
    /// The newest schema of each event type.
    schemas: BTreeMap<String, &'static RecordSchema>,
}

impl Sources {
    /// The log is the one of the flag `--log`, or else the folder's.
    async fn open(arguments: &SettingsArguments, of_folder: &LogName) -> anyhow::Result<Self> {
        let settings = arguments.load()?;
        let client = connect(&settings).await?;
        let log = arguments.log.as_deref().map(str::parse).transpose()?.unwrap_or_else(|| of_folder.clone());
        let schemas = newest_schemas(&client, &Log::open(&client, log.clone()).await?).await?;
        Ok(Self { client, log, schemas })
    }
}
