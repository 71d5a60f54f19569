//! `millrace log check` checks a folder, or what a log has stored.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use deadpool_postgres::GenericClient;
use millrace_schemas::{
    FolderProblem, LogDefinition, LogFolder, LogName, RecordDefinition, RecordSchema, in_one_line, incompatibilities,
};
use millrace_store::{Log, StoredDefinition, StoredSchema};
use serde::Serialize;

use super::apply::{Sound, sound_folder};
use super::open::{no_log, open};
use super::report::indented;
use super::rules::{SoundRules, check_rules};
use super::show::newest;
use crate::cli::SettingsArguments;
use crate::connection::connect;
use crate::exit::{NO, Usage};
use crate::logs::Logs;
use crate::output::{Output, counted};

/// What a check found.
#[derive(Debug, Serialize)]
struct Checked {
    /// The folder or the log.
    checked: String,
    /// Versions of schemas that were checked: of a folder its files, of a log also those of the platform's records.
    versions: usize,
    /// Cases that came out as they say.
    cases: usize,
    /// Of these, the versions of which the log has an event or an outcome, which was decoded. None for a folder.
    decoded: usize,
    problems: Vec<FolderProblem>,
    /// What the author of the definition may want to know.
    notes: Vec<FolderProblem>,
}

/// Runs the command. The answer is no when something is wrong.
pub(super) async fn run(
    logs: &Logs,
    arguments: &SettingsArguments,
    what: Option<PathBuf>,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let checked = match &what {
        Some(dir) if dir.is_dir() => check_folder(logs, dir)?,
        what => {
            let name = what.as_ref().map(|name| log_name(name)).transpose()?;
            let settings = arguments.load()?;
            let name = name.map_or_else(|| settings.log.parse(), Ok)?;
            let client = connect(&settings).await?;
            let Some(log) = open(&client, &name).await? else { return Ok(no_log(&name)) };
            check_log(&client, &log).await?
        }
    };
    output.print(&checked, text)?;
    Ok(if checked.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// The definition that was applied to a log last.
///
/// # Errors
/// When this version of the program can't read it.
pub(super) fn stored_folder(log: &Log, definition: &StoredDefinition) -> anyhow::Result<LogFolder> {
    LogFolder::from_files(definition.files.clone())
        .map_err(|problems| anyhow!("the definition of log {} can't be read: {}", log.name(), in_one_line(&problems)))
}

fn check_folder(logs: &Logs, dir: &Path) -> anyhow::Result<Checked> {
    let (versions, SoundRules { notes, cases }, problems) = match sound_folder(logs, dir, None)? {
        Ok(Sound { folder, rules }) => {
            let schemas = folder.files.keys().filter(|path| path.ends_with(".avsc"));
            (schemas.count(), rules, vec![])
        }
        Err(unsound) => (0, SoundRules::default(), unsound.problems),
    };
    Ok(Checked { checked: dir.display().to_string(), versions, cases, decoded: 0, problems, notes })
}

fn log_name(what: &Path) -> Result<LogName, Usage> {
    let name = what.to_str().and_then(|name| name.parse().ok());
    name.ok_or_else(|| Usage(format!("{} is neither a folder nor a log's name", what.display())))
}

async fn check_log(client: &impl GenericClient, log: &Log) -> anyhow::Result<Checked> {
    let stored = log.stored_schemas(client).await?;
    let (mut rules, mut problems) = (SoundRules::default(), vec![]);
    let definition = match log.newest_definition(client).await? {
        Some(definition) => {
            let folder = stored_folder(log, &definition)?;
            match check_rules(&folder) {
                Ok(found) => rules = found,
                Err(found) => problems = found,
            }
            Some(folder.definition)
        }
        None => None,
    };
    let mut decoded = 0;
    for version in &stored {
        match check_version(client, log, version, &newest_text(definition.as_ref(), &stored, version)?).await? {
            Ok(datum_was_decoded) => decoded += usize::from(datum_was_decoded),
            Err(found) => problems.extend(found),
        }
    }
    let SoundRules { notes, cases } = rules;
    Ok(Checked { checked: log.name().to_string(), versions: stored.len(), cases, decoded, problems, notes })
}

/// The newest version of the same record: the definition's; for a log whose definition is in the program, and for a
/// record that the definition has no more, the log's.
fn newest_text(
    definition: Option<&LogDefinition>,
    stored: &[StoredSchema],
    version: &StoredSchema,
) -> anyhow::Result<String> {
    let schema = version.schema;
    let defined: Option<&RecordDefinition> = definition.and_then(|all| all.record(schema.topic, &schema.name));
    let same = |known: &&StoredSchema| (known.schema.topic, &known.schema.name) == (schema.topic, &schema.name);
    let known = newest(stored).into_iter().find(same).map(|known| known.schema.text.clone());
    let text = defined.map(|record| record.text.clone()).or(known);
    text.ok_or_else(|| anyhow!("the log has no version of {}", schema.name))
}

/// Whether the version reads with the newest one, and a datum of it too. True when there was a datum.
async fn check_version(
    client: &impl GenericClient,
    log: &Log,
    version: &StoredSchema,
    newest: &str,
) -> anyhow::Result<Result<bool, Vec<FolderProblem>>> {
    let schema = version.schema;
    let place = format!("{}/{}, version {}", schema.topic.as_str(), schema.name, version.version);
    let problem = |problem: String| FolderProblem { file: place.clone(), problem };
    let found = incompatibilities(&schema.text, newest)?;
    if !found.is_empty() {
        let found = found.iter().map(|mismatch| problem(format!("it does not fit the newest version: {mismatch}")));
        return Ok(Err(found.collect()));
    }
    let Some(datum) = log.some_datum(client, version).await? else { return Ok(Ok(false)) };
    let reader = RecordSchema::parse(schema.topic, 0, newest)?;
    let read = schema.resolve(&datum, reader);
    Ok(read.map(|_| true).map_err(|error| vec![problem(format!("stored data can't be read: {error}"))]))
}

fn text(checked: &Checked) -> String {
    let Checked { checked, versions, cases, decoded, problems, notes } = checked;
    let headline = if problems.is_empty() {
        let decoded = if *decoded > 0 { format!(" (stored data of {decoded} of them read)") } else { String::new() };
        let cases =
            if *cases > 0 { format!(", {} as expected", counted(*cases as u64, "case")) } else { String::new() };
        format!("{checked}: ok, {}{decoded}{cases}", counted(*versions as u64, "schema"))
    } else {
        format!("{checked}: {}", counted(problems.len() as u64, "problem"))
    };
    let lines = problems.iter().map(ToString::to_string).chain(notes.iter().map(|note| format!("note: {note}")));
    lines.fold(headline, |text, line| text + &indented(&line))
}
