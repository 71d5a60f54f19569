//! Finds the processes that carry a folder's marker.

use std::path::Path;

use super::marker::Marker;
use super::process_id::{ProcessId, all_pids, leads_its_group};

/// All living processes that were started under a marker of this folder, with their names.
pub(crate) fn leaders(folder: &Path) -> Vec<(String, ProcessId)> {
    let mut found = carriers(folder);
    found.retain(|(_, process)| leads_its_group(process.pid));
    found.sort_by_key(|(_, process)| process.pid);
    found
}

/// All living processes that carry a marker of this folder: also the children of those that were started under it.
pub(crate) fn carriers(folder: &Path) -> Vec<(String, ProcessId)> {
    let carrier = |pid: u32| {
        let process = ProcessId::with_pid(pid)?;
        let marker = Marker::read(pid).filter(|marker| marker.folder == folder)?;
        Some((marker.name, process))
    };
    all_pids().into_iter().filter_map(carrier).collect()
}
