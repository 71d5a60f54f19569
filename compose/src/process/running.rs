//! A data folder's processes, found anew each time.

use crate::folder::DataDir;
use crate::server::Server;

use super::carriers::leaders;
use super::postmaster;
use super::process_id::ProcessId;

/// A process of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningProcess {
    /// `postgres`, `kafka`, `registry`, or the name that a service was started under.
    pub name: String,
    /// The kernel's number for it, which a later process may get.
    pub pid: u32,
}

/// A snapshot of a stack's processes.
pub(crate) struct Running {
    processes: Vec<(String, ProcessId)>,
}

impl Running {
    /// Postgres first, then the others in the order of their pids.
    pub(crate) fn in_folder(data_dir: &DataDir) -> Self {
        let postgres = Server::Postgres.name();
        let postmaster = postmaster::find(&data_dir.postgres());
        let mut processes: Vec<_> = postmaster.map(|process| (postgres.to_owned(), process)).into_iter().collect();
        // A marker of Postgres does not count: some of its processes keep theirs, others overwrite it.
        processes.extend(leaders(data_dir.path()).into_iter().filter(|(name, _)| name != postgres));
        Self { processes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.processes.iter().map(|(name, _)| name.clone()).collect()
    }

    /// All that run under this name; more than one only if something went badly wrong.
    pub(crate) fn named(&self, name: &str) -> Vec<ProcessId> {
        self.processes.iter().filter(|(found, _)| found == name).map(|(_, process)| *process).collect()
    }

    pub(crate) fn server(&self, server: Server) -> Option<ProcessId> {
        self.named(server.name()).first().copied()
    }

    pub(crate) fn servers_missing(&self) -> bool {
        Server::ALL.into_iter().any(|server| self.server(server).is_none())
    }

    /// Everything but the servers.
    pub(crate) fn services(&self) -> Vec<(String, ProcessId)> {
        self.processes.iter().filter(|(name, _)| Server::parse(name).is_none()).cloned().collect()
    }

    pub(crate) fn list(&self) -> Vec<RunningProcess> {
        let entry = |(name, process): &(String, ProcessId)| RunningProcess { name: name.clone(), pid: process.pid };
        self.processes.iter().map(entry).collect()
    }
}
