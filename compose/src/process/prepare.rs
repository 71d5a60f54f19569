//! Runs a program that prepares a data folder, to its end.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::error::{Result, StackError};
use crate::folder::log_tail;

use super::environment::Environment;
use super::server_user::ServerUser;

/// Runs `program` to its end; `title` names it in the error, which quotes its output. Dropping the future kills the
/// program.
pub(crate) async fn run(title: &'static str, program: &Path, user: Option<&ServerUser>, args: &[&OsStr]) -> Result<()> {
    let mut command = Command::new(program);
    Environment::BARE.apply_to(command.as_std_mut());
    if let Some(user) = user {
        user.set_on(command.as_std_mut());
    }
    // From `/`, because the server's user may be barred from the caller's folder.
    command.args(args).current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(StackError::path("starting", program))?;
    if output.status.success() {
        return Ok(());
    }
    let printed = [output.stdout, output.stderr].concat();
    let tail = log_tail::last_lines(&String::from_utf8_lossy(&printed), log_tail::QUOTED_LINES);
    Err(StackError::Preparation { program: title, tail })
}
