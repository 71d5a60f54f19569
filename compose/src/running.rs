//! What runs from a data folder, found anew each time.

use crate::folders::DataDir;
use crate::marker;
use crate::postgres;
use crate::postgres_process;
use crate::process::Process;
use crate::{kafka, registry};

const SERVERS: [&str; 3] = [postgres::NAME, kafka::NAME, registry::NAME];

/// A process of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningProcess {
    /// `postgres`, `kafka`, `registry`, or the name that a service was started under.
    pub name: String,
    /// Its number.
    pub pid: u32,
}

/// A snapshot of a stack's processes.
pub(crate) struct Running {
    processes: Vec<(String, Process)>,
}

impl Running {
    /// Servers first, then services by age of their pid.
    pub(crate) fn in_folder(data_dir: &DataDir) -> Self {
        let postgres = postgres_process::find(&data_dir.postgres());
        let mut processes: Vec<_> = postgres.map(|process| (postgres::NAME.to_owned(), process)).into_iter().collect();
        // Postgres is found its own way only: whether its marker survives is up to the kind of its process.
        processes.extend(marker::find(data_dir.path()).into_iter().filter(|(name, _)| name != postgres::NAME));
        Self { processes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.processes.iter().map(|(name, _)| name.clone()).collect()
    }

    /// All that run under this name; more than one only if something went badly wrong.
    pub(crate) fn named(&self, name: &str) -> Vec<Process> {
        self.processes.iter().filter(|(found, _)| found == name).map(|(_, process)| *process).collect()
    }

    pub(crate) fn server(&self, name: &str) -> Option<Process> {
        self.named(name).first().copied()
    }

    pub(crate) fn servers_missing(&self) -> bool {
        SERVERS.iter().any(|server| self.server(server).is_none())
    }

    /// Everything but the servers.
    pub(crate) fn services(&self) -> Vec<(String, Process)> {
        self.processes.iter().filter(|(name, _)| !is_server(name)).cloned().collect()
    }

    pub(crate) fn list(&self) -> Vec<RunningProcess> {
        let entry = |(name, process): &(String, Process)| RunningProcess { name: name.clone(), pid: process.pid };
        self.processes.iter().map(entry).collect()
    }
}

/// True for the names that services may not have.
pub(crate) fn is_server(name: &str) -> bool {
    SERVERS.contains(&name)
}
