//! `millrace up --with`: more logs in the local stack.

use std::path::Path;

use millrace_domains::bundled;
use millrace_runtime::Settings;
use millrace_schemas::{FolderProblem, LogFolder};

use crate::exit::Usage;
use crate::log::{apply_folder, check_folder, check_name};
use crate::logs::Logs;

/// Reads and checks the folders of the logs: those that come along by their names, others by their paths.
///
/// # Errors
/// When a log is not known, or its folder is not sound.
pub fn folders(logs: &Logs, with: &[String]) -> anyhow::Result<Vec<LogFolder>> {
    with.iter().map(|log| folder(logs, log)).collect()
}

fn folder(logs: &Logs, log: &str) -> anyhow::Result<LogFolder> {
    let read = match bundled::files(log) {
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
    Ok(folder)
}

/// Applies the definitions.
///
/// # Errors
/// When a server refuses or does not answer, or a definition does not fit the log that is there.
pub async fn apply(settings: &Settings, folders: Vec<LogFolder>) -> anyhow::Result<()> {
    for folder in folders {
        let name = folder.name.clone();
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
