//! Ends processes: asks first, and after a deadline uses force.

use std::time::Duration;

use rustix::process::Signal;

use crate::error::{Result, StackError};
use crate::progress::Progress;

use super::process_id::ProcessId;

/// How long we wait for a process to end after a signal that should end it at once.
const AFTER_FORCE: Duration = Duration::from_secs(10);

/// A process that `down` or `stop` ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// `postgres`, `kafka`, `registry`, or the name of a service.
    pub name: String,
    /// The number that the kernel had given it.
    pub pid: u32,
    /// True if the process did not leave in time after a polite signal.
    pub forced: bool,
}

/// How to make a process leave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// The signal to send first.
    ask: Signal,
    /// How long to wait after it.
    patience: Duration,
    /// The signal to try before SIGKILL, for servers that know one in between.
    insist: Option<Signal>,
}

impl Manner {
    /// Services drain, commit and leave on SIGTERM.
    pub(crate) const SERVICE: Self = Self { ask: Signal::TERM, patience: Duration::from_secs(20), insist: None };
    /// Kafka closes its segments, the registry its connections.
    pub(crate) const JVM: Self = Self { ask: Signal::TERM, patience: Duration::from_secs(30), insist: None };
    /// PostgreSQL's fast shutdown (SIGINT) aborts transactions and writes a checkpoint; its immediate shutdown
    /// (SIGQUIT) leaves the checkpoint to recovery at the next start.
    pub(crate) const POSTGRES: Self =
        Self { ask: Signal::INT, patience: Duration::from_secs(60), insist: Some(Signal::QUIT) };
    /// What a crash does, for tests.
    pub(crate) const KILL: Self = Self { ask: Signal::KILL, patience: Duration::from_secs(10), insist: None };
}

/// Ends one process, and returns when it is gone.
pub(crate) async fn stop(name: &str, process: ProcessId, manner: Manner, progress: &dyn Progress) -> Result<Stopped> {
    let pid = process.pid;
    send(&process, manner.ask)?;
    if process.ends_within(manner.patience).await {
        return Ok(Stopped { name: name.to_owned(), pid, forced: false });
    }
    progress
        .line(&format!("{name} (pid {pid}) did not stop within {} s: ending it by force", manner.patience.as_secs()));
    tracing::warn!(name, pid, "did not stop when asked, ending it by force");
    for signal in manner.insist.into_iter().chain([Signal::KILL]) {
        send(&process, signal)?;
        if process.ends_within(AFTER_FORCE).await {
            return Ok(Stopped { name: name.to_owned(), pid, forced: true });
        }
    }
    Err(StackError::WillNotEnd { name: name.to_owned(), pid })
}

/// Kills a process, and does not wait for its end.
pub(crate) fn kill(process: &ProcessId) -> Result<()> {
    send(process, Signal::KILL)
}

fn send(process: &ProcessId, signal: Signal) -> Result<()> {
    process.signal(signal).map_err(StackError::io(format!("sending a signal to process {}", process.pid)))
}
