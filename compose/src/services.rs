//! Millrace's own processes beside the servers: started, found and stopped in the same way.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{Result, StackError};
use crate::launch::{Environment, Launch};
use crate::progress::Silent;
use crate::running::{Running, is_server};
use crate::stack::Stack;

/// What [`Stack::start_service`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceStart {
    /// It runs now; that it works is for its own health check to say.
    Started {
        /// Its number.
        pid: u32,
    },
    /// It ran before, perhaps with other arguments.
    AlreadyRunning {
        /// Its number.
        pid: u32,
    },
}

impl Stack {
    /// Starts a service that outlives us, unless one runs under this name. It inherits our environment, and `env` on
    /// top; it works in the stack's folder and writes to `logs/<name>.log` there.
    ///
    /// # Errors
    /// A name that is not one, a program that can't be started.
    pub async fn start_service(
        &self,
        name: &str,
        program: &Path,
        args: &[String],
        env: &[(String, String)],
    ) -> Result<ServiceStart> {
        check_name(name)?;
        let _lock = self.lock(&Silent).await?;
        if let Some(process) = Running::in_folder(self.data()).server(name) {
            return Ok(ServiceStart::AlreadyRunning { pid: process.pid });
        }
        let program = absolute(program)?;
        let args = args.iter().map(OsString::from).collect();
        let environment = Environment::InheritAnd(env.to_vec());
        let launched = Launch { name, program: &program, args, environment, user: None }.start(self.data())?;
        Ok(ServiceStart::Started { pid: launched.process.pid })
    }
}

/// A relative path is relative to our folder, not to the stack's; a bare name is looked up on the `PATH`.
fn absolute(program: &Path) -> Result<PathBuf> {
    if program.components().count() == 1 {
        return Ok(program.to_owned());
    }
    std::path::absolute(program).map_err(StackError::path("finding", program))
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.is_empty() && name.bytes().all(allowed) && !is_server(name) {
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
