//! Starts a process that outlives its starter, with its output in a log file.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::error::{Result, StackError};
use crate::folders::{DataDir, create_dir};
use crate::marker::{self, Marker};
use crate::process::Process;
use crate::server_user::ServerUser;

/// A log that is longer than this when its process starts is set aside, once, as `<name>.log.old`.
const LOG_LIMIT: u64 = 16 * 1024 * 1024;

/// Everything about a process to be.
pub(crate) struct Launch<'a> {
    /// Its name within the stack: the marker's, and the log's.
    pub name: &'a str,
    pub program: &'a Path,
    pub args: Vec<OsString>,
    pub environment: Environment,
    /// Another user to run as; needs root.
    pub user: Option<&'a ServerUser>,
}

/// The variables a process gets besides its marker.
pub(crate) enum Environment {
    /// Nothing but these and the bare necessities, so that a stray `PGPORT` or `QUARKUS_…` changes nothing.
    Only(Vec<(String, String)>),
    /// The caller's, and these.
    InheritAnd(Vec<(String, String)>),
}

/// A process that was started, and where in its log its own output begins.
pub(crate) struct Launched {
    pub process: Process,
    pub log: PathBuf,
    pub log_from: u64,
}

impl Launch<'_> {
    /// Starts it in a process group of its own, so that a Ctrl-C in the starter's terminal does not reach it.
    pub(crate) fn start(self, data_dir: &DataDir) -> Result<Launched> {
        create_dir(&data_dir.logs(), 0o700)?;
        let log = data_dir.log(self.name);
        let (file, log_from) = open_log(&log)?;
        let stderr = file.try_clone().map_err(StackError::path("opening", &log))?;
        let mut command = Command::new(self.program);
        set_environment(&mut command, &self.environment);
        command
            .args(&self.args)
            .env(marker::VARIABLE, Marker::value(data_dir.path(), self.name))
            .current_dir(data_dir.path())
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(stderr)
            .process_group(0);
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        let child = command.spawn().map_err(StackError::path("starting", self.program))?;
        let pid = child.id();
        marker::until_shown(pid);
        let process = Process::with_pid(pid);
        reap(child);
        match process {
            Some(process) => Ok(Launched { process, log, log_from }),
            None => {
                Err(StackError::Died { name: self.name.to_owned(), tail: crate::tail::read(&log, log_from, 20), log })
            }
        }
    }
}

fn set_environment(command: &mut Command, environment: &Environment) {
    let variables = match environment {
        Environment::InheritAnd(variables) => variables,
        Environment::Only(variables) => {
            command.env_clear().env("LANG", "C.UTF-8");
            if let Some(path) = std::env::var_os("PATH") {
                command.env("PATH", path);
            }
            variables
        }
    };
    command.envs(variables.iter().map(|(name, value)| (name, value)));
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

/// Waits for the child on a thread of its own, so that a long-lived starter collects no zombies. The thread ends with
/// the child, or with us.
fn reap(mut child: Child) {
    let waiting = std::thread::Builder::new().name("millrace-reaper".into()).spawn(move || child.wait());
    if let Err(error) = waiting {
        tracing::warn!(%error, "no thread to wait for a child; it stays a zombie once it has ended");
    }
}
