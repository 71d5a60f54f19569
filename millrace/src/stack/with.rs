//! `millrace up --with`: more logs in the local stack.

use std::path::Path;

use millrace_domains::bundled;
use millrace_runtime::Settings;
use millrace_schemas::{FolderProblem, LogFolder};

use crate::exit::Usage;
use crate::log::{applied_folder, apply_folder, check_folder, check_name};
use crate::logs::Logs;

/// A log that is added to the stack.
pub struct AddedLog {
    pub folder: LogFolder,
    /// Whether it comes along with the program; otherwise somebody has named the folder.
    is_bundled: bool,
}

/// Reads and checks the folders of the logs: those that come along by their names, others by their paths.
///
/// # Errors
/// When a log is not known, or its folder is not sound.
pub fn read(logs: &Logs, with: &[String]) -> anyhow::Result<Vec<AddedLog>> {
    with.iter().map(|log| read_one(logs, log)).collect()
}

fn read_one(logs: &Logs, log: &str) -> anyhow::Result<AddedLog> {
    let files = bundled::files(log);
    let is_bundled = files.is_some();
    let read = match files {
        Some(files) => LogFolder::from_files(files),
        None if Path::new(log).is_dir() => LogFolder::read(Path::new(log)),
        None => {
            let names = bundled::NAMES.join(", ");
            return Err(Usage(format!("--with {log}: neither a log that comes along ({names}) nor a folder")).into());
        }
    };
    let folder = read.and_then(|folder| check_folder(&folder).map(|()| folder));
    let folder = folder.map_err(|problems| unsound(log, &problems))?;
    check_name(logs, &folder.name)?;
    Ok(AddedLog { folder, is_bundled })
}

/// Applies the definitions. A log that came along and exists keeps its definition, which somebody may have changed since;
/// only what that definition lacks is made: tables of a newer program, topics.
///
/// # Errors
/// When a server refuses or does not answer, or a definition does not fit the log that is there.
pub async fn apply(settings: &Settings, added: Vec<AddedLog>) -> anyhow::Result<()> {
    for AddedLog { folder, is_bundled } in added {
        let name = folder.name.clone();
        let stored = if is_bundled { applied_folder(settings, &name).await? } else { None };
        let folder = stored.unwrap_or(folder);
        let report = apply_folder(settings, folder, name.clone(), false).await?;
        if !report.problems.is_empty() {
            return Err(unsound(name.as_str(), &report.problems).into());
        }
    }
    Ok(())
}

fn unsound(log: &str, problems: &[FolderProblem]) -> Usage {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Usage(format!("log {log}: {}", problems.join("\n")))
}
