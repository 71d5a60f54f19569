//! What processes use, as `/proc` tells it.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::time::Instant;

use millrace_compose::PortOwner;
use millrace_runtime::Settings;
use reqwest::Url;

use crate::measured::ProcessUse;
use crate::service::Service;

/// The kernel counts processor time in hundredths of a second, on every machine (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;
/// What is not watched: the registry, and whatever else runs on the machine. A figure taken beside much of it says little.
const REST: &str = "the rest of the machine";

/// A process that is watched.
#[derive(Debug, Clone)]
pub struct Watched {
    name: String,
    pid: u32,
    /// Also its children, those that have ended too: Postgres has a process per connection.
    with_children: bool,
}

/// The processes of a measurement: the servers as far as they run on this machine, and ours.
pub fn watched(settings: &Settings, services: &[&Service]) -> Vec<Watched> {
    let servers = [
        ("postgres", settings.postgres_url().ok().and_then(port_of_url), true),
        ("kafka", settings.kafka_bootstrap().ok().and_then(port_of_host), false),
    ];
    let servers = servers.into_iter().filter_map(|(name, port, with_children)| {
        let pid = PortOwner::of(port?)?.pid;
        Some(Watched { name: name.to_owned(), pid, with_children })
    });
    let services =
        services.iter().map(|service| Watched { name: service.name.clone(), pid: service.pid, with_children: false });
    let bench = Watched { name: "bench".to_owned(), pid: std::process::id(), with_children: false };
    services.chain(servers).chain([bench]).collect()
}

/// The port, if the host is this machine.
fn port_of_url(url: &str) -> Option<u16> {
    let url = Url::parse(url).ok()?;
    is_here(url.host_str()?).then(|| url.port().unwrap_or(5432))
}

fn port_of_host(bootstrap: &str) -> Option<u16> {
    let (host, port) = bootstrap.split(',').next()?.rsplit_once(':')?;
    is_here(host).then(|| port.parse().ok()).flatten()
}

fn is_here(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "localhost" | "[::1]")
}

/// Measures from its start on.
pub struct Meter {
    started: Instant,
    before: Vec<(Watched, f64)>,
    machine_before: f64,
}

impl Meter {
    /// Begins.
    pub fn start(watched: Vec<Watched>) -> Self {
        let before = watched.into_iter().map(|process| (process.cpu_seconds(), process));
        let before = before.map(|(cpu, process)| (process, cpu)).collect();
        Self { before, machine_before: machine_cpu_seconds(), started: Instant::now() }
    }

    /// What each process has used since the start, for so many events.
    pub fn read(&self, events: u64) -> Vec<ProcessUse> {
        let seconds = self.started.elapsed().as_secs_f64();
        let used = self.before.iter().map(|(process, before)| ProcessUse {
            name: process.name.clone(),
            cpu_seconds: (process.cpu_seconds() - before).max(0.0),
            seconds,
            events,
            peak_bytes: Some(process.peak_bytes()),
        });
        let mut used: Vec<ProcessUse> = used.collect();
        let watched: f64 = used.iter().map(|process| process.cpu_seconds).sum();
        let cpu_seconds = (machine_cpu_seconds() - self.machine_before - watched).max(0.0);
        used.push(ProcessUse { name: REST.to_owned(), cpu_seconds, seconds, events, peak_bytes: None });
        used
    }
}

impl Watched {
    fn cpu_seconds(&self) -> f64 {
        let own = Times::of(self.pid).unwrap_or_default();
        if !self.with_children {
            return own.own as f64 / TICKS_PER_SECOND;
        }
        let children: u64 = self.children().into_iter().filter_map(Times::of).map(|times| times.own).sum();
        (own.own + own.ended_children + children) as f64 / TICKS_PER_SECOND
    }

    /// The most memory that it had at once since it was started; of a process with children, that of its largest.
    fn peak_bytes(&self) -> u64 {
        let mut pids = BTreeSet::from([self.pid]);
        if self.with_children {
            pids.extend(self.children());
        }
        pids.into_iter().filter_map(peak_bytes).max().unwrap_or(0)
    }

    fn children(&self) -> Vec<u32> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| Times::of(*pid).is_some_and(|times| times.parent == self.pid)).collect()
    }
}

/// A few fields of `/proc/<pid>/stat`, in ticks.
#[derive(Debug, Default, PartialEq, Eq)]
struct Times {
    parent: u32,
    own: u64,
    ended_children: u64,
}

impl Times {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Fields are counted from behind the command's name, which may itself hold spaces and parentheses.
    fn parse(stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            ended_children: number(13)? + number(14)?,
        })
    }
}

/// What all processors have done since the machine was started.
fn machine_cpu_seconds() -> f64 {
    read_to_string("/proc/stat").ok().and_then(|stat| busy_ticks(&stat)).unwrap_or(0) as f64 / TICKS_PER_SECOND
}

/// User, nice, system, irq and softirq of the first line of `/proc/stat`; not idle, iowait, and what others stole.
fn busy_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map(str::parse::<u64>);
    let mut next = || fields.next()?.ok();
    let busy = next()? + next()? + next()?;
    let (_idle, _iowait) = (next()?, next()?);
    Some(busy + next()? + next()?)
}

fn peak_bytes(pid: u32) -> Option<u64> {
    let status = read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_with_parentheses() {
        let stat = "42 (a) b) S 7 42 42 0 -1 4194304 1 2 3 4 50 6 70 8 20 0 1 0 98765 1000 200";
        assert_eq!(Times::parse(stat), Some(Times { parent: 7, own: 56, ended_children: 78 }));
    }

    #[test]
    fn a_machine_is_not_busy_while_it_idles_or_waits() {
        assert_eq!(busy_ticks("cpu  1 2 4 1000 1000 8 16 1000 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"), Some(31));
    }

    #[test]
    fn only_a_server_on_this_machine_has_a_port_here() {
        assert_eq!(port_of_url("postgresql://u:p@127.0.0.1:25432/x"), Some(25432));
        assert_eq!(port_of_url("postgresql://u:p@db.example:25432/x"), None);
        assert_eq!(port_of_host("localhost:9092,other:9092"), Some(9092));
        assert_eq!(port_of_host("kafka:9092"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let me = Watched { name: "me".into(), pid: std::process::id(), with_children: false };
        assert!(me.peak_bytes() > 0);
    }
}
