//! How a process that we started is recognised later, without pid files: by a variable in its environment.
//!
//! `MILLRACE_STACK=<canonical folder>#<name>` is set on every child; the folder is the stack's data folder, or the cache
//! for Maven. Postgres overwrites that memory, so `postmaster` has its own way. A pid file would lie after a
//! crash; an environment dies with its process.

use std::path::{Path, PathBuf};

/// The variable's name.
pub(crate) const VARIABLE: &str = "MILLRACE_STACK";

/// Whose a process is, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    pub folder: PathBuf,
    pub name: String,
}

impl Marker {
    /// The variable's value. `folder` is UTF-8, checked by `folders::check_name`.
    pub(crate) fn value(folder: &Path, name: &str) -> String {
        format!("{}#{name}", folder.display())
    }

    /// The marker of a running process. None without one, and for processes of other users (unless we are root).
    pub(crate) fn read(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read(format!("/proc/{pid}/environ")).ok()?)
    }

    /// Names hold no `#`, folders may.
    fn parse(environ: &[u8]) -> Option<Self> {
        let values = environ.split(|byte| *byte == 0).filter_map(|variable| std::str::from_utf8(variable).ok());
        let value = values.filter_map(|text| text.strip_prefix(VARIABLE)?.strip_prefix('=')).next()?;
        let (folder, name) = value.rsplit_once('#')?;
        Some(Self { folder: PathBuf::from(folder), name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_back_from_an_environment() {
        let environ = format!("PATH=/bin\0{VARIABLE}={}\0HOME=/\0", Marker::value(Path::new("/data/#1"), "relay"));
        let marker = Marker::parse(environ.as_bytes()).unwrap();
        assert_eq!(marker, Marker { folder: "/data/#1".into(), name: "relay".into() });
    }

    #[test]
    fn other_environments_have_none() {
        for environ in [&b""[..], b"PATH=/bin\0", b"MILLRACE_STACK_X=/a#b\0", b"MILLRACE_STACK=/a\0", b"\xff\xfe=1\0"] {
            assert_eq!(Marker::parse(environ), None);
        }
    }
}
