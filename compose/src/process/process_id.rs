//! One process of this machine, told from any later one that gets the same number.

use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal};

const POLL: Duration = Duration::from_millis(20);

/// A pid together with its start time, which the kernel never repeats for that pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessId {
    pub pid: u32,
    started: u64,
}

impl ProcessId {
    /// The process that has this number now. None also for a zombie: that one has ended.
    pub(crate) fn with_pid(pid: u32) -> Option<Self> {
        let stat = Stat::of(pid)?;
        (!stat.ended).then_some(Self { pid, started: stat.started })
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

    /// The pid file descriptor is opened before the check, so the signal can't hit a later process of that number.
    fn try_signal(&self, signal: Signal) -> rustix::io::Result<()> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
        let descriptor = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        if self.is_alive() { rustix::process::pidfd_send_signal(descriptor, signal) } else { Ok(()) }
    }

    /// Waits for the end; false if it has not come within the time. Cancel-safe.
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

/// The numbers of all processes that `/proc` shows.
pub(crate) fn all_pids() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The leaders of process groups are what `launch` starts; their children inherit markers and are not meant.
pub(crate) fn leads_its_group(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.group == pid)
}

/// The few fields needed of `/proc/<pid>/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    ended: bool,
    group: u32,
    started: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Fields are counted from behind the command's name, which may itself hold spaces and parentheses.
    fn parse(stat: &str) -> Option<Self> {
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let ended = matches!(fields.next()?, "Z" | "X");
        let group = fields.nth(1)?.parse().ok()?;
        let started = fields.nth(16)?.parse().ok()?;
        Some(Self { ended, group, started })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_parentheses_does_not_confuse() {
        let stat = "42 (a) b (c)) S 1 42 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 200";
        assert_eq!(Stat::parse(stat), Some(Stat { ended: false, group: 42, started: 98765 }));
        assert_eq!(Stat::parse("42 (a) S"), None);
    }

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
