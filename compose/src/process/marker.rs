//! How a process that we started is recognised later, without pid files: by a variable in its environment.
//!
//! Every child gets `MILLRACE_STACK=<canonical folder>#<name>`. The folder is the stack's data folder, or for Maven the
//! cache. Postgres overwrites the memory that holds its environment, so `postmaster` finds it in another way. After a
//! crash a pid file would lie; an environment ends with its process.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use procfs::process::Process;

use super::process_id::{ProcessId, look_up};

/// The name of the variable.
pub(crate) const VARIABLE: &str = "MILLRACE_STACK";

/// The stack that a process belongs to, and its role there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    pub folder: PathBuf,
    pub name: String,
}

impl Marker {
    /// The variable's value. `folder` must be UTF-8, which `folder::check_name` checks.
    pub(crate) fn value(folder: &Path, name: &str) -> String {
        format!("{}#{name}", folder.display())
    }

    /// The marker of a running process. `None` without one, and for another user's process unless we are root.
    pub(super) fn read(process: &Process) -> Option<Self> {
        let environment = process.environ().ok()?;
        Self::parse(environment.get(OsStr::new(VARIABLE))?.to_str()?)
    }

    /// Splits at the last `#`: folders may hold one, names don't.
    fn parse(value: &str) -> Option<Self> {
        let (folder, name) = value.rsplit_once('#')?;
        Some(Self { folder: PathBuf::from(folder), name: name.to_owned() })
    }
}

/// Waits until `/proc` shows the environment of a process that has just started. On a busy machine that can be a moment
/// after `spawn` returns, and until then nobody could find the process by its marker.
pub(super) fn until_shown(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(1);
    let hidden = || look_up(pid).is_some_and(|process| process.environ().is_ok_and(|shown| shown.is_empty()));
    while hidden() && ProcessId::with_pid(pid).is_some() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_back_from_its_value() {
        let marker = Marker::parse(&Marker::value(Path::new("/data/#1"), "relay"));
        assert_eq!(marker, Some(Marker { folder: "/data/#1".into(), name: "relay".into() }));
    }

    #[test]
    fn a_marker_is_read_from_a_running_process_that_has_one() {
        for (variable, value, expected) in [
            (VARIABLE, "/a#b", Some(Marker { folder: "/a".into(), name: "b".into() })),
            (VARIABLE, "/a", None),
            (VARIABLE, "", None),
            ("MILLRACE_STACK_X", "/a#b", None),
        ] {
            let mut child =
                std::process::Command::new("sleep").arg("600").env_clear().env(variable, value).spawn().unwrap();
            until_shown(child.id());
            let marker = Marker::read(&look_up(child.id()).unwrap());
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(marker, expected, "{variable}={value}");
        }
    }
}
