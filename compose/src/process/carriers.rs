//! Finds the processes that carry a folder's marker.

use std::path::Path;

use procfs::process::Process;

use super::marker::Marker;
use super::process_id::{ProcessId, all_processes};

/// All living processes that were started under a marker of this folder, with their names, in the order of their pids.
/// A child inherits its parent's marker; only the leader of a process group is what [`Launch`](super::Launch) started.
pub(crate) fn leaders(folder: &Path) -> Vec<(String, ProcessId)> {
    let mut found: Vec<_> =
        all_processes().filter(leads_its_group).filter_map(|process| carrier(&process, folder)).collect();
    found.sort_by_key(|(_, process)| process.pid);
    found
}

/// All living processes that carry a marker of this folder, children included.
pub(crate) fn carriers(folder: &Path) -> Vec<(String, ProcessId)> {
    all_processes().filter_map(|process| carrier(&process, folder)).collect()
}

fn carrier(process: &Process, folder: &Path) -> Option<(String, ProcessId)> {
    let marker = Marker::read(process).filter(|marker| marker.folder == folder)?;
    Some((marker.name, ProcessId::of(process)?))
}

fn leads_its_group(process: &Process) -> bool {
    process.stat().is_ok_and(|stat| stat.pgrp == stat.pid)
}
