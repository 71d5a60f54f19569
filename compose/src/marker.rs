//! How a process that we started is recognised later, without pid files: by a variable in its environment.
//!
//! `MILLRACE_STACK=<canonical data folder>#<name>` is set on every child but Postgres, which overwrites that memory
//! (`postgres_process` has its own way). A pid file would lie after a crash; an environment dies with its process.

use std::path::{Path, PathBuf};

use crate::process::{Process, all_pids, leads_its_group};

/// The variable's name.
pub(crate) const VARIABLE: &str = "MILLRACE_STACK";

/// Whose a process is, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    pub data_dir: PathBuf,
    pub name: String,
}

impl Marker {
    /// The variable's value. `data_dir` is UTF-8, checked by `folders::check_name`.
    pub(crate) fn value(data_dir: &Path, name: &str) -> String {
        format!("{}#{name}", data_dir.display())
    }

    /// The marker of a running process. None without one, and for processes of other users (unless we are root).
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read(format!("/proc/{pid}/environ")).ok()?)
    }

    /// Names hold no `#`, folders may.
    fn parse(environ: &[u8]) -> Option<Self> {
        let values = environ.split(|byte| *byte == 0).filter_map(|variable| std::str::from_utf8(variable).ok());
        let value = values.filter_map(|text| text.strip_prefix(VARIABLE)?.strip_prefix('=')).next()?;
        let (data_dir, name) = value.rsplit_once('#')?;
        Some(Self { data_dir: PathBuf::from(data_dir), name: name.to_owned() })
    }
}

/// All living processes that carry a marker of this data folder, with the names they were started under.
pub(crate) fn find(data_dir: &Path) -> Vec<(String, Process)> {
    let mut found: Vec<(String, Process)> = all_pids().into_iter().filter_map(|pid| find_one(data_dir, pid)).collect();
    found.sort_by_key(|(_, process)| process.pid);
    found
}

fn find_one(data_dir: &Path, pid: u32) -> Option<(String, Process)> {
    let process = Process::with_pid(pid)?;
    let marker = Marker::of(pid).filter(|marker| marker.data_dir == data_dir)?;
    leads_its_group(pid).then_some((marker.name, process))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_back_from_an_environment() {
        let environ = format!("PATH=/bin\0{VARIABLE}={}\0HOME=/\0", Marker::value(Path::new("/data/#1"), "relay"));
        let marker = Marker::parse(environ.as_bytes()).unwrap();
        assert_eq!(marker, Marker { data_dir: "/data/#1".into(), name: "relay".into() });
    }

    #[test]
    fn other_environments_have_none() {
        for environ in [&b""[..], b"PATH=/bin\0", b"MILLRACE_STACK_X=/a#b\0", b"MILLRACE_STACK=/a\0", b"\xff\xfe=1\0"] {
            assert_eq!(Marker::parse(environ), None);
        }
    }
}
