//! Starts a process that outlives its starter, with its output in a log file.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::error::{Result, StackError};
use crate::folder::{DataDir, create_dir, log_tail};

use super::environment::Environment;
use super::marker::{self, Marker};
use super::process_id::ProcessId;
use super::server_user::ServerUser;

/// In bytes. A log that is longer than this when its process starts is renamed to `<name>.log.old`, over the last one.
const LOG_LIMIT: u64 = 16 * 1024 * 1024;

/// How to start a process.
pub(crate) struct Launch<'a> {
    /// Its name within the stack, for its marker and its log.
    pub name: &'a str,
    pub program: &'a Path,
    pub args: Vec<OsString>,
    pub environment: Environment,
    /// Another user to run as; only root may set this.
    pub user: Option<&'a ServerUser>,
}

/// A process, and where in its log its own output begins.
pub(crate) struct LoggedProcess {
    pub name: String,
    pub id: ProcessId,
    pub log: PathBuf,
    /// In bytes from the log's start.
    pub log_from: u64,
}

impl LoggedProcess {
    /// The error for a process that ended while it should have started, with its last words.
    pub(crate) fn died(&self) -> StackError {
        died(self.name.clone(), self.log.clone(), self.log_from)
    }
}

impl Launch<'_> {
    /// Starts the process in a process group of its own, so that a Ctrl-C in the starter's terminal does not reach it.
    pub(crate) fn start(self, data_dir: &DataDir) -> Result<LoggedProcess> {
        create_dir(&data_dir.logs(), 0o700)?;
        let log = data_dir.log(self.name);
        let (file, log_from) = open_log(&log)?;
        let child = self.command(data_dir, &log, file)?.spawn().map_err(StackError::path("starting", self.program))?;
        let pid = child.id();
        marker::until_shown(pid);
        // Before the child is reaped: until then nothing else can have its pid.
        let id = ProcessId::with_pid(pid);
        reap(child);
        match id {
            Some(id) => Ok(LoggedProcess { name: self.name.to_owned(), id, log, log_from }),
            None => Err(died(self.name.to_owned(), log, log_from)),
        }
    }

    fn command(&self, data_dir: &DataDir, log: &Path, file: File) -> Result<Command> {
        let stderr = file.try_clone().map_err(StackError::path("opening", log))?;
        let mut command = Command::new(self.program);
        self.environment.apply_to(&mut command);
        command
            .args(&self.args)
            .env(marker::VARIABLE, Marker::value(data_dir.path(), self.name))
            .current_dir(data_dir.path())
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(stderr)
            .process_group(0);
        if let Some(user) = self.user {
            user.set_on(&mut command);
        }
        Ok(command)
    }
}

fn died(name: String, log: PathBuf, log_from: u64) -> StackError {
    StackError::Died { name, tail: log_tail::read(&log, log_from, log_tail::QUOTED_LINES), log }
}

fn open_log(log: &Path) -> Result<(File, u64)> {
    let failed = || StackError::path("opening", log);
    if std::fs::metadata(log).is_ok_and(|metadata| metadata.len() > LOG_LIMIT) {
        std::fs::rename(log, log.with_extension("log.old")).map_err(failed())?;
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(log).map_err(failed())?;
    let length = file.metadata().map_err(failed())?.len();
    Ok((file, length))
}

/// Waits for the child on a thread, so that a long-lived starter collects no zombies. The thread ends with the child,
/// or with us.
fn reap(mut child: Child) {
    let waiting = std::thread::Builder::new().name("millrace-reaper".into()).spawn(move || child.wait());
    if let Err(error) = waiting {
        tracing::warn!(%error, "no thread to wait for a child; it stays a zombie once it has ended");
    }
}
