//! One process of this machine, distinguished from any later one that gets the same pid.

use std::time::{Duration, Instant};

use procfs::process::Process;
use rustix::process::{Pid, PidfdFlags, Signal};

const POLL: Duration = Duration::from_millis(20);

/// A pid together with the start time of its process. The kernel never repeats that pair until the machine boots again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessId {
    pub pid: u32,
    /// In clock ticks since boot.
    started: u64,
}

impl ProcessId {
    /// The process that has this pid now. `None` also for a zombie, because that one has ended.
    pub(crate) fn with_pid(pid: u32) -> Option<Self> {
        Self::of(&look_up(pid)?)
    }

    /// `None` if the process has ended, as a zombie has.
    pub(super) fn of(process: &Process) -> Option<Self> {
        let stat = process.stat().ok()?;
        let ended = matches!(stat.state, 'Z' | 'X');
        (!ended).then_some(Self { pid: u32::try_from(stat.pid).ok()?, started: stat.starttime })
    }

    pub(crate) fn is_alive(&self) -> bool {
        Self::with_pid(self.pid) == Some(*self)
    }

    /// Sends a signal to exactly this process; one that has ended is no error.
    pub(crate) fn signal(&self, signal: Signal) -> std::io::Result<()> {
        match self.try_signal(signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the pid file descriptor before the check, so that the signal can't hit a later process with that pid.
    fn try_signal(&self, signal: Signal) -> rustix::io::Result<()> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
        let descriptor = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        if self.is_alive() { rustix::process::pidfd_send_signal(descriptor, signal) } else { Ok(()) }
    }

    /// Waits for the process to end; false if it still lives after `time`. Cancel-safe.
    pub(crate) async fn ends_within(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while self.is_alive() {
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        true
    }
}

/// The process with this pid as `/proc` shows it.
pub(super) fn look_up(pid: u32) -> Option<Process> {
    Process::new(i32::try_from(pid).ok()?).ok()
}

/// All processes that `/proc` shows. A process that ends meanwhile may be left out.
pub(super) fn all_processes() -> impl Iterator<Item = Process> {
    procfs::process::all_processes().into_iter().flatten().filter_map(Result::ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_not_the_later_one_with_its_number() {
        let me = ProcessId::with_pid(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(!ProcessId { started: me.started + 1, ..me }.is_alive());
    }

    #[tokio::test]
    async fn a_killed_process_that_nobody_has_waited_for_has_ended() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let process = ProcessId::with_pid(child.id()).unwrap();
        process.signal(Signal::KILL).unwrap();
        assert!(process.ends_within(Duration::from_secs(10)).await);
        process.signal(Signal::KILL).unwrap();
        child.wait().unwrap();
    }
}
