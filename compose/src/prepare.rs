//! Runs a program that prepares a data folder, to its end.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::error::{Result, StackError};
use crate::server_user::ServerUser;

const TAIL_LINES: usize = 20;

/// Runs `program` to its end, quietly unless it fails. Dropping the future kills it.
pub(crate) async fn run(
    title: &'static str,
    program: &Path,
    user: Option<&ServerUser>,
    args: &[&std::ffi::OsStr],
) -> Result<()> {
    let mut command = Command::new(program);
    command.args(args).env_clear().env("LANG", "C.UTF-8").current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    let output = command.output().await.map_err(StackError::path("starting", program))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n");
    Err(StackError::Preparation { program: title, tail })
}
