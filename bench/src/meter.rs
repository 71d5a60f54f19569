//! What processes use, as `/proc` tells it.

use std::time::Instant;

use millrace_compose::PortOwner;
use millrace_runtime::Settings;
use procfs::process::{Process, Stat};
use procfs::{CpuTime, CurrentSI, KernelStats};
use reqwest::Url;

use crate::measured::ProcessUse;
use crate::service::Service;

/// The registry, and whatever else runs on the machine. A figure taken beside much of it says little.
const REST: &str = "the rest of the machine";

/// A process that is watched.
#[derive(Debug, Clone)]
pub struct Watched {
    name: String,
    pid: i32,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One of our services.
    Service,
    /// A server that has a process for each connection: its children count, those that have ended too.
    ServerWithChildren,
    /// Another server.
    Server,
    /// This program.
    Bench,
}

/// The processes of a measurement: the servers as far as they run on this machine, and ours.
pub fn watched(settings: &Settings, services: &[&Service]) -> Vec<Watched> {
    let servers = [
        ("postgres", settings.postgres_url().ok().and_then(port_of_url), Kind::ServerWithChildren),
        ("kafka", settings.kafka_bootstrap().ok().and_then(port_of_host), Kind::Server),
    ];
    let servers =
        servers.into_iter().filter_map(|(name, port, kind)| Watched::new(name, PortOwner::of(port?)?.pid, kind));
    let services = services.iter().filter_map(|service| Watched::new(&service.name, service.pid, Kind::Service));
    services.chain(servers).chain(Watched::new("bench", std::process::id(), Kind::Bench)).collect()
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

    /// What each process has used since the start, for so many events; and several together.
    pub fn read(&self, events: u64) -> Vec<ProcessUse> {
        let seconds = self.started.elapsed().as_secs_f64();
        let used = |name: &str, cpu_seconds: f64, peak_bytes| ProcessUse {
            name: name.to_owned(),
            cpu_seconds: cpu_seconds.max(0.0),
            seconds,
            events,
            peak_bytes,
        };
        let cpu: Vec<(Kind, f64)> =
            self.before.iter().map(|(process, before)| (process.kind, process.cpu_seconds() - before)).collect();
        let sum = |wanted: &[Kind]| -> f64 {
            cpu.iter().filter(|(kind, _)| wanted.contains(kind)).map(|(_, seconds)| seconds).sum()
        };
        let mut all: Vec<ProcessUse> = self
            .before
            .iter()
            .zip(&cpu)
            .map(|((process, _), (_, cpu))| used(&process.name, *cpu, Some(process.peak_bytes())))
            .collect();
        if cpu.iter().any(|(kind, _)| *kind == Kind::Service) {
            let services = sum(&[Kind::Service]);
            all.push(used("our services together", services, None));
            let servers = sum(&[Kind::Server, Kind::ServerWithChildren]);
            all.push(used("services and servers together", services + servers, None));
        }
        let watched: f64 = cpu.iter().map(|(_, seconds)| seconds).sum();
        all.push(used(REST, machine_cpu_seconds() - self.machine_before - watched, None));
        all
    }
}

impl Watched {
    fn new(name: &str, pid: u32, kind: Kind) -> Option<Self> {
        Some(Self { name: name.to_owned(), pid: i32::try_from(pid).ok()?, kind })
    }

    fn cpu_seconds(&self) -> f64 {
        let Some(own) = stat(self.pid) else { return 0.0 };
        let ticks = if self.kind == Kind::ServerWithChildren {
            let children: u64 = self.children().iter().map(|child| child.utime + child.stime).sum();
            own.utime + own.stime + own.cutime.unsigned_abs() + own.cstime.unsigned_abs() + children
        } else {
            own.utime + own.stime
        };
        ticks as f64 / procfs::ticks_per_second() as f64
    }

    /// The most memory that it had at once since it was started; of a process with children, that of its largest.
    fn peak_bytes(&self) -> u64 {
        let children = if self.kind == Kind::ServerWithChildren { self.children() } else { Vec::new() };
        let pids = children.iter().map(|child| child.pid).chain([self.pid]);
        pids.filter_map(peak_bytes).max().unwrap_or(0)
    }

    fn children(&self) -> Vec<Stat> {
        let Ok(processes) = procfs::process::all_processes() else { return Vec::new() };
        // a process that ends while it is looked at is passed over
        let stats = processes.filter_map(|process| process.ok()?.stat().ok());
        stats.filter(|stat| stat.ppid == self.pid).collect()
    }
}

fn stat(pid: i32) -> Option<Stat> {
    Process::new(pid).ok()?.stat().ok()
}

fn peak_bytes(pid: i32) -> Option<u64> {
    Some(Process::new(pid).ok()?.status().ok()?.vmhwm? * 1024)
}

/// What all processors have done since the machine was started.
fn machine_cpu_seconds() -> f64 {
    KernelStats::current().map_or(0.0, |stats| busy_ticks(&stats.total) as f64 / procfs::ticks_per_second() as f64)
}

/// Not idle, not waiting, and not what other machines on the same hardware took.
fn busy_ticks(total: &CpuTime) -> u64 {
    total.user + total.nice + total.system + total.irq.unwrap_or(0) + total.softirq.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_on_this_machine_has_a_port_here() {
        assert_eq!(port_of_url("postgresql://u:p@127.0.0.1:25432/x"), Some(25432));
        assert_eq!(port_of_url("postgresql://u:p@db.example:25432/x"), None);
        assert_eq!(port_of_host("localhost:9092,other:9092"), Some(9092));
        assert_eq!(port_of_host("kafka:9092"), None);
    }

    #[test]
    fn this_process_uses_memory_and_time_and_so_does_the_machine() {
        let me = Watched::new("me", std::process::id(), Kind::Bench).unwrap();
        assert!(me.peak_bytes() > 0);
        let meter = Meter::start(vec![me]);
        let mut number = 0_u64;
        while meter.before[0].0.cpu_seconds() - meter.before[0].1 < 0.05 {
            number = std::hint::black_box(number.wrapping_add(1));
        }
        let used = meter.read(1);
        assert_eq!(used.iter().map(|process| &*process.name).collect::<Vec<_>>(), ["me", REST]);
        assert!(used[0].cpu_seconds >= 0.05);
        assert!(machine_cpu_seconds() > 0.0);
    }
}
