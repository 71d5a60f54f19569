//! Millrace's own processes beside the servers. We start, find and stop them as we do the servers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{Result, StackError};
use crate::folder::DataDir;
use crate::server::Server;

use super::environment::Environment;
use super::launch::Launch;
use super::running::Running;

/// What [`Stack::start_service`](crate::Stack::start_service) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceStart {
    /// The service runs now. Whether it works, its own health check has to say.
    Started {
        /// The new process.
        pid: u32,
    },
    /// The service ran before, perhaps with other arguments.
    AlreadyRunning {
        /// The process that was found.
        pid: u32,
    },
}

/// A service that may be started.
pub(crate) struct Service<'a> {
    name: &'a str,
    program: &'a Path,
    args: &'a [String],
    env: &'a [(String, String)],
}

impl<'a> Service<'a> {
    /// Checks the name.
    pub(crate) fn new(
        name: &'a str,
        program: &'a Path,
        args: &'a [String],
        env: &'a [(String, String)],
    ) -> Result<Self> {
        check_name(name)?;
        Ok(Self { name, program, args, env })
    }

    /// Starts the service unless one runs under its name. The caller holds the folder's lock.
    pub(crate) fn start(&self, data_dir: &DataDir) -> Result<ServiceStart> {
        if let Some(process) = Running::in_folder(data_dir).named(self.name).first() {
            return Ok(ServiceStart::AlreadyRunning { pid: process.pid });
        }
        let program = absolute(self.program)?;
        let args = self.args.iter().map(OsString::from).collect();
        let environment = Environment::InheritAnd(self.env.to_vec());
        let launched = Launch { name: self.name, program: &program, args, environment, user: None }.start(data_dir)?;
        Ok(ServiceStart::Started { pid: launched.id.pid })
    }
}

/// A service works in the stack's folder, but a relative path of its program counts from the caller's folder. A bare
/// name is looked up on the `PATH`.
fn absolute(program: &Path) -> Result<PathBuf> {
    if program.components().count() == 1 {
        return Ok(program.to_owned());
    }
    std::path::absolute(program).map_err(StackError::path("finding", program))
}

/// The name becomes part of a marker and of a log's file name.
fn check_name(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.is_empty() && name.bytes().all(allowed) && Server::parse(name).is_none() {
        return Ok(());
    }
    Err(StackError::BadServiceName { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_name_is_a_word_that_no_server_has() {
        for good in ["writer", "relay-2", "projector-reporting"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "kafka", "../x", "a#b", "Writer", "a b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
